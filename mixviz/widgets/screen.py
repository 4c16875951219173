"""A widget's picture in the page, which tells the kernel the page's theme and the screen's density."""

import re
from pathlib import Path

import anywidget
import traitlets

FOLDER = Path(__file__).parent
EXPORT = re.compile(r"^export ", re.MULTILINE)
IMPORT = re.compile(r"^import .+ from \"\./canvas\.js\";$", re.MULTILINE)


def script(name: str) -> str:
    """A picture's module joined with ``canvas.js``, which it imports, since a browser gets a single module.

    Top-level names of both must differ.
    """
    shared, own = ((FOLDER / file).read_text(encoding="utf-8") for file in ("canvas.js", name))
    return EXPORT.sub("", shared) + IMPORT.sub("", own)


class Page(anywidget.AnyWidget):
    """What a picture and the kernel tell each other. A subclass sets ``_esm = script("its.js")``."""

    _css = FOLDER / "screen.css"
    about = traitlets.Unicode().tag(sync=True)  # description for screen readers
    size = traitlets.List().tag(sync=True)  # width and height in px: the picture's shape, and how wide it grows
    dark = traitlets.Bool().tag(sync=True)  # the page's theme, from the page
    dots = traitlets.Float(1.0).tag(sync=True)  # pixels of the screen for one of the page, from the page
    asked = traitlets.Int().tag(sync=True)  # counts what the reader does, from the page
    answered = traitlets.Int().tag(sync=True)  # the same count, once the kernel has got so far

    @traitlets.observe("asked")
    def _answer(self, _: object) -> None:
        self.answered = self.asked


class Screen(Page):
    """A PNG that the kernel draws."""

    _esm = script("screen.js")
    value = traitlets.Bytes().tag(sync=True)
