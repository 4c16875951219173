"""The tour, on a few glyphs for one epoch: every row, the report, and that a second call trains nothing again."""

import json
import re

import pandas as pd
import pytest

from mixviz.__main__ import main
from mixviz.commands import tour as command
from mixviz.data import load
from mixviz.experiments import tour
from mixviz.experiments.arms import Experiment
from mixviz.paths import runs_root


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    small = {"batch_size": 32, "queue_length": 64, "bn_splits": 2, "mochi_hardest": 8, "mochi_pairs": 4}
    monkeypatch.setattr(tour, "QUICK", {**small, "epochs": 1, "train_images": 300, "mochi_warmup_epochs": 0})
    sets = tuple(load("glyphs", split).select(range(300)) for split in ("train", "test"))
    monkeypatch.setattr(command, "load_data", lambda data: sets)


def test_quick_tour(capsys, monkeypatch, tmp_path):
    assert main(["tour", "--quick", "--jobs", "1", "--report", str(tmp_path / "here" / "report.html")]) == 0
    shown = capsys.readouterr().out
    for name in (*tour.BELOW, *(arm.name for arm in tour.ARMS), *tour.ABOVE):
        assert re.search(rf"^{re.escape(name)} +\d", shown, re.MULTILINE), name
    assert "glyphs (300 training and 300 test images), `convnet`, 1 epochs" in shown
    assert tour.ONE_SEED in shown
    assert "jupyter lab notebooks" in shown

    page = (tmp_path / "here" / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") >= 12
    assert "1 seed" in page
    assert tour.ONE_SEED in page

    table = json.loads((runs_root() / "tour-quick" / "tour.json").read_text("utf-8"))
    rows = pd.DataFrame(table["rows"])
    assert set(rows["measure"]) == set(tour.MEASURES)
    assert rows["value"].between(0, 100).all()
    assert rows["arm"].nunique() == len(tour.ARMS) + 3
    assert set(rows.loc[rows["arm"] == "raw pixels", "measure"]) == {"linear-features: label", "knn: label"}

    monkeypatch.setattr(Experiment, "train", lambda *arguments: pytest.fail("trained again"))
    monkeypatch.setattr(tour, "train_supervised", lambda *arguments: pytest.fail("trained again"))
    assert main(["tour", "--quick", "--jobs", "1"]) == 0


def test_every_config_of_the_tour_is_valid():
    for arm in (*tour.tour().arms, *tour.tour(quick=True).arms):
        config = arm.config(seed=1)
        assert " + ".join([config.method.framework, *config.method.mixing]) == arm.name.partition(" (")[0]
    assert len(tour.ARMS) >= 6


def test_rows_show_mean_and_spread_over_seeds():
    rows = [
        {"arm": arm, "measure": measure, "seed": seed, "value": 40 + 10 * seed}
        for arm in ("supervised", "moco-v2", "raw pixels", "random encoder")
        for measure in tour.MEASURES
        for seed in (0, 1)
    ]
    header, lines = tour.summary({"rows": rows, "against": {"moco-v2": None}})
    assert header == ["encoder", "shape, linear", "shape, kNN", "hue, linear", "orientation, linear"]
    assert [line[0] for line in lines] == ["raw pixels", "random encoder", "moco-v2", "supervised"]
    assert lines[2] == ["moco-v2", *["45.0 ± 7.1"] * 4]
