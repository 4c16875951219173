"""Pictures of the geometry of embeddings: the alignment-uniformity plane, the spectrum, and single classes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixviz.analysis.geometry import Geometry
from mixviz.plots.labels import label_at_right, line_of
from mixviz.plots.style import colour_of, log_scale

SMALLEST_SHARE = 1e-9  # of the variance; lower shares are rounding errors
MARKERS = "osD^vPX*"


def plot_alignment_uniformity(ax: Axes, paths: Mapping[str, pd.DataFrame], alignment: str = "alignment") -> Axes:
    """One path per run over training, from a hollow start to a filled end (Wang & Isola 2020, Fig. 5).

    The horizontal axis is reversed, so that paths go right, towards their names.
    paths: method -> table with the columns uniformity and alignment, one row an epoch in order; one row is a point.
    alignment: the column of the vertical axis, such as class_alignment.
    """
    ends = {}
    for method, path in paths.items():
        across, up, colour = path["uniformity"].to_numpy(), path[alignment].to_numpy(), colour_of(method)
        ax.plot(across, up, line_of(method), color=colour, linewidth=1.5)
        ax.plot(across[:1], up[:1], "o", markerfacecolor=ax.get_facecolor(), markeredgecolor=colour, markersize=7)
        ax.plot(across[-1:], up[-1:], "o", color=colour, markersize=7)
        ends[method] = (across[-1], up[-1])
    pairs = "the same class" if "class" in alignment else "two augmentations"
    ax.invert_xaxis()
    ax.set_xlabel("uniformity (lower is better: the axis is reversed, right is spread wider)")
    ax.set_ylabel(f"alignment of {pairs} (lower is better)")
    ax.grid(visible=True, axis="both")
    ax.margins(0.08)
    label_at_right(ax, ends)
    return ax


def plot_spectrum(ax: Axes, found: Mapping[str, Geometry]) -> Axes:
    """Shares of the variance by principal direction, on a log scale; effective ranks are in the labels.

    found: method -> its geometry. Shares under 1e-9 are rounding errors and are not drawn: the embedding has collapsed
    in these directions.
    """
    ends = {}
    for method, one in found.items():
        shares = one.spectrum.cpu().numpy()
        shares = shares[shares > SMALLEST_SHARE]
        ax.plot(np.arange(1, len(shares) + 1), shares, line_of(method), color=colour_of(method), linewidth=1.5)
        ends[f"{method}: rank {one.effective_rank:.1f}"] = (len(shares), shares[-1])
    log_scale(ax, "y")
    ax.set_xlabel("principal direction")
    ax.set_ylabel("share of the variance")
    ax.set_title("labels: effective rank (higher: more directions in use)")
    label_at_right(ax, ends, [colour_of(method) for method in found])
    return ax


def plot_classes(
    ax: Axes, tables: Mapping[str, pd.DataFrame], column: str, names: Sequence[str] = (), label: str = ""
) -> Axes:
    """A dot for each class and method, one row a class, in the order of the first method's values.

    tables: method -> table with the columns label and ``column``; names: of the classes. label: of the axis.
    """
    order = next(iter(tables.values())).sort_values(column)["label"].tolist()
    for (method, table), marker in zip(tables.items(), MARKERS * len(tables), strict=False):
        values = table.set_index("label")[column].reindex(order)
        ax.plot(values, range(len(order)), marker, color=colour_of(method), markersize=6, alpha=0.9, label=method)
    ax.set_yticks(range(len(order)), [names[int(c)] if len(names) else str(c) for c in order])
    ax.set_xlabel(label or f"{column} within the class (lower is better)")
    ax.grid(visible=True, axis="both")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
