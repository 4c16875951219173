"""Pictures of results: accuracies as bars, with one dot per seed."""

import pandas as pd
from matplotlib.axes import Axes

from mixviz.plots.style import colour_of


def plot_accuracies(ax: Axes, table: pd.DataFrame, title: str = "") -> Axes:
    """One bar per method, in the table's order, with its value and a dot for each seed.

    table: columns method and accuracy (in [0, 1]), one row a seed.
    """
    methods = list(dict.fromkeys(table["method"]))
    means = 100 * table.groupby("method")["accuracy"].mean()
    for place, method in enumerate(methods):
        ax.barh(place, means[method], color=colour_of(method), height=0.7)
        seeds = 100 * table.loc[table["method"] == method, "accuracy"]
        if len(seeds) > 1:
            ax.plot(seeds, [place] * len(seeds), "o", color="black", markersize=3, alpha=0.6)
        ax.annotate(f"{means[method]:.1f}", (max(seeds), place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(range(len(methods)), methods)
    ax.invert_yaxis()
    ax.set_xlim(0, 108)
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlabel("test accuracy, % (higher is better)")
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.set_title(title)
    return ax
