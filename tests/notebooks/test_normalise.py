"""A notebook in its normal form stays as it is when it is run again, and keeps what a reader sees without a kernel."""

import nbformat
import pytest
from making import code, printed, result, write
from normalise import VIEW, drives_of, execute, is_normal, main, normalise, text_of, with_drives, write_parts

LIVE = [
    "import sys, warnings\nimport ipywidgets, pandas as pd",
    "slider = ipywidgets.IntSlider(3, description='frequency')\nslider",
    "print(object())\nprint('aside', file=sys.stderr)\nprint('more')\nwarnings.warn('odd')",
    "pd.DataFrame({'a': [1]})",
]


@pytest.mark.slow
def test_a_second_run_changes_nothing(tmp_path, capsys):
    path = write(tmp_path, *LIVE)
    assert main([str(path)]) == 0
    once = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == once
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines()] == ["written", "unchanged"]
    cells = nbformat.read(path, 4).cells
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert cells[1].outputs[0].data == {"text/plain": "IntSlider(value=3, description='frequency')"}
    assert [output.name for output in cells[2].outputs] == ["stdout", "stderr"]
    assert cells[2].outputs[0].text == "<object object at 0xADDRESS>\nmore\n"
    assert cells[2].outputs[1].text.startswith("aside\nCELL:4: UserWarning: odd")
    assert set(cells[3].outputs[0].data) == {"text/plain", "text/html"}


@pytest.mark.slow
def test_a_notebook_that_fails_is_left_alone(tmp_path, capsys):
    path = write(tmp_path, "1 / 0")
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_it_runs_in_the_folder_of_the_notebook(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[code("import os; print(os.getcwd())")])
    assert execute(notebook, tmp_path).cells[0].outputs[0].text.strip() == str(tmp_path.resolve())


@pytest.fixture
def untidy():
    shown = result(text_plain="Table()", image_png="aGVsbG8=")
    shown.execution_count, shown.data[VIEW] = 7, {"model_id": "0" * 32}
    cell = code("table", count=7, outputs=[printed("a\n"), shown, printed("b\n")])
    cell.metadata |= {"execution": {"iopub.status.busy": "2026"}, "collapsed": True, "jupyter": {"source_hidden": True}}
    drive = code("table.drive()", "drive", count=9)
    return nbformat.v4.new_notebook(cells=[cell, drive, code("never", count=None)], metadata={"widgets": {"state": {}}})


def test_what_differs_from_run_to_run_goes_and_what_is_read_stays(untidy):
    normal = normalise(untidy)
    first, drive, never = normal.cells
    assert set(normal.metadata) == {"kernelspec", "language_info"}
    assert [cell.id for cell in normal.cells] == ["cell-0", "cell-1", "cell-2"]
    assert (first.execution_count, drive.execution_count, never.execution_count) == (1, 2, None)
    assert first.metadata == {"jupyter": {"source_hidden": True}}
    assert drive.metadata == {"jupyter": {"outputs_hidden": True, "source_hidden": True}, "tags": ["drive"]}
    assert [output.get("text") for output in first.outputs] == ["a\nb\n", None]
    assert first.outputs[1].data == {"text/plain": "Table()", "image/png": "aGVsbG8="}
    assert first.outputs[1].execution_count == 1
    assert untidy.cells[0].execution_count == 7  # a copy was changed


def test_what_drives_say_is_next_to_the_tests_and_can_be_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr("normalise.FOLDER", tmp_path)
    monkeypatch.setattr("normalise.DRIVEN", tmp_path / "driven")
    drive = code("table.drive()", "drive", outputs=[printed("as it is: queries 8\n")])
    whole = normalise(nbformat.v4.new_notebook(cells=[code("table = Table()\ntable"), drive, code("1 + 1")]))
    write_parts(whole, path := tmp_path / "one.ipynb")
    assert [cell.source for cell in nbformat.read(path, 4).cells] == ["table = Table()\ntable", "1 + 1"]
    assert is_normal(path)
    assert drives_of(path) == {"table": [{"name": "stdout", "output_type": "stream", "text": "as it is: queries 8\n"}]}
    assert text_of(normalise(with_drives(path))) == text_of(whole)
    assert drives_of(path.with_name("other.ipynb")) == {}


def test_numbers_of_a_live_training_are_kept():
    live = code("table", outputs=[result(text_html="<td>≈ 94.5</td>")])
    (cell,) = normalise(nbformat.v4.new_notebook(cells=[live])).cells
    assert cell.outputs[0].data["text/html"] == "<td>≈ 94.5</td>"


def test_normalising_twice_is_normalising_once(untidy):
    assert text_of(normalise(normalise(untidy))) == text_of(normalise(untidy))


def test_check_names_what_is_not_normal_and_writes_nothing(untidy, tmp_path, capsys):
    tidy, bad = tmp_path / "tidy.ipynb", tmp_path / "bad.ipynb"
    tidy.write_text(text_of(normalise(untidy)))
    nbformat.write(untidy, bad)
    before = bad.read_bytes()
    assert (is_normal(tidy), is_normal(bad)) == (True, False)
    assert main(["--check", str(tidy)]) == 0
    assert main(["--check", str(bad), str(tidy)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert str(bad) in line
    assert bad.read_bytes() == before
