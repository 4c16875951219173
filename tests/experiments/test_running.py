"""Tables made within a time and side by side: the same numbers, nothing twice, and half a table is shown as such."""

import itertools
import json
import math
import multiprocessing
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from mixviz.experiments import running, tasks
from mixviz.experiments.reproduced import reproduced_rows
from mixviz.experiments.running import Progress, run_experiment
from mixviz.experiments.tables import recipe
from mixviz.experiments.tables.planning import Estimate, fitting, plan
from mixviz.experiments.tables.rounding import check_rounding
from mixviz.experiments.tasks import Clock, OutOfTime, Task, load_data
from mixviz.runs import Run

SMALL = {"epochs": 2, "batch_size": 16, "queue_length": 32, "bn_splits": 2, "dim": 8, "hidden": 16, "film_frames": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_colours):
    """numpy:PATH of 80 training and 40 test images of three colours."""
    return write_colours(tmp_path_factory.mktemp("data") / "colours.npz", 80)


@pytest.fixture(scope="module")
def made(data):
    """MixCo on MoCo-v2 at two temperatures, and its base."""
    table = recipe("mixco-table", "laptop", data, **SMALL)
    return replace(table, arms=(*table.arms[:2], table.arms[-1]))


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """The table of two seeds, made without a break, and its folder of runs."""
    root = tmp_path_factory.mktemp("whole")
    return run_experiment(made, (1, 2), root, load_data(made.config.data), root / "table.json"), root


def plain(table) -> dict[tuple, float]:
    return {(row["arm"], row["seed"], row["measure"]): row["value"] for row in table["rows"]}


def nearly(table) -> dict[tuple, object]:
    """As expected values: the last digits of a sum may differ from one process to another."""
    return {key: pytest.approx(value, rel=1e-4, nan_ok=True) for key, value in plain(table).items()}


def at(monkeypatch, clock) -> None:
    """Experiments read the time from this clock."""
    for module in (running, tasks):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))


def test_a_clock_ends_a_training_with_the_epoch_that_ends_nearest_to_the_deadline(monkeypatch):
    """Epochs of 4 steps of 10 images and 8 s."""

    def ended_in_step(deadline: float, first: int = 1) -> int | None:
        clock = Clock(deadline, epochs=10)
        for step in range(first, 41):
            at(monkeypatch, lambda step=step: 2.0 * step)
            try:
                clock(10 * step, 400)
            except OutOfTime:
                return step
        return None

    assert ended_in_step(math.inf) is None
    assert ended_in_step(1000.0) is None
    assert ended_in_step(0.0) == 5  # the first step of the second epoch: one epoch is trained whatever the time
    assert ended_in_step(17.9) == 9  # at 18 s; a third epoch would end at 26
    assert ended_in_step(21.9) == 9
    assert ended_in_step(22.1) == 13  # nearer to the end of the third epoch
    assert ended_in_step(0.0, first=21) == 25  # gone on with: again one epoch


def test_a_table_within_minutes_stops_at_the_end_of_an_epoch_and_continues_to_the_same_numbers(
    made, whole, tmp_path, monkeypatch
):
    ticks = itertools.count()  # one at each look at the clock: before a run, and after each of an epoch's steps
    at(monkeypatch, lambda: float(next(ticks)))
    sets, out, states = load_data(made.config.data), tmp_path / "table.json", []
    for _ in range(12):
        table = run_experiment(made, (1, 2), tmp_path, sets, out, deadline=next(ticks) + 1.5)
        epochs = sum(len(Run(path.parent).metrics) for path in tmp_path.glob("*/config.json"))
        states.append((epochs, 0 if table is None else len(table["runs"])))
        assert out.exists() == (table is not None)
        if table:
            assert json.loads(out.read_text()) == table
            _, header, rows = reproduced_rows(table)
            assert [len(row) for row in rows] == [len(header)] * 3
    assert states == [(epochs, epochs // 2) for epochs in range(1, 13)]  # an epoch a call, two to a run
    assert plain(table) == nearly(whole[0])


@pytest.fixture
def begun(monkeypatch):
    """Arm and seed of each run that is begun."""
    calls, begin = [], Progress.begin
    monkeypatch.setattr(
        Progress, "begin", lambda self, task: (calls.append((task.arm.name, task.seed)), begin(self, task))
    )
    return calls


def test_seeds_come_one_after_another_and_arms_in_their_order(made, tmp_path, begun):
    run_experiment(made, (1, 2), tmp_path, load_data(made.config.data), tmp_path / "t.json")
    assert begun == [(arm.name, seed) for seed in (1, 2) for arm in made.arms]


@pytest.mark.slow
def test_runs_side_by_side_interrupted_and_resumed_are_those_of_one_process_with_one_thread(
    made, whole, tmp_path, monkeypatch
):
    sets, out, begin = load_data(made.config.data), tmp_path / "table.json", Progress.begin

    def interrupted(self, task):
        begin(self, task)
        if (task.arm.name, task.seed) == (made.arms[0].name, 2):  # the fourth
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "begin", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(made, (1, 2), tmp_path, sets, out, jobs=2)
    assert multiprocessing.active_children() == []
    finished = json.loads(out.read_text())["runs"]
    assert 1 <= len(finished) < 6
    kept = [tmp_path / run["run"] / "checkpoint.pt" for run in finished]
    before = [path.stat().st_mtime_ns for path in kept]
    table = run_experiment(made, (1, 2), tmp_path, sets, out, jobs=2)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert plain(table) == nearly(whole[0])
    for run in table["runs"]:
        mine, theirs = (Run(root / run["run"]).metrics for root in (tmp_path, whole[1]))
        timed = ["seconds", "images_per_second", "film_seconds"]
        pd.testing.assert_frame_equal(mine.drop(columns=timed), theirs.drop(columns=timed))
        assert run["threads"] == 1
    assert multiprocessing.active_children() == []


def test_two_arms_of_the_same_settings_are_one_run(made, tmp_path, begun):
    twin = replace(made.arms[1], name="the same")
    both = replace(made, arms=(*made.arms[:2], twin), measures=())
    table = run_experiment(both, (1,), tmp_path, load_data(both.config.data), tmp_path / "t.json")
    assert [arm for arm, _ in begun] == ["moco-v2", "moco-v2 + mixco"]
    mine, theirs = ([v for (a, *_), v in plain(table).items() if a == arm] for arm in ("the same", "moco-v2 + mixco"))
    assert mine == theirs
    assert len(mine) == 2


def test_arms_may_differ_in_epochs_and_training_images(made, tmp_path):
    short = replace(made.arms[0], name="short", settings={**made.arms[0].settings, "epochs": 1, "train_images": 40})
    both = replace(made, arms=(made.arms[0], short))
    sets = load_data(both.config.data)
    estimates = plan([both], (1,), tmp_path, sets)
    assert [e.epochs for e in estimates] == [2, 1]
    table = run_experiment(both, (1,), tmp_path, sets, tmp_path / "table.json")
    assert table["arms"]["short"] == {"network": "convnet", "train_images": 40, "epochs": 1, "batch_size": 16}
    assert table["arms"]["moco-v2"]["train_images"] == 80
    _, header, rows = reproduced_rows(table)
    assert header[:3] == ["arm", "training images", "epochs"]
    assert [row[1:3] for row in rows] == [["80", "2"], ["40", "1"]]


@pytest.mark.slow
def test_rounding_is_checked_on_the_first_method_that_has_a_base(made, whole, tmp_path):
    table, root = whole
    sets, out = load_data(made.config.data), root / "table.json"
    assert "rounding" not in table
    before = torch.get_num_threads()
    check_rounding(made, (1, 2), root, sets)
    found = run_experiment(made, (1, 2), root, sets, out)
    assert torch.get_num_threads() == before
    of = {
        (row["arm"], row["seed"]): row["value"] for row in found["rows"] if row["measure"] == "linear-features: label"
    }
    rounding = found["rounding"]
    assert (rounding["arm"], rounding["against"], rounding["seed"]) == ("moco-v2 + mixco", "moco-v2", 1)
    assert rounding["was"] == of["moco-v2 + mixco", 1] - of["moco-v2", 1]
    assert rounding["difference"] == rounding["value"] - rounding["base_value"]
    folders = sorted((root / "rounding").iterdir())
    assert len(folders) == 2
    if not torch.cuda.is_available():
        assert (rounding["threads"], rounding["changed"]) == (2, "2 threads")
        assert {Run(folder).read_json("environment.json")["threads"] for folder in folders} == {2}
    assert plain(found) == nearly(table)
    assert run_experiment(made, (1, 2), root, sets, out)["rounding"] == rounding  # kept when called without


def test_rounding_is_not_checked_before_its_pair_is_done(made, tmp_path):
    alone = replace(made, arms=made.arms[:1])
    check_rounding(alone, (1,), tmp_path, load_data(made.config.data))
    assert not (tmp_path / "rounding").exists()


def test_a_task_is_done_when_it_is_trained_and_read_out(made, whole):
    root = whole[1]
    assert Task(experiment=made, arm=made.arms[0], seed=1, root=root).is_done
    assert not Task(experiment=made, arm=made.arms[0], seed=3, root=root).is_done
    longer = replace(made.arms[0], settings={**made.arms[0].settings, "epochs": 3})
    assert not Task(experiment=made, arm=longer, seed=1, root=root).is_done


def test_what_fits_into_the_time_goes_by_seeds_then_arms_and_by_tables():
    def estimate(arm: str, table: str, *minutes: int) -> Estimate:
        return Estimate(
            arm=arm,
            table=table,
            left=tuple((n, 0) for n in minutes),
            seconds_an_epoch=60.0,
            seconds_a_readout=0.0,
            known_from="a few steps",
        )

    one = [estimate("a", "t", 0, 10, 10), estimate("b", "t", 10, 10, 10)]
    assert fitting(one, 9) == [1, 0]  # what is done is done
    assert fitting(one, 25) == [2, 1]  # b1, a2
    assert fitting(one, 30) == [2, 2]
    assert fitting(one, 1000) == [3, 3]
    assert fitting(one, 10, jobs=2) == [2, 1]
    two = [*one, estimate("c", "u", 1, 1, 1)]
    assert fitting(two, 45)[2] == 0
    assert fitting(two, 51)[2] == 1


def test_one_line_says_how_many_runs_and_epochs_are_done_and_what_is_at_work(made, whole, tmp_path, capsys):
    run_experiment(replace(made, arms=made.arms[:1]), (1,), tmp_path, load_data(made.config.data), tmp_path / "t.json")
    line = capsys.readouterr().err.rpartition("\r")[2]
    assert line.startswith("1/1 runs: 100%")
    assert "2/2" in line
    tasks = [Task(experiment=made, arm=arm, seed=1, root=tmp_path) for arm in made.arms[:2]]
    with Progress(tasks, show=True) as progress:
        progress.begin(tasks[1])
        assert (progress.bar.n, progress.bar.total) == (2, 4)
        assert progress.bar.postfix == "moco-v2 + mixco, seed 1"
        assert progress.bar.desc == "1/2 runs: "
