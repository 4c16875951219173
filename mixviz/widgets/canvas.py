"""Widgets drawn in the page itself, on a canvas that responds to pointer and keyboard without delay."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from mixviz.plots.style import INK
from mixviz.widgets.base import Widget

FOLDER = Path(__file__).parent
EXPORT = re.compile(r"^export ", re.MULTILINE)
IMPORT = re.compile(r"^import .+ from \"\./canvas\.js\";$", re.MULTILINE)


def script(name: str) -> str:
    """A canvas's module joined with ``canvas.js``, which it imports, since a browser gets a single module.

    Top-level names of both must differ.
    """
    shared, own = ((FOLDER / file).read_text(encoding="utf-8") for file in ("canvas.js", name))
    return EXPORT.sub("", shared) + IMPORT.sub("", own)


def packed(values: Any) -> bytes:
    """Numbers as bytes for the script's ``floats`` and ``integers``: float32, or int32 for integers."""
    array = np.asarray(values)
    return array.astype("<f4" if array.dtype.kind == "f" else "<i4").tobytes()


class Canvas(anywidget.AnyWidget):
    """The traits of every canvas. A subclass sets ``_esm = script("its.js")`` and adds its data as traits."""

    about = traitlets.Unicode().tag(sync=True)  # description for screen readers
    problem = traitlets.Unicode().tag(sync=True)  # shown instead of the picture
    colours = traitlets.Dict().tag(sync=True)  # ink, paper and line of the theme
    size = traitlets.List().tag(sync=True)  # width and height in px: the shape of the canvas, and how wide it grows


class CanvasWidget(Widget):
    """A widget whose picture is a canvas; ``draw`` makes a static one for a reader without a kernel.

    A subclass names its ``canvas``, whose data ``scene()`` returns. Actions on the canvas change a trait of it: observe
    that of ``picture_widget``, and ``set`` a control.
    """

    canvas: ClassVar[type[Canvas]]
    picture_widget: Canvas

    def scene(self) -> Mapping[str, Any]:
        """Traits of the canvas from ``result``. Only changes are sent."""
        raise NotImplementedError

    def _screen(self) -> Canvas:
        ink = dict(zip(("ink", "paper", "line"), INK[self.theme], strict=True))
        screen = self.canvas(colours=ink, size=[round(100 * side) for side in self.size], layout={"width": "100%"})
        screen.add_class("mixviz-picture")
        return screen

    def _show(self) -> None:
        with self.picture_widget.hold_sync():
            self.picture_widget.problem = self.problem
            self.picture_widget.about = self.problem or self.caption()
            for name, value in {} if self.problem else self.scene().items():
                setattr(self.picture_widget, name, value)
