"""Panels of a film in axes that stay while the epoch changes: each has a static and an animated part.

``still(ax)`` draws axes, ticks, names and limits for all epochs; ``draw(ax, epoch)`` adds the epoch's artists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mixviz.film import Film
from mixviz.plots.film import LABELS, plot_film_curve
from mixviz.plots.hardness import HARDNESS, draw_hardness, name_hardness
from mixviz.plots.labels import line_of
from mixviz.plots.projection import class_mark
from mixviz.plots.style import colour_of

FAINTEST = 1e-6  # lowest matching probability in the panel of hardness


class Panel(Protocol):
    """One picture of one epoch, in axes that all epochs share."""

    def still(self, ax: Axes) -> None: ...

    def draw(self, ax: Axes, epoch: float) -> None: ...


@dataclass(frozen=True)
class HardnessPanel:
    """Matching probabilities of the hardest negatives (MoCHi, Fig. 2a); dashed: with the synthetic ones."""

    films: Mapping[str, Film]

    def still(self, ax: Axes) -> None:
        name_hardness(ax)
        ax.minorticks_off()
        curves = [film.curve(name) for film in self.films.values() for name in HARDNESS if name in film.curves]
        shown = np.concatenate([curve[curve > FAINTEST] for curve in curves])
        ax.set_xlim(0.9, 1.1 * max(film.about["ranks"][-1] for film in self.films.values() if "ranks" in film.about))
        ax.set_ylim(0.8 * shown.min(), 1.5 * shown.max())

    def draw(self, ax: Axes, epoch: float) -> None:
        draw_hardness(ax, self.films, epoch)


@dataclass(frozen=True)
class PathPanel:
    """The path in the plane of alignment and uniformity (Wang & Isola 2020) up to the epoch; the whole path is faint.

    paths: method -> table with the columns epoch, uniformity and alignment.
    """

    paths: Mapping[str, pd.DataFrame]

    def still(self, ax: Axes) -> None:
        for method, path in self.paths.items():
            ax.plot(path["uniformity"], path["alignment"], color=colour_of(method), alpha=0.35, linewidth=1)
        ax.invert_xaxis()
        ax.set_xlabel("uniformity (right: spread wider)")
        ax.set_ylabel("alignment of two views\n(lower is better)")
        ax.grid(visible=True, axis="both")
        ax.margins(0.08)

    def draw(self, ax: Axes, epoch: float) -> None:
        for method, path in self.paths.items():
            past, colour = path[path["epoch"] <= epoch], colour_of(method)
            ax.plot(past["uniformity"], past["alignment"], line_of(method), color=colour, linewidth=1.8)
            ax.plot(past["uniformity"].iloc[-1:], past["alignment"].iloc[-1:], "o", color=colour, markersize=7)


@dataclass(frozen=True)
class ProjectionPanel:
    """Points of one film in the plane, class by class; at each epoch those of its nearest frame."""

    film: Film
    layouts: np.ndarray  # (E, P, 2)
    title: str

    def still(self, ax: Axes) -> None:
        low, high = self.layouts.min(axis=(0, 1)), self.layouts.max(axis=(0, 1))
        margin = 0.04 * (high - low)
        ax.set_xlim(low[0] - margin[0], high[0] + margin[0])
        ax.set_ylim(low[1] - margin[1], high[1] + margin[1])
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.set_title(self.title)
        names = self.film.about.get("class_names")
        if names and self.film.labels is not None:
            marks = [self._mark(label, names[label]) for label in np.unique(self.film.labels)]
            ax.legend(handles=marks, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, handlelength=0.8)

    def draw(self, ax: Axes, epoch: float) -> None:
        points = self.layouts[self.film.at(epoch)]
        labels = np.zeros(len(points), int) if self.film.labels is None else self.film.labels
        for label in np.unique(labels):
            colour, marker = class_mark(int(label))
            ax.plot(*points[labels == label].T, marker, color=colour, markersize=4, markeredgewidth=0, alpha=0.75)

    @staticmethod
    def _mark(label: int, name: str) -> Line2D:
        colour, marker = class_mark(int(label))
        return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5, label=name)


@dataclass(frozen=True, kw_only=True)
class PurityPanel:
    """For each class, the share of its probes' nearest neighbours of the same class; a stroke is chance.

    shares: method -> (E, classes); chance: (classes,); names: of the classes; k: how many neighbours.
    """

    films: Mapping[str, Film]
    shares: Mapping[str, np.ndarray]
    chance: np.ndarray
    names: Sequence[str]
    k: int

    @property
    def order(self) -> np.ndarray:
        """Classes by their purity in the first film's last frame, lowest first."""
        return np.argsort(next(iter(self.shares.values()))[-1], kind="stable")

    def still(self, ax: Axes) -> None:
        order, places = self.order, range(len(self.chance))
        ax.plot(100 * self.chance[order], places, "|", color=mpl.rcParams["text.color"], markersize=10)
        ax.set_yticks(places, [self.names[int(label)] for label in order], fontsize=8)
        ax.set_xlim(0, 100)
        ax.set_xlabel(f"the {self.k} nearest of the same class, %\n(stroke: by chance)")
        ax.grid(visible=True, axis="both")

    def draw(self, ax: Axes, epoch: float) -> None:
        for method, film in self.films.items():
            values = 100 * self.shares[method][film.at(epoch)][self.order]
            ax.plot(values, range(len(values)), "o", color=colour_of(method), markersize=6, alpha=0.9)


@dataclass(frozen=True)
class CurvePanel:
    """One curve of each film over all epochs, with a dot at the epoch."""

    films: Mapping[str, Film]
    curve: str

    def still(self, ax: Axes) -> None:
        plot_film_curve(ax, self.films, self.curve, with_synthetic=True, named=False)

    def draw(self, ax: Axes, epoch: float) -> None:
        ax.axvline(epoch, color=mpl.rcParams["text.color"], linewidth=0.8)
        share = LABELS.get(self.curve.partition("/")[0], ("", False))[1]
        for method, film in self.films.items():
            for curve, size in ((self.curve, 8), (f"{self.curve}_with_synthetic", 6)):
                if curve in film.curves:
                    value = film.curve(curve)[film.at(epoch)] * (100 if share else 1)
                    ax.plot(epoch, value, "o", color=colour_of(method), markersize=size)


def name_epoch(ax: Axes, epoch: float) -> None:
    """The epoch, above the axes at the right."""
    ax.text(1, 1.02, f"epoch {epoch:g}", transform=ax.transAxes, ha="right", va="bottom", weight="bold")


def method_lines(films: Mapping[str, Film]) -> list[Line2D]:
    """The meaning of the colours, for a legend; dashed lines last if a film has synthetic negatives."""
    lines = [Line2D([], [], linestyle=line_of(name), color=colour_of(name), label=name, linewidth=2) for name in films]
    if any("hardness_with_synthetic" in film.curves for film in films.values()):
        ink = mpl.rcParams["text.color"]
        lines.append(Line2D([], [], linestyle="--", color=ink, label="dashed: with synthetic negatives"))
    return lines
