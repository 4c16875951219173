"""Who is compared with whom: the contrast table of any framework under any mixing, on a trained network."""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Generator

from mixviz.analysis.targets import ContrastTable as Table
from mixviz.analysis.targets import contrast_table, mean_mass
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Draws
from mixviz.mixing import IMix, MixCo, MoCHi
from mixviz.overview import typical
from mixviz.plots.targets import LABELS, plot_contrast_table
from mixviz.runs import Run
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider, steps
from mixviz.widgets.networks import GLYPHS, GLYPHS_LOOC, Network

MIXINGS = ("none", "mixco", "imix", "mochi", "looc")
FEW = [4, 8, 16, 32, 64, 128]
BLENDING = "only MixCo and i-Mix blend images"
SYNTHESISING = "only MoCHi synthesises negatives"


class ContrastTable(Widget):
    """A batch of queries against all their candidates, for one network asked by any framework under any mixing.

    run: whose encoder; by default a recording on glyphs, for LooC one that has LooC's spaces.
    """

    size = (8.0, 3.6)

    def __init__(self, run: Run | str | None = None, **values: Any):
        self.run = run
        controls = {
            "framework": choice("framework", list(FRAMEWORKS), "n-pair", "what a query is compared with"),
            "mixing": choice("mixing", MIXINGS, "none", "what is mixed"),
            "what": choice("shown", {label.partition("\n")[0]: name for name, label in LABELS.items()}, "targets"),
            "batch": steps("batch N", [4, 8, 16], 8, "images in the batch"),
            "temperature": slider("temperature τ", 0.02, 1.0, 0.2, 0.02, "of the queries; small is sharp"),
            "lam": slider("share λ", 0.0, 1.0, 0.7, 0.05, "weight of the first image of every blend"),
            "weight": slider("MixCo's weight β", 0.0, 2.0, 1.0, 0.1, "of the blends' loss"),
            "queue": steps("queue length K", [16, 64, 256, 1024, 2048], 256, "MoCo's stored keys of other images"),
            "hardest": steps("MoCHi's N", [2, *FEW], 4, "how many of the hardest negatives are mixed"),
            "pairs": steps("MoCHi's s", [0, *FEW], 16, "mixtures of two hard negatives"),
            "towards": steps("MoCHi's s′", [0, *FEW], 0, "mixtures of the query and a hard negative"),
        }
        super().__init__(controls, values)

    def look(self, framework: str, mixing: str, batch: int, temperature: float, lam: float, **values: Any) -> Table:
        network = self._network(mixing)
        mixings = {
            "mixco": MixCo(weight=values["weight"], temperature=temperature),
            "imix": IMix(),
            "mochi": MoCHi(hardest=values["hardest"], pairs=values["pairs"], towards_query=values["towards"]),
            "looc": network.run.config.method.looc,
        }
        method = network.method(
            framework,
            *([mixings[mixing]] if mixing != "none" else []),
            temperature=temperature,
            queue_length=values["queue"],
        )
        generator = Generator().manual_seed(1)
        draw = method.query_mixing.sample(batch, generator)
        if mixing == "mixco" and draw is not None:
            draw = torch.full_like(draw, lam)
        if mixing == "imix":
            draw = draw._replace(lam=torch.full_like(draw.lam, lam))
        views = network.views(list(range(batch)))
        return contrast_table(method.framework, typical(method.terms(views, generator, draws=Draws(queries=[draw]))))

    def unused(self, framework: str, mixing: str, **_: Any) -> Mapping[str, str]:
        reasons = {}
        if mixing not in ("mixco", "imix"):
            reasons["lam"] = BLENDING
        if mixing != "mixco":
            reasons["weight"] = "only MixCo weighs its blends"
        if mixing != "mochi":
            reasons |= dict.fromkeys(("hardest", "pairs", "towards"), SYNTHESISING)
        if framework != "moco-v2":
            reasons["queue"] = "only MoCo-v2 keeps a queue"
        if not FRAMEWORKS[framework].has_negatives:
            reasons["temperature"] = "BYOL has no softmax, so no temperature"
        return reasons

    def numbers(self) -> dict[str, Any]:
        mass = mean_mass(self.seen)
        found: dict[str, Any] = {"queries": len(self.seen.kind), "candidates": int(mass["candidates"].sum())}
        for kind, row in mass.iterrows():
            shares = [float(row[name]) for name in ("target", "probability", "gradient_share")]
            found[f"{kind}: target, probability, gradient"] = shares
        return found

    def draw(self, figure: Figure) -> None:
        plot_contrast_table(figure.add_subplot(), self.seen, self.values["what"])

    def caption(self) -> str:
        mass = mean_mass(self.seen)
        wanted = ", ".join(f"{row.target:.2f} to {kind}" for kind, row in mass.iterrows() if row.target > 0)
        who = mass["gradient_share"].idxmax()
        return (
            f"{len(self.seen.kind)} queries with {mass['candidates'].sum():,.0f} candidates each. A query's target "
            f"gives {wanted}; most of its gradient, {mass['gradient_share'].max():.0%}, comes from: {who}."
        )

    def _network(self, mixing: str) -> Network:
        """The reader's run; or a recording that has the spaces that the mixing wants. Raises UserError."""
        found = networks.network(self.run or (GLYPHS_LOOC if mixing == "looc" else GLYPHS))
        if mixing == "looc" and "looc" not in found.run.config.method.mixing:
            raise UserError(f"the run {found.run.name} has one embedding space: LooC is to be seen on a run with LooC")
        return found
