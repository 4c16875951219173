"""Pictures of training: one line per run over its epochs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from mixviz.plots.style import colour_of

LABELS = {
    "loss": "loss, nats (each method its own)",
    "knn_accuracy": "kNN on held-out train, % (higher is better)",
    "proxy_accuracy_clean": "queries whose key ranks first, %",
}
SHORT = {
    "loss": "loss, nats",
    "proxy_accuracy_clean": "key ranks first, %",
    "knn_accuracy": "kNN on held-out train, %",
}
MARKERS = "osD^vPX*"


def plot_curves(ax: Axes, metrics: Mapping[str, pd.DataFrame], column: str) -> Axes:
    """metrics: method -> its log, one row an epoch; column: which of its columns. Shares are drawn in per cent.

    Colour shows the mixing; MoCo-v2 is solid, other frameworks dashed, methods with a note in brackets dotted.
    """
    share = "accuracy" in column
    for method, log in metrics.items():
        if column not in log:
            continue
        rows = log[["epoch", column]].dropna()
        style = ":" if "(" in method else "-" if method.startswith("moco-v2") else "--"
        values = rows[column] * (100 if share else 1)
        ax.plot(rows["epoch"], values, style, color=colour_of(method), label=method, marker="o", markersize=3)
    ax.set_xlabel("epoch")
    ax.set_ylabel(LABELS.get(column, column))
    ax.locator_params(axis="x", integer=True)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_runs(ax: Axes, logs: Mapping[str, pd.DataFrame], column: str) -> Axes:
    """Like ``plot_curves``, for runs that may share a method: each has its own marker, the last is thick.

    logs: label of a run -> its log; one without the column is left out. A log of one epoch is a dot.
    """
    share = "accuracy" in column
    for place, (label, log) in enumerate(logs.items()):
        if column not in log:
            continue
        rows = log[["epoch", column]].dropna()
        newest = place == len(logs) - 1
        look: dict[str, Any] = {"color": colour_of(label.partition(" #")[0]), "marker": MARKERS[place % len(MARKERS)]}
        look |= {"linewidth": 2.4, "markersize": 6} if newest else {"linewidth": 1.2, "markersize": 5, "alpha": 0.8}
        ax.plot(rows["epoch"], rows[column] * (100 if share else 1), label=label, **look)
    ax.set_xlabel("epoch")
    ax.set_title(SHORT.get(column, column), fontsize=10)
    ax.locator_params(axis="x", integer=True, nbins=5)
    ax.locator_params(axis="y", nbins=5)
    return ax
