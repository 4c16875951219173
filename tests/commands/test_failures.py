"""The failure cases' command, on a few glyphs for one epoch: table, file, report, and that nothing is trained twice."""

import json
import re

import pytest

from mixviz.__main__ import main
from mixviz.commands import failures
from mixviz.data import load
from mixviz.experiments.arms import Experiment
from mixviz.experiments.failures import controls, failure_case
from mixviz.experiments.failures.cases import SHARED
from mixviz.paths import runs_root


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    small = {"batch_size": 32, "epochs": 1, "train_images": 160}
    for module in (failures, controls):
        monkeypatch.setattr(module, "SHARED", {**SHARED, **small})
    sets = tuple(load("glyphs", split).select(range(160)) for split in ("train", "test"))
    monkeypatch.setattr(failures, "load_data", lambda data: sets)


def test_failures(capsys, monkeypatch, tmp_path):
    page = tmp_path / "here" / "report.html"
    assert main(["failures", "same-crop", "unfrozen-probe", "--jobs", "1", "--report", str(page)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^same-crop .* (shows|does not show)$", shown, re.MULTILINE)
    assert re.search(r"^unfrozen-probe .* \d+\.\d % ", shown, re.MULTILINE)
    assert "160 training and 160 test images), 1 epochs" in shown

    table = json.loads((runs_root() / "failure-cases" / "failure-cases.json").read_text("utf-8"))
    assert table["against"] == {
        "healthy-n-pair": None, "same-crop": "healthy-n-pair", "unfrozen-probe": "healthy-n-pair"
    }  # fmt: skip
    runs = {row["run"] for row in table["rows"] if row["arm"] == "unfrozen-probe"}
    assert runs == {"healthy-n-pair"}

    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 4  # two pictures, light and dark
    assert "refuses it: the backbone changed" in text
    assert failure_case("unfrozen-probe").title in text

    monkeypatch.setattr(Experiment, "train", lambda *arguments: pytest.fail("trained again"))
    assert main(["failures", "same-crop", "--jobs", "1"]) == 0


def test_an_unknown_case_is_refused_in_one_line(capsys):
    assert main(["failures", "same-crp"]) == 2
    assert "did you mean 'same-crop'?" in capsys.readouterr().err
