"""What is compared with what: the contrast table of any framework under any mixing, on a trained network."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator

from mixviz.analysis.targets import ContrastTable as Table
from mixviz.analysis.targets import contrast_table, hardest, loss_by_term, mean_mass
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Draws
from mixviz.mixing import MIXINGS
from mixviz.plots.targets import LABELS, draw_contrast_table, draw_loss_parts, name_contrast_table, name_loss_parts
from mixviz.report.overview import typical
from mixviz.runs import Run
from mixviz.terms import replace_known
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider, steps
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.fields import idle_controls, only_for
from mixviz.widgets.networks import GLYPHS, GLYPHS_LOOC, Network

FEW = [4, 8, 16, 32, 64, 128]
BLENDING = [kind for kind in MIXINGS.values() if kind.slot == "queries"]
OF_FRAMEWORKS = {"temperature": "temperature", "queue": "queue_length"}  # control -> setting
OF_MIXINGS = {"weight": "weight", "hardest": "hardest", "pairs": "pairs", "towards": "towards_query"}


class Shown(NamedTuple):
    """The table of the queries that distinguish a mixing from its base, and the loss of all kinds of queries."""

    table: Table
    loss: pd.Series


class ContrastTable(Widget):
    """A batch of queries and all their candidates, for one network with any framework and any mixing.

    run: the encoder's; by default a recording on glyphs, for LooC one with LooC's spaces.
    """

    size = (8.0, 4.0)
    animated = frozenset(
        {"framework", "mixing", "temperature", "lam", "weight", "queue", "hardest", "pairs", "towards"}
    )

    def __init__(self, run: Run | str | None = None, **values: Any):
        self.run = run
        shown = {label.partition("\n")[0]: name for name, label in LABELS.items()}
        controls = {
            "framework": choice("framework", list(FRAMEWORKS), "n-pair", "what a query is compared with"),
            "mixing": choice("mixing", ["none", *MIXINGS], "none", "what is mixed"),
            "what": choice("shown", shown, "probabilities"),
            "batch": steps("batch N", [4, 8, 16], 8, "images in the batch"),
            "temperature": slider("temperature τ", 0.02, 1.0, 0.2, 0.02, "of the queries; small values are sharp"),
            "lam": slider("share λ", 0.0, 1.0, 0.7, 0.05, "weight of the first image of every blend"),
            "weight": slider("MixCo's weight β", 0.0, 2.0, 1.0, 0.1, "of the blends' loss"),
            "queue": steps("queue length K", [16, 64, 256, 1024, 2048], 256, "MoCo's stored keys of other images"),
            "hardest": steps("MoCHi's N", [2, *FEW], 4, "how many of the hardest negatives are mixed"),
            "pairs": steps("MoCHi's s", [0, *FEW], 16, "mixtures of two hard negatives"),
            "towards": steps("MoCHi's s′", [0, *FEW], 0, "mixtures of the query and a hard negative"),
        }
        super().__init__(controls, values)

    def compute(self, framework: str, mixing: str, batch: int, temperature: float, lam: float, **values: Any) -> Shown:
        network = self._network(mixing)
        mixings = []
        if mixing != "none":
            settings = {name: values[control] for control, name in OF_MIXINGS.items()}
            own = getattr(network.run.config.method, mixing)
            mixings = [replace_known(own, temperature=temperature, **settings)]
        method = network.method(framework, *mixings, temperature=temperature, queue_length=values["queue"])
        generator = Generator().manual_seed(1)
        draw = method.query_mixing.at_share(method.query_mixing.sample(batch, generator), lam)
        views = network.views(list(range(batch)))
        terms = method.terms(views, generator, draws=Draws(queries=[draw]))
        return Shown(contrast_table(method.framework, typical(terms)), loss_by_term(method.framework, terms))

    def below(self) -> list[FetchButton]:
        return fetch_buttons(networks.network(self.run)) if self.run else []

    def unused(self, framework: str, mixing: str, **_: Any) -> Mapping[str, str]:
        kind = MIXINGS.get(mixing)
        reasons = {} if kind in BLENDING else {"lam": only_for(BLENDING)}
        reasons |= idle_controls(kind, MIXINGS.values(), OF_MIXINGS)
        return reasons | idle_controls(FRAMEWORKS[framework], FRAMEWORKS.values(), OF_FRAMEWORKS)

    def numbers(self) -> dict[str, Any]:
        table, loss = self.result
        mass = mean_mass(table)
        found: dict[str, Any] = {"queries": len(table.kind), "candidates": int(mass["candidates"].sum())}
        for kind, row in mass.iterrows():
            shares = [float(row[name]) for name in ("target", "probability", "gradient_share")]
            found[f"{kind}: target, probability, gradient"] = shares
        return found | {f"loss of {name}": float(part) for name, part in loss.items()}

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        figure.set_layout_engine("none")  # all positions are known, and computing them takes longer than drawing
        rows = {"height_ratios": [1, 0.07], "hspace": 0.22, "top": 0.87, "bottom": 0.13}
        (table, bar), (loss, rest) = figure.subplots(
            2, 2, gridspec_kw=rows | {"width_ratios": [1, 0.025], "wspace": 0.04, "left": 0.07, "right": 0.87}
        )
        rest.remove()
        name_contrast_table(table, len(self.result.table.kind), self.values["what"], bar=bar)
        name_loss_parts(loss)
        return {"table": table, "loss": loss}

    def static_for(self) -> Hashable:
        return len(self.result.table.kind)

    def draw(self, figure: Figure, table: Axes, loss: Axes) -> None:
        draw_contrast_table(table, hardest(self.result.table), self.values["what"])
        draw_loss_parts(loss, self.result.loss)

    def caption(self) -> str:
        mass, loss = mean_mass(self.result.table), self.result.loss
        wanted = ", ".join(f"{row.target:.2f} to {kind}" for kind, row in mass.iterrows() if row.target > 0)
        most, note = mass["gradient_share"].idxmax(), FRAMEWORKS[self.values["framework"]].loss_note
        count = round(mass["candidates"].sum())
        said = (
            f"{len(self.result.table.kind)} queries with {count:,} candidate{'s' * (count != 1)} each. A query's "
            f"target gives {wanted}; most of its gradient, {mass['gradient_share'].max():.0%}, comes from: {most}."
        )
        if len(loss) > 1:
            said += f" Of the loss, {', '.join(f'{part / loss.sum():.0%} from {name}' for name, part in loss.items())}."
        return f"{said} {note}".rstrip()

    def _network(self, mixing: str) -> Network:
        """The given run, or a recording with the spaces that the mixing needs. Raises UserError."""
        found = networks.network(self.run or (GLYPHS_LOOC if mixing == "looc" else GLYPHS))
        if mixing == "looc" and "looc" not in found.run.config.method.mixing:
            raise UserError(f"the run {found.run.name} has one embedding space: LooC needs a run with LooC")
        return found
