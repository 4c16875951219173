"""The verdict over seeds: each seed's difference with the interval of the mean, and the chance of more seeds.

``name_x`` draws what does not depend on the number of seeds, ``draw_x`` what does, ``plot_x`` both.
"""

import matplotlib as mpl
from matplotlib.axes import Axes

from mixviz.analysis.verdict import Verdict
from mixviz.plots.style import COLOURS

SIGN = {1: COLOURS["looc"], -1: COLOURS["mochi"], 0: COLOURS["plain"]}
TOP, BOTTOM, INTERVAL = 0.86, 0.2, 0.09  # of the axes' height: between them the seeds, below them the mean


def plot_differences(ax: Axes, found: Verdict) -> Axes:
    """A dot per seed, the first on top; below them the mean with its interval, coloured by its verdict."""
    name_differences(ax, found)
    return draw_differences(ax, found)


def name_differences(ax: Axes, found: Verdict) -> Axes:
    ax.set_xlim(found.span)
    ax.set_ylim(0, 1)
    ax.set_yticks([])
    ax.set_xlabel("method minus base, points (right: better)")
    ax.grid(visible=True, axis="x")
    ax.axvline(0, color=mpl.rcParams["text.color"], linewidth=1)
    return _with_room(ax)


def draw_differences(ax: Axes, found: Verdict) -> Axes:
    if found.truth is not None:
        ax.axvline(found.truth, color=COLOURS["imix"], linewidth=1.5, linestyle="--")
        side = "left" if found.truth >= 0 else "right"
        place = {"color": COLOURS["imix"], "fontsize": 8, "ha": side, "transform": ax.get_xaxis_transform()}
        ax.text(found.truth, 0.95, " true effect ", **place)
    count, colour = len(found.differences), SIGN[found.sign]
    heights = [TOP - (TOP - BOTTOM) * (place + 0.5) / count for place in range(count)]
    ax.plot(found.differences, heights, "o", color=mpl.rcParams["text.color"], markersize=5, alpha=0.6)
    if count > 1:
        ax.plot([found.low, found.high], [INTERVAL] * 2, color=colour, linewidth=6, solid_capstyle="butt")
    ax.plot([found.mean], [INTERVAL], "D", color=colour, markersize=9)
    return _said(ax, f"{count} seed{'s' * (count > 1)}: {found.word}")


def plot_chances(ax: Axes, found: Verdict) -> Axes:
    """The probability that this number of seeds settles the sign; a line at the wanted one, a dot at its crossing."""
    name_chances(ax, found)
    return draw_chances(ax, found)


def name_chances(ax: Axes, found: Verdict) -> Axes:
    ax.set_xlim(0, found.chances["seeds"].iloc[-1])
    ax.set_ylim(0, 102)
    ax.set_xlabel("seeds")
    ax.set_ylabel("chance to settle the sign, %")
    return _with_room(ax)


def draw_chances(ax: Axes, found: Verdict) -> Axes:
    chances = 100 * found.chances.set_index("seeds")["chance"]
    ax.plot(chances.index, chances, color=COLOURS["imix"], linewidth=2)
    ax.axhline(100 * found.wanted, color=mpl.rcParams["text.color"], linewidth=1)
    if found.needed is not None and found.needed in chances.index:
        ax.plot([found.needed], [chances[found.needed]], "o", color=COLOURS["imix"], markersize=9)
    needed = "no number of seeds" if found.needed is None else f"{found.needed:,} seeds"
    return _said(ax, f"{needed} for {found.wanted:.0%}")


def _with_room(ax: Axes) -> Axes:
    """Leave room for the text above the axes."""
    ax.set_title(" ")
    return ax


def _said(ax: Axes, text: str) -> Axes:
    size = mpl.rcParams["axes.titlesize"]
    ax.text(0, 1.03, text, transform=ax.transAxes, fontsize=size)
    return ax
