"""``export`` writes one page that shows a notebook with its widgets, and says in a line what it cannot."""

import re

import nbformat
import pytest

from mixviz.__main__ import main
from mixviz.commands.export import find
from mixviz.errors import UserError


@pytest.fixture
def notebook(tmp_path):
    """Makes a notebook of code cells."""

    def make(*sources: str):
        cells = [nbformat.v4.new_markdown_cell("# A question"), *map(nbformat.v4.new_code_cell, sources)]
        cells[-1].metadata.tags = ["drive"]
        path = tmp_path / "small.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return make


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_becomes_one_page_with_its_widgets(notebook, tmp_path, capsys):
    path = notebook("from mixviz.widgets import ContrastTable\nContrastTable(batch=4)", "print('driven', 1 + 1)")
    before = path.read_bytes()
    assert main(["export", str(path), "--out", str(tmp_path / "small.html")]) == 0
    html = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert "mixviz-still" in html
    assert "A question" in html
    assert "driven" not in html
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']http", html)
    assert path.read_bytes() == before
    assert "small.html" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_a_notebook_that_stops_is_one_clear_line(notebook, tmp_path, capsys):
    path = notebook("1 / 0", "")
    assert main(["export", str(path), "--out", str(tmp_path / "small.html")]) == 2
    told = capsys.readouterr().err
    assert "small.ipynb stops with ZeroDivisionError: division by zero" in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "small.html").exists()


def test_notebooks_are_found_by_number_and_by_name():
    assert find("01").stem == find("01_one_table").stem == "01_one_table"
    with pytest.raises(UserError, match="did you mean '01_one_table'"):
        find("01_one_tabel")


def test_a_file_that_is_no_notebook_is_one_clear_line(tmp_path, capsys):
    path = tmp_path / "small.ipynb"
    path.write_text("no json")
    assert main(["export", str(path), "--out", str(tmp_path / "out.html")]) == 2
    assert "give an .ipynb file" in capsys.readouterr().err
