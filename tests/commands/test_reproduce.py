"""``reproduce`` and ``ledger`` from the command line, on small images."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mixviz.__main__ import main
from mixviz.experiments import running
from mixviz.experiments.claims import PATH, read
from mixviz.experiments.tables import SCHEDULES, TABLES
from mixviz.paths import runs_root
from mixviz.runs import Run


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))


@pytest.fixture
def data(tmp_path, write_colours):
    """numpy:PATH of 150 training and 40 test images of three colours."""
    return write_colours(tmp_path / "colours.npz", 150)


def call(*words):
    return main([str(word) for word in words])


def test_a_plan_trains_nothing(data, capsys):
    assert call("reproduce", "mixco-table", "--data", data, "--epochs", 1, "--plan") == 0
    shown = capsys.readouterr().out
    assert "plan: about" in shown
    assert "moco-v2 + mixco" in shown
    assert not list(runs_root().glob("reproduce/*/config.json"))


def test_a_table_from_training_to_the_ledger(data, capsys, tmp_path):
    before = PATH.read_bytes()
    words = ["reproduce", "mixco-table", "--data", data, "--data-name", "Colours", "--epochs", 1, "--seeds", 1]
    assert call(*words, "--out", tmp_path / "out", "--jobs", 1) == 0
    shown = capsys.readouterr()
    assert "moco-v2, seed 1" in shown.err
    assert shown.out.index("plan: about") < shown.out.index("written:")
    table = json.loads((tmp_path / "out" / "mixco-table-laptop-colours.json").read_text())
    assert table["data"] == "Colours"
    assert {row["arm"] for row in table["rows"]} == set(table["against"])
    assert PATH.read_bytes() == before  # the project's own ledger is not of one's own runs
    rows = {row["id"]: row for row in read(tmp_path / "out" / "ledger.csv")}
    assert {"mixco-tiny-r18-gain", "mochi-t3-100-moco-v2-ap-box"} <= set(rows)
    assert len(rows) == len(read())
    assert call(*words, "--plan") == 0
    assert "plan: about 0 minutes" in capsys.readouterr().out


@pytest.mark.slow
def test_a_gpu_table_within_minutes_and_the_rest_of_it(data, capsys, tmp_path, monkeypatch):
    schedule = SCHEDULES["gpu", "cifar10"]
    small = {"batch_size": 64, "dim": 8, "hidden": 16, "image_size": 8, "film_frames": 0}
    moco = {**schedule.frameworks["moco-v2"], "bn_splits": 2, "queue_length": 64}
    schedule = replace(schedule, shared={**schedule.shared, **small}, frameworks={"moco-v2": moco})
    monkeypatch.setitem(SCHEDULES, ("gpu", "cifar10"), schedule)
    title, arms, *rest = TABLES["mixco-table"]
    monkeypatch.setitem(TABLES, "mixco-table", (title, lambda on: arms(on)[:2], *rest))
    words = ["reproduce", "mixco-table", "--scale", "gpu", "--data", data, "--seeds", 1, "--epochs", 2]
    words += ["--out", tmp_path / "out"]
    file = tmp_path / "out" / "mixco-table-gpu-colours.json"
    looks = iter([0.0])  # the first run is begun before the time is over, the second would be after it
    with monkeypatch.context() as patch:
        patch.setattr(running, "time", SimpleNamespace(monotonic=lambda: next(looks, math.inf)))
        assert call(*words, "--jobs", 1, "--minutes", 0.002) == 0
    shown = capsys.readouterr().out
    assert "done after 0.002 minutes" in shown
    assert "0 of 1 seeds" in shown
    assert "no run is finished yet; run the command again to continue" in shown
    assert not file.exists()
    begun = [len(Run(path.parent).metrics) for path in runs_root().glob("reproduce/*/config.json")]
    assert begun == [1]  # stopped at the end of an epoch
    assert call(*words, "--jobs", 2, "--minutes", 60) == 0
    assert "2 runs at once" in capsys.readouterr().out
    table = json.loads(file.read_text())
    assert [run["arm"] for run in table["runs"]] == list(table["against"])
    assert (table["network"], table["scale"], table["epochs"]) == ("resnet18", "gpu", 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mixco-tabel"], "unknown table 'mixco-tabel': did you mean 'mixco-table'"),
        (["mixco-table", "--scale", "phone"], "unknown scale 'phone'"),
        (["mixco-table", "--seeds", "0"], "--seeds 0: take 1 or more"),
        (["mixco-table", "--epochs", "0"], "--epochs 0"),
        (["mixco-table", "--jobs", "0"], "--jobs 0: give 1 or more"),
        (["mixco-table", "--minutes", "0"], "--minutes 0: give a number greater than 0"),
        (["mixco-table", "--data", "cifar01"], "did you mean 'cifar10"),
        (["mixco-table", "--out", "/dev/null/x"], "cannot make the folder"),
        ([], "the following arguments are required: table"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(words, message, capsys):
    assert call("reproduce", *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_the_ledger_is_shown(capsys):
    assert call("ledger") == 0
    shown = capsys.readouterr().out
    assert shown.index("MixCo, ") < shown.index("headline claims: ") < shown.index("claims of")
    assert "all rows:" in shown
    assert call("ledger", "--verdict", "not tried") == 0
    assert "needs ImageNet-1k" in capsys.readouterr().out
    assert call("ledger", "--verdict", "true") == 2
    assert "take one of reproduced" in capsys.readouterr().err
