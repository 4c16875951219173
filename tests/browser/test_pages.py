"""The watch over pages with widgets: it sees what moves, what stands still, what breaks, and what is cut off."""

import nbformat
import pytest
from handling import Control
from measure import measure
from nbformat.v4 import new_code_cell, new_notebook
from pages import opened

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDGET = """
import io
import ipywidgets
from matplotlib.figure import Figure

def draw(change=None):
    figure = Figure(figsize=(4, 2))
    figure.subplots().plot([0, height.value + depth.value], linestyle=line.value)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture.value = buffer.getvalue()
    depth.disabled = line.value == "-"
    if height.value == 0:
        raise ValueError("nothing is too low")

height = ipywidgets.IntSlider(5, 0, 9, description="height")
depth = ipywidgets.IntSlider(9, 0, 9, description="depth")
idle = ipywidgets.IntSlider(0, 0, 9, description="idle")
line = ipywidgets.Dropdown(options=["-", ":"], description="line")
picture = ipywidgets.Image(layout={"width": "900px"})
_ = picture.add_class("mixviz-picture")
for control in (height, depth, line):
    control.observe(draw, "value")
draw()
"""
SHOW = "box = ipywidgets.VBox([height, depth, idle, line, picture]).add_class('mixviz-widget')\nbox"


@pytest.fixture(scope="module")
def page(browser, lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "made.ipynb"
    drive = new_code_cell("height.value", metadata={"tags": ["drive"]})
    nbformat.write(new_notebook(cells=[new_code_cell(WIDGET), new_code_cell(SHOW), drive]), path)
    with opened(browser, lab, path) as shown:
        yield shown


def test_it_finds_the_widget_and_its_controls(page):
    (widget,) = page.widgets
    assert page.drives == 1
    assert page.first_picture > 0
    assert widget.controls() == [
        Control("height", "slider", True, 10, 5, 0),
        Control("depth", "slider", False, 10, 9, 1),
        Control("idle", "slider", True, 10, 0, 2),
        Control("line", "select-one", True, 0, 0, 3),
    ]


def test_it_times_what_moves_and_finds_what_is_static(page):
    (widget,) = page.widgets
    before = [widget.value(control) for control in widget.controls()]
    moved = {one.control: one.times for one in measure(page, presses=2) if one.what in ("slider", "choice")}
    assert [len(moved[name]) for name in ("height", "depth", "idle", "line")] == [2, 2, 0, 1]
    assert all(time > 0 for times in moved.values() for time in times)
    assert [widget.value(control) for control in widget.controls()] == before


def test_it_follows_a_burst_to_its_end(page):
    (widget,) = page.widgets
    answer = widget.burst(widget.controls("slider")[0], 3)
    assert len(answer.keys) == 3
    assert answer.tail > 0


def test_it_sees_what_is_cut_off(page):
    page.page.set_viewport_size({"width": 640, "height": 1000})
    page.page.wait_for_timeout(500)
    (cut,) = page.page.evaluate("() => mixviz.cut(0)")
    assert "mixviz-picture" in cut


def test_it_hears_of_a_callback_that_breaks(page):
    assert page.all_errors() == []
    (widget,) = page.widgets
    widget.press(widget.controls("slider")[0], "Home")
    assert page.all_errors() == ["ValueError: nothing is too low"]
