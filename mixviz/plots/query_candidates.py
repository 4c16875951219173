"""Pictures of one query in detail: its surroundings, what pushes it, and how many of these negatives are false.

Colours tell the class (blue: the query's own, a false negative; pink: its own image, too; orange: another; grey:
unknown), shapes the kind. Each picture has a part that is the same for all queries (``frame_...``) and one that is
drawn over it.
"""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from mixviz.analysis.query_candidates import NEGATIVE, OWN_KEY, PAIR, TOWARDS
from mixviz.plots.neighbours import OTHER, SAME
from mixviz.plots.style import COLOURS, log_scale

OWN_IMAGE = COLOURS["combined"]
MARKERS = {OWN_KEY: "*", NEGATIVE: "o", PAIR: "D", TOWARDS: "^"}
RINGS = (0.95, 0.8, 0.6, 0.4)  # cosines
WIDEST = 70.0  # degrees around the query that are shown
POINT_AREA = 8_000.0  # points² of a candidate that has all of the gradient; the own key's is fixed
LEAST_SHARE = 1e-4  # smallest share of the gradient with a bar
LINES = 4  # mixtures that are joined to their parents
SHARES = (1e-4, 1e-3, 1e-2, 1e-1, 1)  # that are named
LISTED = {OWN_KEY: 1, NEGATIVE: 6, PAIR: 4, TOWARDS: 3}  # how many of each kind are listed
ROWS = sum(LISTED.values())
NAMES = {
    OWN_KEY: "query, its key",
    NEGATIVE: "real negatives,\nhardest first",
    PAIR: "mixtures of\ntwo negatives",
    TOWARDS: "mixtures of the\nquery with these",
}
NAMES_WIDTH = 6.0  # of images and names, in widths of an image
BAR = 11  # points of height
GAP = 4  # pixels between images


def colours_of(found: pd.DataFrame) -> np.ndarray:
    """A colour for each candidate: it or a parent is of the query's own image; of its class; it is not; unknown."""
    false = found["false"]
    return np.select([found["own_image"] > 0, false > 0, false == 0], [OWN_IMAGE, SAME, OTHER], COLOURS["plain"])


def kind_marks(own_image: bool = False) -> list[Line2D]:
    """The meaning of shapes and colours, for a legend. own_image: whether keys of the query's own image can occur."""
    ink, labels = mpl.rcParams["text.color"], {OWN_KEY: "own key", NEGATIVE: "real negative"}
    marks = [
        Line2D(
            [], [], linestyle="none", marker=marker, color=ink, markersize=6, label=labels.get(kind, f"mixture: {kind}")
        )
        for kind, marker in MARKERS.items()
    ]
    marks.append(Line2D([], [], color=ink, linewidth=0.8, label="to its parents"))
    said = {OWN_IMAGE: "of the query's own image (false negative)"} if own_image else {}
    said |= {SAME: "of the query's class (false negative)", OTHER: "of another class"}
    return marks + [
        Line2D([], [], linestyle="none", marker="s", color=colour, label=text) for colour, text in said.items()
    ]


def frame_surroundings(ax: Axes) -> Axes:
    """Rings of equal cosine around the query, which is in the middle."""
    ink, grid = mpl.rcParams["text.color"], mpl.rcParams["grid.color"]
    turn = np.linspace(0, 2 * np.pi, 181)
    for cosine in RINGS:
        radius = np.degrees(np.arccos(cosine))
        ax.plot(radius * np.cos(turn), radius * np.sin(turn), color=grid, linewidth=1)
        ax.text(0, -radius, f"{cosine:g}", ha="center", va="center", fontsize=8, color=ink, backgroundcolor=_paper())
    ax.plot(0, 0, "+", color=ink, markersize=12, markeredgewidth=2)
    ax.set_xlim(-WIDEST, WIDEST)
    ax.set_ylim(-WIDEST, WIDEST)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    ax.set_title("around the query (+); rings: cosine to it; area: share of the gradient")
    return ax


def plot_surroundings(ax: Axes, found: pd.DataFrame, layout: np.ndarray) -> Axes:
    """Every candidate at its position, area by share of the gradient; thin lines join mixtures to their parents.

    found: of ``query_candidates``; layout: (M, 2) degrees, row by row, of ``azimuthal``.
    """
    kinds, shares, colours = found["kind"].to_numpy(), found["gradient_share"].to_numpy(), colours_of(found)
    shown = np.linalg.norm(layout, axis=1) < WIDEST
    for kind in (NEGATIVE, PAIR, TOWARDS):
        chosen = shown & (kinds == kind)
        areas = 3 + POINT_AREA * shares[chosen]
        x, y = layout[chosen].T
        ax.scatter(x, y, areas, colours[chosen], marker=MARKERS[kind], linewidths=0, alpha=0.6)
    ink, negatives = mpl.rcParams["text.color"], np.flatnonzero(kinds == NEGATIVE)
    row_of = dict(zip(found["first"].to_numpy()[negatives], negatives, strict=True))
    mixed = np.flatnonzero(kinds == PAIR)[:LINES]
    parents = found[["first", "second"]].to_numpy()[mixed]
    ways = [layout[[row_of[first], row, row_of[second]]] for row, (first, second) in zip(mixed, parents, strict=True)]
    ax.add_collection(LineCollection(ways, colors=ink, linewidths=0.8), autolim=False)
    ax.plot(*layout[kinds == OWN_KEY].T, MARKERS[OWN_KEY], color=ink, markersize=14)
    return ax


def listed(found: pd.DataFrame) -> dict[int, int]:
    """The listed candidates: row of the list -> row of ``query_candidates``; as many of a kind as LISTED."""
    kinds, rows, first = found["kind"].to_numpy(), {}, 0
    for kind, count in LISTED.items():
        rows |= dict(enumerate(np.flatnonzero(kinds == kind)[:count].tolist(), start=first))
        first += count
    return rows


def frame_images(ax: Axes) -> Axes:
    """The kinds of listed candidates, next to their images."""
    ax.set_xlim(0, NAMES_WIDTH)
    ax.set_ylim(ROWS - 0.5, -0.5)
    ax.set_axis_off()
    first = 0
    for kind, count in LISTED.items():
        ax.text(2.2, first - 0.3, NAMES[kind], va="top", fontsize=9)
        first += count
    return ax


def plot_images(ax: Axes, images: Mapping[int, Sequence[np.ndarray]]) -> Axes:
    """One or two images, each (H, W, 3) in [0, 1], in each row of the list."""
    height, width = next(iter(images.values()))[0].shape[:2]
    sheet = np.zeros((ROWS * (height + GAP), 2 * (width + GAP), 4))
    for row, parts in images.items():
        for column, image in enumerate(parts):
            top, left = row * (height + GAP) + GAP // 2, column * (width + GAP)
            sheet[top : top + height, left : left + width] = np.dstack([image, np.ones((height, width))])
    ax.imshow(sheet, extent=(0, 2, ROWS - 0.5, -0.5), aspect="auto", interpolation="nearest")
    return ax


def frame_shares(ax: Axes) -> Axes:
    """The axes of ``plot_shares``."""
    log_scale(ax, "x")
    ax.set_xlim(LEAST_SHARE, 1)
    ax.set_ylim(ROWS - 0.5, -0.5)
    ax.set_xticks(SHARES, [f"{100 * share:g}" for share in SHARES])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(NullLocator())
    ax.spines["left"].set_visible(False)
    ax.grid(visible=True, axis="x")
    ax.set_xlabel("share of the query's gradient, %")
    return ax


def plot_shares(ax: Axes, found: pd.DataFrame) -> Axes:
    """The share of the gradient of the candidates that are listed, as bars."""
    rows = listed(found)
    shown = found.iloc[list(rows.values())]
    shares = shown["gradient_share"].clip(lower=LEAST_SHARE)
    bars = [[(LEAST_SHARE, row), (share, row)] for row, share in zip(rows, shares, strict=True)]
    ax.add_collection(LineCollection(bars, colors=colours_of(shown), linewidths=BAR), autolim=False)
    return ax


def frame_false_rates(ax: Axes, deepest: int) -> Axes:
    """The axes of ``plot_false_rates``, down to this rank."""
    log_scale(ax, "x", base=2)
    ax.set_xlim(1, 1.5 * deepest)
    ticks = [rank for rank in (1, 4, 16, 64, 256) if rank <= deepest]
    ax.set_xticks(ticks, map(str, ticks))
    ax.set_ylim(0, 100)
    ax.set_xlabel("N, the hardest real negatives")
    ax.set_ylabel("of the query's class, %\n(mean over queries)")
    return ax


def plot_false_rates(ax: Axes, rates: np.ndarray, hardest: int, mixtures: Mapping[str, float]) -> Axes:
    """False negatives among the 1, 2, ... hardest, with marks at N; the dotted line is for the whole queue.

    rates: (K,) of ``false_by_rank``, down to the last; mixtures: kind -> share of those with a parent of the query's
    class.
    """
    ink = mpl.rcParams["text.color"]
    ax.axhline(100 * rates[-1], color=ink, linewidth=1, linestyle=":")
    ax.plot(np.arange(1, len(rates) + 1), 100 * rates, color=SAME, linewidth=1.5)
    ax.axvline(hardest, color=ink, linewidth=0.8)
    at_n = {NEGATIVE: float(rates[:hardest][-1]), **mixtures}
    for kind, rate in at_n.items():
        ax.plot(hardest, 100 * rate, MARKERS[kind], color=SAME, markersize=8, markeredgecolor=ink)
    return ax


def _paper() -> str:
    return mpl.rcParams["axes.facecolor"]
