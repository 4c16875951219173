"""Pictures of a prediction class by class: the confusion matrix, and each class's accuracy."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from mixviz.confusion import Confusion
from mixviz.plots.style import colour_of

HIT, MISS = "#0091d5", "#d55e00"
NUMBERED = 20  # most classes for which cells have room for numbers


def plot_confusion(ax: Axes, confusion: Confusion, title: str = "") -> Axes:
    """Shares of each true class in per cent, one row a class: hits blue on the diagonal, mistakes orange elsewhere.

    Each has its own scale, with 100 % and the most frequent mistake as the full colour, so that mistakes can be
    compared. Numbers are written in up to 20 classes; those that round to 0 are left out.
    """
    shares = 100 * np.nan_to_num(confusion.shares)
    hit = np.eye(len(shares), dtype=bool)
    paper = mpl.rcParams["axes.facecolor"]
    most = max(1.0, shares[~hit].max(initial=0))
    for shown, colour, full in ((hit, HIT, 100), (~hit, MISS, most)):
        shades = LinearSegmentedColormap.from_list("shades", [paper, colour])
        ax.imshow(np.ma.masked_array(shares, ~shown), cmap=shades, vmin=0, vmax=1.2 * full)
    if len(shares) <= NUMBERED:
        for (i, j), share in np.ndenumerate(shares):
            if share >= 0.5:
                ax.text(j, i, f"{share:.0f}", ha="center", va="center", fontsize=9 if len(shares) <= 10 else 7)
        places = {"rotation": 40, "ha": "left", "rotation_mode": "anchor"}
        ax.set_xticks(range(len(shares)), confusion.names, **places)
        ax.set_yticks(range(len(shares)), confusion.names)
    else:
        ax.set_xticks([])
        ax.set_yticks([])
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class, its images in %")
    ax.set_anchor("W")
    ax.set_title(title)
    return ax


def plot_class_accuracies(ax: Axes, confusions: Mapping[str, Confusion]) -> Axes:
    """Accuracy of each class, one dot a method; classes are sorted, the hardest for the first method on top.

    confusions: method -> its confusion, all of the same classes.
    """
    tables = {method: found.per_class() for method, found in confusions.items()}
    first = next(iter(tables.values()))
    order = np.argsort(first["accuracy"].to_numpy(), kind="stable")
    values = np.stack([100 * table["accuracy"].to_numpy()[order] for table in tables.values()])
    ax.hlines(range(len(order)), values.min(axis=0), values.max(axis=0), color=mpl.rcParams["grid.color"], linewidth=3)
    for row, method in zip(values, tables, strict=True):
        ax.plot(row, range(len(order)), "o", color=colour_of(method), label=method, markersize=6)
    ax.set_yticks(range(len(order)), first["class"].iloc[order])
    ax.invert_yaxis()
    ax.set_xlabel("test accuracy of the class, % (higher is better)")
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(3, len(tables)), fontsize=8, handletextpad=0.2)
    return ax
