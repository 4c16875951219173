"""What every widget shares: controls move the look, states go there and back, what has no meaning is told."""

import asyncio
import base64
import gc
import io
import subprocess
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mixviz.errors import UserError
from mixviz.widgets import Widget
from mixviz.widgets.controls import choice, slider, steps, toggle

CAPTURED = {"check": True, "capture_output": True, "text": True}


class Line(Widget):
    """A straight line; it counts how often it looks."""

    size: ClassVar[tuple[float, float]] = (3.0, 2.0)

    def __init__(self, **values: Any):
        self.looks = 0
        controls = {
            "slope": slider("slope", -2.0, 2.0, 1.0, 0.5),
            "count": slider("points", 2, 9, 3, 1),
            "scale": steps("scale", [1, 10, 100], 1),
            "kind": choice("kind", ["straight", "bent", "broken"], "straight"),
            "dots": toggle("dots"),
        }
        super().__init__(controls, values)

    def compute(self, slope: float, count: int, kind: str, **_: Any) -> np.ndarray:
        self.looks += 1
        if kind == "broken":
            raise UserError("a broken line has no slope: take another kind")
        return slope * np.arange(count)

    def numbers(self) -> dict[str, Any]:
        return {"last": float(self.result[-1]), "points": len(self.result)}

    def draw(self, figure: Figure) -> None:
        figure.add_subplot().plot(self.result, "o-" if self.values["dots"] else "-")

    def caption(self) -> str:
        return f"a line to {self.result[-1]:g}"

    def unused(self, count: int, **_: Any) -> dict[str, str]:
        return {"dots": "two points need no dots"} if count == 2 else {}


class StagedLine(Line):
    """The line beside a bar that is made first; only the line is drawn over the stage."""

    animated: ClassVar[frozenset[str]] = frozenset({"slope"})

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        bar, plot = figure.subplots(1, 2)
        bar.set_title("bar")
        plot.set(xlim=(0, 10), ylim=(-20, 20))
        return {"plot": plot}

    def draw(self, figure: Figure, plot: Axes) -> None:
        plot.plot(self.result)


def pixels(widget: Widget) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes(widget.picture_widget.value))).convert("RGB"))


def test_a_moved_control_is_looked_at_and_drawn_again():
    line = Line()
    before = pixels(line)
    line.controls["slope"].value = -1.0
    assert line.numbers() == {"last": -2.0, "points": 3}
    assert (pixels(line) != before).any()
    assert "a line to -2" in line.caption_widget.value


def test_set_moves_several_and_looks_once():
    line = Line()
    before = line.looks
    line.set(slope=2.0, count=5, kind="bent")
    assert line.looks == before + 1
    assert line.numbers() == {"last": 8.0, "points": 5}


def test_values_at_the_start_are_those_that_are_given():
    assert Line(slope=0.5, count=9).numbers() == {"last": 4.0, "points": 9}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"slop": 1.0}, "did you mean 'slope'"),
        ({"slope": 3.0}, "slope 3 is out of range: take -2 to 2"),
        ({"kind": "round"}, "unknown kind 'round'"),
        ({"scale": 7}, "unknown scale '7'"),
    ],
)
def test_what_cannot_be_set_is_one_clear_line(values, words):
    with pytest.raises(UserError, match=words):
        Line(**values)


def test_state_says_what_is_not_the_default_and_goes_there_and_back():
    line = Line(slope=-0.5, scale=10, kind="bent", dots=True)
    assert line.state() == "slope=-0.5&scale=10&kind=bent&dots=True"
    assert Line.from_state(line.state()).values == line.values
    assert Line().state() == ""
    assert Line.from_state("").values == Line().values


@pytest.mark.parametrize("state", ["slopes=1", "slope=steep", "slope=9", "kind=round"])
def test_a_wrong_state_is_one_clear_line(state):
    with pytest.raises(UserError) as caught:
        Line.from_state(state)
    assert "\n" not in str(caught.value)


def test_what_has_no_meaning_is_reported_in_place_of_the_picture():
    line = Line(kind="broken")
    assert line.result is None
    assert "a broken line has no slope" in line.caption_widget.value
    line.set(kind="bent")
    assert line.numbers()["last"] == 2.0


def test_a_control_that_changes_nothing_is_greyed_out_with_the_reason():
    line = Line(count=2)
    assert line.controls["dots"].disabled
    assert line.controls["dots"].tooltip == "two points need no dots"
    line.set(count=3)
    assert not line.controls["dots"].disabled
    assert line.controls["dots"].tooltip == "dots"


def test_drive_moves_every_control_to_its_ends_and_back():
    line = Line()
    assert line.drive() == [
        "as it is: last 2, points 3",
        "slope -2: last -4, points 3",
        "slope 2: last 4, points 3",
        "count 2: last 1, points 2",
        "count 9: last 8, points 9",
        "scale 1: last 2, points 3",
        "scale 100: last 2, points 3",
        "kind straight: last 2, points 3",
        "kind bent: last 2, points 3",
        "kind broken: a broken line has no slope: take another kind",
        "dots False: last 2, points 3",
        "dots True: last 2, points 3",
    ]
    assert line.values == line.defaults


def test_a_drive_is_folded_up_where_it_is_shown():
    drive = Line().drive()
    assert repr(drive).splitlines() == list(drive)
    assert drive._repr_html_().startswith("<details><summary>the widget was moved to 11 stops")


def test_an_error_while_a_control_moves_is_not_swallowed():
    line = Line()
    line.compute = lambda **_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        line.controls["slope"].value = 0.5


def test_a_reader_without_kernel_gets_the_picture_and_what_made_it():
    line = Line(slope=0.5)
    bundle = line._repr_mimebundle_()
    assert bundle["text/plain"] == "Line(slope=0.5)"
    assert bundle["image/png"].startswith("iVBOR")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_axes_stay_where_they_are_while_a_slider_moves():
    line = Line()
    places = dict(line._places)
    line.controls["slope"].value = 2.0
    assert line._places == places
    line.controls["kind"].value = "bent"
    assert line._places.keys() == places.keys()


def test_a_stage_hands_its_axes_on_by_name():
    line = StagedLine(slope=2.0, count=9)
    before = pixels(line).astype(int)
    changed = abs(before - pixels(line.set(slope=-2.0))).max(axis=2) > 50  # more than another palette changes
    assert changed[:, changed.shape[1] // 2 :].any()
    assert not changed[:, : changed.shape[1] // 2].any()


def test_what_is_slow_to_import_waits_until_it_is_needed():
    code = "import sys, mixviz.widgets; print(*{'umap', 'torchvision', 'torch._dynamo'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], **CAPTURED)
    assert found.stdout.split() == []


def test_import_leaves_the_garbage_collector_as_it_is():
    code = "import gc; before = gc.get_threshold(); import mixviz.widgets; print(gc.get_freeze_count(), gc.isenabled())"
    found = subprocess.run([sys.executable, "-c", f"{code}; assert gc.get_threshold() == before"], **CAPTURED)
    assert found.stdout.split() == ["0", "True"]


def test_a_slider_on_a_stage_waits_for_no_full_garbage_collection():
    line, generations = StagedLine(), []

    def note(phase, info):
        generations.extend([info["generation"]] if phase == "start" else [])

    gc.collect()
    gc.callbacks.append(note)
    try:
        for move in range(60):
            line.controls["slope"].value = (-1) ** move * 1.5
    finally:
        gc.callbacks.remove(note)
    assert generations.count(2) == 0


@pytest.fixture
def as_before(monkeypatch):
    """The theme of all widgets is put back at the end."""
    monkeypatch.setattr(Widget, "theme", "light")


@pytest.mark.parametrize("kind", [Line, StagedLine])
@pytest.mark.usefixtures("as_before")
def test_pictures_follow_the_page_and_so_do_later_widgets(kind):
    widget = kind()
    assert pixels(widget)[0, 0].min() > 250
    widget.picture_widget.set_state({"dark": True})
    assert pixels(widget)[0, 0].sum() < 100
    assert pixels(kind())[0, 0].sum() < 100
    widget.picture_widget.set_state({"dark": False})
    assert pixels(widget)[0, 0].min() > 250


@pytest.mark.parametrize("kind", [Line, StagedLine])
@pytest.mark.usefixtures("as_before")
def test_a_dense_screen_gets_a_sharp_picture_once_the_controls_rest(kind, monkeypatch):
    monkeypatch.setattr("mixviz.widgets.base.REST", 0.05)

    async def move() -> list[int]:
        widget = kind()
        widths = [pixels(widget).shape[1]]
        widget.picture_widget.set_state({"dots": 2.0})
        for slope in (0.5, 0.0):
            widget.set(slope=slope)
            widths.append(pixels(widget).shape[1])
        await asyncio.sleep(0.2)
        return [*widths, pixels(widget).shape[1]]

    assert asyncio.run(move()) == [300, 300, 300, 600]


def test_the_kernel_answers_what_the_reader_did():
    screen = Line().picture_widget
    screen.set_state({"asked": 3})
    assert screen.answered == 3


def test_a_picture_is_described_by_its_caption():
    widget = Line()
    assert widget.picture_widget.about == "a line to 2"
    widget.set(kind="broken")
    assert widget.picture_widget.about == "a broken line has no slope: take another kind"


def test_a_saved_picture_says_how_to_move_it():
    widget = Line()
    saved = np.asarray(Image.open(io.BytesIO(base64.b64decode(widget._repr_mimebundle_()["image/png"]))).convert("L"))
    assert saved.shape == (222, 300)
    assert (saved[200:] < 200).any()
