"""What every canvas widget shares: the scene is sent, problems are told, and what the reader does comes back."""

from typing import Any, ClassVar

import numpy as np
import pytest
import traitlets
from matplotlib.figure import Figure

from mixviz.errors import UserError
from mixviz.plots.style import INK
from mixviz.widgets.canvas import Canvas, CanvasWidget, packed
from mixviz.widgets.controls import slider
from mixviz.widgets.screen import script


class Dots(Canvas):
    _esm = "export default { render() {} }"
    places = traitlets.Bytes().tag(sync=True)
    touched = traitlets.Int().tag(sync=True)


class Row(CanvasWidget):
    """Dots in a row; touching one sets how many there are."""

    size: ClassVar = (3.0, 2.0)
    canvas: ClassVar = Dots

    def __init__(self, **values: Any):
        super().__init__({"count": slider("dots", 1, 9, 3, 1)}, values)
        self.picture_widget.observe(lambda change: self.set(count=change["new"]), "touched")

    def compute(self, count: int) -> np.ndarray:
        if count == 9:
            raise UserError("nine dots have no room: take fewer")
        return np.arange(count)

    def numbers(self) -> dict[str, Any]:
        return {"dots": len(self.result)}

    def scene(self) -> dict[str, Any]:
        return {"places": packed(self.result)}

    def draw(self, figure: Figure) -> None:
        figure.add_subplot().plot(self.result, "o")

    def caption(self) -> str:
        return f"{len(self.result)} dots in a row"


@pytest.fixture
def row() -> Row:
    return Row()


def test_numbers_are_packed_in_four_bytes_each():
    assert np.frombuffer(packed([[0.5, -1.0]]), np.float32).tolist() == [0.5, -1.0]
    assert np.frombuffer(packed(np.array([3, 70_000])), np.int32).tolist() == [3, 70_000]


@pytest.mark.parametrize("name", ["projection.js", "screen.js", "sphere.js"])
def test_a_script_is_one_module_with_what_all_share(name):
    lines = script(name).splitlines()
    assert [line for line in lines if line.startswith(("import ", "export "))] == ["export default { render };"]
    declared = [line.split()[1].partition("(")[0] for line in lines if line.startswith(("const ", "function "))]
    assert {"FONT", "floats", "integers", "mount", "render"} <= set(declared)
    assert len(declared) == len(set(declared))


def test_the_canvas_gets_the_picture_and_a_description(row):
    screen = row.picture_widget
    assert np.frombuffer(screen.places, np.int32).tolist() == [0, 1, 2]
    assert (screen.about, screen.size) == ("3 dots in a row", [300, 200])
    assert (screen.colours["ink"], screen.colours["paper"]) == INK["light"][:2]
    row.set(count=5)
    assert np.frombuffer(screen.places, np.int32).tolist() == [0, 1, 2, 3, 4]
    assert screen.about == "5 dots in a row"
    assert screen in row.box.children


def test_a_problem_is_reported_in_the_pictures_place_and_leaves_with_its_cause(row):
    row.set(count=9)
    assert row.picture_widget.problem == row.picture_widget.about == "nine dots have no room: take fewer"
    row.set(count=2)
    assert row.picture_widget.problem == ""
    assert row.picture_widget.about == "2 dots in a row"


def test_what_is_done_on_the_canvas_moves_a_control(row):
    row.picture_widget.touched = 7
    assert row.controls["count"].value == 7
    assert row.numbers() == {"dots": 7}


def test_without_a_kernel_there_is_a_still_picture(row):
    bundle = row._repr_mimebundle_()
    assert bundle["image/png"].startswith("iVBOR")
    assert bundle["text/plain"] == "Row()"
