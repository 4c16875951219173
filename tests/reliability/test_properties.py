"""Whatever comes in is a right answer or one clear line; whatever is written comes back as it was."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mixviz.build import fixed_generator
from mixviz.config import RunConfig, flags
from mixviz.errors import UserError, message
from mixviz.film import Film
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import spread
from mixviz.mixing import MIXINGS, blend
from mixviz.paired import mean_interval, settled_sign
from mixviz.result import Result
from mixviz.run_folder import LOG, RESULTS, RunFolder
from mixviz.train import batches, learning_rate

often = settings(
    deadline=None,
    max_examples=200,
    derandomize=True,  # the same examples in each run
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
rarely = settings(often, max_examples=30)
FLAGS = {flag.name: flag for flag in flags("image")}
WORDS = st.text(max_size=12)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 0.5, 2, 64, 1e-9, 1e30]))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(WORDS, inside, max_size=3),
    max_leaves=6,
)


def value_of(flag) -> st.SearchStrategy:
    """Mostly what a flag may be, sometimes what it may not."""
    bounds, kinds = flag.bounds, flag.kinds
    if flag.choices:
        good: st.SearchStrategy = st.sampled_from(flag.choices)
    elif bool in kinds:
        good = st.booleans()
    elif int in kinds or float in kinds:
        low, high = bounds.get("ge", bounds.get("gt", 0)), bounds.get("le", bounds.get("lt", 300))
        good = st.integers(math.ceil(low), int(min(high, low + 300))) | st.floats(low, min(high, low + 300))
    else:
        good = st.just(flag.default)
    return st.one_of(good, good, good, JSON)


SECTIONS = ("data", "augment", "encoder", "method", "optimizer", "train", "origin", "x")
ARGUMENTS = ("list", "compare", "tag", "--sort", "--tag", "x", "--out", "-1", "é", "\x1b[2J")
NAMED = {"framework": st.sampled_from([*FRAMEWORKS]), "mixing": st.lists(st.sampled_from([*MIXINGS]), max_size=2)}
SETTINGS = st.lists(st.sampled_from([*FLAGS]), max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: NAMED.get(name, value_of(FLAGS[name])) for name in names})
)


def one_line(error: UserError) -> None:
    """An error as a terminal shows it."""
    shown = message(error)
    assert shown
    assert "\n" not in shown
    assert len(shown) < 1200


@often
@given(SETTINGS)
def test_a_config_comes_back_from_its_file_or_is_refused_in_a_line(chosen):
    try:
        config = RunConfig.of(**chosen)
    except UserError as error:
        one_line(error)
        return
    assert RunConfig.parse(json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False))) == config
    assert config.but() == config


@often
@given(
    st.dictionaries(st.sampled_from(["data", "augment", "encoder", "method", "optimizer", "train", "x"]), JSON) | JSON
)
def test_a_config_of_anything_is_a_config_or_a_line(nested):
    try:
        RunConfig.parse(nested)
    except UserError as error:
        one_line(error)


@often
@given(WORDS.map(lambda name: name or "x"), st.text(max_size=300))
def test_a_message_is_one_line_that_controls_no_terminal(name, text):
    shown = message(UserError(f"{name} {text}"))
    assert all(c.isprintable() or c == "\xa0" for c in shown)


RESULT = {
    "protocol": "knn",
    "encoder": "backbone",
    "target": "label",
    "accuracy": 0.5,
    "data": "glyphs",
    "split": "test",
    "train_images": 10,
    "test_images": 5,
    "classes": 2,
    "seed": 0,
    "device": "cpu",
    "options": {},
    "settings": {},
}


@often
@given(st.dictionaries(st.sampled_from([*RESULT, "confusion", "run", "date", "x"]), JSON, max_size=4))
def test_a_result_of_anything_is_a_result_or_a_line(changed):
    try:
        result = Result.from_dict(RESULT | changed)
    except UserError as error:
        one_line(error)
        return
    written = json.dumps(result.to_dict())
    assert json.dumps(Result.from_dict(json.loads(written)).to_dict()) == written


@rarely
@given(st.text(max_size=200))
def test_a_log_and_results_of_anything_are_read_or_a_line(tmp_path, text):
    run = RunFolder(tmp_path)
    for name, read in ((LOG, lambda: run.log_rows), (RESULTS, lambda: run.results)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        try:
            assert isinstance(read(), list)
        except UserError as error:
            one_line(error)


ROWS = st.lists(
    st.dictionaries(st.sampled_from(["loss", "knn_accuracy", "lr"]), st.floats(width=64)), min_size=1, max_size=5
)


@rarely
@given(ROWS)
def test_a_log_comes_back_to_the_bit(tmp_path, rows):
    run = RunFolder(tmp_path)
    (tmp_path / LOG).unlink(missing_ok=True)
    for epoch, row in enumerate(rows, 1):
        run.log({"epoch": epoch, **row})
    for epoch, (row, found) in enumerate(zip(rows, run.log_rows, strict=True), 1):
        assert found["epoch"] == epoch
        for name, value in row.items():
            assert found[name] == value or (math.isnan(found[name]) and math.isnan(value))


@rarely
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.data())
def test_a_film_comes_back_to_the_bit(tmp_path, frames, probes, dims, data):
    values = arrays(np.float16, (frames, probes, dims), elements=st.floats(-100, 100, width=16))
    film = Film(
        epochs=np.arange(frames),
        rows=np.arange(probes),
        labels=data.draw(st.none() | arrays(np.int8, probes)),
        embeddings={"backbone": data.draw(values)},
        kept={"backbone": np.ones(frames, np.float32)},
        curves={"loss": data.draw(arrays(np.float32, frames))},
        about={"name": data.draw(st.text(max_size=20))},
    )
    film.save(tmp_path / "film.npz")
    found = Film.load(tmp_path / "film.npz")
    assert found.about == film.about
    np.testing.assert_array_equal(found.labels, film.labels)
    np.testing.assert_array_equal(found.embeddings["backbone"], film.embeddings["backbone"])
    np.testing.assert_array_equal(found.curves["loss"], film.curves["loss"])


@often
@given(st.integers(2, 12), st.sampled_from(sorted(MIXINGS)), st.integers(0, 2**31 - 1))
def test_targets_of_every_query_are_shares(n, name, seed):
    """Whatever is drawn: each row of targets sums to one, and a query is as large as its view."""
    mixing = MIXINGS[name]()
    view = torch.rand(n, 3, 8, 8, generator=fixed_generator())
    generator = torch.Generator().manual_seed(seed)
    for query in mixing.queries(view, mixing.sample(n, generator)):
        assert query.inputs.shape[1:] == view.shape[1:]
        assert query.inputs.isfinite().all()
        assert (query.targets >= 0).all()
        torch.testing.assert_close(query.targets.sum(dim=1), torch.ones(len(query.targets)), rtol=0, atol=1e-6)


@often
@given(st.integers(1, 5), st.floats(0, 1, width=32), st.integers(1, 4), st.integers(0, 3))
def test_blends_and_targets_over_views(n, lam, views, space):
    a, b = torch.zeros(n, 3), torch.ones(n, 3)
    torch.testing.assert_close(blend(a, b, torch.full((n,), lam)), torch.full((n, 3), 1 - lam))
    targets = torch.eye(n)
    wide = spread(targets, views, space % views)
    assert wide.shape == (n, n * views)
    torch.testing.assert_close(wide.sum(dim=1), torch.ones(n))


@often
@given(st.floats(0, 200), st.integers(1, 200), st.floats(0, 20), st.sampled_from(["cosine", "step"]))
def test_the_learning_rate_is_between_0_and_its_peak(epoch, epochs, warmup, schedule):
    config = RunConfig.of(lr=0.3, schedule=schedule, warmup_epochs=warmup).optimizer
    assert 0 <= learning_rate(config, epoch, epochs) <= 0.3 * (1 + 1e-12)


@often
@given(st.integers(2, 300), st.integers(1, 50), st.integers(0, 2**31 - 1), st.integers(0, 5))
def test_an_epoch_sees_no_example_twice(n, batch_size, seed, epoch):
    found = [row for index in batches(n, batch_size, seed, epoch) for row in index.tolist()]
    assert len(found) == n // batch_size * batch_size
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(n))


@often
@given(st.lists(st.floats(-50, 50), max_size=8))
def test_an_interval_holds_its_mean_and_turns_with_the_sign(values):
    mean, low, high = mean_interval(values)
    if len(values) < 2:
        assert math.isnan(low)
        return
    slack = 1e-9 * (1 + abs(mean))
    assert low - slack <= mean <= high + slack
    other = mean_interval([-value for value in values])
    assert other == pytest.approx((-mean, -high, -low), abs=1e-9)
    assert settled_sign(low, high, len(values)) == -settled_sign(-high, -low, len(values))


@rarely
@given(
    st.lists(
        st.sampled_from(["list", "compare", "tag", "--sort", "--tag", "x", "--out", "-1", "é", "\x1b[2J"]), max_size=4
    )
)
def test_command_lines_of_anything_end_with_0_or_2(tmp_path, monkeypatch, capsys, words):
    from mixviz.__main__ import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXVIZ_DATA", str(Path(tmp_path) / "data"))
    assert main(list(words)) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err
