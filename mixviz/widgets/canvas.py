"""Widgets drawn in the page itself, on a canvas that responds to pointer and keyboard without delay."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import traitlets

from mixviz.plots.style import INK
from mixviz.widgets.base import Widget
from mixviz.widgets.screen import Page


def packed(values: Any) -> bytes:
    """Numbers as bytes for the script's ``floats`` and ``integers``: float32, or int32 for integers."""
    array = np.asarray(values)
    return array.astype("<f4" if array.dtype.kind == "f" else "<i4").tobytes()


class Canvas(Page):
    """The traits of every canvas. A subclass sets ``_esm = script("its.js")`` and adds its data as traits."""

    problem = traitlets.Unicode().tag(sync=True)  # shown instead of the picture
    colours = traitlets.Dict().tag(sync=True)  # ink, paper and line of the theme


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
        screen = self.canvas(size=self._pixels(), dark=self.theme == "dark", layout={"width": "100%"})
        screen.add_class("mixviz-picture")
        return screen

    def _show(self) -> None:
        with self.picture_widget.hold_sync():
            ink, paper, line = INK[self.theme]
            self.picture_widget.colours = {"ink": ink, "paper": paper, "line": line}
            self.picture_widget.problem = self.problem
            self.picture_widget.about = self.problem or self.caption()
            for name, value in {} if self.problem else self.scene().items():
                setattr(self.picture_widget, name, value)
