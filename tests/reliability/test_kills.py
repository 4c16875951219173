"""A training that was killed, wherever, goes on to what it would have been, bit for bit; nothing is left over."""

import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch
from victim import METHODS, TIMES, config_of, exit_code, killed_after, killed_at, moments, train_or_resume

from mixviz.runs import CHECKPOINT, PREVIOUS, Run, split_readable

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Method -> the run that nothing interrupted."""
    return {method: train_or_resume(tmp_path_factory.mktemp(method), config_of(method)) for method in METHODS}


def states(run):
    return [torch.load(run.path / name, weights_only=True) for name in (CHECKPOINT, PREVIOUS)]


def assert_equal(one, other):
    """Nested dictionaries and lists of tensors and numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_equal(a, b)
    elif isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    else:
        assert one == other


def assert_same_run(run, expected):
    """Checkpoints with weights, queue and optimiser, every row of the log, every frame of the film, and the files."""
    assert_equal(states(run), states(expected))
    logs = [one.metrics.drop(columns=list(TIMES)) for one in (run, expected)]
    pd.testing.assert_frame_equal(*logs, check_exact=True)
    films = [np.load(one.path / "film.npz") for one in (run, expected)]
    assert set(films[0].files) == set(films[1].files)
    for name in films[0].files:
        np.testing.assert_array_equal(*(film[name] for film in films), err_msg=name)
    assert {path.name for path in run.path.iterdir()} == {path.name for path in expected.path.iterdir()}


def goes_on(root, expected):
    """What a kill left can be read, and becomes the whole run."""
    runs = [Run(path.parent) for path in root.glob("*/config.json")]
    assert split_readable(runs) == (runs, {})
    assert_same_run(train_or_resume(root, expected.config), expected)


def test_kill_between_every_two_changes_of_files(whole, tmp_path):
    expected, kills = whole["moco-v2"], 0
    while (code := exit_code(killed_at, tmp_path / str(kills), expected.config, kills)) == KILLED:
        goes_on(tmp_path / str(kills), expected)
        kills += 1
    assert code == 0
    assert kills >= 50


@pytest.mark.parametrize("method", METHODS)
def test_kill_at_random_moments_until_it_is_done(whole, tmp_path, method):
    began = time.perf_counter()
    train_or_resume(tmp_path / "timed", whole[method].config)
    longest = 1.2 * (time.perf_counter() - began)
    kills = 0
    for i, seconds in enumerate(moments(5, longest)):
        root = tmp_path / str(i)
        while exit_code(killed_after, root, whole[method].config, seconds) == KILLED and kills < 60:
            kills += 1
            seconds *= 1.3  # so that it ends one day
        goes_on(root, whole[method])
    assert kills >= 3
