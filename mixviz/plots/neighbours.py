"""Pictures of nearest neighbours: images in rows (LooC, Fig. 3), purity by class, and hubs."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from mixviz.analysis.neighbours import Hubness
from mixviz.plots.geometry import plot_classes
from mixviz.plots.images import plot_sheet
from mixviz.plots.labels import line_of
from mixviz.plots.style import COLOURS, colour_of, log_scale

SAME, OTHER = COLOURS["imix"], COLOURS["mochi"]


def plot_neighbours(
    ax: Axes,
    queries: np.ndarray,
    neighbours: np.ndarray,
    same: np.ndarray | None,
    row_labels: Sequence[str] = (),
    gap: int = 6,
) -> Axes:
    """One row per query: the query, then its neighbours, the nearest first; LooC's Fig. 3 (arXiv:2008.05659).

    A neighbour of the query's class is framed blue and solid, one of another class orange and dashed.
    queries: (n, H, W, 3); neighbours: (n, k, H, W, 3), uint8 or floats in [0, 1]; same: (n, k) bools, None without
    classes.
    """
    rows = [np.concatenate([query[None], row]) for query, row in zip(queries, neighbours, strict=True)]
    plot_sheet(ax, rows, row_labels, gap)
    height, width = queries.shape[1:3]
    for i, row in enumerate([] if same is None else same):
        for j, alike in enumerate(row, start=1):
            corner = (j * (width + gap) - 2, i * (height + gap) - 2)
            colour, line = (SAME, "-") if alike else (OTHER, "--")
            frame = Rectangle(corner, width + 3, height + 3, fill=False, edgecolor=colour, linestyle=line, linewidth=2)
            frame.set_clip_on(False)
            ax.add_patch(frame)
    ranks = range(neighbours.shape[1] + 1)
    ax.set_xticks([j * (width + gap) + width / 2 - 0.5 for j in ranks], ["query", *map(str, ranks[1:])])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    if same is not None:
        ax.set_xlabel("frame: the query's class (blue, solid), another class (orange, dashed)")
    return ax


def plot_purity(ax: Axes, tables: Mapping[str, pd.DataFrame], names: Sequence[str] = (), k: int | None = None) -> Axes:
    """A dot for each class and method: the share of neighbours that have the class; a stroke is chance.

    tables: method -> ``purity_table``; names: of the classes; k: how many neighbours were looked at.
    """
    percent = {method: table.assign(purity=100 * table["purity"]) for method, table in tables.items()}
    nearest = f"the {k} nearest" if k else "the nearest"
    plot_classes(ax, percent, "purity", names, f"{nearest} neighbours of the same class, % (higher is purer)")
    first = next(iter(percent.values())).sort_values("purity")
    ink = mpl.rcParams["text.color"]
    ax.plot(100 * first["chance"], range(len(first)), "|", color=ink, markersize=12, label="chance")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.set_xlim(left=0)
    return ax


def plot_hubness(ax: Axes, found: Mapping[str, Hubness]) -> Axes:
    """How many points are at least this often among the neighbours of others; hubs make a long tail to the right.

    found: method -> its hubness; all with the same k. The stroke is the mean, k. Without hubs the lines fall steeply
    there.
    """
    for method, one in found.items():
        times = one.occurrences.double().sort().values.cpu().numpy()
        at_least = 100 * np.arange(len(times), 0, -1) / len(times)
        label = f"{method}: skewness {one.skewness:.2f}, anti-hubs {100 * one.antihubs:.1f} %"
        ax.step(times, at_least, line_of(method), where="pre", color=colour_of(method), label=label, linewidth=1.3)
    mean = float(next(iter(found.values())).occurrences.double().mean())
    ax.axvline(mean, color=mpl.rcParams["text.color"], linewidth=0.8, linestyle=":")
    ax.annotate(f"mean {mean:.0f}", (mean, 0), (4, 4), ("data", "axes fraction"), "offset points")
    log_scale(ax, "y")
    ax.set_xlim(left=0)
    ax.set_xlabel("at least this often among the nearest neighbours of others")
    ax.set_ylabel("points, %")
    ax.legend(fontsize=8, loc="upper right")
    return ax
