"""One look: one colour for each method everywhere, safe for the colour-blind, in light and dark."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation
from PIL import Image, ImageDraw, ImageFont

from mixviz.mixing import MIXINGS

Theme = Literal["light", "dark"]

# Near Okabe & Ito's colours, adjusted until all stand out on white and near-black and any two are distinct (16 in
# CIELAB) # for the colour-blind.
COLOURS: Mapping[str, str] = {
    "plain": "#8d878a",
    **{name: kind.colour for name, kind in MIXINGS.items()},
    "combined": "#c46baf",
    "supervised": "#756ada",
    "reference": "#adbac0",
}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
INK = {"light": ("#1d2129", "#ffffff", "#d9dde3"), "dark": ("#e6e8eb", "#15181d", "#3a404a")}


def colour_of(method: str) -> str:
    """The colour of a method such as ``moco-v2 + mixco``: its mixing's; plain frameworks share a grey.

    A note in brackets after it is ignored.
    """
    mixings = [part for part in method.partition(" (")[0].split(" + ") if part in COLOURS]
    if method in COLOURS:
        return COLOURS[method]
    if len(mixings) > 1:
        return COLOURS["combined"]
    return COLOURS[mixings[0]] if mixings else COLOURS["plain"]


def epoch_colours() -> Colormap:
    """A scale for epochs: early is pale, late stands out from the background, in either theme."""
    dark = mpl.rcParams["axes.facecolor"] == INK["dark"][1]
    shades = mpl.colormaps["viridis"](np.linspace(0.1, 1.0, 256) if dark else np.linspace(0.95, 0.0, 256))
    return ListedColormap(shades)


@contextmanager
def style(theme: Theme = "light") -> Iterator[None]:
    """Matplotlib's settings for figures that are made and drawn inside."""
    ink, paper, line = INK[theme]
    settings: dict[str, Any] = {
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "axes.edgecolor": line,
        "axes.labelcolor": ink,
        "text.color": ink,
        "text.parse_math": False,  # names of classes and files may have $ in them
        "xtick.color": ink,
        "ytick.color": ink,
        "grid.color": line,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "font.size": 10,
        "legend.frameon": False,
        "figure.dpi": 110,
        "svg.fonttype": "none",
    }
    with mpl.rc_context(settings):  # pyright: ignore[reportArgumentType]  # its keys are a long Literal
        yield


def figure(width: float = 7.0, height: float = 4.0) -> Figure:
    """An empty figure, in inches, outside of pyplot; fitted tightly when drawn."""
    return Figure(figsize=(width, height), layout="constrained")


class PlainPowers(LogFormatterSciNotation):
    """Powers in plain text, such as 10⁻³; matplotlib's own are mathtext, which ``style`` switches off."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        text = super().__call__(x, pos).removeprefix(r"$\mathdefault{").removesuffix("}$").replace(r"\times", "×")
        return re.sub(r"\^\{(.*?)\}", lambda power: power[1].replace("−", "-").translate(RAISED), text)


def log_scale(ax: Axes, axes: Literal["x", "y", "xy"], base: float = 10) -> None:
    """Logarithmic axes."""
    for name in axes:
        getattr(ax, f"set_{name}scale")("log", base=base)
        axis = getattr(ax, f"{name}axis")
        axis.set_major_formatter(PlainPowers(base))
        axis.set_minor_formatter(PlainPowers(base, labelOnlyBase=False))


def png(drawn: Figure) -> bytes:
    """The figure as the bytes of a PNG."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", facecolor=drawn.get_facecolor())
    return buffer.getvalue()


def with_line(picture: bytes, text: str) -> bytes:
    """The PNG with a line of text below it, on the colour of its corner."""
    drawn, font = Image.open(io.BytesIO(picture)).convert("RGB"), ImageFont.load_default(13)
    taller = Image.new("RGB", (drawn.width, drawn.height + 22), drawn.getpixel((0, 0)))
    taller.paste(drawn)
    ImageDraw.Draw(taller).text((8, drawn.height + 2), text, fill="#7d838c", font=font)
    buffer = io.BytesIO()
    taller.save(buffer, "png")
    return buffer.getvalue()


def smaller(picture: bytes) -> bytes:
    """A PNG in 256 colours: a third of the bytes, with hardly a visible difference."""
    buffer = io.BytesIO()
    few = Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(buffer, "png", optimize=True)
    return buffer.getvalue()
