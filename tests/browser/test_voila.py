"""Notebooks as plain web pages: Voila runs them behind its token, and a slider moves the picture there too."""

from contextlib import closing
from urllib.request import urlopen

import pytest
from handling import Widget
from pages import watched
from servers import NOTEBOOKS, voila

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAMES = {"01_one_table": 0, "06_space": 1}  # name -> its first widget with sliders: a picture, and a canvas
RUN = 300_000  # ms a notebook may take to run
STILL = 3000  # ms without a frame after which a widget has answered: the kernel cannot be asked here
HARMLESS = (
    "asks for https://cdn",  # fonts for icons, which Voila's own page can do without
    "Error: The getter for the shared module",  # other extensions of JupyterLab that may be installed
)


@pytest.fixture(scope="module")
def served(browser, tmp_path_factory):
    pytest.importorskip("voila", reason="no Voila: pip install 'mixviz[notebooks]'")
    with voila(tmp_path_factory.mktemp("voila"), NOTEBOOKS) as server:
        yield server


@pytest.mark.parametrize(("name", "place"), NAMES.items())
def test_a_slider_moves_its_picture(name, place, served, browser, artifacts):
    with closing(browser.new_context()) as context:
        page, errors = watched(context)
        address = f"{served.address}/voila/render/{name}.ipynb?token={served.token}"
        answer = page.goto(address, wait_until="commit")
        assert answer.ok, f"no {name}: {answer.status}"
        page.wait_for_function("place => mixviz.shown(place)", arg=place, timeout=RUN)
        widget = Widget(page, place, STILL)
        slider = next(slider for slider in widget.controls("slider") if slider.enabled)
        assert any(widget.press(slider, key).frames for key in ("Home", "End"))
        page.screenshot(path=artifacts / f"{name}, voila.png")
        assert [error for error in errors if not error.startswith(HARMLESS)] == []


def test_no_one_enters_without_the_token(served):
    with urlopen(f"{served.address}/voila/render/{next(iter(NAMES))}.ipynb", timeout=60) as answer:
        assert "/login" in answer.url
