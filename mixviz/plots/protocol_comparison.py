"""Protocols compared: how much one checkpoint's accuracy depends on the protocol."""

from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mixviz.plots.style import COLOURS

HONEST, PEEKING = COLOURS["imix"], COLOURS["mochi"]
KINDS = {True: ("o", HONEST, "test labels score"), False: ("D", PEEKING, "test labels also select (best-on-test)")}


def plot_protocols(ax: Axes, table: pd.DataFrame, limits: tuple[float, float] | None = None) -> Axes:
    """One dot a reading, the highest on top, with its accuracy; readings selected on test have their own marker.

    table: as from ``compare_protocols``. At the right is who reports it; the line is at the first row, the reference.
    limits: accuracies that the axis has room for; by default those of the table.
    Make the figure about 0.3 inches high for each row.
    """
    order = table.sort_values("accuracy", kind="stable").reset_index(drop=True)
    reference = 100 * float(table["accuracy"].iloc[0])
    ax.axvline(reference, color=mpl.rcParams["axes.edgecolor"], linewidth=1.5, zorder=1)
    for comparable, rows in order.groupby("comparable"):
        marker, colour, label = KINDS[bool(comparable)]
        style = {"color": colour, "marker": marker, "linestyle": "none", "markersize": 7, "label": label}
        ax.plot(100 * rows["accuracy"], rows.index, **style)
    for place, row in order.iterrows():
        value = 100 * row["accuracy"]
        ax.annotate(f"{value:.1f}", (value, place), (8, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(order.index, order["reading"])
    beside = {"xycoords": ax.get_yaxis_transform(), "va": "center", "fontsize": 9, "annotation_clip": False}
    row: Any
    for tick, row in zip(ax.get_yticklabels(), order.itertuples(), strict=True):
        colour = mpl.rcParams["text.color"] if row.comparable else PEEKING
        tick.set_color(colour)
        ax.annotate(row.reported_by, (1.02, row.Index), color=colour, **beside)
    low, high = 100 * order["accuracy"].min(), 100 * order["accuracy"].max()
    left, right = (100 * limit for limit in limits) if limits else (low, high)
    margin = max(0.08 * (right - left), 0.5)
    ax.set_xlim(left - margin, right + 2 * margin)
    ax.set_ylim(-0.7, len(order) - 0.4)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.annotate("reported by", (1.02, len(order) - 0.1), fontweight="bold", **beside)
    ax.set_xlabel("test accuracy, % (higher is better)")
    ax.set_title(f"One checkpoint, {len(order)} read-outs, {high - low:.1f} points apart")
    shown = [KINDS[kind] for kind in (True, False) if (order["comparable"] == kind).any()]
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=label) for marker, colour, label in shown
    ]
    ax.legend(handles=handles, loc="upper left", fontsize=8.5)
    return ax
