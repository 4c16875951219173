"""Names next to what they name, instead of a legend."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes

from mixviz.plots.style import colour_of


def line_of(method: str) -> Literal[":", "-"]:
    """Dotted for a method with a note in brackets, whose colour is that of the method without; else solid."""
    return ":" if "(" in method else "-"


def label_at_right(ax: Axes, ends: Mapping[str, tuple[float, float]], colours: Sequence[str] = ()) -> None:
    """Names in a column right of the axes, each at the height of its point if there is room, and a line to it.

    ends: name -> point in data. Call it after everything is drawn: the limits are fixed here.
    """
    ax.set_xlim(ax.get_xlim())
    ax.set_ylim(ax.get_ylim())
    levels = (ax.transData + ax.transAxes.inverted()).transform(list(ends.values()))[:, 1]
    height = 13 / (ax.get_window_extent().height / ax.figure.dpi * 72)  # of a label of 13 points
    places = spread_apart(np.stack([np.full(len(levels), 1.04), levels], axis=1), 1.0, height)
    colours = colours or [colour_of(name) for name in ends]
    for (name, end), place, colour in zip(ends.items(), places, colours, strict=True):
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4, "relpos": (0, 0.5)}
        ax.annotate(name, end, tuple(place), "data", ax.transAxes, arrowprops=line, va="center", fontsize=9)


def spread_apart(places: np.ndarray, width: float, height: float, rounds: int = 300) -> np.ndarray:
    """Positions (n, 2) of labels, moved up and down until none covers another; in fractions of the axes.

    width, height: of a label.
    """
    places = np.array(places, dtype=float)
    order = np.argsort(places[:, 1], kind="stable")
    for _ in range(rounds):
        moved = False
        for i, low in enumerate(order):
            for high in order[i + 1 :]:
                gap = places[high, 1] - places[low, 1]
                if abs(places[high, 0] - places[low, 0]) < width and gap < height - 1e-6:
                    shift = (height - gap) / 2
                    places[low, 1] -= shift
                    places[high, 1] += shift
                    moved = True
        if not moved:
            break
    return places
