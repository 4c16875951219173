"""Pictures of how hard the negatives are, after Fig. 2 of MoCHi (Kalantidis et al. 2020, arXiv:2010.01028)."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import FormatStrFormatter, MaxNLocator

from mixviz.analysis.hardness import SyntheticPoints
from mixviz.film import Film
from mixviz.plots.labels import label_at_right, line_of
from mixviz.plots.style import colour_of, epoch_colours, log_scale

SMALLEST = 1e-9  # probability that is drawn
POINTS = 2000  # synthetic points that are drawn of each kind, at most
HARDNESS = ("hardness", "hardness_with_synthetic")  # curves of a film
WITH_SYNTHETIC = ", with synthetic"
KINDS: Mapping[str, tuple[str, str]] = {
    "two negatives": ("#0091d5", "o"),
    "query and negative": ("#d55e00", "^"),
}


def plot_matching_probabilities(
    ax: Axes, ranks: Sequence[int], probabilities: np.ndarray, epochs: Sequence[int], title: str = ""
) -> Axes:
    """Fig. 2a: matching probability of the hardest negatives in decreasing order, one line an epoch.

    ranks: (R,) from 1; probabilities: (E, R), means over queries; epochs: (E,), light early and dark late (reversed in
    the dark theme).
    """
    colours, norm = epoch_colours(), Normalize(min(epochs), max(epochs))
    shown = np.where(probabilities > SMALLEST, probabilities, np.nan)
    for epoch, line in zip(epochs, shown, strict=True):
        ax.plot(ranks, line, color=colours(norm(epoch)), linewidth=1.4)
    log_scale(ax, "xy")
    ax.set_xlabel("rank of the negative, the hardest first")
    ax.set_ylabel("matching probability")
    ax.set_title(title)
    scale = ax.figure.colorbar(ScalarMappable(norm, colours), ax=ax, pad=0.02)
    scale.set_label("epoch")
    scale.outline.set_visible(False)
    scale.locator = MaxNLocator(5, integer=True)
    return ax


def plot_hardness(ax: Axes, films: Mapping[str, Film], epoch: float = np.inf, synthetic: bool = True) -> Axes:
    """Matching probabilities of several runs at one epoch; dashed: with synthetic negatives.

    films: method -> its film. The ranks that all frames have are log-spaced.
    """
    ends = draw_hardness(ax, films, epoch, synthetic)
    name_hardness(ax)
    label_at_right(ax, ends, [colour_of(name.removesuffix(WITH_SYNTHETIC)) for name in ends])
    return ax


def draw_hardness(
    ax: Axes, films: Mapping[str, Film], epoch: float, synthetic: bool = True
) -> dict[str, tuple[float, float]]:
    """Only the lines of ``plot_hardness``; name -> end point."""
    ends = {}
    for method, film in films.items():
        frame = film.at(min(epoch, film.epochs[-1]))
        for curve, line, note in zip(HARDNESS, (line_of(method), "--"), ("", WITH_SYNTHETIC), strict=True):
            if curve not in film.curves or (note and not synthetic):
                continue
            values = film.curve(curve)[frame]
            shown = values > SMALLEST
            if shown.any():
                ranks, values = np.array(film.about["ranks"])[shown], values[shown]
                ax.plot(ranks, values, line, color=colour_of(method), linewidth=1.5)
                ends[method + note] = (ranks[-1], values[-1])
    return ends


def name_hardness(ax: Axes) -> None:
    """Only the axes of ``plot_hardness``."""
    log_scale(ax, "xy")
    ax.set_xlabel("rank of the negative, the hardest first")
    ax.set_ylabel("matching probability")


def plot_synthetic(ax: Axes, points: SyntheticPoints, title: str = "") -> Axes:
    """Each synthetic negative's cosine to the query against that of its harder parent; above the diagonal is harder."""
    harder_parent = points.parents.amax(dim=2)
    for kind, chosen in zip(KINDS, (~points.towards_query, points.towards_query), strict=True):
        across, up = (values[:, chosen].flatten().cpu().numpy() for values in (harder_parent, points.similarity))
        if not len(across):
            continue
        step = -(-len(across) // POINTS)
        colour, marker = KINDS[kind]
        share = points.harder[:, chosen].float().mean()
        parents = "both parents" if kind == "two negatives" else "the negative"
        label = f"{kind}: {share:.0%} of them harder than {parents}"
        ax.plot(across[::step], up[::step], marker, color=colour, markersize=2.5, alpha=0.35, label=label)
    low, high = ax.get_xlim()
    ax.plot([low, high], [low, high], color=mpl.rcParams["text.color"], linewidth=0.8)
    ax.annotate("as hard", (high, high), (4, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_xlim(low, high)
    ax.set_xlabel("cosine of query and harder parent")
    ax.set_ylabel("cosine of query and synthetic negative")
    ax.set_title(title, pad=30)
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=9, markerscale=2.5)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1)
    return ax


def plot_temperature(ax: Axes, tables: Mapping[str, pd.DataFrame], marked: Mapping[str, float] | None = None) -> Axes:
    """The effective number of negatives by temperature; a dot at each method's own.

    tables: method -> table of ``temperature_response``; marked: method -> its temperature, one of the table's.
    """
    ends = {}
    for method, table in tables.items():
        temperatures, number = table["temperature"].to_numpy(), table["effective_negatives"].to_numpy()
        ax.plot(temperatures, number, line_of(method), color=colour_of(method), linewidth=1.5)
        ends[method] = (temperatures[-1], number[-1])
        if marked and method in marked:
            at = int(np.abs(temperatures - marked[method]).argmin())
            ax.plot(temperatures[at], number[at], "o", color=colour_of(method))
    log_scale(ax, "xy")
    ax.set_xlabel("temperature τ (dot: as trained)")
    ax.set_ylabel("effective number of negatives")
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    label_at_right(ax, ends)
    return ax
