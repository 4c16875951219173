"""The tour, on a few glyphs for one epoch: every row, the report, and that a second call trains nothing again."""

import json
import re

import pandas as pd
import pytest

from mixviz.__main__ import main
from mixviz.commands import tour as command
from mixviz.data import load
from mixviz.experiments import tour
from mixviz.paths import runs_root


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    sets = {split: load("glyphs", split).select(range(300)) for split in ("train", "test")}
    monkeypatch.setattr(command, "load", lambda source, split: sets[split])
    small = {"batch_size": 32, "queue_length": 64, "bn_splits": 2, "mochi_hardest": 8, "mochi_pairs": 4}
    monkeypatch.setattr(tour, "SHARED", {**tour.SHARED, **small})
    monkeypatch.setattr(tour, "QUICK_EPOCHS", 1)


def test_quick_tour(capsys, monkeypatch, tmp_path):
    assert main(["tour", "--quick", "--report", str(tmp_path / "here" / "report.html")]) == 0
    shown = capsys.readouterr().out
    for name in ("raw pixels", "random encoder", *tour.QUICK, "supervised"):
        assert re.search(rf"^{re.escape(name)} +\d", shown, re.MULTILINE), name
    assert "jupyter lab notebooks" in shown

    page = (tmp_path / "here" / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") >= 12
    assert "1 seed" in page

    kept = json.loads((runs_root() / "tour-quick" / "tour.json").read_text("utf-8"))
    results = pd.DataFrame(kept["results"])
    assert set(results["target"]) == {"label", "hue", "rotation"}
    assert results["accuracy"].between(0, 1).all()
    assert len(kept["rows"]) == len(tour.QUICK) + 3

    monkeypatch.setattr("mixviz.train.train", lambda *arguments: pytest.fail("trained again"))
    assert main(["tour", "--quick"]) == 0


def test_every_config_of_the_tour_is_valid():
    for name in tour.METHODS:
        config = tour.tour_config(name, seed=1, quick=False)
        assert " + ".join([config.method.framework, *config.method.mixing]) == name.partition(" (")[0]
    assert set(tour.QUICK) <= set(tour.METHODS)
    assert len(tour.QUICK) >= 6


def test_rows_show_mean_and_spread_over_seeds():
    rows = [
        {"method": method, "protocol": protocol, "target": target, "seed": seed, "accuracy": 0.4 + 0.1 * seed}
        for method in ("raw pixels", "random encoder", "moco-v2", "supervised")
        for protocol, target in [("linear-features", t) for t in tour.TARGETS] + [("knn", "label")]
        for seed in (0, 1)
    ]
    header, lines = tour.summary(pd.DataFrame(rows))
    assert header == ["encoder", "shape, linear", "shape, kNN", "hue, linear", "orientation, linear"]
    assert lines[2] == ["moco-v2", *["45.0 ± 7.1"] * 4]
