"""The README and its pages show what the result files say, and nothing else."""

import json
import re

import pytest

from mixviz.commands import results as command
from mixviz.commands.results import ROOT
from mixviz.errors import UserError
from mixviz.experiments.readme import BLOCK, RENDERERS, pages, render_all, render_latency

PAGES = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in pages(ROOT)}
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
TOUR = {
    **{"data": "X", "network": "n", "train_images": 3, "test_images": 2, "epochs": 1, "batch_size": 2, "device": "CPU"},
    **{"against": {"a": None}, "rows": [{"arm": "a", "seed": 0, "measure": "knn: label", "value": 12.34}]},
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_up_to_date(page):
    assert render_all(PAGES[page], ROOT / "data") == PAGES[page]


def test_every_kind_of_result_is_shown_once():
    blocks = [match[1] for text in PAGES.values() for match in BLOCK.finditer(text)]
    assert sorted(blocks) == sorted(RENDERERS)


@pytest.mark.parametrize("page", PAGES)
def test_no_accuracy_is_outside_a_block(page):
    outside = BLOCK.sub("", PAGES[page])
    assert re.findall(r"\b\d{1,2}\.\d+ ?%|\b\d{1,2}\.\d+ points", outside) == []


@pytest.mark.parametrize("page", [*PAGES, "data/README.md"])
def test_links_lead_to_files_and_headings(page):
    path = ROOT / page
    for target, heading in LINK.findall(path.read_text("utf-8")):
        linked = (path.parent / target).resolve() if target else path
        assert linked.exists(), f"{page}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", linked.read_text("utf-8"), re.MULTILINE)
            assert heading in [title.lower().replace(" ", "-") for title in titles], f"{page}: #{heading}"


def test_the_index_links_every_page():
    for page in PAGES.keys() - {"README.md", "data/results/README.md"}:
        name = page.rpartition("/")[2]
        assert f"]({name})" in PAGES["data/results/README.md"]
        assert f"]({page})" in PAGES["README.md"]


def test_check_names_pages_that_are_out_of_date_and_writes_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    (tmp_path / "data" / "results" / "glyphs-tour").mkdir(parents=True)
    (tmp_path / "data" / "results" / "glyphs-tour" / "tour.json").write_text(json.dumps(TOUR))
    (tmp_path / "README.md").write_text("no block")
    page = tmp_path / "data" / "results" / "tour.md"
    page.write_text("<!-- results: glyphs-tour -->\n<!-- /results -->")
    assert command.main(["--check"]) == 1
    assert "out of date: data/results/tour.md;" in capsys.readouterr().out
    assert "| a |" not in page.read_text()
    assert command.main([]) == 0
    assert "| a |" in page.read_text()
    assert command.main(["--check"]) == 0


def test_a_block_follows_its_file(tmp_path):
    (tmp_path / "results" / "glyphs-tour").mkdir(parents=True)
    (tmp_path / "results" / "glyphs-tour" / "tour.json").write_text(json.dumps(TOUR))
    text = "x\n<!-- results: glyphs-tour -->\nold\n<!-- /results -->\ny"
    rendered = render_all(text, tmp_path)
    assert rendered.splitlines()[-3:] == ["| a | – | 12.3 | – | – |", "<!-- /results -->", "y"]
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
    block = next(match[0] for match in BLOCK.finditer(PAGES["data/results/claims.md"]) if match[1] == "ledger")
    shown, folded = block.split("<details>")
    for paper in ("MixCo", "MoCHi", "LooC", "i-Mix"):
        assert len(re.findall(rf"^\*\*{paper}\*\*, \d headline claims: .*\.$", shown, re.MULTILINE)) == 1
    assert "MixCo gains more on smaller models" in shown
    assert "| claims of |" in folded
    assert "more, which were not tried, are in [`data/ledger.csv`](../ledger.csv)." in folded
    assert re.search(r"^\d+ of the \d+ headline claims have been tried", PAGES["README.md"], re.MULTILINE)
