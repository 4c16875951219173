"""Pictures of corruptions: what they do to an image, and how much accuracy they cost, by kind and severity."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from mixviz.evaluate.robustness import CLEAN
from mixviz.plots.images import plot_sheet
from mixviz.plots.labels import label_at_right, line_of
from mixviz.plots.style import colour_of


def plot_corrupted(ax: Axes, corrupted: Mapping[str, np.ndarray]) -> Axes:
    """One image at its severities, one row a kind.

    corrupted: kind -> (6, H, W, 3) uint8, the clean image first, then severities 1 to 5.
    """
    plot_sheet(ax, list(corrupted.values()), [plain(kind) for kind in corrupted])
    columns, width = next(iter(corrupted.values())).shape[0:3:2]
    ax.set_xticks([i * (width + 2) + width / 2 for i in range(columns)], [CLEAN, *map(str, range(1, columns))])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_title("severity")
    ax.set_anchor("W")  # with a centred one the layout leaves too little room for the names
    return ax


def plot_corruption_table(ax: Axes, table: pd.DataFrame, title: str = "") -> Axes:
    """Accuracy in per cent by kind and severity as a heat map with its numbers; the clean accuracy is in the label.

    table: as of protocol ``corruptions``. The stronger a cell's colour, the more of the clean accuracy is lost. Kinds
    are sorted, the most harmful on average on top.
    """
    clean = 100 * float(table.loc[table["kind"] == CLEAN, "accuracy"].iloc[0])
    values = 100 * table[table["kind"] != CLEAN].pivot(index="kind", columns="severity", values="accuracy")
    values = values.loc[values.mean(axis=1).sort_values(kind="stable").index]
    paper = mpl.rcParams["axes.facecolor"]
    shades = LinearSegmentedColormap.from_list("shades", [paper, "#d55e00"])
    ax.imshow(
        clean - values, cmap=shades, vmin=0, vmax=1.3 * max(1.0, np.nanmax((clean - values).to_numpy())), aspect="auto"
    )
    for (i, j), value in np.ndenumerate(values.to_numpy()):
        ax.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=9)
    ax.set_xticks(range(values.shape[1]), list(values.columns))
    ax.set_yticks(range(len(values)), [plain(kind) for kind in values.index])
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"severity (higher: stronger)\ntest accuracy, %; on clean images {clean:.1f}")
    ax.set_title(title)
    return ax


def plot_severities(ax: Axes, tables: Mapping[str, pd.DataFrame], kind: str | None = None) -> Axes:
    """Accuracy over severity, one line a method; severity 0 is the clean images.

    tables: method -> as of protocol ``corruptions``. kind: one kind; None: the mean over all kinds.
    """
    ends = {}
    for method, table in tables.items():
        shown = table[(table["kind"] == CLEAN) | (table["kind"] == kind if kind else True)]
        means = 100 * shown.groupby("severity")["accuracy"].mean()
        ax.plot(means.index, means, line_of(method), color=colour_of(method), marker="o", markersize=4)
        ends[method] = (means.index[-1], means.iloc[-1])
    kinds = len(set(next(iter(tables.values()))["kind"]) - {CLEAN})
    ax.set_xticks(means.index, ["clean", *map(str, means.index[1:])])
    ax.set_xlabel("severity (higher: stronger)")
    ax.set_ylabel("test accuracy, % (higher is better)")
    ax.set_title(plain(kind) if kind else f"mean over {kinds} kinds of corruption")
    label_at_right(ax, ends)
    return ax


def plain(kind: str) -> str:
    """``motion_blur`` as words."""
    return kind.replace("_", " ").replace("jpeg", "JPEG")
