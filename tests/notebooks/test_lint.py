"""Every rule of the notebooks bites on a bad one and lets a good one pass, and the notebooks keep them all."""

import re

import nbformat
import pytest
from lint import FOLDER, RULES, lint, main
from making import code, printed, result, write
from nbformat.v4 import new_output
from normalise import drives_of, with_drives

SHOW = code("table = ContrastTable()\ntable", outputs=[result(text_plain="ContrastTable()", image_png="aGk=")])
DRIVE = code("table.drive()", "drive", outputs=[printed("as it is: queries 8\n")])
IMPORT = code("from mixviz.widgets import ContrastTable")
MODULE = code("import mixviz.widgets as widgets")

GOOD = {
    "nothing": [],
    "driven": [IMPORT, SHOW, DRIVE],
    "driven, restored": [IMPORT, code("table = ContrastTable.from_state('lam=0.3')\ntable"), DRIVE],
    "driven, by module": [MODULE, code("table = widgets.ContrastTable()\ntable"), DRIVE],
    "a helper of the widgets": [code("from mixviz.widgets.networks import network\nfound = network()\nfound.name")],
    "exercise": [code("def share(lam):\n    return lam", "exercise")],
    "magic": [code("%matplotlib inline\nx = 1; y = 2")],
    "address and fraction": [code("url", outputs=[printed("https://host/a/b and/or 1/2/3, <td>1</td>, a/b/c\n")])],
    "25 lines": [code("x = 1\n" * 25)],
}
BAD = {
    "no_output_widgets": [
        [code("from ipywidgets import Output as Box")],
        [code("import ipywidgets\nipywidgets.interactive_output(f, {})")],
        [code("%matplotlib inline\nwidgets.interact(f, x=3)")],
    ],
    "definitions_in_exercises": [
        [code("def share(lam):\n    return lam")],
        [code("if True:\n    class Share:\n        pass", "reading")],
    ],
    "widgets_are_driven": [
        [IMPORT, SHOW],
        [IMPORT, SHOW, code("print(1)"), DRIVE],
        [IMPORT, SHOW, code("table.drive()", outputs=[printed("1\n")])],
        [IMPORT, SHOW, code("other.drive()", "drive", outputs=[printed("1\n")])],
        [IMPORT, code("ContrastTable()"), DRIVE],
        [IMPORT, code("table = ContrastTable()"), code("table"), DRIVE],
        [IMPORT, SHOW, DRIVE, code("table")],
        [MODULE, code("table = widgets.ContrastTable()\ntable")],
        [code("import ipywidgets\nslider = ipywidgets.IntSlider()\nslider")],
    ],
    "drive_cells_drive": [[IMPORT, DRIVE], [DRIVE], [IMPORT, SHOW, code("table.drive()", "drive")]],
    "cells_were_run": [[code("x = 1", count=None)]],
    "cells_are_short": [[code("x = 1\n" * 26)]],
    "outputs_name_no_place": [
        [code("path", outputs=[printed("run in /home/someone/mixviz\n")])],
        [code("path", outputs=[result(text_plain="PosixPath('/tmp/run')")])],
        [code("path", outputs=[result(text_html="<td>C:\\Users</td>")])],
    ],
    "no_stored_errors": [[code("1 / 0", outputs=[new_output("error", ename="ZeroDivisionError", evalue="")])]],
    "nothing_is_installed": [[code("%pip install mixviz")], [code("x = 1\n!python -m pip install mixviz")]],
    "no_semicolons": [[code("plot(ax);")], [code("plot(ax);  # a picture\n")]],
    "nothing_is_left_out": [
        [code("x", "nbval-ignore-output")],
        [code("# NBVAL_SKIP\nx")],
        [code("1 / 0", "raises-exception")],
    ],
}


@pytest.mark.parametrize("cells", GOOD.values(), ids=GOOD)
def test_a_good_notebook_passes(tmp_path, cells):
    assert lint(write(tmp_path, *cells)) == []


@pytest.mark.parametrize(("rule", "cells"), [(rule, cells) for rule, bad in BAD.items() for cells in bad])
def test_the_rule_bites_and_names_the_cell(rule, cells, tmp_path):
    path = write(tmp_path, code("x = 1"), *cells)
    (found,) = [one for one in RULES if one.__name__ == rule]
    problems = list(found(nbformat.read(path, as_version=4).cells))
    assert problems
    assert all(re.match(r"cell-[1-9]: ", problem) for problem in problems)
    assert set(problems) <= set(lint(path))


def test_every_rule_is_tried():
    assert set(BAD) == {rule.__name__ for rule in RULES}


def test_a_notebook_that_is_not_normal_is_refused(tmp_path):
    path = write(tmp_path, code("x = 1"))
    path.write_text(path.read_text().replace("cell-0", "b7f2"))
    assert lint(path) == ["is not in its normal form: run tests/notebooks/normalise.py"]


def test_the_command_names_notebook_and_problem(tmp_path, capsys):
    path = write(tmp_path, code("x = 1", count=None))
    assert main([str(path)]) == 1
    assert capsys.readouterr().out == f"{path}: cell-0: has no count: it was not run\n"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_keeps_the_rules(path):
    assert lint(path) == []


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_readers_meet_no_cell_that_is_for_tests(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not [cell.id for cell in cells if "drive" in cell.metadata.get("tags", []) or ".drive()" in cell.source]
    shown = [cell.source for cell in with_drives(path).cells if "drive" in cell.metadata.get("tags", [])]
    assert sorted(shown) == sorted(f"{name}.drive()" for name in drives_of(path))
