"""Training as a film: an epoch slider and a play button over the films of one run or of several."""

from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixviz.analysis.film import layout_trust, layouts, purities, sphere_path
from mixviz.errors import UserError
from mixviz.film import Film
from mixviz.plots import panels
from mixviz.plots.panels import Panel
from mixviz.pretrained import find
from mixviz.runs import Run, short_names
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, steps
from mixviz.widgets.ticker import Ticker

CIFAR = tuple(f"cifar-10-jpeg-moco-v2{mixing}-seed1" for mixing in ("", "+mochi", "+mixco", "+imix", "+looc-turned"))
NEIGHBOURS = 10
INTERVAL = 0.3  # seconds from epoch to epoch while it plays
CURVES = {"kNN": "knn_accuracy/{}", "proxy task": "proxy_accuracy", "false negatives": "false_negatives"}  # {}: space
PANELS = ("hardness", "alignment, uniformity", "projection", "purity", *CURVES)
PLACES = ("left", "middle", "right")
SPACES = {"backbone": "backbone", "all": "embedding"}
NO_OTHER, ALL_OTHERS = "no other", "all others"


class FilmScrubber(Widget):
    """Three pictures of one epoch of training side by side; drag the epoch, or play the film.

    runs: the films'; by default those of MoCo-v2 on CIFAR-10 (JPEG), plain and under each mixing. Films need neither
    images nor networks. Raises UserError if a run has no film.
    """

    size = (11.0, 3.8)
    animated = frozenset({"epoch"})

    def __init__(self, runs: Sequence[Run | str] | Run | str | None = None, **values: Any):
        self.films = films_of(*([runs] if isinstance(runs, Run | str) else runs or CIFAR))
        names = list(self.films)
        epochs = sorted({int(epoch) for film in self.films.values() for epoch in film.epochs})
        spaces = [space for space in self.films[names[0]].heads if all(space in f.heads for f in self.films.values())]
        controls = {
            "epoch": steps("epoch", epochs, epochs[-1], "how many epochs were trained; 0 is before training"),
            "film": choice("film", names, names[:2][-1], "whose points are projected"),
            "beside": choice("next to it", [NO_OTHER, names[0], ALL_OTHERS], names[0], "whose curves are also shown"),
            "space": choice("space", {SPACES.get(space, space): space for space in spaces}, spaces[-1], "whose points"),
            **{place: choice(place, PANELS, panel) for place, panel in zip(PLACES, PANELS, strict=False)},
        }
        super().__init__(controls, values)
        self.ticker = Ticker(self._next, INTERVAL)
        self.play = ipywidgets.ToggleButton(description="play", tooltip="play the film, from epoch to epoch")
        self.play.observe(self._played, "value")
        self.box.children = (self.play, *self.box.children)

    @property
    def shown(self) -> dict[str, Film]:
        """The other films, and the selected one last, so that it is on top."""
        chosen, beside = self.values["film"], self.values["beside"]
        others = {NO_OTHER: (), ALL_OTHERS: tuple(self.films)}.get(beside, (beside,))
        return {name: self.films[name] for name in (*(name for name in others if name != chosen), chosen)}

    def compute(self, film: str, space: str, left: str, middle: str, right: str, **_: Any) -> dict[str, Panel]:
        return {panel: self._panel(panel, film, space) for panel in (left, middle, right)}

    def _panel(self, panel: str, film: str, space: str) -> Panel:
        if panel == "projection":
            title = f"{film}: {SPACES.get(space, space)}"
            return panels.ProjectionPanel(self.films[film], layouts(self.films[film], space), title)
        if panel == "purity":
            return purity_panel(self.shown, space)
        curve = (CURVES | {"hardness": "hardness"}).get(panel, "uniformity/{}").format(space)
        there = {name: one for name, one in self.shown.items() if curve in one.curves}
        if not there:
            raise UserError(f"no film here has {panel}: it takes negatives, or labels; choose another picture")
        if panel == "hardness":
            return panels.HardnessPanel(there)
        if panel in CURVES:
            return panels.CurvePanel(there, curve)
        return panels.PathPanel({name: sphere_path(one, space) for name, one in there.items()})

    def numbers(self) -> dict[str, Any]:
        found: dict[str, Any] = {"epoch": self.values["epoch"], "films": ", ".join(self.shown)}
        for panel in self.result:
            found |= self._measures(panel)
        return found

    def _measures(self, panel: str) -> dict[str, Any]:
        """The numbers of a panel at the epoch, film by film."""
        epoch, space, film = self.values["epoch"], self.values["space"], self.films[self.values["film"]]
        if panel == "projection":
            return {"trustworthiness": layout_trust(film, space, film.at(epoch))}
        if panel == "purity":
            shares = self.result[panel].shares
            return {"purity": [float(share[self.films[name].at(epoch)].mean()) for name, share in shares.items()]}
        if panel == "hardness":
            return {"hardest negative": self._at("hardness")}
        if panel == "proxy task":
            return {
                "proxy task": self._at(CURVES[panel]),
                "with synthetic": self._at(f"{CURVES[panel]}_with_synthetic"),
            }
        if panel in CURVES:
            return {panel: self._at(CURVES[panel])}
        return {name: self._at(f"{name}/{{}}") for name in ("alignment", "uniformity")}

    def _at(self, curve: str) -> list[float]:
        """A curve at the epoch, film by film, at the first rank if it is over ranks; NaN if a film has none."""
        curve, epoch = curve.format(self.values["space"]), self.values["epoch"]
        found = [film.curves[curve][film.at(epoch)] if curve in film.curves else np.nan for film in self.shown.values()]
        return [float(np.ravel(value)[0]) for value in found]

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        axes: dict[str, Axes] = dict(zip(PLACES, figure.subplots(1, len(PLACES)), strict=True))
        for place, ax in axes.items():
            self.result[self.values[place]].still(ax)
        figure.legend(handles=panels.method_lines(self.shown), loc="outside upper left", ncols=6, fontsize=9)
        return axes

    def draw(self, figure: Figure, **axes: Axes) -> None:
        for place, ax in axes.items():
            self.result[self.values[place]].draw(ax, self.values["epoch"])
        panels.name_epoch(axes["left"], self.values["epoch"])

    def caption(self) -> str:
        firsts, falses, knns = (self._at(CURVES[name]) for name in ("proxy task", "false negatives", "kNN"))
        withs = self._at(f"{CURVES['proxy task']}_with_synthetic")
        said = []
        for name, first, with_synthetic, false, knn in zip(self.shown, firsts, withs, falses, knns, strict=True):
            also = "" if np.isnan(with_synthetic) else f" ({with_synthetic:.0%} with synthetic negatives)"
            parts = [f"{first:.0%} of keys rank first{also}", f"{false:.0%} of the hardest negatives are false"]
            shares = zip((first, false, knn), (*parts, f"kNN {knn:.0%}"), strict=True)
            said.append(f"{name}: {', '.join(part for share, part in shares if not np.isnan(share))}")
        return f"After epoch {self.values['epoch']}, {'; '.join(said)}."

    def _played(self, change: Mapping[str, Any]) -> None:
        """Start, from the first epoch if the film is at its end; or stop."""
        epoch = self.controls["epoch"]
        assert isinstance(epoch, ipywidgets.SelectionSlider)
        self.play.description = "pause" if change["new"] else "play"
        if not change["new"]:
            self.ticker.stop()
            return
        if epoch.index == len(epoch.options) - 1:
            epoch.index = 0
        self.ticker.start()

    def _next(self) -> None:
        """Advance by one epoch; stop at the last one."""
        epoch = self.controls["epoch"]
        assert isinstance(epoch, ipywidgets.SelectionSlider)
        epoch.index = min(epoch.index + 1, len(epoch.options) - 1)
        self.play.value = epoch.index < len(epoch.options) - 1


def films_of(*runs: Run | str) -> dict[str, Film]:
    """Method -> film; with the run's name if several share a method. Raises UserError if one has no film."""
    found = list({run.name: run for run in map(find, runs)}.values())
    return {name: run.film for name, run in zip(short_names(found), found, strict=True)}


def purity_panel(shown: Mapping[str, Film], space: str) -> panels.PurityPanel:
    """The purity tables of films whose probes have the first one's classes. Raises UserError without labels."""
    tables = {name: purities(film, space, NEIGHBOURS) for name, film in shown.items()}
    first = next(iter(tables.values()))[0]
    alike = {name: film for name, film in shown.items() if tables[name][0]["label"].equals(first["label"])}
    shares = {name: np.stack([table["purity"] for table in tables[name]]) for name in alike}
    names = next(iter(shown.values())).about.get("class_names", [])
    classes = [names[label] if names else str(label) for label in first["label"]]
    return panels.PurityPanel(
        films=alike, shares=shares, chance=first["chance"].to_numpy(), names=classes, k=NEIGHBOURS
    )
