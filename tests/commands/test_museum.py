"""The museum's command, on a few glyphs for one epoch: table, file, report, and that nothing is trained twice."""

import json
import re

import pytest

from mixviz.__main__ import main
from mixviz.commands import museum
from mixviz.data import load
from mixviz.experiments.failures import cases, controls
from mixviz.paths import runs_root


@pytest.fixture(autouse=True)
def _small(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    sets = {split: load("glyphs", split).select(range(160)) for split in ("train", "test")}
    monkeypatch.setattr(museum, "load", lambda source, split: sets[split])
    small = {"batch_size": 32, "epochs": 1}
    monkeypatch.setattr(cases, "TWINS", {name: {**twin, **small} for name, twin in cases.TWINS.items()})


def test_museum(capsys, monkeypatch, tmp_path):
    page = tmp_path / "here" / "report.html"
    assert main(["museum", "same-crop", "unfrozen-probe", "--report", str(page)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^same-crop .* (shows|does not show)$", shown, re.MULTILINE)
    assert re.search(r"^unfrozen-probe .* \d+\.\d % ", shown, re.MULTILINE)
    assert "160 training and 160 test images), 1 epochs" in shown

    kept = json.loads((runs_root() / "museum" / "museum.json").read_text("utf-8"))
    first, second = kept["exhibits"]
    assert first["runs"] == ["healthy-n-pair", "same-crop"]
    assert "guard" not in first
    assert second["runs"] == ["healthy-n-pair", "healthy-n-pair"]
    assert "backbone changed" in second["guard"]

    text = page.read_text("utf-8")
    assert text.count("data:image/png;base64,") == 4  # two pictures, light and dark
    assert "refuses it" in text
    assert second["title"] in text

    monkeypatch.setattr(controls, "trained", lambda *arguments: pytest.fail("trained again"))
    assert main(["museum", "same-crop"]) == 0


def test_an_unknown_exhibit_is_said_in_one_line(capsys):
    assert main(["museum", "same-crp"]) == 2
    assert "did you mean 'same-crop'?" in capsys.readouterr().err
