"""A map of embeddings to explore with the pointer: images, their neighbours and hard negatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixviz.analysis.heads import BACKBONE
from mixviz.analysis.neighbours import Neighbours, hardest_negatives, nearest, purity
from mixviz.analysis.projection import pca, project_umap, trustworthiness
from mixviz.data import Dataset
from mixviz.data.glyphs import HUES
from mixviz.errors import unknown
from mixviz.plots.images import png_sheet
from mixviz.plots.invariance import FACTORS, label_of_head
from mixviz.plots.labels import spread_apart
from mixviz.plots.neighbours import OTHER, SAME, plot_neighbours
from mixviz.plots.projection import class_mark, hue_marks, plot_projection, ring_point
from mixviz.runs import Run
from mixviz.widgets import networks
from mixviz.widgets.canvas import Canvas, CanvasWidget, packed
from mixviz.widgets.controls import choice, slider, stops
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.networks import GLYPHS_LOOC, Network
from mixviz.widgets.screen import script

POINTS = 600
NEAREST = 6
COLUMNS = 25  # of the sheet of all images
TILE = 64  # pixels of a side there, at most
LAYOUTS = {"pca": pca, "umap": project_umap}
ONE_LAYOUT = "UMAP takes some ten seconds the first time: ask for it with layouts=('pca', 'umap')"


@dataclass(frozen=True, eq=False, kw_only=True)
class Map:
    """The map of one head's embeddings, and each image's neighbours."""

    layout: Tensor  # (N, 2)
    trust: float  # mean trustworthiness of the layout
    nearest: Neighbours  # (N, k)
    labels: Tensor  # (N,) from 0
    names: tuple[str, ...] = ()  # of the classes; none if there are no classes
    negatives: Neighbours | None = None  # (N, k) of other classes
    marks: tuple[tuple[str, str], ...] = ()  # colour and marker of each class
    purity: Tensor | None = None  # (N,) share of the nearest that have the image's class


class ProjectionCanvas(Canvas):
    """Points to hover over and to pick, and their images."""

    _esm = script("projection.js")
    sheet = traitlets.Bytes().tag(sync=True)  # PNG of all images
    columns = traitlets.Int(COLUMNS).tag(sync=True)
    tile = traitlets.Int().tag(sync=True)  # pixels of a side of each
    points = traitlets.Bytes().tag(sync=True)  # (N, 2) in [0, 1], from the upper left
    labels = traitlets.Bytes().tag(sync=True)  # (N,)
    classes = traitlets.List().tag(sync=True)  # name, colour, marker and place of each
    near = traitlets.Bytes().tag(sync=True)  # (N, k) rows of the nearest, and their cosines
    near_cosine = traitlets.Bytes().tag(sync=True)
    far = traitlets.Bytes().tag(sync=True)  # the same of the hardest negatives
    far_cosine = traitlets.Bytes().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    factor = traitlets.Unicode().tag(sync=True)  # which images count as alike, in words
    marks = traitlets.List([SAME, OTHER]).tag(sync=True)  # colours of frames
    picked = traitlets.Int().tag(sync=True)


class ProjectionExplorer(CanvasWidget):
    """A map of one head's embeddings: hover over a point, pick one, or move to one with the arrow keys.

    run: the encoder's; by default a recording with LooC's spaces. layouts: ``pca``, ``umap``, or both.
    """

    size: ClassVar = (8.2, 4.4)
    animated: ClassVar = frozenset({"pick"})
    canvas: ClassVar = ProjectionCanvas
    picture_widget: ProjectionCanvas

    def __init__(self, run: Run | str | None = None, layouts: Sequence[str] = ("pca",), **values: Any):
        for layout in layouts:
            if layout not in LAYOUTS:
                raise unknown("layout", layout, LAYOUTS)
        self.network = networks.network(run or GLYPHS_LOOC)
        self.images = _images(self.network)
        spaces = {label_of_head(head): head for head in (BACKBONE, *self.network.heads)}
        factors = [*([] if self.images.labels is None else ["label"]), *self.images.factors] or [""]
        shown = {FACTORS.get(name, name) or "nothing": name for name in factors}
        last = len(self.images) - 1
        controls = {
            "head": choice("embeddings", spaces, BACKBONE, "of the backbone or of a head"),
            "layout": choice("laid out by", {name.upper(): name for name in layouts}, layouts[0], "in two dimensions"),
            "factor": choice("coloured by", shown, factors[0], "which images count as alike"),
            "pick": slider("image", 0, last, min(13, last), 1, "number of the picked image"),
        }
        if len(layouts) == 1:
            controls["layout"].layout.display = "none"
        super().__init__(controls, values)
        self.picture_widget.observe(self._picked, "picked")

    def compute(self, head: str, layout: str, factor: str, pick: int) -> Map:
        return _map(self.network, head, layout, factor)

    def below(self) -> list[FetchButton]:
        return fetch_buttons(self.network)

    def unused(self, factor: str, **_: Any) -> Mapping[str, str]:
        reasons = {} if factor else {"factor": "nothing is known of the images"}
        return reasons if len(stops(self.controls["layout"])) > 1 else reasons | {"layout": ONE_LAYOUT}

    def numbers(self) -> dict[str, Any]:
        pick, seen = self.values["pick"], self.result
        found: dict[str, Any] = {}
        for kind, near in (("nearest", seen.nearest), ("hardest negatives", seen.negatives)):
            if near is not None:
                found[kind] = [self._name(i) for i in near.index[pick].tolist()]
                found[f"{kind}, cosine"] = [round(cosine, 2) for cosine in near.similarity[pick].tolist()]
        if seen.names:
            shares = seen.purity[pick], seen.purity.mean()
            found = {
                "image": self._name(pick),
                **found,
                "share of alike: of its nearest, of all": [round(float(share), 2) for share in shares],
            }
        return found | {"trustworthiness": round(seen.trust, 2)}

    def scene(self) -> dict[str, Any]:
        side = min(TILE, self.images.stored.shape[1])
        sheet = self.picture_widget.sheet or png_sheet(self.images.stored, COLUMNS, side)
        about = {"title": self._title, "factor": self._factor, "picked": self.values["pick"]}
        return {"sheet": sheet, "tile": side, **about, **_sent(self.result)}

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        plane, strip = figure.subplots(1, 2, width_ratios=[1.15, 1])
        plot_projection(
            plane, self.result.layout, self.result.labels, self.result.names, self._title, marks=self.result.marks
        )
        self._draw_strip(strip)
        for frame in list(strip.patches):
            frame.remove()
        return {"plane": plane, "strip": strip}

    def draw(self, figure: Figure, plane: Axes, strip: Axes) -> None:
        ring_point(plane, self.result.layout[self.values["pick"]])
        self._draw_strip(strip)

    def caption(self) -> str:
        pick, seen = self.values["pick"], self.result
        kind = "test" if self.images.split == "test" else "held-out"
        said = f"Image {pick} of {len(seen.labels)} {kind} images"
        said += " (glyphs, which replace the run's own)" if self.network.stand_in else ""
        if not seen.names:
            return f"{said}: its nearest image has a cosine of {seen.nearest.similarity[pick, 0]:.2f}."
        hardest = self._name(int(seen.negatives.index[pick, 0]))
        return (
            f"{said}: {self._name(pick)}. {NEAREST * seen.purity[pick]:.0f} of its {NEAREST} nearest images have the "
            f"same {self._factor} (of {len(seen.names)}), and {seen.purity.mean():.0%} of the nearest of all images. "
            f"Its hardest negative is {hardest}, with a cosine of {seen.negatives.similarity[pick, 0]:.2f}."
        )

    def _picked(self, change: Mapping[str, Any]) -> None:
        if change["new"] != self.values["pick"]:
            self.set(pick=change["new"])

    @property
    def _factor(self) -> str:
        return FACTORS.get(self.values["factor"], self.values["factor"])

    @property
    def _title(self) -> str:
        return f"{label_of_head(self.values['head'])}, trustworthiness {self.result.trust:.2f} (1 is best)"

    def _name(self, row: int) -> str:
        return self.result.names[self.result.labels[row]] if self.result.names else str(row)

    def _draw_strip(self, ax: Axes) -> None:
        pick, images = self.values["pick"], self.images.stored
        rows = {"nearest": self.result.nearest, "hardest\nnegatives": self.result.negatives}
        index = torch.stack([near.index[pick] for near in rows.values() if near is not None])
        same = (self.result.labels[index] == self.result.labels[pick]).numpy()
        plot_neighbours(ax, images[[pick] * len(index)], images[index.numpy()], same, list(rows)[: len(index)])
        ax.set_xlabel(f"blue: same {self._factor}; orange, dashed: another", fontsize=9)


@lru_cache(maxsize=8)
def _images(network: Network) -> Dataset:
    return network.test.select(np.arange(len(network.test))[:POINTS])


@lru_cache(maxsize=64)
def _layout(network: Network, head: str, layout: str) -> tuple[Tensor, float, Neighbours]:
    """The layout, its mean trustworthiness, and each image's nearest. UMAP takes seconds."""
    embedded = networks.embed_test_images(network, POINTS)[head]
    placed = LAYOUTS[layout](embedded)
    return placed, float(trustworthiness(embedded, placed).mean()), nearest(embedded, NEAREST)


@lru_cache(maxsize=64)
def _map(network: Network, head: str, layout: str, factor: str) -> Map:
    images = _images(network)
    placed, trust, near = _layout(network, head, layout)
    if not factor:
        return Map(layout=placed, trust=trust, nearest=near, labels=torch.zeros(len(images), dtype=torch.long))
    values, labels = np.unique(images.targets(factor), return_inverse=True)
    named = factor == "label" and images.class_names
    names = tuple(images.class_names[value] if named else f"{FACTORS.get(factor, factor)} {value}" for value in values)
    labels = torch.from_numpy(labels)
    marks = hue_marks() if factor == "hue" and len(names) == HUES else [class_mark(i) for i in range(len(names))]
    negatives = hardest_negatives(networks.embed_test_images(network, POINTS)[head], labels, NEAREST)
    return Map(
        layout=placed,
        trust=trust,
        nearest=near,
        labels=labels,
        names=names,
        marks=tuple(marks),
        negatives=negatives,
        purity=purity(near.index, labels),
    )


@lru_cache(maxsize=64)
def _sent(seen: Map) -> dict[str, Any]:
    """The traits of the canvas that do not depend on the picked image."""
    unit = _unit(seen.layout)
    near, far = seen.nearest, seen.negatives or Neighbours(torch.zeros(0), torch.zeros(0, dtype=torch.long))
    arrays = {"points": unit, "labels": seen.labels, "near": near.index, "near_cosine": near.similarity}
    arrays |= {"far": far.index, "far_cosine": far.similarity}
    return {name: packed(array) for name, array in arrays.items()} | {"classes": _classes(unit, seen)}


def _unit(layout: Tensor) -> Tensor:
    """Points (N, 2) in a canvas's coordinates: in [0, 1], from the upper left."""
    unit = layout - layout.amin(dim=0)
    unit = unit / unit.amax(dim=0).clamp(min=1e-9)
    return torch.stack([unit[:, 0], 1 - unit[:, 1]], dim=1)


def _classes(unit: Tensor, seen: Map) -> list[dict[str, Any]]:
    """The canvas's label at the median of each class; a class without a name is only coloured."""
    names = seen.names or ("",)
    medians = np.stack([unit[seen.labels == label].median(dim=0).values.numpy() for label in range(len(names))])
    described = []
    for label, (x, y) in enumerate(spread_apart(medians, width=0.17, height=0.037).tolist()):
        colour, marker = seen.marks[label] if seen.marks else class_mark(label)
        described.append({"name": names[label], "colour": colour, "marker": marker, "x": x, "y": y})
    return described
