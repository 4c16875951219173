"""The README shows what the result files say, and nothing else."""

import json
import re
from pathlib import Path

import pytest

from mixviz.commands.results import ROOT
from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.results import BLOCK, RENDERERS, render_all, render_latency, render_runs
from mixviz.runs import Run

README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_is_up_to_date():
    assert render_all(README, ROOT / "data" / "results") == README


def test_every_kind_of_result_is_shown():
    assert sorted(match[1] for match in BLOCK.finditer(README)) == sorted(RENDERERS)


def test_no_accuracy_stands_outside_a_block():
    outside = BLOCK.sub("", README)
    assert re.findall(r"\b\d{1,2}\.\d+ ?%|\b\d{1,2}\.\d+ points", outside) == []


def test_shown_runs_are_whole():
    for config in (ROOT / "data" / "results").glob("*/*/config.json"):
        run = Run(config.parent)
        assert len(run.metrics) == run.config.train.epochs
        assert run.results
        assert run.read_json("environment.json")["device"]


def runs_in(root: Path) -> None:
    for seed, (base, mixed) in enumerate([(0.40, 0.45), (0.42, 0.45)]):
        for mixing, accuracy in (([], base), (["mixco"], mixed)):
            run = Run.create(RunConfig.of(mixing=mixing, seed=seed, epochs=1), root=root)
            run.log({"epoch": 1, "loss": 1.0, "seconds": 90})
            common = {"target": "label", "seed": seed, "data": "X", "train_images": 1, "test_images": 1}
            results = [
                common | {"encoder": "backbone", "protocol": "linear-features", "accuracy": accuracy},
                common | {"encoder": "random", "protocol": "linear-features", "accuracy": 0.2},
            ]
            run.add_results(results)


def test_a_table_of_runs(tmp_path):
    runs_in(tmp_path)
    lines = render_runs(tmp_path).splitlines()
    assert "2 seeds" in lines[0]
    assert lines[4:] == [
        "| random encoder | 20.0 ± 0.0 | – |  |",
        "| moco-v2 | 41.0 ± 1.4 | – | – |",
        "| moco-v2 + mixco | 45.0 ± 0.0 | – | +4.0 |",
    ]


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
