"""Pictures of i-Mix's regularisation: the distance of test to training embeddings, and the noise floor."""

import math
from collections.abc import Mapping

import matplotlib as mpl
from matplotlib.axes import Axes

from mixviz.analysis.frechet import Regularisation
from mixviz.plots.style import colour_of

SCALE = 1e4  # i-Mix gives its distances × 10⁻⁴


def plot_regularisation(ax: Axes, found: Mapping[str, Regularisation]) -> Axes:
    """One row a method: a filled dot for each draw's distance of train to test, a stroke for each draw's noise floor.

    The accuracies of the linear probe are under the method's name, if known.
    """
    ink = mpl.rcParams["text.color"]
    for place, (method, one) in enumerate(found.items()):
        distance, floor = SCALE * one.distance.numpy(), SCALE * one.floor.numpy()
        ax.plot(distance, [place - 0.12] * len(distance), "o", color=colour_of(method), markersize=7, alpha=0.8)
        ax.plot(floor, [place + 0.2] * len(floor), "|", color=ink, markersize=10)
        mean = f"{distance.mean():.1f}, floor {floor.mean():.1f}"
        right = (max(distance.max(), floor.max()), place)
        ax.annotate(mean, right, (10, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(range(len(found)), [_row_label(method, one) for method, one in found.items()])
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.set_xlim(0, 1.25 * ax.get_xlim()[1])
    images = next(iter(found.values())).images
    ax.set_xlabel(f"Fréchet distance × 10⁻⁴, {images:,} images each (lower is better)")
    ax.set_title("dots: train to test; strokes: train to train, the noise floor")
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    return ax


def _row_label(method: str, one: Regularisation) -> str:
    if math.isnan(one.train_accuracy):
        return method
    return f"{method}\ntrain {100 * one.train_accuracy:.1f} %, test {100 * one.test_accuracy:.1f} %"
