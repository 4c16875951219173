"""Notebooks run from top to bottom, and what they say about their numbers is true of the numbers."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(ROOT.glob("*.ipynb"))


def run(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_cells_are_short_define_nothing_and_are_committed_with_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert all(len(cell.source.splitlines()) <= 25 for cell in cells)
    assert not any(word in cell.source for cell in cells for word in ("def ", "class "))
    assert all(cell.execution_count for cell in cells)
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2


@pytest.mark.filterwarnings("ignore")
def test_start_here_runs_and_shows_what_it_says():
    notebook = run(ROOT / "00_start_here.ipynb")
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
    lines = last.outputs[-1]["data"]["text/plain"].splitlines()
    assert lines[0].split() == ["target", "hue", "orientation", "shape"]
    rows = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in lines[2:]}
    assert rows["trained"][2] > rows["untrained"][2] + 0.15
    assert rows["trained"][0] < rows["untrained"][0] - 0.15
