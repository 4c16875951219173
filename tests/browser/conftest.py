"""A browser, JupyterLab, and each notebook opened and run once for all tests that look at it."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from servers import CHROMIUM, NOTEBOOKS, chromium, jupyterlab

MEASURED = pytest.StashKey[list]()
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    """A browser takes minutes, so it is opened where it is asked for."""
    asked = "browser" in config.getoption("-m") or any(Path(arg).name == HERE.name for arg in config.args)
    for item in items:
        if HERE in item.path.parents and not asked:
            item.add_marker(pytest.mark.skip(reason="ask for it: python -m pytest -m browser"))


@pytest.fixture(scope="session")
def browser():
    pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install 'mixviz[test]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium: install your system's chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    if find_spec("jupyterlab") is None:
        pytest.skip("no JupyterLab: pip install 'mixviz[notebooks]'")
    with jupyterlab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session", params=sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def notebook(request, browser, lab):
    """Each notebook in turn, run to its end; pytest runs all tests of one before it opens the next."""
    from pages import opened

    with opened(browser, lab, request.param) as shown:
        yield shown


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory) -> Path:
    """Where screenshots and measurements are kept."""
    folder = Path(os.environ.get("MIXVIZ_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def measured(request, artifacts) -> list:
    """Times that tests measure; at the end they are written, by each process, and printed if there is one."""
    from reports import write

    times: list = []
    request.config.stash[MEASURED] = times
    yield times
    write(times, artifacts / f"latencies{os.environ.get('PYTEST_XDIST_WORKER', '')}.json")


def pytest_terminal_summary(terminalreporter, config):
    if times := config.stash.get(MEASURED, []):
        from reports import table

        terminalreporter.section("times in the browser, ms")
        for line in table(times):
            terminalreporter.write_line(line)
