"""Every notebook says, when it is run anew, exactly what it said when it was written; and a changed number fails."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from making import code, replace, write
from normalise import FOLDER, MASKS, kernel_environment, with_drives

pytest.importorskip("nbval")
pytest.importorskip("ipywidgets")
pytestmark = pytest.mark.slow

PYTEST = ["-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", "-vv", "-rN", "--color=no"]
NBVAL = ["--nbval", "--nbval-sanitize-with", str(MASKS), "--nbval-current-env", "--nbval-cell-timeout", "300"]
CELLS = (
    "from mixviz.widgets import ContrastTable",
    "table = ContrastTable(mixing='mixco')\ntable",
    code("table.drive()", "drive"),
)


def compare(path: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook and compare its outputs with those in its file; every cell is a test."""
    environment = {name: value for name, value in kernel_environment().items() if name != "PYTEST_ADDOPTS"}
    command = [sys.executable, *PYTEST, "--rootdir", str(path.parent), *NBVAL, str(path)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def failures(path: Path) -> list[str]:
    """What failed, cell by cell, in nbval's words; empty if all is as it was."""
    run = compare(path)
    if run.returncode == 0:
        return []
    parts = re.split(r"^_{3,} (.+) _{3,}$", run.stdout.rpartition("\n===")[0], flags=re.MULTILINE)[1:]
    cells = [f"{name.strip()}\n{text.strip()}" for name, text in zip(parts[::2], parts[1::2], strict=True)]
    return cells or [run.stdout + run.stderr]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_says_again_what_it_said(path, tmp_path):
    nbformat.write(with_drives(path), tmp_path / path.name)
    failed = failures(tmp_path / path.name)
    assert not failed, "\n\n".join([f"{path.name}: - is what it says now, + what its file says", *failed])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sound"), *CELLS, run=True)


@pytest.fixture
def changed(sound, tmp_path):
    """A copy of a sound notebook, in which one thing is another."""

    def changed(before: str, after: str) -> Path:
        replace(path := Path(shutil.copy(sound, tmp_path)), before, after)
        return path

    return changed


def test_a_sound_notebook_passes(sound):
    assert failures(sound) == []


def test_another_number_fails(changed):
    (failed,) = failures(changed("batch 4: queries 2", "batch 4: queries 3"))
    assert "Cell 2" in failed.splitlines()[0]
    assert "Cell outputs differ" in failed
    assert "table.drive()" in failed
    assert "batch 4: queries 3" in failed


def test_numbers_of_a_live_training_may_differ_and_others_may_not(tmp_path):
    cells = ("from IPython.display import HTML", "HTML('<td>≈ 94.5, higher</td><td>93.1</td>')")
    path = write(tmp_path, *cells, run=True)
    replace(path, "<td>≈ 94.5, higher</td><td>93.1</td>", "<td>≈ 0.1</td><td>93.1</td>")
    replace(path, cells[1].replace("94.5, higher", "0.1"), cells[1])
    assert failures(path) == []
    replace(path, "<td>93.1</td>", "<td>93.2</td>")
    replace(path, cells[1].replace("93.1", "93.2"), cells[1])
    assert len(failures(path)) == 1


def test_a_callback_that_breaks_when_a_control_is_moved_fails(changed):
    broken = "ContrastTable.caption = lambda table: f'{1 / table.values[\"lam\"]}'"
    (failed,) = failures(changed(CELLS[0], f"{CELLS[0]}\n{broken}"))
    assert "Cell 2" in failed.splitlines()[0]
    assert "ZeroDivisionError" in failed


def test_a_wrong_formula_of_a_number_fails(changed):
    wrong = "ContrastTable.numbers = lambda table: {'queries': len(table.result.table.kind) + 1}"
    (failed,) = failures(changed(CELLS[0], f"{CELLS[0]}\n{wrong}"))
    assert "Cell 2" in failed.splitlines()[0]
    assert "Cell outputs differ" in failed
