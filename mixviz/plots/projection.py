"""Pictures of projections: points in the plane, coloured and shaped by class, with each class's name at its median."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patheffects import withStroke
from torch import Tensor

from mixviz.data.glyphs import HUES, oklch_to_srgb
from mixviz.plots.labels import spread_apart

# Eight colours that are distinct for the colour-blind, on white and on near-black; a new marker for every eight
# classes.
CLASS_COLOURS = ("#5fadf4", "#f2b727", "#17a070", "#bd4201", "#bb68aa", "#786cdd", "#979fa2", "#a89a01")
CLASS_MARKERS = {"o": "●", "^": "▲", "s": "■", "D": "◆"}  # the same as text


def class_mark(label: int) -> tuple[str, str]:
    """Colour and marker of a class, counted from 0; the first 32 classes differ."""
    turns, place = divmod(label, len(CLASS_COLOURS))
    return CLASS_COLOURS[place], list(CLASS_MARKERS)[turns % len(CLASS_MARKERS)]


def hue_marks() -> list[tuple[str, str]]:
    """Colour and marker of each hue of the glyphs: the hue itself, at one lightness."""
    turns = 2 * np.pi * np.arange(HUES, dtype=np.float32) / HUES
    return [(to_hex(colour), "o") for colour in oklch_to_srgb(np.full(HUES, 0.68, np.float32), 0.16, turns)]


def plot_projection(
    ax: Axes,
    layout: Tensor,
    labels: Tensor,
    names: Sequence[str] = (),
    title: str = "",
    trust: Tensor | None = None,
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None,
    marks: Sequence[tuple[str, str]] = (),
) -> Axes:
    """Points of a layout, class by class; no axes, as the directions of a projection have no unit.

    layout: (N, 2); labels: (N,) from 0; names: of the classes. trust: (N,) of ``trustworthiness``, its mean goes into
    the title. limits: of both axes, to keep them fixed from frame to frame. marks: colour and marker of each class, by
    default those of ``class_mark``.
    """
    points, of = layout.cpu().numpy(), labels.cpu().numpy()
    size = float(np.clip(20_000 / len(points), 4, 30))
    classes = np.unique(of)
    marked = [marks[int(label)] if marks else class_mark(int(label)) for label in classes]
    for label, (colour, marker) in zip(classes, marked, strict=True):
        members = points[of == label]
        ax.scatter(*members.T, s=size, color=colour, marker=marker, linewidths=0, alpha=0.7)
    if limits:
        ax.set_xlim(limits[0])
        ax.set_ylim(limits[1])
    medians = np.stack([np.median(points[of == label], axis=0) for label in classes])
    _name_classes(ax, medians, marked, [names[int(label)] if len(names) else str(label) for label in classes])
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    trusted = "" if trust is None else f"trustworthiness {float(trust.mean()):.3f} (1 is best)"
    ax.set_title(": ".join(part for part in (title, trusted) if part))
    return ax


def ring_point(ax: Axes, point: Tensor) -> Axes:
    """A ring round one point (2,) of a layout."""
    ink = mpl.rcParams["text.color"]
    ax.plot(*point.tolist(), "o", markersize=12, fillstyle="none", markeredgecolor=ink, markeredgewidth=2, zorder=4)
    return ax


def _name_classes(ax: Axes, medians: np.ndarray, marks: Sequence[tuple[str, str]], names: Sequence[str]) -> None:
    """Marks and names at the medians (n, 2), moved up or down so that none covers another, with a line back."""
    ax.set_xlim(ax.get_xlim())
    ax.set_ylim(ax.get_ylim())
    places = (ax.transData + ax.transAxes.inverted()).transform(medians)
    extent = ax.get_window_extent()
    point = 72 / ax.figure.dpi
    width, height = (7 * max(map(len, names)) + 14) / (extent.width * point), 14 / (extent.height * point)
    paper = [withStroke(linewidth=3, foreground=mpl.rcParams["axes.facecolor"])]
    line = {"arrowstyle": "-", "linewidth": 0.7, "color": mpl.rcParams["text.color"], "shrinkA": 0, "shrinkB": 0}
    spread = spread_apart(places, width, height)
    for (colour, marker), name, median, place in zip(marks, names, medians, spread, strict=True):
        written = f"{CLASS_MARKERS[marker]} {name}"
        options = {"ha": "center", "va": "center", "fontsize": 9, "weight": "bold", "path_effects": paper}
        ax.annotate(written, median, tuple(place), "data", ax.transAxes, color=colour, arrowprops=line, **options)
