"""Pictures of the failure cases: a broken run next to its control run."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from mixviz.plots.film import LABELS as OF_FILMS
from mixviz.plots.labels import label_at_right
from mixviz.plots.style import COLOURS

TWINS: Mapping[str, tuple[str, str]] = {
    "healthy": (COLOURS["plain"], "-"),
    "broken": ("#e0483e", "--"),
    "run A": (COLOURS["imix"], "-"),  # before it is revealed which is which
    "run B": (COLOURS["mixco"], "--"),
}
# curve -> label of its axis, and whether it is a share that is drawn in per cent
LABELS: Mapping[str, tuple[str, bool]] = {
    "proxy_accuracy_clean": ("queries whose key ranks first, %\n(as trained)", True),
    "proxy_accuracy": ("queries whose key ranks first, %\n(held-out images, evaluation mode)", True),
    "uniformity/all": ("uniformity of the embeddings\n(lower is better; 0: all alike)", False),
    "loss in training": ("loss in training, nats\n(lower is better)", False),
    "loss_mixed": ("loss of the blends, nats\n(lower is better)", False),
    "proxy_accuracy_mixed": ("blends whose larger part ranks first, %\n(as trained)", True),
    "knn_accuracy": ("kNN on held-out train, %\n(higher is better)", True),
    "queue_gap": ("cosine to new keys of other images,\nminus that to the queue (best near 0)", False),
}


def plot_twins(ax: Axes, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], name: str) -> Axes:
    """One curve of both runs over the epochs; epoch 0 is the untrained network.

    curves: two of ``TWINS`` -> epochs and values, (E,) each. name: of the curve, see ``LABELS``, or one of a film.
    """
    label, share = LABELS.get(name) or OF_FILMS.get(name.partition("/")[0], (name, False))
    ends = {}
    for twin, (epochs, values) in curves.items():
        colour, line = TWINS[twin]
        values = values * (100 if share else 1)
        ax.plot(epochs, values, line, color=colour, marker="o", markersize=3.5, linewidth=1.6)
        ends[twin] = (epochs[-1], values[-1])
    ax.set_xlabel("epoch")
    ax.set_ylabel(label)
    if share:
        ax.set_ylim(bottom=0)
    ax.locator_params(axis="x", integer=True)
    label_at_right(ax, ends, [TWINS[twin][0] for twin in ends])
    return ax


def plot_gain(ax: Axes, accuracies: Mapping[str, tuple[float, float]]) -> Axes:
    """Two evaluations of the same two encoders, as two dots each with the gain between them.

    accuracies: two of ``TWINS`` -> test accuracy, in [0, 1], of the random and of the trained encoder.
    """
    names = {"healthy": "frozen", "broken": "backbone\nlearns along", "run A": "run A", "run B": "run B"}
    for place, (twin, (untrained, trained)) in enumerate(accuracies.items()):
        colour = TWINS[twin][0]
        ax.plot([100 * untrained, 100 * trained], [place, place], color=colour, linewidth=2)
        ax.plot(100 * untrained, place, "o", color=colour, markerfacecolor=ax.get_facecolor(), markersize=9)
        ax.plot(100 * trained, place, "o", color=colour, markersize=9)
        middle = 50 * (untrained + trained)
        note = f"gain {100 * (trained - untrained):+.1f}"
        ax.annotate(note, (middle, place), (0, 9), textcoords="offset points", ha="center", color=colour)
    ax.set_yticks(range(len(accuracies)), [names[twin] for twin in accuracies])
    ax.set_ylim(len(accuracies) - 0.5, -0.6)
    ax.set_xlim(0, 100)
    ax.set_xlabel("test accuracy of the linear probe, %\nempty: random encoder, filled: trained encoder")
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    return ax
