"""Pictures of embeddings in two and three dimensions: the circle, the sphere, and curves over training."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from mixviz.plots.projection import CLASS_COLOURS
from mixviz.plots.style import colour_of

SHAPES = "o^sDvP"  # one for each class, repeated
VIEW = (-35.0, 20.0)  # degrees: the viewpoint, around and up
HIGHEST = 0.55  # of the circle's radius: the distance of stacked dots
BINS = 90  # of the circle
BEST = "spread evenly"


def plot_sphere(ax: Axes, points: np.ndarray, labels: np.ndarray, view: tuple[float, float] = VIEW) -> Axes:
    """Unit vectors on the circle, stacked outwards if dense, or on the sphere, pale if behind it.

    points: (N, D), D 2 or 3; labels: (N,) from 0. view: degrees around and up, of the sphere.
    """
    if points.shape[1] == 2:
        shown, behind = points * stacked(points, labels)[:, None], np.zeros(len(points), bool)
        _trace(ax, np.stack(_ring(), axis=1), 1.2, 1.0)
    else:
        turned = points @ turning(*view).T
        shown, behind = turned[:, :2], turned[:, 2] < 0
        _draw_globe(ax, view)
    for label in np.unique(labels):
        look = {"color": CLASS_COLOURS[label % len(CLASS_COLOURS)], "marker": SHAPES[label % len(SHAPES)]}
        for there, alpha, size in ((behind, 0.3, 12), (~behind, 0.9, 20)):
            members = shown[there & (labels == label)]
            ax.scatter(*members.T, s=size, alpha=alpha, linewidths=0, zorder=3 - (alpha < 0.5), **look)
    limit = 1.12 if points.shape[1] == 3 else 1.1 + HIGHEST
    ax.set_xlim(-limit, limit)
    ax.set_ylim(-limit, limit)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def plot_progress(
    ax: Axes, steps: Sequence[float], values: Sequence[float], label: str, best: float | None = None
) -> Axes:
    """One measure over the steps of training, its last value as a dot and in the title.

    best: of points that are spread evenly, dashed.
    """
    x, y = np.asarray(steps, float), np.asarray(values, float)
    there = np.isfinite(y)
    if best is not None:
        ax.axhline(best, color=colour_of("plain"), linestyle="--", linewidth=1.2)
        ax.annotate(
            BEST, (1, best), (0, -3), ("axes fraction", "data"), "offset points", ha="right", va="top", fontsize=8
        )
    ax.plot(x[there], y[there], "o-", color=mpl.rcParams["text.color"], markersize=4, markevery=[-1])
    now = f": {y[there][-1]:.2f}" if there.any() else ""
    ax.set_title(f"{label}{now}", loc="left", fontsize=10)
    ax.set_xlim(0, max(x[-1], 1))
    ax.margins(y=0.2)
    ax.tick_params(labelsize=8)
    return ax


def stacked(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) radii from 1 at which points of the circle, (N, 2), do not overlap: class by class, outwards."""
    places = np.floor(np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) * BINS).astype(int) % BINS
    order = np.lexsort((labels, places))
    counts = np.bincount(places, minlength=BINS)
    levels = np.empty(len(points))
    levels[order] = np.arange(len(points)) - np.repeat(np.cumsum(counts) - counts, counts)
    return 1 + levels * min(0.05, HIGHEST / max(counts.max() - 1, 1))


def turning(around: float, up: float) -> np.ndarray:
    """(3, 3) rotation to right, up and towards the eye, of an eye at these degrees around the third axis and above."""
    (a, b) = np.deg2rad([around, up])
    right = [np.cos(a), -np.sin(a), 0]
    above = [np.sin(b) * np.sin(a), np.sin(b) * np.cos(a), np.cos(b)]
    towards = [-np.cos(b) * np.sin(a), -np.cos(b) * np.cos(a), np.sin(b)]
    return np.array([right, above, towards])


def _draw_globe(ax: Axes, view: tuple[float, float]) -> None:
    """The outline, the equator and three circles through the poles, pale behind."""
    _trace(ax, np.stack(_ring(), axis=1), 1.2, 1.0)
    cos, sin = _ring()
    circles = [np.stack([cos, sin, 0 * cos], axis=1)]
    circles += [np.stack([cos * np.cos(a), cos * np.sin(a), sin], axis=1) for a in np.deg2rad([0, 60, 120])]
    for circle in circles:
        turned = circle @ turning(*view).T
        for part, alpha in ((turned[:, 2] < 0, 0.35), (turned[:, 2] >= 0, 1.0)):
            _trace(ax, np.where(part[:, None], turned[:, :2], np.nan), 0.8, alpha)


def _ring() -> tuple[np.ndarray, np.ndarray]:
    angles = np.linspace(0, 2 * np.pi, 121)
    return np.cos(angles), np.sin(angles)


def _trace(ax: Axes, places: np.ndarray, width: float, alpha: float) -> None:
    ax.plot(*places.T, color=colour_of("reference"), linewidth=width, alpha=alpha, zorder=1)
