"""The README shows what the result files say, and nothing else."""

import json
import re

import pytest

from mixviz.commands.results import ROOT
from mixviz.errors import UserError
from mixviz.experiments.readme import BLOCK, RENDERERS, render_all, render_latency

README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_is_up_to_date():
    assert render_all(README, ROOT / "data" / "results") == README


def test_every_kind_of_result_is_shown():
    assert sorted(match[1] for match in BLOCK.finditer(README)) == sorted(RENDERERS)


def test_no_accuracy_stands_outside_a_block():
    outside = BLOCK.sub("", README)
    assert re.findall(r"\b\d{1,2}\.\d+ ?%|\b\d{1,2}\.\d+ points", outside) == []


def test_a_block_follows_its_file(tmp_path):
    (tmp_path / "glyphs-tour").mkdir()
    tour = {"caption": "c", "header": ["encoder", "shape"], "rows": [["a", "1"]]}
    (tmp_path / "glyphs-tour" / "tour.json").write_text(json.dumps(tour))
    text = "x\n<!-- results: glyphs-tour -->\nold\n<!-- /results -->\ny"
    rendered = render_all(text, tmp_path)
    assert rendered.splitlines()[-3:] == ["| a | 1 |", "<!-- /results -->", "y"]
    assert render_all(rendered, tmp_path) == rendered


def test_a_block_without_its_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot render the block speed"):
        render_all("<!-- results: speed -->\n<!-- /results -->", tmp_path)
    with pytest.raises(UserError, match="unknown block of results 'sped': did you mean 'speed'"):
        render_all("<!-- results: sped -->\n<!-- /results -->", tmp_path)


def test_latencies_are_summed_up_widget_by_widget(tmp_path):
    def measured(widget: str, what: str, *times: float) -> dict:
        return {"notebook": "01", "widget": widget, "control": "τ", "what": what, "times": times}

    rows = [measured("", "first picture", 9000), measured("Table", "slider", 10, 20), measured("Table", "slider", 60)]
    rows += [measured("Table", "burst", 90, 150), measured("Guide", "choice", 300), measured("Guide", "slider")]
    (tmp_path / "latencies.json").write_text(json.dumps({"device": "2 cores", "measured": rows}))
    text = render_latency(tmp_path)
    assert "| `Table` | 20 (3) | 120 (2) | – |" in text
    assert "| `Guide` | – | – | 300 (1) |" in text
    assert "2 cores" in text
    assert "9 to 9 s" in text


def test_the_ledger_folds_what_is_no_headline_claim():
    block = next(match[0] for match in BLOCK.finditer(README) if match[1] == "ledger")
    shown, folded = block.split("<details>")
    for paper in ("MixCo", "MoCHi", "LooC", "i-Mix"):
        assert len(re.findall(rf"^\*\*{paper}\*\*, \d headline claims: .*\.$", shown, re.MULTILINE)) == 1
    assert "MixCo gains more on smaller models" in shown
    assert "| claims of |" in folded
    assert "more, which were not tried, are in data/ledger.csv." in folded
