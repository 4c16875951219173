"""Pictures of training: one line a run over its epochs."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from mixviz.plots.style import colour_of

LABELS = {
    "loss": "loss, nats (each method its own)",
    "knn_accuracy": "kNN accuracy on held-out train, % (higher is better)",
    "proxy_accuracy_clean": "queries whose own key ranks first, %",
}


def plot_curves(ax: Axes, metrics: Mapping[str, pd.DataFrame], column: str) -> Axes:
    """metrics: method -> its log, one row an epoch; column: which of its columns. Shares are drawn in per cent."""
    share = "accuracy" in column
    for method, log in metrics.items():
        if column not in log:
            continue
        rows = log[["epoch", column]].dropna()
        style = "-" if method.startswith("moco-v2") else "--"
        values = rows[column] * (100 if share else 1)
        ax.plot(rows["epoch"], values, style, color=colour_of(method), label=method, marker="o", markersize=3)
    ax.set_xlabel("epoch")
    ax.set_ylabel(LABELS.get(column, column))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(fontsize=8)
    return ax
