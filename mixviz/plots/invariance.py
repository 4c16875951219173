"""Pictures of heads: movement under augmentation, what can be read from them, neighbours, contributions."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from torch import Tensor

from mixviz.analysis.heads import ALL, BACKBONE, HeadContribution
from mixviz.domains import find_factor
from mixviz.plots.images import plot_sheet

HEAD_COLOURS: Mapping[str, str] = {
    BACKBONE: "#aaabb3",
    ALL: "#807bf2",
    "color": "#c45502",
    "rotation": "#2389ca",
    "texture": "#1cb482",
    "blur": "#ba609c",
    "crop": "#ea9d03",
    "flip": "#c99b46",
}
HEAD_LABELS: Mapping[str, str] = {BACKBONE: "backbone", ALL: "head: all"}
COLUMNS: Mapping[str, str] = {
    "fall_off": "distance moved (0: invariant, 1: as far as a different image)",
    "readout": "strength read out linearly (0: chance, 1: without error)",
}
FACTORS: Mapping[str, str] = {"label": "class", "rotation": "orientation"}
PROTOCOLS: Mapping[str, str] = {"linear-features": "linear probe", "knn": "kNN"}


def colour_of_head(head: str) -> str:
    """One colour for each head everywhere; spaces without a name share a grey."""
    return HEAD_COLOURS.get(head, HEAD_COLOURS[BACKBONE])


def label_of_head(head: str) -> str:
    return HEAD_LABELS.get(head, f"head: {head}")


def plot_invariance(ax: Axes, table: pd.DataFrame) -> Axes:
    """How far each head moves over the strength of one augmentation: one line a head, labelled at its end.

    table: as from ``Invariance.table``. The backbone, which is no embedding space, is dashed.
    """
    augmentation = table["augmentation"].iloc[0]
    strengths = list(dict.fromkeys(table["strength"]))
    ax.axhline(1, color=mpl.rcParams["grid.color"], linewidth=1)
    ends = {}
    for head, rows in table.groupby("head", sort=False):
        dashed = "--" if head == BACKBONE else "-"
        ax.plot(rows["strength"], rows["fall_off"], dashed, color=colour_of_head(str(head)), marker="o", markersize=3)
        ends[head] = float(rows["fall_off"].iloc[-1])
    ax.set_ylim(min(0.0, 1.1 * table["fall_off"].min()), 1.1 * max(1.0, table["fall_off"].max()))
    for head, height in _apart(ends, 0.07 * ax.get_ylim()[1]).items():
        place = {"xytext": (1.02, height), "textcoords": ax.get_yaxis_transform(), "va": "center"}
        at = (strengths[-1], ends[head])
        ax.annotate(label_of_head(head), at, color=colour_of_head(head), annotation_clip=False, **place)
    ax.set_xlim(strengths[0], strengths[-1])  # crops and factors are stronger below 1: right is always stronger
    if find_factor(augmentation).kind == "classes":
        ax.set_xticks(strengths)
    ax.set_xlabel(f"{augmentation}, {find_factor(augmentation).unit}")
    ax.set_ylabel("distance moved (0: invariant,\n1: as far as a different image)")
    return ax


def plot_perturbed(ax: Axes, table: pd.DataFrame) -> Axes:
    """How far each head moves a single image at one strength, as rings over ``plot_invariance``.

    table: of ``PerturbedImage.invariance``. Values beyond the axes are at their edge.
    """
    colours = [colour_of_head(head) for head in table["head"]]
    rings = {"s": 110, "facecolors": "none", "edgecolors": colours, "linewidths": 2.5, "clip_on": False, "zorder": 4}
    ax.scatter(table["strength"], table["fall_off"].clip(*ax.get_ylim()), **rings)
    return ax


def _apart(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Positions of labels: at the ends of their lines, or higher so that no two overlap."""
    places: dict[str, float] = {}
    lowest = -np.inf
    for head, height in sorted(heights.items(), key=lambda item: item[1]):
        places[head] = lowest = max(height, lowest + gap)
    return places


def plot_fingerprint(ax: Axes, table: pd.DataFrame, column: str = "fall_off") -> Axes:
    """Heads x augmentations as a heat map with its numbers; cells of a head's own augmentation are framed.

    table: as from ``fingerprint``; column: ``fall_off`` or ``readout``. With LooC the framed cells should stand out.
    """
    heads, augmentations = (list(dict.fromkeys(table[key])) for key in ("head", "augmentation"))
    values = table.pivot(index="head", columns="augmentation", values=column).loc[heads, augmentations]
    groups = table.set_index("augmentation")["group"].to_dict()
    own = [(heads.index(group), i) for i, name in enumerate(augmentations) if (group := groups[name]) in heads]
    _heat_map(ax, values.to_numpy(), [label_of_head(head) for head in heads], augmentations, "{:.2f}", own)
    ax.set_title(COLUMNS[column])
    return ax


def plot_factor_readout(ax: Axes, table: pd.DataFrame) -> Axes:
    """Heads x factors of the data as a heat map of test accuracies in per cent; chance is below each factor.

    table: as from ``factor_readout``, of one protocol.
    """
    heads, factors = (list(dict.fromkeys(table[key])) for key in ("head", "factor"))
    values = table.pivot(index="head", columns="factor", values="accuracy").loc[heads, factors]
    chance = table.set_index("factor")["chance"].to_dict()
    columns = [f"{FACTORS.get(factor, factor)}\n(chance {100 * chance[factor]:.0f})" for factor in factors]
    _heat_map(ax, values.to_numpy(), [label_of_head(head) for head in heads], columns, "{:.1f}", [], scale=100)
    protocol = table["protocol"].iloc[0]
    ax.set_title(f"test accuracy, {PROTOCOLS.get(protocol, protocol)}, % (higher: the head keeps it)")
    return ax


def _heat_map(
    ax: Axes, values: np.ndarray, rows: list[str], columns: list[str], number: str, framed: list, scale: float = 1.0
) -> None:
    """Values (rows, columns) from 0 (background colour) to 1, values beyond clipped; numbers in the cells."""
    paper = mpl.rcParams["axes.facecolor"]
    shades = LinearSegmentedColormap.from_list("shades", [paper, "#0091d5"]).with_extremes(bad=paper)
    ax.imshow(values, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        ax.text(j, i, number.format(scale * value), ha="center", va="center", fontsize=9)
    for i, j in framed:
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, linewidth=2, edgecolor="#d55e00", zorder=3))
    slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(columns) > 5 else {}
    ax.set_xticks(range(len(columns)), columns, **slanted)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def plot_contributions(ax: Axes, contribution: HeadContribution, bins: int = 40) -> Axes:
    """What each head adds to correct decisions, one histogram a row, with the head's share of all (LooC, Figure 4)."""
    values = contribution.values.numpy()
    edges = np.linspace(values.min(), values.max(), bins + 1)
    counts = np.stack([np.histogram(column, edges)[0] for column in values.T])
    heights = 0.9 * counts / counts.max()
    for row, (head, height) in enumerate(zip(contribution.heads, heights, strict=True)):
        floor = len(contribution.heads) - 1 - row
        ax.stairs(floor + height, edges, baseline=floor, fill=True, color=colour_of_head(head), alpha=0.85)
    ax.axvline(0, color=mpl.rcParams["text.color"], linewidth=0.8, linestyle=":")
    labels = [
        f"{label_of_head(head)}\n{100 * float(share):.0f} % of the decision"
        for head, share in zip(contribution.heads, contribution.share, strict=True)
    ]
    ax.set_yticks(np.arange(len(labels))[::-1] + 0.3, labels)
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False)
    ax.set_xlabel("contribution to the logit of the predicted class (right of 0: speaks for it)")
    ax.set_title(f"{len(values):,} correct predictions, accuracy {100 * contribution.accuracy:.1f} %")
    return ax


def plot_neighbours_per_head(ax: Axes, images: np.ndarray, query: int, neighbours: Mapping[str, Tensor]) -> Axes:
    """A query image and its nearest others in each head, the nearest first, one row a head (LooC, Figure 3).

    images: (N, H, W, 3) uint8 or in [0, 1]; neighbours: head -> (k,) rows of images.
    """
    rows = [images[[query, *index.tolist()]] for index in neighbours.values()]
    plot_sheet(ax, rows, [label_of_head(head) for head in neighbours])
    width, count = images.shape[2], len(rows[0])
    ax.set_xticks([i * (width + 2) + width / 2 for i in range(count)], ["query", *map(str, range(1, count))])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.axvline(width + 0.5, color=mpl.rcParams["text.color"], linewidth=1)
    return ax
