"""Pictures of the contrast table: comparisons, targets, probabilities, and what moves the query."""

from collections.abc import Mapping
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection, PolyCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from mixviz.analysis.targets import KINDS, ContrastTable, hardest
from mixviz.plots.style import log_scale

What = Literal["targets", "probabilities", "gap", "gradient_share", "similarities"]

KIND_COLOURS: Mapping[str, str] = {
    "own key": "#017cb7",
    "partner": "#f6ac1b",
    "other views": "#27ac7a",
    "batch": "#70858e",
    "queue": "#987aee",
    "synthetic": "#d66003",
}
BAR = 0.75  # of the place of a candidate
ON_BAR = "#15181d"  # text on a coloured bar, in light and dark alike
LABELS: Mapping[str, str] = {
    "targets": "target",
    "probabilities": "probability",
    "gap": "probability − target\n(below 0 attracts, above 0 repels)",
    "gradient_share": "share of the query's gradient",
    "similarities": "cosine similarity",
}
DECADES = (0.0001, 0.001, 0.01, 0.1, 1)
TICKS = {"probabilities": DECADES, "gradient_share": DECADES, "gap": (-1, -0.1, -0.01, 0, 0.01, 0.1, 1)}
NO_PROBABILITIES = "no negatives, so no probabilities"
FRAME = "#e06c00"  # around cells with a target
FLOOR = DECADES[0]  # smallest probability or share with a distinct colour


def plot_contrast_table(
    ax: Axes,
    table: ContrastTable,
    what: What = "targets",
    columns: tuple[str, ...] | None = None,
    count: int = 16,
    title: str = "",
) -> Axes:
    """A heat map of queries x candidates, with the column groups named above and the title above these.

    columns: which groups to show; None: all. count: of queue and synthetic each query's hardest are shown, sorted by
    similarity, hardest first, so a column there is a rank, not one candidate. No candidate: grey. Colours of
    probabilities and shares are logarithmic, those of the gap are so beyond ±0.001.
    """
    shown = hardest(table, count, columns)
    name_contrast_table(ax, len(shown.kind), what, title)
    return draw_contrast_table(ax, shown, what)


def name_contrast_table(
    ax: Axes, queries: int, what: What = "targets", title: str = "", bar: Axes | None = None
) -> Axes:
    """The axes of ``plot_contrast_table`` without its columns, and the colour scale, in ``bar`` if given."""
    ax.set_facecolor(mpl.rcParams["grid.color"])
    ax.set_ylabel("query")
    ax.set_ylim(queries - 0.5, -0.5)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xticks([])
    ax.grid(visible=False)
    norm, colours = _scale(what)
    extend = "min" if isinstance(norm, LogNorm) else "neither"
    place: dict[str, Any] = {"ax": ax, "pad": 0.02} if bar is None else {"cax": bar}
    label = LABELS[what] if what == "targets" else f"{LABELS[what]}; framed: has a target"
    scale = ax.figure.colorbar(ScalarMappable(norm, colours), label=label, extend=extend, **place)
    if what in TICKS:
        scale.set_ticks(TICKS[what], labels=[f"{tick:g}" for tick in TICKS[what]], minor=False)
        scale.minorticks_off()
    ax.set_title(title, pad=40)
    return ax


def draw_contrast_table(ax: Axes, shown: ContrastTable, what: What = "targets") -> Axes:
    """Only the heat map of ``plot_contrast_table``, with the names of its columns.

    shown: the part of a table that is drawn, from ``mixviz.analysis.targets.hardest``.
    """
    _name_columns(ax, shown)
    values = getattr(shown, what).cpu().numpy().astype(float)
    none = shown.kind.cpu().numpy() == KINDS.index("none")
    norm, colours = _scale(what)
    if isinstance(norm, LogNorm):
        values = np.maximum(values, FLOOR)
    seen = np.ma.masked_where(none | np.isnan(values), values)
    ax.imshow(seen, colours, norm, aspect="auto", interpolation="nearest")
    for where in shown.slices.values():
        if where.start > 0:
            ax.axvline(where.start - 0.5, color=mpl.rcParams["text.color"], linewidth=1.2)
    if what != "targets":
        places = np.argwhere(shown.targets.cpu().numpy() > 0)
        frames = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in places]
        ax.add_collection(PatchCollection(frames, facecolor="none", edgecolor=FRAME, linewidth=1.5), autolim=False)
    if what == "probabilities" and np.isnan(values).all():
        middle = (values.shape[1] - 1) / 2, (values.shape[0] - 1) / 2
        ax.text(*middle, NO_PROBABILITIES, ha="center", va="center")
    return ax


def _scale(what: str) -> tuple[Normalize, Colormap]:
    """Colours run from the background's to the text's, so that values near zero recede in light and dark alike."""
    paper, ink = mpl.rcParams["axes.facecolor"], mpl.rcParams["text.color"]
    rising = LinearSegmentedColormap.from_list("rising", [paper, "#0091d5", ink])
    if what == "gap":
        both_ways = LinearSegmentedColormap.from_list("both ways", ["#0091d5", paper, "#d55e00"])
        return SymLogNorm(1e-3, linscale=0.5, vmin=-1, vmax=1), both_ways
    if what in ("probabilities", "gradient_share"):
        return LogNorm(FLOOR, 1), rising
    return Normalize(-1 if what == "similarities" else 0, 1), rising


def _name_columns(ax: Axes, table: ContrastTable) -> None:
    """A bracket and a name above each group; below, numbers if a column is an image."""
    ax.set_xlim(-0.5, sum(table.groups.values()) - 0.5)
    place = blended_transform_factory(ax.transData, ax.transAxes)
    for name, where in table.slices.items():
        left, right = where.start - 0.5, where.stop - 0.5
        ax.plot(
            [left + 0.3, right - 0.3],
            [1.02, 1.02],
            transform=place,
            color=mpl.rcParams["text.color"],
            linewidth=1,
            clip_on=False,
        )
        ax.text((left + right) / 2, 1.035, _caption(table, name), transform=place, ha="center", va="bottom", fontsize=9)
        for column, number in _numbers(table, name, where).items():
            ax.text(column, -0.02, number, transform=place, ha="center", va="top", fontsize=8)


def _caption(table: ContrastTable, name: str) -> str:
    width, found = table.groups[name], table.found[name]
    if name in ("queue", "synthetic"):
        return f"{name}\n{width} hardest of {found:,}" if width < found else f"{name}\nall {found:,}, hardest first"
    if name == "keys" and table.key_views > 1:
        return f"keys of the batch\n{table.key_views} views an image"
    return {"keys": "keys of the batch", "own view": "the query's own view"}[name]


def _numbers(table: ContrastTable, name: str, where: slice) -> dict[float, str]:
    """Which columns of a group have which number below them."""
    if name in ("queue", "synthetic"):
        return {where.start: "#1"}
    views = table.key_views if name == "keys" else 1
    images = table.groups[name] // views
    return {where.start + i * views + (views - 1) / 2: str(i) for i in range(0, images, max(1, -(-images // 8)))}


def plot_loss_parts(ax: Axes, parts: pd.Series) -> Axes:
    """The loss as one bar, divided among the kinds of queries: ``mixviz.analysis.targets.loss_by_term``."""
    return draw_loss_parts(name_loss_parts(ax), parts)


def name_loss_parts(ax: Axes) -> Axes:
    """The axes of ``plot_loss_parts``."""
    ax.set_xlim(0, 100)
    ax.set_ylim(-0.5, 0.5)
    ax.set_yticks([])
    ax.set_xlabel("share of the loss, %")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return ax


def draw_loss_parts(ax: Axes, parts: pd.Series) -> Axes:
    """Only the bar of ``plot_loss_parts``; a part has its name if that fits."""
    colours = [KIND_COLOURS["partner"] if name.startswith("blends") else KIND_COLOURS["batch"] for name in parts.index]
    widths = 100 * parts / parts.sum()
    starts = widths.cumsum() - widths
    ax.barh([0] * len(parts), widths, left=starts, height=1.0, color=colours, edgecolor=mpl.rcParams["axes.facecolor"])
    for name, start, width in zip(parts.index, starts, widths, strict=True):
        text = f"{name} {width:.0f}"
        if width > 1.4 * len(text):
            ax.text(start + width / 2, 0, text, ha="center", va="center_baseline", color=ON_BAR, fontsize=9)
    return ax


def plot_row(ax: Axes, row: pd.DataFrame) -> Axes:
    """One query's candidates: bars of the probability, coloured by kind, and a line with its value at each target.

    The axis is logarithmic, since thousands of candidates share what the target gives to one or two.
    row: from ``mixviz.analysis.targets.query_row``. On BYOL, which has no probabilities, only targets.
    """
    draw_row(name_row(ax, row), row)
    _legend(ax)
    return ax


def name_row(ax: Axes, row: pd.DataFrame) -> Axes:
    """The axes of ``plot_row``, with the candidates' names."""
    log_scale(ax, "y")
    ax.set_ylim(FLOOR, 2)
    ax.set_yticks(DECADES, [f"{tick:g}" for tick in DECADES])
    ax.minorticks_off()
    ax.set_xticks(range(len(row)), row["candidate"], rotation=90, fontsize=8)
    ax.set_xlim(-1, len(row) - 0.4)
    ax.set_ylabel("probability (bar), target (line)")
    if row["probability"].isna().all():
        ax.text(0.5, 0.5, NO_PROBABILITIES, transform=ax.transAxes, ha="center", va="center")
    return ax


def draw_row(ax: Axes, row: pd.DataFrame) -> Axes:
    """Only the bars and lines of ``plot_row``."""
    tops, kinds = row["probability"].fillna(0).clip(lower=FLOOR).to_numpy(), row["kind"].to_numpy()
    left, right = np.arange(len(row)) - BAR / 2, np.arange(len(row)) + BAR / 2
    bars = np.array([[left, left, right, right], [np.full_like(tops, FLOOR), tops, tops, np.full_like(tops, FLOOR)]]).T
    for kind in dict.fromkeys(kinds):  # a collection is drawn several times as fast as its bars one by one
        verts: Any = bars[kinds == kind]  # matplotlib types name a list, but an array is faster
        part = PolyCollection(verts, facecolors=KIND_COLOURS[kind], label=kind)
        ax.add_collection(part, autolim=False)
    wanted = row[row["target"] > FLOOR]
    ax.hlines(wanted["target"], wanted.index - 0.45, wanted.index + 0.45, color=mpl.rcParams["text.color"])
    for place, target in zip(wanted.index, wanted["target"], strict=True):
        above = place, max(target, tops[place])  # the bar too, whose edge would run through the number
        ax.annotate(f"{target:.2f}", above, (0, 3), textcoords="offset points", ha="center", fontsize=8)
    return ax


def plot_mass(
    ax: Axes,
    masses: Mapping[str, pd.DataFrame],
    what: Literal["target", "probability", "gradient_share"] = "gradient_share",
) -> Axes:
    """Mass by kind of candidate as one stacked bar per method, in per cent.

    masses: method -> ``mixviz.analysis.targets.mean_mass`` of its table. A method without such mass has no bar.
    """
    left = np.zeros(len(masses))
    for kind, colour in KIND_COLOURS.items():
        widths = np.array([100 * mass[what].get(kind, 0.0) for mass in masses.values()])
        widths = np.nan_to_num(widths)
        if not widths.any():
            continue
        ax.barh(range(len(masses)), widths, left=left, color=colour, height=0.7, label=kind)
        for place, width in enumerate(widths):
            if width >= 6:
                centre = left[place] + width / 2
                ax.text(centre, place, f"{width:.0f}", ha="center", va="center_baseline", color=ON_BAR, fontsize=9)
        left += widths
    ax.set_yticks(range(len(masses)), list(masses))
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    names = {"target": "target", "probability": "probability", "gradient_share": "share of the query's gradient"}
    ax.set_xlabel(f"{names[what]}, % (mean over queries)")
    ax.grid(visible=False)
    _legend(ax)
    return ax


def _legend(ax: Axes) -> None:
    """The kinds of candidates in one row above."""
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    kinds = [kind for kind in KIND_COLOURS if kind in named]
    if kinds:
        handles = [named[kind] for kind in kinds]
        ax.legend(
            handles, kinds, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(KIND_COLOURS), fontsize=8, handlelength=1
        )
