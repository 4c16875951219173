"""The wheel, built offline and used outside of the clone, where nothing lies beside the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAIN = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from mixviz.__main__ import main
sys.exit(max(main(words) for words in {commands!r}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with what the wheel holds, as pip would install it."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("mixviz", "notebooks", "data"):
        junk = shutil.ignore_patterns("__pycache__", "runs", "cache", "datasets", "pictures")
        shutil.copytree(ROOT / name, source / name, ignore=None if name == "mixviz" else junk)
    (source / "data" / "runs").mkdir()
    (source / "data" / "runs" / "own.txt").write_text("of the user")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "-w", str(place), str(source)], check=True, capture_output=True, text=True)
    with ZipFile(next(place.glob("*.whl"))) as wheel:
        wheel.extractall(place)
    return place


@pytest.fixture
def run(site, tmp_path, monkeypatch):
    """Runs Python with the wheel's package in an empty folder; gives what it printed, and its exit code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MIXVIZ", "PYTHON"))}
    environment = kept | {"PYTHONPATH": str(site), "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "own")}
    folder = tmp_path / "empty"
    folder.mkdir()

    def call(*words: str) -> tuple[str, int]:
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run([sys.executable, *words], env=environment, cwd=folder, **out)
        return done.stdout, done.returncode

    return call


@pytest.fixture
def mixviz(run):
    """Runs commands in one process; missing: packages that seem not to be installed."""
    return lambda *commands, missing=(): run(
        "-c", MAIN.format(commands=[command.split() for command in commands], missing=missing)
    )


def test_the_wheel_holds_every_module_and_nothing_of_the_user(site):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "mixviz").rglob("*.py")}
    held = {path.relative_to(site).as_posix() for path in (site / "mixviz").rglob("*") if path.is_file()}
    assert modules <= held
    assert {"mixviz/widgets/still.js", "mixviz/shipped/data/ledger.csv"} <= held
    parts = (ROOT / "mixviz" / "site").glob("*/*")  # the page, and the runtime with its licence and checksums
    assert {path.relative_to(ROOT).as_posix() for path in parts if path.parent.name in ("page", "vendor")} <= held
    assert not [name for name in held if "own.txt" in name]
    assert "mixviz = mixviz.__main__:main" in next(site.glob("*.dist-info/entry_points.txt")).read_text("utf-8")


def test_what_comes_with_the_project_is_found_and_runs_go_to_the_user(mixviz, tmp_path):
    said, code = mixviz("list", "recordings list", "ledger")
    assert code == 0
    assert f"no runs in {tmp_path / 'own' / 'mixviz' / 'runs'} yet" in said
    assert "glyphs-moco-v2-seed1" in said
    assert "all rows: " in said


def test_what_changes_the_project_is_for_clones(mixviz):
    said, code = mixviz("recordings add x")
    assert (code, "recordings add is for a clone of the project" in said) == (2, True)


def test_notebooks_are_copied_once(mixviz, tmp_path):
    said, code = mixviz("notebooks mine")
    assert code == 0
    assert "next: jupyter lab mine" in said
    first = tmp_path / "empty" / "mine" / "00_start_here.ipynb"
    first.write_text("changed")
    said, _ = mixviz("notebooks mine")
    assert "copied 0 notebooks to mine, and kept the" in said
    assert first.read_text() == "changed"


def test_a_missing_package_is_one_line(mixviz):
    said, code = mixviz("compare", missing=("pandas",))
    assert (code, said.count("\n")) == (2, 1)
    assert "pandas is not installed: pip install pandas; python -m mixviz doctor lists" in said


def test_a_missing_package_of_an_extra_is_one_line(mixviz):
    said, code = mixviz("export 01", missing=("nbclient",))
    assert (code, said) == (2, "mixviz: nbclient is missing: pip install nbclient\n")


def test_doctor_needs_no_package(mixviz):
    said, _ = mixviz("doctor", missing=("torch", "numpy", "pandas", "pydantic", "packaging"))
    assert "Traceback" not in said
    assert "not known: torch is missing" in said


def test_an_old_python_is_one_line(run):
    old = "import sys, runpy; sys.version_info = (3, 10, 0); sys.argv = ['-m']; runpy.run_module('mixviz')"
    said, code = run("-c", old)
    assert (code, said.count("\n")) == (2, 1)
    assert "mixviz needs Python 3.11 or newer, and this is 3.10: make an environment" in said
    said, code = run("-c", "import sys; sys.version_info = (3, 10, 0); import mixviz")
    assert (code, "ImportError: mixviz needs Python 3.11 or newer" in said) == (1, True)
