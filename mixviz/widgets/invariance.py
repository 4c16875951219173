"""What does each head ignore? One image under one augmentation, and how far it moves in each embedding space."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixviz.analysis.heads import BACKBONE, Heads, heads, nearest_per_head
from mixviz.analysis.invariance import EmbedHeads, PerturbedImage, invariance, perturb, reference_table
from mixviz.analysis.neighbours import purity
from mixviz.domains import find_factor
from mixviz.plots.images import plot_sheet
from mixviz.plots.invariance import (
    FACTORS,
    label_of_head,
    plot_fingerprint,
    plot_invariance,
    plot_neighbours_per_head,
    plot_perturbed,
)
from mixviz.report.overview import AUGMENTATIONS
from mixviz.runs import Run
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.networks import GLYPHS_LOOC, Network

GLYPHS_TURNED = "glyphs-n-pair-turned-seed1"  # the same recording without LooC
PANELS = {"distance over strength": "curve", "nearest images": "neighbours", "all augmentations": "fingerprint"}
OWN_FACTOR = {"rotation": "rotation", "hue": "hue", "grayscale": "hue", "texture": "texture"}  # what it changes
MOVED = 100  # images whose means are shown, and from which one is picked
AMONG = 400  # images among which neighbours are found
NEAREST = 8
ROTATED_ONCE = round(1 / 3, 10)  # strength of one quarter turn of three


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One image under one augmentation, and the results of many."""

    network: Network
    image: Tensor  # (C, H, H)
    perturbed: PerturbedImage
    table: pd.DataFrame | None  # one row a head and strength, or a head and augmentation
    neighbours: Mapping[str, Tensor]  # head -> (k,) test images nearest to the changed one; empty in other panels


class InvarianceFingerprint(Widget):
    """An image and its changed version: how far it moves in each head, and its neighbours there.

    run: the encoder's; by default a recording with LooC's spaces. base: a second one to compare it with; by default
    the same recording without LooC.
    """

    size: ClassVar = (8.0, 3.4)
    animated: ClassVar = frozenset({"strength", "image"})

    def __init__(self, run: Run | str | None = None, base: Run | str | None = None, **values: Any):
        asked = [run or GLYPHS_LOOC, base if run else base or GLYPHS_TURNED]
        found = [networks.image_network(one) for one in asked if one is not None]
        self.networks = {network.run.name: network for network in found}
        short = {network.name: network.run.name for network in found}
        last = min(MOVED, *(len(network.test) for network in found)) - 1
        self._strength = slider("strength", 0.0, 1.0, ROTATED_ONCE, 0.1, "from none to the strongest")
        controls = {
            "network": choice(
                "network", short if len(short) > 1 else list(self.networks), found[0].run.name, "whose heads"
            ),
            "augmentation": choice("augmentation", AUGMENTATIONS, "rotation", "the only thing that is changed"),
            "strength": self._strength,
            "image": slider("image", 0, last, min(13, last), 1, "which of the test images"),
            "panel": choice("shown", PANELS, "curve", "the picture of the heads"),
        }
        super().__init__(controls, values)

    def compute(self, network: str, augmentation: str, strength: float, image: int, panel: str) -> Shown:
        asked = self.networks[network]
        embedded = networks.embed_test_images(asked, AMONG)
        before = {head: embedding[:MOVED] for head, embedding in embedded.items()}
        picked = asked.pixels([image], test=True)[0]
        perturbed = perturb(_embed(asked), picked, before, image, augmentation, find_factor(augmentation).at(strength))
        neighbours = _nearest(embedded, perturbed.embeddings) if panel == "neighbours" else {}
        tables = {"curve": lambda: _curve(asked, augmentation), "fingerprint": lambda: _all(asked)}
        return Shown(
            network=asked,
            image=picked,
            perturbed=perturbed,
            table=tables[panel]() if panel in tables else None,
            neighbours=neighbours,
        )

    def below(self) -> list[FetchButton]:
        return fetch_buttons(*self.networks.values())

    def refresh(self) -> None:
        """Analyse and draw again; the strength has the stops that the augmentation has, such as four of rotations."""
        chosen = find_factor(self.values["augmentation"])
        step = 1 / (len(chosen.strengths) - 1) if chosen.kind == "classes" else 0.1
        with self._hold():
            self._strength.step = step
            self._strength.value = round(round(self._strength.value / step) * step, 10)
        super().refresh()

    def unused(self, panel: str, **_: Any) -> Mapping[str, str]:
        alone = {"network": "there is one network: name a base to compare it with"}
        return alone if len(self.networks) == 1 else {}

    def numbers(self) -> dict[str, Any]:
        found: dict[str, Any] = {self._unit: self.result.perturbed.invariance.strengths[0]}
        row: Any
        for row in self._perturbed.itertuples():
            found[f"{row.head}: cosine, distance"] = [round(row.similarity, 2), round(row.fall_off, 2)]
        if self.values["panel"] == "neighbours":
            return found | {f"{head}: {name}": share for (head, name), share in self._shares().items()}
        for head, rows in self.result.table.groupby("head", sort=False):
            found[f"{head}: mean distances"] = [round(distance, 2) for distance in rows["fall_off"]]
        return found

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        pair, beside = figure.subplots(1, 2, width_ratios=[1, 4.2])
        self._draw_pair(pair)
        if self.values["panel"] == "curve":
            plot_invariance(beside, self.result.table)
        elif self.values["panel"] == "fingerprint":
            plot_fingerprint(beside, self.result.table)
        else:
            self._draw_neighbours(beside)
        return {"pair": pair, "beside": beside}

    def draw(self, figure: Figure, pair: Axes, beside: Axes) -> None:
        self._draw_pair(pair)
        if self.values["panel"] == "curve":
            plot_perturbed(beside, self._perturbed)
        elif self.values["panel"] == "neighbours":
            self._draw_neighbours(beside)

    def caption(self) -> str:
        moved = self._perturbed.set_index("head")["fall_off"].sort_values(ascending=False)
        order = ", ".join(f"{label_of_head(str(head))} {distance:.2f}" for head, distance in moved.items())
        strength = self.result.perturbed.invariance.strengths[0]
        said = f"{self.values['augmentation'].capitalize()}: {strength:.2g} ({self._unit}). How far the image moves "
        said += f"(0: not at all, 1: as far as to a different image): {order}."
        factor = OWN_FACTOR.get(self.values["augmentation"], "label")
        shares = {head: share for (head, name), share in self._shares().items() if name == _same(factor)}
        if shares:
            counts = ", ".join(f"{label_of_head(head)} {NEAREST * share:.0f}" for head, share in shares.items())
            said += f" Of its {NEAREST} nearest images, these numbers have the {_same(factor)} as before: {counts}."
        return said

    @property
    def _unit(self) -> str:
        return find_factor(self.values["augmentation"]).unit

    @property
    def _perturbed(self) -> pd.DataFrame:
        return self.result.perturbed.invariance.table()

    def _draw_pair(self, ax: Axes) -> None:
        images = (self.result.image, self.result.perturbed.image)
        plot_sheet(ax, [image.permute(1, 2, 0).numpy()[None] for image in images], ["image", "changed"])

    def _draw_neighbours(self, ax: Axes) -> None:
        shown = _first(self.result.network, AMONG)
        together = torch.cat([shown, self.result.perturbed.image[None]]).permute(0, 2, 3, 1).numpy()
        plot_neighbours_per_head(ax, together, len(shown), self.result.neighbours)

    def _shares(self) -> dict[tuple[str, str], float]:
        """Share of the nearest images in each head that have the image's own class, and each factor of it."""
        test, row = self.result.network.test, [self.values["image"]]
        names = [*([] if test.labels is None else ["label"]), *test.factors]
        shares = {}
        for head, index in self.result.neighbours.items():
            for name in names:
                targets = torch.as_tensor(test.labels if name == "label" else test.factors[name])
                shares[head, _same(name)] = float(purity(index[None], targets, targets[row]))
        return shares


def _same(factor: str) -> str:
    return f"same {FACTORS.get(factor, factor)}"


def _embed(network: Network) -> EmbedHeads:
    return partial(heads, network.encoder, names=network.heads)


def _first(network: Network, n: int) -> Tensor:
    """At most n test images (n, C, H, W) in [0, 1]."""
    return network.pixels(np.arange(len(network.test))[:n], test=True)


@lru_cache(maxsize=64)
def _curve(network: Network, augmentation: str) -> pd.DataFrame:
    return invariance(_embed(network), _first(network, MOVED), augmentation).table()


@lru_cache(maxsize=8)
def _all(network: Network) -> pd.DataFrame:
    return reference_table(_embed(network), _first(network, MOVED), AUGMENTATIONS)


def _nearest(embedded: Heads, changed: Heads) -> dict[str, Tensor]:
    """Head -> the test images nearest to a changed one, which comes last."""
    together = {head: torch.cat([embedding, changed[head]]) for head, embedding in embedded.items()}
    last = torch.tensor([len(together[BACKBONE]) - 1])
    return {head: index[0] for head, index in nearest_per_head(together, last, NEAREST).items()}
