"""What is a blend of two images to a trained network? Its target, the network's answer, and the shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixviz.analysis.mixpath import (
    Calibration,
    MixPath,
    calibration,
    cosine_range,
    fitted_calibration,
    mix_path,
    share_of_first,
    unit_embed,
)
from mixviz.analysis.targets import contrast_table, query_row
from mixviz.build import fixed_generator
from mixviz.domains import domain_of
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Draws
from mixviz.mixing import IMix, IMixDraw, Kind, MixCo, Mixing, NoMixing
from mixviz.plots.images import plot_sheet
from mixviz.plots.mixpath import (
    draw_calibration,
    mark_blend,
    name_calibration,
    name_ranges,
    plot_mix_path,
    write_calibrations,
)
from mixviz.plots.targets import draw_row, name_row
from mixviz.runs import Run
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider, toggle
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.fields import has
from mixviz.widgets.networks import Network

RECORDED = tuple(f"cifar-10-jpeg-moco-v2{mixing}-seed1" for mixing in ("", "+mixco", "+imix"))
PANELS = {"share of the first image": "shares", "cosines to both images": "cosines"}
BATCH = 8  # images: the two, and six others
BOTH = [0, BATCH // 2]  # positions of the two in the batch, as MixCo pairs the halves of a batch
CHOICE = 40  # most images from which each of the two is picked
PAIRS = 100  # most pairs over which the curves are averaged
QUEUE = 256
QUERIES = {
    "mixco": "MixCo adds such blends to the plain queries, with a loss and a temperature of their own.",
    "imix": "i-Mix trains only on such blends, instead of the plain queries.",
}
SHEET = ("first", "query", "second")
LAMS = torch.linspace(0, 1, 11)
TEMPERATURES = torch.arange(0.02, 1.01, 0.02)  # values of the slider, so that a fit can be found by hand


@dataclass(frozen=True, kw_only=True)
class Blend:
    """One blend seen by one network, and many blends by all networks."""

    images: list[Tensor]  # first, what is queried, second; (C, H, W) each
    row: pd.DataFrame  # the query's candidates
    targets: list[float]  # of the two keys
    probabilities: list[float]  # of the two keys; NaN without negatives
    cosines: Tensor  # (2,) to the two keys; -inf: not a candidate
    share: float  # of the first key among the two, at the temperature of the network's curve
    paths: Mapping[str, MixPath]  # by network
    calibrations: Mapping[str, Calibration]  # by network


class MixingLab(Widget):
    """Two images and their blend: its target under a mixing, and the answers of trained networks.

    run: the encoder's, or several to compare; by default three recordings, without a mixing, with MixCo, with i-Mix.
    """

    size = (9.0, 4.2)
    animated = frozenset({"first", "second", "lam", "down", "across", "temperature", "fitted"})

    def __init__(self, run: Run | str | Path | Sequence[Run | str] | None = None, **values: Any):
        self.networks = networks.by_method(networks.image_network, run, RECORDED)
        last = min(CHOICE, *map(pairs_of, self.networks.values())) - 1
        pixel = 1 / min(
            network.pixels([0]).shape[-1] for network in self.networks.values()
        )  # a box moves by whole pixels
        controls = {
            "network": choice("network", list(self.networks), next(iter(self.networks)), "which one answers"),
            "framework": choice("framework", list(FRAMEWORKS), "moco-v2", "what the blend is compared with"),
            "mixing": choice("mixing", ["plain", "mixco", "imix"], "mixco", "which mixing sets the blend's target"),
            "kind": choice("kind of blend", ["mixup", "cutmix"], "mixup", "blend all pixels, or paste a box"),
            "first": slider("first image", 0, last, 0, 1, "the query's own"),
            "second": slider("second image", 0, last, 0, 1, "its partner"),
            "lam": slider("share λ", 0.0, 1.0, 0.7, 0.05, "share of the first image; i-Mix never draws less than ½"),
            "down": slider("box, down", 0.0, 1 - pixel, 0.5, pixel, "CutMix: the centre of the box, from the top"),
            "across": slider("box, across", 0.0, 1 - pixel, 0.5, pixel, "CutMix: the centre of the box, from the left"),
            "temperature": slider("temperature τ", 0.02, 1.0, 0.1, 0.02, "with which cosines become shares"),
            "fitted": toggle("each at its best τ", False, "in the curves, each network at its best τ"),
            "panel": choice("curve of", PANELS, "shares", "the curves over λ, means of many pairs"),
        }
        super().__init__(controls, values)

    def compute(self, network: str, mixing: str, kind: Kind, temperature: float, fitted: bool, **values: Any) -> Blend:
        found, kind = self.networks[network], kind if mixing == "imix" else "mixup"
        asked: Mixing = {"plain": NoMixing(), "mixco": MixCo(temperature=temperature), "imix": IMix(kind=kind)}[mixing]
        method = found.method(values["framework"], *looc(found), asked, temperature=temperature, queue_length=QUEUE)
        pixels = found.pixels(batch_of(found, values["first"], values["second"]))
        draw = _draw(asked, values["lam"], (values["down"], values["across"]))
        terms = method.terms([pixels] * (1 + len(method.shared)), draws=Draws(queries=[draw]))
        term = next((term for term in terms if term.query.mixed), terms[0])
        table = contrast_table(method.framework, term)
        paths = {name: blend_path(one, kind) for name, one in self.networks.items()}
        curves = {name: _calibration(path, None if fitted else temperature) for name, path in paths.items()}
        cosines = table.similarities[0, BOTH]
        return Blend(
            images=[pixels[0], term.query.inputs[0], pixels[BATCH // 2]],
            row=_named(query_row(table, 0, count=4)),
            targets=table.targets[0, BOTH].tolist(),
            probabilities=table.probabilities[0, BOTH].tolist(),
            cosines=cosines,
            share=float(share_of_first(cosines[0], cosines[1], curves[network].temperature)),
            paths=paths,
            calibrations=curves,
        )

    def below(self) -> list[FetchButton]:
        return fetch_buttons(*self.networks.values())

    def unused(self, framework: str, mixing: str, kind: str, fitted: bool, **_: Any) -> Mapping[str, str]:
        reasons = {}
        if len(self.networks) == 1:
            reasons["network"] = networks.ONLY_ONE
        if mixing == "plain":
            reasons["lam"] = "without a mixing only the first image is the query"
        if mixing != "imix":
            reasons["kind"] = "only i-Mix pastes boxes"
        if mixing != "imix" or kind == "mixup":
            reasons |= dict.fromkeys(("down", "across"), "only CutMix pastes a box")
        if fitted and not has(FRAMEWORKS[framework], "temperature"):
            reasons["temperature"] = f"{FRAMEWORKS[framework].label} has no softmax, and each curve has its own τ"
        return reasons

    def numbers(self) -> dict[str, Any]:
        name = self.values["network"]
        found: dict[str, Any] = {
            "targets": self.result.targets,
            "probabilities": self.result.probabilities,
            "cosines": self.result.cosines.tolist(),
            "share": self.result.share,
            "curve": self.result.calibrations[name].at(self.result.targets[0]),
        }
        for network, curve in self.result.calibrations.items():
            reach = float(cosine_range(self.result.paths[network]).mean())
            found[f"{network}: error, τ, range"] = [curve.error, curve.temperature, reach]
        return found

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        left, middle, right = figure.add_gridspec(1, 3, width_ratios=[1, 2.4, 3])
        above, below = right.subgridspec(2, 1, height_ratios=[3.2, 1])
        sheet, row, curve, table = (figure.add_subplot(place) for place in (left, middle, above, below))
        plot_sheet(sheet, self._sheet(), SHEET)
        name_row(row, self.result.row)
        if self.values["panel"] == "cosines":
            plot_mix_path(curve, self.result.paths[self.values["network"]]).set_ylabel("cosine of the blend to the key")
        else:
            name_calibration(curve)
        name_ranges(table, {name: float(cosine_range(path).mean()) for name, path in self.result.paths.items()})
        return {"sheet": sheet, "row": row, "curve": curve, "table": table}

    def draw(self, figure: Figure, sheet: Axes, row: Axes, curve: Axes, table: Axes) -> None:
        plot_sheet(sheet, self._sheet(), SHEET)
        draw_row(row, self.result.row)
        name, lam = self.values["network"], self.result.targets[0]
        blended = self.values["mixing"] != "plain"
        if self.values["panel"] == "cosines":
            mark_blend(curve, lam, pair=self.result.cosines.tolist() if blended else ())
        else:
            draw_calibration(curve, self.result.calibrations)
            mark_blend(curve, lam, [self.result.calibrations[name].at(lam)], [self.result.share] if blended else ())
        write_calibrations(table, self.result.calibrations)

    def caption(self) -> str:
        name, (first, second) = self.values["network"], self.result.targets
        said = f"Target: {first:.2f} on the first image's key, {second:.2f} on the second's. "
        if self.values["mixing"] != "plain":
            said += f"Of the two, {name} gives {self.result.share:.2f} to the first. {QUERIES[self.values['mixing']]} "
        curve = self.result.calibrations[name]
        said += f"Over many pairs its shares are {curve.error:.3f} away from λ, at τ = {curve.temperature:.2g}."
        return f"{said} {self.networks[name].note}".rstrip()

    def _sheet(self) -> list[np.ndarray]:
        return [image.permute(1, 2, 0).numpy()[None] for image in self.result.images]


@lru_cache(maxsize=16)
def blend_path(network: Network, kind: Kind) -> MixPath:
    """Blends of many pairs of held-out images, computed once per network and kind."""
    pairs = min(PAIRS, len(network.held_out) // 4)
    first, second, others = network.pixels(list(range(4 * pairs))).split([pairs, pairs, 2 * pairs])
    embed = unit_embed(network.encoder)
    with torch.no_grad():
        return mix_path(embed, first, second, embed(others), LAMS, kind, fixed_generator())


def _calibration(path: MixPath, temperature: float | None) -> Calibration:
    """At one temperature, or at the best if None; always on the pairs that are not used for fitting."""
    if temperature is None:
        return fitted_calibration(path, TEMPERATURES)
    return calibration(path.select(slice(1, None, 2)), temperature)


def _draw(mixing: Mixing, lam: float, centre: tuple[float, float]) -> Any:
    """The mixing's draw, set by hand: query 0 is made from the images at BOTH."""
    if isinstance(mixing, MixCo):
        return torch.full((BATCH // 2,), lam)
    if isinstance(mixing, IMix):
        partner = torch.arange(BATCH).roll(BATCH // 2)
        boxes = torch.tensor(centre).expand(BATCH, 2) if mixing.kind == "cutmix" else None
        return IMixDraw(torch.full((BATCH,), lam), partner, boxes)
    return None


def pairs_of(network: Network) -> int:
    """The number of examples from which each of the two can be picked. Raises UserError if there are too few."""
    held, what = len(network.held_out), domain_of(network.held_out).examples
    if held < BATCH:
        raise UserError(
            f"{network.run.name} holds out {held} {what}, {BATCH} are needed: train with a larger --holdout"
        )
    return (held - BATCH + 2) // 2


def looc(network: Network) -> list[Mixing]:
    """LooC if the network has its spaces; a blend is shown in the first."""
    return [mixing for mixing in network.run.config.method.mixings() if mixing.slot == "views"]


def batch_of(network: Network, first: int, second: int) -> list[int]:
    """A batch of held-out examples: the first at the start, the second half-way, the others between."""
    others = list(range(len(network.held_out) - BATCH + 2, len(network.held_out)))
    half = BATCH // 2 - 1
    return [2 * first, *others[:half], 2 * second + 1, *others[half:]]


def _named(row: pd.DataFrame) -> pd.DataFrame:
    """The query's row, with the two images marked."""
    names = {f"key {BOTH[0]}": "first", f"key {BOTH[1]}": "second"}
    shown = row["candidate"].replace(names).str.replace(r"^key \d+$", "other", regex=True)
    return row.assign(candidate=shown.str.replace(r", other.*", ", rest", regex=True))
