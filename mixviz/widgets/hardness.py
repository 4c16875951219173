"""What makes a negative hard: one query, its hardest real negatives, and MoCHi's mixtures of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Generator

from mixviz.analysis.hardness import SyntheticPoints, of_own_class, synthetic_points
from mixviz.analysis.projection import azimuthal
from mixviz.analysis.query_candidates import (
    NEGATIVE,
    OWN_KEY,
    PAIR,
    TOWARDS,
    false_by_rank,
    false_mixtures,
    gradient_by_kind,
    query_candidates,
)
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.frameworks import MoCoV2
from mixviz.method import Method
from mixviz.mixing import MoCHi
from mixviz.plots import query_candidates as pictures
from mixviz.runs import Run
from mixviz.terms import Term
from mixviz.widgets import networks
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import slider, steps, toggle
from mixviz.widgets.fetching import FetchButton, fetch_buttons
from mixviz.widgets.networks import LONGEST_QUEUE

QUERIES = 32  # over which rates are averaged
POWERS = [2**power for power in range(1, 9)]
SAID = {NEGATIVE: "real negatives", PAIR: "mixtures of two", TOWARDS: "mixtures with the query"}
LOOKED_FROM = 64  # hardest negatives that determine the projection of the surroundings


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """All queries with their candidates; rates are means over the queries."""

    method: Method
    term: Term
    points: SyntheticPoints | None
    rates: np.ndarray | None  # (K,) of false negatives, by rank; None without labels
    mixtures: dict[str, float]  # kind -> share of those with a parent of the query's class


@dataclass(frozen=True, kw_only=True)
class CloseUp:
    """One query and all of its candidates; rates and mixtures as in ``Prepared``."""

    candidates: pd.DataFrame  # of ``query_candidates``
    layout: np.ndarray  # (M, 2) degrees around the query
    pushes: pd.DataFrame  # of ``gradient_by_kind``
    rates: np.ndarray | None
    mixtures: dict[str, float]


class HardnessMicroscope(Widget):
    """A held-out query of MoCo-v2 and a queue of training images: which negatives push it, and which are of its class.

    run: the encoder's, of any framework; by default a recording on glyphs. trained: queries are training images, so
    that the queue holds keys of the query's own image, as it does in training if it is longer than the data. Those are
    false negatives, and so are keys of an exact copy of the image; both have a colour of their own.
    """

    size = (11.0, 4.6)
    animated = frozenset(("query", "hardest", "pairs", "towards", "temperature", "queue", "oracle"))

    def __init__(self, run: Run | str | None = None, trained: bool = False, **values: Any):
        self.network = networks.image_network(run or networks.GLYPHS)
        self.bank = self.network.train.select(self.network.bank_rows)
        count = min(QUERIES, len(self.network.held_out))
        if not count:
            raise UserError(f"the run {self.network.run.name} has no held-out images: train one with --holdout above 0")
        rows = list(range(count))
        self.queries = (self.bank if trained else self.network.held_out).select(rows)
        self.own_images = _same(self.queries, self.bank)
        self.labels = None if self.queries.labels is None else torch.as_tensor(self.queries.labels)
        self.views = self.network.views(rows, images=self.queries)[:2]
        self.embedded = self.network.embedded(rows, images=self.queries)
        number = f"number of the {'training' if trained else 'held-out'} image"
        controls = {
            "query": slider("query", 0, count - 1, 0, 1, number),
            "hardest": steps("MoCHi's N", POWERS, 64, "how many of the hardest negatives are mixed"),
            "pairs": steps("MoCHi's s", [0, *POWERS], 64, "mixtures of two hard negatives"),
            "towards": steps("MoCHi's s′", [0, *POWERS], 8, "mixtures of the query and a hard negative"),
            "temperature": slider("temperature τ", 0.02, 1.0, 0.2, 0.02, "small: only the hardest count"),
            "queue": steps("queue length K", [512, 1024, LONGEST_QUEUE], LONGEST_QUEUE, "keys of other images"),
            "oracle": toggle("class oracle", False, "leave out negatives of the query's class, by its label"),
        }
        self._ask = lru_cache(maxsize=2)(self._made)
        super().__init__(controls, values)

    def compute(self, query: int, temperature: float, **setting: Any) -> CloseUp:
        asked = self._ask(**setting)
        term = replace(asked.term, query=replace(asked.term.query, temperature=temperature))
        found = query_candidates(asked.method, term, query, self.labels, asked.points, self.own_images[query])
        framework = asked.method.framework
        assert isinstance(framework, MoCoV2)
        keys = framework.queue.keys[0]
        nearest = keys[(keys @ term.q[query]).topk(min(LOOKED_FROM, len(keys))).indices]
        vectors = torch.cat([term.keys.flatten(0, 1), keys, term.synthetic[query]])
        layout = azimuthal(vectors[torch.tensor(found["column"].to_numpy())], term.q[query], nearest)
        return CloseUp(
            candidates=found,
            layout=layout.numpy(),
            pushes=gradient_by_kind(found),
            rates=asked.rates,
            mixtures=asked.mixtures,
        )

    def _made(self, hardest: int, pairs: int, towards: int, queue: int, oracle: bool) -> Prepared:
        """What depends neither on the selected query nor on the temperature. Raises UserError."""
        mixing = MoCHi(hardest=hardest, pairs=pairs, towards_query=towards)
        method = self.network.method(
            "moco-v2", mixing, temperature=1.0, queue_length=queue, oracle=oracle, embedded=True
        )
        term = method.terms(self.embedded, Generator().manual_seed(1), self.labels)[0]
        points = synthetic_points(method, term, self.labels) if pairs + towards else None
        if self.labels is None:
            return Prepared(method=method, term=term, points=points, rates=None, mixtures={})
        candidates = method.framework.candidates(term)
        own = of_own_class(method.framework, term, candidates, self.labels)
        rates = false_by_rank(candidates, own, queue).numpy()
        return Prepared(
            method=method, term=term, points=points, rates=rates, mixtures=false_mixtures(points) if points else {}
        )

    def below(self) -> list[FetchButton]:
        return fetch_buttons(self.network)

    def unused(self, pairs: int, towards: int, **_: Any) -> Mapping[str, str]:
        reasons = {}
        if self.labels is None:
            reasons["oracle"] = "these images have no labels that an oracle could read"
        if not pairs + towards:
            reasons["hardest"] = "nothing is mixed if s and s′ are 0"
        return reasons

    def numbers(self) -> dict[str, Any]:
        found, hardest = self.result.candidates, self.values["hardest"]
        best = found.groupby("kind", observed=True)["similarity"].max()
        numbers: dict[str, Any] = {"class": self._class(self.queries, self.values["query"])}
        numbers |= {f"{kind}: cosine": float(cosine) for kind, cosine in best.items()}
        for kind, row in self.result.pushes.iterrows():
            numbers[f"{kind}: gradient, false"] = [float(row["gradient_share"]), float(row["false"])]
        if self.own_images.any():
            numbers["own image: gradient"] = float(self.result.pushes["own_image"].sum())
        if self.result.rates is not None:
            numbers["false among N"] = float(self.result.rates[:hardest][-1])
        return numbers | {f"{kind}: false": share for kind, share in self.result.mixtures.items()}

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        around, images, shares, rates = figure.subplots(1, 4, width_ratios=(4.4, 1.9, 2.1, 2.3))
        pictures.frame_surroundings(around)
        pictures.frame_images(images)
        pictures.frame_shares(shares)
        pictures.frame_false_rates(rates, POWERS[-1])
        marks = pictures.kind_marks(bool(self.own_images.any()))
        figure.legend(handles=marks, loc="outside upper left", ncols=7, fontsize=9, handlelength=1)
        return {"around": around, "images": images, "shares": shares, "rates": rates}

    def draw(self, figure: Figure, around: Axes, images: Axes, shares: Axes, rates: Axes) -> None:
        pictures.plot_surroundings(around, self.result.candidates, self.result.layout)
        pictures.plot_images(images, self._images())
        pictures.plot_shares(shares, self.result.candidates)
        if self.result.rates is not None:
            pictures.plot_false_rates(rates, self.result.rates, self.values["hardest"], self.result.mixtures)

    def caption(self) -> str:
        table = self.result.pushes
        pushed = ", ".join(
            f"{row.gradient_share:.0%} by {SAID[kind]}" for kind, row in table.iterrows() if kind in SAID
        )
        pulled = table.loc[OWN_KEY, "gradient_share"]
        kind = self._class(self.queries, self.values["query"])
        said = [f"This query ({kind}) is pulled by its key with {pulled:.0%} of the gradient, pushed with {pushed}."]
        if self.labels is not None:
            said.append(f"{table['false'].sum():.0%} come from negatives of its own class, or mixed from one.")
        if own := table["own_image"].sum():
            said.append(f"{own:.0%} come from keys of its own image, which no negative should be: shorten the queue.")
        return " ".join([*said, self.network.note]).rstrip()

    def _images(self) -> dict[int, list[np.ndarray]]:
        """For each row of the list: both views for the own key, the image of a negative, the parents of a mixture."""
        images = {0: [view[self.values["query"]].permute(1, 2, 0).numpy() for view in self.views]}
        parents = self.result.candidates[["first", "second"]].to_numpy()
        for row, place in list(pictures.listed(self.result.candidates).items())[1:]:
            images[row] = [self.bank.stored[parent] / 255 for parent in dict.fromkeys(parents[place])]
        return images

    @staticmethod
    def _class(images: Dataset, row: int) -> str:
        if images.labels is None:
            return "unknown"
        return images.class_names[images.labels[row]] if images.class_names else str(images.labels[row])


def _same(queries: Dataset, bank: Dataset) -> torch.Tensor:
    """(n, K) bool: which images of the bank are the query's own, by their content."""
    first, second = (torch.tensor([hash(image.tobytes()) for image in images.stored]) for images in (queries, bank))
    return first[:, None] == second
