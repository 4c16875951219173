"""Every notebook asks for predictions, keeps the answers out of its file, and sums all guesses up at the end."""

import re

import nbformat
import pytest
from normalise import FOLDER, drives_of

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MADE = re.compile(r"^(\w+) = Prediction\(", re.MULTILINE)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def code_cells(path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_a_notebook_sums_up_all_its_predictions(path):
    sources = "\n".join(cell.source for cell in code_cells(path))
    asked = MADE.findall(sources)
    summed = re.findall(r"^predictions = Predictions\((.+)\)$", sources, re.MULTILINE)
    assert asked
    assert summed == [", ".join(asked)]


def test_a_predictions_cell_shows_the_question_only(path):
    for cell in code_cells(path):
        for name in MADE.findall(cell.source):
            assert cell.source.splitlines()[-1] == name
            shown = [output for output in cell.outputs if output.output_type != "stream"]
            assert [set(output.data) for output in shown] == [{"text/plain", "image/png"}]
            assert shown[0].data["text/plain"].startswith("Prediction(")


def test_what_was_measured_is_known_to_the_tests(path):
    for name in [name for cell in code_cells(path) for name in MADE.findall(cell.source)]:
        (said,) = drives_of(path)[name]
        assert "committed: measured " in said["data"]["text/plain"]
