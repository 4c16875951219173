"""Several processes train as one does with the same batch, and end together."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import ranks
import torch

from mixviz.__main__ import main
from mixviz.config import RunConfig
from mixviz.distributed import World, _place, joined
from mixviz.errors import UserError
from mixviz.runs import Run

EXACT = {"rtol": 0, "atol": 1e-9}
SIZES = (2, 4)
TRAIN = (
    "train --quiet --data glyphs --train-images 200 --holdout 20 --backbone convnet-narrow --dim 8 --hidden 16 "
    "--batch-size 32 --bn-splits 2 --dtype float32 --film-frames 3 --knn-every 4 --epochs 8"
).split()


@pytest.fixture(autouse=True, scope="module")
def server():
    """The processes find ``ranks``, which their server imports once, and take one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(ranks.__file__).parent), *sys.path]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By number of processes and rank: what ``ranks.calculate`` wrote."""
    folder = tmp_path_factory.mktemp("found")
    for size in SIZES:
        processes = ranks.start(ranks.calculate, size, folder)
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * size
    return {(size, rank): torch.load(folder / f"{size}-{rank}.pt") for size in SIZES for rank in range(size)}


@cache
def alone(case: str, size: int) -> dict:
    return ranks.run_case(ranks.CASES.get(case, {**ranks.UNEVEN, "bn_splits": size}), World())


def weights_and_queue(case: dict) -> dict:
    return {name: tensor for name, tensor in case["state"].items() if ".running_" not in name}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", [*ranks.CASES, "uneven"])
def test_processes_compute_what_one_does(found, case, size):
    """Loss, all columns of the log, gradients, queue, and weights after two steps."""
    one = alone(case, size)
    for rank in range(size):
        several = found[size, rank]["cases"][case]
        torch.testing.assert_close(several["rows"], one["rows"], **EXACT)
        torch.testing.assert_close(several["gradients"], one["gradients"], **EXACT)
        torch.testing.assert_close(weights_and_queue(several), weights_and_queue(one), **EXACT)
        for name, tensor in several["state"].items():  # bit for bit, or the processes would drift apart
            assert torch.equal(tensor, found[size, 0]["cases"][case]["state"][name]), name


@pytest.mark.parametrize("size", SIZES)
def test_running_statistics_are_those_of_one_process_but_for_the_order_of_the_parts(found, size):
    for case in ranks.CASES:
        one, several = alone(case, size)["state"], found[size, 0]["cases"][case]["state"]
        for name in one:
            if ".running_" in name:
                apart = (several[name] - one[name]).norm() / one[name].norm().clamp(min=0.1)
                assert apart < 0.1, (case, name)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", ["glyphs", "tones", "digits"])
def test_views_are_augmented_in_shares(found, source, size):
    """Also where a row takes features of others: then nothing is shared."""
    for rank in range(size):
        torch.testing.assert_close(
            found[size, rank]["views"][source], ranks.views_of(source, World()), rtol=0, atol=1e-5
        )


def started(folder: Path, size: int, *words: str) -> list:
    folder.mkdir(exist_ok=True)
    return ranks.start(ranks.command, size, [*TRAIN, *words] if words[0] != "train" else list(words), folder)


def ended(processes: list, folder: Path) -> tuple[list[int], str]:
    """The exit codes, in less than a minute, and all that was said, without torch's own warnings."""
    for process in processes:
        process.join(60)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    said = "".join((folder / f"said-{rank}").read_text() for rank in range(len(processes)))
    return codes, said


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two processes without a break."""
    folder = tmp_path_factory.mktemp("whole")
    codes, said = ended(started(folder, 2, "--name", "whole"), folder)
    assert codes == [0, 0], said
    return Run.open("whole"), said


def test_a_run_of_two_processes_is_logged_filmed_and_saved_once(whole):
    run, said = whole
    assert said.count("training whole") == said.count("next: python -m mixviz evaluate whole") == 1
    assert run.metrics["epoch"].tolist() == [*range(1, 9)]
    assert run.metrics["loss"].iloc[-1] < run.metrics["loss"].iloc[0]
    assert run.metrics["knn_accuracy"].notna().sum() == 2
    assert len(run.film) == 3
    assert run.load_checkpoint()["epoch"] == 8
    assert run.read_json("environment.json")["processes"] == 2


def test_two_processes_give_the_run_of_one(whole):
    """In single precision, whose rounding errors grow with the steps: the first epochs are alike."""
    main([*TRAIN, "--name", "one"])
    both = [run.metrics["loss"].iloc[:2].tolist() for run in (whole[0], Run.open("one"))]
    assert both[0] == pytest.approx(both[1], rel=1e-3)


def test_its_encoder_is_evaluated_like_any_other(whole):
    assert main(["evaluate", "whole", "--protocol", "knn"]) == 0
    assert Run.open("whole").results


@pytest.mark.parametrize(("victim", "size"), [(0, 2), (1, 2), (3, 4)])
def test_a_killed_process_ends_the_run_with_one_line_and_any_number_resumes_it(whole, tmp_path, victim, size):
    name = f"killed-{victim}"
    processes = started(tmp_path / "first", size, "--name", name)
    run = Run(whole[0].path.parent / name)
    while not (run.path / "checkpoint.pt").exists():
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 1))
    processes[victim].kill()
    codes, said = ended(processes, tmp_path / "first")
    lines = re.findall(r"^mixviz: .*", said, re.MULTILINE)
    assert codes[victim] == -signal.SIGKILL
    assert all(code == 2 for rank, code in enumerate(codes) if rank != victim)
    assert len(lines) == 1, said
    assert re.search(r"another of the \d processes has ended .*--resume", lines[0])
    assert "Traceback" not in said

    codes, said = ended(started(tmp_path / "second", 2, "train", "--quiet", "--resume", name), tmp_path / "second")
    assert codes == [0, 0], said
    assert run.metrics["epoch"].tolist() == [*range(1, 9)]
    if size == 2:
        for key, tensor in whole[0].load_checkpoint()["method"].items():
            assert torch.equal(tensor, run.load_checkpoint()["method"][key]), key
