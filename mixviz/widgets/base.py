"""The base of all widgets: controls, the numbers behind a picture, and the picture, redrawn when a control moves."""

import asyncio
import base64
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape
from textwrap import wrap
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlencode

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixviz.errors import UserError, unknown
from mixviz.plots.blit import BlitFigure
from mixviz.plots.style import Theme, png, smaller, style, with_line
from mixviz.widgets.controls import Control, parse, put, stops, written
from mixviz.widgets.screen import Screen
from mixviz.widgets.still import SWITCH, page

STATIC_KEPT = 12  # that a widget keeps
REST = 0.3  # seconds without a move, before a picture is drawn again for a screen of high density
SENTENCE = "<p style='max-width: 60em; line-height: 1.4; margin: 0.2em 0'>{}</p>"


class Widget:
    """Controls, a picture and a sentence; a subclass defines the analysis and the drawing.

    ``compute(**values)`` analyses the controls' values, ``numbers()`` are the numbers shown, ``draw(figure)`` draws
    them, ``caption()`` says them in a sentence. Display it as the last expression of a cell. ``set(lam=0.3)`` moves
    controls from code; ``state()`` is a short string from which ``from_state`` restores the widget.

    controls: by name. values: of controls, instead of their defaults. Raises UserError for impossible ones.
    """

    size: ClassVar[tuple[float, float]] = (7.0, 3.6)  # inches of the picture
    animated: ClassVar[frozenset[str]] = frozenset()  # controls that do not change what ``draw_static`` draws

    theme: Theme = "light"  # of pictures; JupyterLab's, once a page has shown a widget
    saved: ClassVar[str] = "Run this cell to move the controls of this picture."  # below the picture in a file

    def __init__(self, controls: Mapping[str, Control], values: Mapping[str, Any]):
        self.controls = dict(controls)
        self.defaults = self.values
        self._about = {name: control.tooltip for name, control in self.controls.items()}
        self.result: Any = None
        self.problem = ""
        self._places: dict[int, list[Any]] = {}
        self._static: dict[Hashable, BlitFigure] = {}
        self._held = False
        self._sharper: asyncio.TimerHandle | None = None
        self.picture_widget = self._screen()
        self.picture_widget.observe(self._follow_page, ["dark", "dots"])
        self.caption_widget = ipywidgets.HTML()
        for name, control in self.controls.items():
            control.add_class(f"mixviz-{name}")
            control.observe(self._moved, "value")
        row = ipywidgets.Box(list(self.controls.values()), layout={"flex_flow": "row wrap", "max_width": "100%"})
        self.box = ipywidgets.VBox([row, self.picture_widget, self.caption_widget, *self.below()])
        self.box.add_class("mixviz-widget")
        self.set(**values)

    def compute(self, **values: Any) -> Any:
        """The analysis of the controls' values, stored in ``result``. Raises UserError for impossible values."""
        raise NotImplementedError

    def numbers(self) -> dict[str, Any]:
        """What the picture shows: name -> number, text, or list of numbers."""
        raise NotImplementedError

    def draw(self, figure: Figure, **axes: Axes) -> None:
        """Draw ``result``: into an empty figure, or over the axes that ``draw_static`` returned."""
        raise NotImplementedError

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        """Draw what does not depend on the controls in ``animated``. Returns the axes, by name, for ``draw``.

        This draws a picture with few changing parts several times as fast. Not called without ``animated``.
        """
        raise NotImplementedError

    def static_for(self) -> Hashable:
        """What else the static part depends on besides the controls; if it changes, the static part is redrawn."""
        return None

    def caption(self) -> str:
        """The picture's message in a sentence."""
        return ""

    def below(self) -> Sequence[ipywidgets.Widget]:
        """What stands below the caption. Called once, when the widget is made."""
        return ()

    def unused(self, **values: Any) -> Mapping[str, str]:
        """Controls without effect at these values, each with the reason; they are greyed out."""
        return {}

    @property
    def values(self) -> dict[str, Any]:
        """The values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> Self:
        """Move controls, and draw once. Raises UserError for an unknown control or an impossible value."""
        with self._hold():
            for name, value in values.items():
                if name not in self.controls:
                    raise unknown("control", name, self.controls)
                put(name, self.controls[name], value)
        self._places.clear()
        self.refresh()
        return self

    def refresh(self) -> None:
        """Analyse and draw again."""
        values = self.values
        unused = self.unused(**values)
        for name, control in self.controls.items():
            control.disabled, control.tooltip = name in unused, unused.get(name, self._about[name])
        try:
            self.result, self.problem = self.compute(**values), ""
        except UserError as error:
            self.result, self.problem = None, str(error)
        self._show()
        self.caption_widget.value = SENTENCE.format(escape(self.problem or self.caption()))

    def picture(self, dots: float = 1.0) -> bytes:
        """The picture as a PNG. dots: pixels of the screen for one of the page."""
        with style(self.theme):
            if self.animated and not self.problem:
                return self._static_figure().render(self.draw) if dots == 1 else self._drawn_at_once(dots)
            drawn = self._drawn(dots)
            places = self._places.get(len(drawn.axes))
            if places is None:  # fit the axes to their labels only once: fitting takes longer than drawing
                drawn = self._drawn(dots, "constrained")
                drawn.draw_without_rendering()
                places = self._places[len(drawn.axes)] = [axes.get_position() for axes in drawn.axes]
            drawn.set_layout_engine("none")
            for axes, place in zip(drawn.axes, places, strict=True):
                axes.set_position(place)
            return png(drawn)

    def state(self) -> str:
        """The controls' values that are not defaults: ``framework=byol&lam=0.3``."""
        return urlencode({name: written(value) for name, value in self.values.items() if value != self.defaults[name]})

    @classmethod
    def from_state(cls, state: str, *args: Any, **more: Any) -> Self:
        """A widget with the controls of ``state()``. args, more: its other arguments, such as its run."""
        widget = cls(*args, **more)
        pairs = dict(parse_qsl(state, keep_blank_values=True))
        for name in pairs.keys() - widget.controls.keys():
            raise unknown("control", name, widget.controls)
        return widget.set(**{name: parse(widget.controls[name], text) for name, text in pairs.items()})

    def drive(self) -> "Drive":
        """Move every control to its ends and back, one by one; returns the numbers at each stop."""
        lines = [f"as it is: {self._line()}"]
        for name, control in self.controls.items():
            before: Any = control.value
            for stop in [] if control.disabled else stops(control):
                control.value = stop
                lines.append(f"{name} {written(stop)}: {self._line()}")
            control.value = before
        return Drive(lines)

    def __repr__(self) -> str:
        changed = {name: value for name, value in self.values.items() if value != self.defaults[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The live widget and, for a reader without a kernel, its current picture, or its page in an export."""
        if os.environ.get(SWITCH):
            return {"text/plain": repr(self), "text/html": page(self)}
        bundle = dict(self.box._repr_mimebundle_() or {})
        picture = smaller(with_line(self.picture(), self.saved))
        return bundle | {"text/plain": repr(self), "image/png": base64.b64encode(picture).decode()}

    def _screen(self) -> ipywidgets.DOMWidget:
        """What the picture is shown on."""
        return Screen(size=self._pixels(), dark=self.theme == "dark", layout={"width": "100%", "margin": "0"})

    def _pixels(self) -> list[int]:
        """Width and height of the picture in the page."""
        return [round(100 * side) for side in self.size]

    def _show(self) -> None:
        """Update the page."""
        screen = self.picture_widget
        assert isinstance(screen, Screen)
        with screen.hold_sync():
            screen.value = self.picture()
            screen.about = self.problem or self.caption()
        if self._sharper is not None:
            self._sharper.cancel()
        if screen.dots > 1:
            with suppress(RuntimeError):  # no loop runs in this thread
                self._sharper = asyncio.get_running_loop().call_later(REST, self._sharpen, screen)

    def _sharpen(self, screen: Screen) -> None:
        """Draw for a screen of high density: only while the controls rest, as it takes longer."""
        screen.value = self.picture(screen.dots)

    def _follow_page(self, change: Mapping[str, Any]) -> None:
        """Draw as the page and the screen are; widgets that are made later begin like that."""
        self.theme = Widget.theme = "dark" if change["owner"].dark else "light"
        self._show()

    def _line(self) -> str:
        if self.problem:
            return self.problem
        return ", ".join(f"{name} {_written(value)}" for name, value in self.numbers().items())

    def _moved(self, change: Mapping[str, Any]) -> None:
        if self._held:
            return
        if isinstance(change["owner"], (ipywidgets.Dropdown, ipywidgets.Checkbox)):
            self._places.clear()  # the picture may have other labels now
        self.refresh()

    @contextmanager
    def _hold(self) -> Iterator[None]:
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _static_figure(self) -> BlitFigure:
        """The static part for the current values of the controls not in ``animated``; the latest ones are cached."""
        key = self.theme, self.static_for(), *(v for name, v in self.values.items() if name not in self.animated)
        stage = self._static.pop(key, None)
        if stage is None:
            figure = Figure(figsize=self.size, dpi=100, layout="constrained")
            stage = BlitFigure(figure, self.draw_static(figure))
        self._static[key] = stage
        if len(self._static) > STATIC_KEPT:
            del self._static[next(iter(self._static))]
        return stage

    def _drawn_at_once(self, dots: float) -> bytes:
        """Static and changing parts, as ``_static_figure`` and ``draw`` make them, at any density."""
        figure = Figure(figsize=self.size, dpi=100 * dots, layout="constrained")
        axes = self.draw_static(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        self.draw(figure, **axes)
        return png(figure)

    def _drawn(self, dots: float, layout: Literal["constrained"] | None = None) -> Figure:
        figure = Figure(figsize=self.size, dpi=100 * dots, layout=layout)
        if self.problem:
            figure.text(0.5, 0.5, "\n".join(wrap(self.problem, 70)), ha="center", va="center")
        else:
            self.draw(figure)
        return figure


class Drive(list[str]):
    """What a widget says at each stop of a drive, one line each; folded when displayed."""

    def __repr__(self) -> str:
        return "\n".join(self)

    def _repr_html_(self) -> str:
        summary = f"the widget was moved to {len(self) - 1} stops: what it says at each"
        return f"<details><summary>{summary}</summary><pre>{escape(repr(self))}</pre></details>"


def _written(value: Any) -> str:
    """Three digits, which are the same on every machine."""
    if isinstance(value, float):
        return f"{value + 0.0:.3g}"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_written, value)) + "]"
    return str(value)
