"""Pictures of films: curves over training, one line per run."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from mixviz.film import Film
from mixviz.plots.labels import label_at_right, line_of
from mixviz.plots.style import colour_of

# curve -> label of its axis, and whether it is a share that is drawn in per cent
LABELS: Mapping[str, tuple[str, bool]] = {
    "loss": ("loss of clean queries, nats\n(comparable at one τ and queue)", False),
    "proxy_accuracy": ("queries whose key ranks first, %\n(lower: a harder task)", True),
    "false_negatives": ("false among the hardest\nsixteenth of negatives, %", True),
    "effective_negatives": ("effective number of negatives", False),
    "synthetic_similarity": ("cosine to the query", False),
    "harder_than_both_parents": ("mixtures of two negatives that\nare harder than both, %", True),
    "synthetic_of_own_class": ("synthetic negatives with a parent\nof the query's class, %", True),
    "alignment": ("alignment of two views\n(lower is better)", False),
    "class_alignment": ("alignment of a class\n(lower is better)", False),
    "uniformity": ("uniformity (lower is better)", False),
    "effective_rank": ("effective rank\n(higher: more directions in use)", False),
    "knn_accuracy": ("kNN among the probes, %\n(higher is better)", True),
}


def plot_film_curve(
    ax: Axes, films: Mapping[str, Film], curve: str, with_synthetic: bool = False, named: bool = True
) -> Axes:
    """One line per run over its epochs; epoch 0 is the untrained network.

    films: method -> its film; those without the curve are left out. curve: a scalar one, such as
    ``uniformity/backbone``. with_synthetic: also ``curve_with_synthetic``, dashed, if it exists.
    named: write the methods' names at their lines.
    """
    name, _, where = curve.partition("/")
    label, share = LABELS.get(name, (name, False))
    ends = {}
    for method, film in films.items():
        for found, line, note in ((curve, line_of(method), ""), (f"{curve}_with_synthetic", "--", ", with synthetic")):
            if found not in film.curves or (note and not with_synthetic):
                continue
            values = film.curve(found) * (100 if share else 1)
            there = np.isfinite(values)
            if not there.any():
                continue
            epochs, values = film.epochs[there], values[there]
            ax.plot(epochs, values, line, color=colour_of(method), marker="o", markersize=3, linewidth=1.5)
            ends[method + note] = (epochs[-1], values[-1])
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    ax.set_title({"": "", "backbone": "backbone"}.get(where, f"embedding ({where})" if where != "all" else "embedding"))
    ax.locator_params(axis="x", integer=True)
    if ends and named:
        label_at_right(ax, ends, [colour_of(name.partition(",")[0]) for name in ends])
    return ax


def plot_parents(ax: Axes, film: Film) -> Axes:
    """MoCHi's synthetic negatives and their parents: mean cosine to the query, over training."""
    ends = {}
    for name, label, line in (
        ("synthetic_similarity", "synthetic", "-"),
        ("parent_similarity", "parents", "--"),
    ):
        values = film.curve(name)
        there = np.isfinite(values)
        ax.plot(film.epochs[there], values[there], line, color=colour_of("mochi"), marker="o", markersize=3)
        ends[label] = (film.epochs[there][-1], values[there][-1])
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean cosine to the query\n(higher: harder)")
    label_at_right(ax, ends, [colour_of("mochi")] * 2)
    return ax
