"""A method is a framework and its mixings; this is the only place where they meet."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from mixviz.errors import UserError
from mixviz.frameworks import Framework
from mixviz.mixing import MIXINGS, Mixing, NoMixing
from mixviz.terms import Candidates, Query, Term


class IncompatibleMixing(UserError):
    """The mixing is not defined on this framework, or together with that other mixing."""


@dataclass(frozen=True)
class Draws:
    """Random choices supplied by the caller; fields that are None are sampled."""

    inputs: Any = None  # of ``mix_inputs``
    queries: Sequence[Any] | None = None  # one for each view that is queried
    negatives: Sequence[Any] | None = None  # one for each term


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """loss: scalar with gradient; diagnostics: detached scalars, one log column each; keys: (n, H, D) for update."""

    loss: Tensor
    diagnostics: dict[str, Tensor]
    keys: Tensor
    labels: Tensor | None = None  # (n,) classes of the keys


class Method(nn.Module):
    """framework: one of ``FRAMEWORKS``; mixings: at most one for each slot, in any order.

    oracle: drop negatives of the query's own class (an upper bound that reads labels, not a method; MoCHi,
    arXiv:2010.01028). Raises IncompatibleMixing, which names a pair that works.
    """

    def __init__(self, framework: Framework, *mixings: Mixing, oracle: bool = False):
        super().__init__()
        mixings = tuple(mixing for mixing in mixings if mixing.slot != "none")
        check_compatible(type(framework), mixings, oracle)
        self.framework, self.mixings, self.oracle = framework, mixings, oracle
        by_slot = {mixing.slot: mixing for mixing in mixings}
        self.views_mixing = by_slot.get("views", NoMixing())
        self.query_mixing = by_slot.get("queries", NoMixing())
        self.negative_mixing = by_slot.get("negatives", NoMixing())
        if framework.online.spaces != len(self.shared):
            raise UserError(
                f"the embedder has {framework.online.spaces} embedding spaces and the method {len(self.shared)}: "
                "build it with one projector for each key view"
            )

    @property
    def shared(self) -> tuple[str | None, ...]:
        """What each key view shares with the query view; its length is the number of key views for ``terms``."""
        return self.views_mixing.shared

    @property
    def extension(self) -> bool:
        """True for a pair or a combination that no paper reports."""
        return self.is_extension(self.framework.name, self.mixings)

    @staticmethod
    def is_extension(framework: str, mixings: Sequence[Mixing]) -> bool:
        """Like ``extension``, from the framework's name."""
        return len(mixings) > 1 or any(framework not in mixing.reported_on for mixing in mixings)

    def at_epoch(self, epoch: int) -> "Method":
        """The method in this epoch, counted from 0: without mixings that are still in their warm-up."""
        active = [mixing for mixing in self.mixings if epoch >= mixing.warmup_epochs]
        return self if len(active) == len(self.mixings) else Method(self.framework, *active, oracle=self.oracle)

    def at_step(self, epoch: int, step: int, n: int) -> "Method":
        """The method in this step of n images; epoch and step count from 0, ``step`` from the start of training.

        Like ``at_epoch``, and without synthetic negatives while the queue still has random initial keys.
        """
        method = self.at_epoch(epoch)
        filled = step * n * len(self._query_views()) >= self.framework.queue_length
        if filled or isinstance(method.negative_mixing, NoMixing):
            return method
        kept = [mixing for mixing in method.mixings if mixing is not method.negative_mixing]
        return Method(self.framework, *kept, oracle=self.oracle)

    def terms(
        self,
        views: list[Tensor],
        generator: Generator | None = None,
        labels: Tensor | None = None,
        draws: Draws | None = None,
    ) -> list[Term]:
        """The terms of the loss. Training sums them; every picture is drawn from them.

        views: one query view and J key views, each (N, ...), J as in ``shared``. labels: (N,), for an oracle.
        draws: random choices to use instead of sampled ones.
        """
        if len(views) != 1 + len(self.shared):
            raise UserError(f"the method takes {1 + len(self.shared)} views, got {len(views)}: draw them by its shared")
        if self.oracle and labels is None:
            raise UserError("a class oracle reads labels: pass labels, or switch the oracle off")
        framework, draws, labels = self.framework, draws or Draws(), labels if self.oracle else None
        views = self._inputs(views, generator, draws)
        query_views = self._query_views()
        queries = self._queries(views, query_views, generator, draws)
        key_views = [v for v in range(len(views)) if query_views != (v,)]  # the only query view is not used as a key
        qs, ks = framework.embed([query.inputs for _, query in queries], [views[v] for v in key_views])
        key_of = dict(zip(key_views, ks, strict=True))

        terms = []
        for (query_view, query), q in zip(queries, qs, strict=True):
            keys = torch.stack([key for view, key in key_of.items() if view != query_view], dim=1)  # (N, J, H, D)
            for space in range(q.shape[1]):
                # space 0 has only its own key view as candidates; in space h the image's other views are negatives too
                candidates = keys[:, :1, space] if space == 0 else keys[:, :, space]
                draw = draws.negatives[len(terms)] if draws.negatives else None
                if draw is None:
                    draw = self.negative_mixing.sample(len(q), generator)
                pool, allowed = framework.pool(candidates, query.targets, space, labels)
                synthetic = self.negative_mixing.negatives(q[:, space], pool, allowed, draw)
                targets = spread(query.targets, candidates.shape[1], space)
                weight = query.weight / (len(query_views) * q.shape[1])
                term = Term(
                    query=query,
                    q=q[:, space],
                    keys=candidates,
                    targets=targets,
                    synthetic=synthetic,
                    space=space,
                    query_view=query_view,
                    weight=weight,
                    labels=labels,
                    draw=draw,
                )
                terms.append(term)
        return terms

    def training_step(
        self,
        views: list[Tensor],
        generator: Generator | None = None,
        labels: Tensor | None = None,
        draws: Draws | None = None,
    ) -> StepOutput:
        """The loss of one step; arguments as in ``terms``."""
        terms = self.terms(views, generator, labels, draws)
        total, columns = torch.zeros((), device=views[0].device), defaultdict(list)
        for term in terms:
            candidates = self.framework.candidates(term) if self.framework.has_negatives else None
            loss = self.framework.loss(term, candidates).mean()
            total = total + term.weight * loss
            kind = "mixed" if term.query.mixed else "clean"
            columns[f"loss_{kind}" + (f"_space{term.space}" if term.space else "")].append(loss.detach())
            if term.space == 0:
                for name, value in self._diagnose(term, candidates, kind).items():
                    columns[name].append(value)
        diagnostics = {name: torch.stack(values).mean() for name, values in columns.items()}
        keys = self._keys(terms)
        if labels is not None:
            labels = labels.repeat(len(keys) // len(labels))
        return StepOutput(loss=total, diagnostics=diagnostics, keys=keys, labels=labels)

    def update(self, output: StepOutput) -> None:
        """After the optimiser step: momentum encoder and queue, if the framework has them."""
        self.framework.update(output.keys, output.labels)

    @torch.no_grad()
    def _diagnose(self, term: Term, candidates: Candidates | None, kind: str) -> dict[str, Tensor]:
        """Columns of the log, of one term in space 0; chance and the framework's own are of clean queries, if any."""
        columns, typical = {}, kind == "clean" or not self.query_mixing.keeps_clean
        if candidates is not None:
            columns[f"proxy_accuracy_{kind}"] = proxy_accuracy(candidates).mean()
            if term.synthetic.shape[1]:
                columns[f"proxy_accuracy_{kind}_without_synthetic"] = proxy_accuracy(candidates.real).mean()
                columns[f"loss_{kind}_without_synthetic"] = self.framework.loss(term.real, candidates.real).mean()
            if typical:
                columns["chance_loss"] = candidates.real.chance_loss.mean()
        return columns | self.framework.diagnose(term) if typical else columns

    def _query_views(self) -> tuple[int, ...]:
        return (0, 1) if self.framework.settings.symmetric and len(self.shared) == 1 else (0,)

    def _inputs(self, views: list[Tensor], generator: Generator | None, draws: Draws) -> list[Tensor]:
        draw = draws.inputs
        if draw is None:
            draw = self.query_mixing.sample_input_mix(len(views) * len(views[0]), generator)
        return self.query_mixing.mix_inputs(views, draw)

    def _queries(
        self, views: list[Tensor], query_views: tuple[int, ...], generator: Generator | None, draws: Draws
    ) -> list[tuple[int, Query]]:
        """(query view, query) pairs: all queries made from the queried views."""
        queries = []
        for place, query_view in enumerate(query_views):
            draw = draws.queries[place] if draws.queries else None
            if draw is None:
                draw = self.query_mixing.sample(len(views[query_view]), generator)
            queries += [(query_view, query) for query in self.query_mixing.queries(views[query_view], draw)]
        return queries

    def _keys(self, terms: list[Term]) -> Tensor:
        """(n, H, D): what the queues take, z_h of the key view of space h, for each view that was queried."""
        own = self.views_mixing.queue == "own"
        keys = {(term.query_view, term.space): term.keys[:, term.space if own else 0] for term in terms}
        spaces = range(self.framework.online.spaces)
        parts = [
            torch.stack([keys[query_view, space] for space in spaces], dim=1) for query_view in self._query_views()
        ]
        return torch.cat(parts).detach()


def check_compatible(framework: type[Framework], mixings: Sequence[Mixing], oracle: bool = False) -> None:
    """Raises IncompatibleMixing, with the reason and the nearest pair that works."""
    if oracle and not framework.has_negatives:
        raise IncompatibleMixing(f"a class oracle drops negatives and {framework.name} has none: take it on moco-v2")
    others = [name for name, kind in MIXINGS.items() if not kind.needs_negatives]
    taken: dict[str, str] = {}
    for mixing in mixings:
        name = mixing.label or type(mixing).__name__
        if mixing.needs_negatives and not framework.has_negatives:
            raise IncompatibleMixing(
                f"{name} needs negatives and {framework.label} has none: "
                f"take {name} on {mixing.reported_on[0]}, or {' or '.join(others[:2])} on {framework.name}"
            )
        if mixing.slot in taken:
            raise IncompatibleMixing(
                f"{name} and {taken[mixing.slot]} both change the {mixing.slot}: take one of them; "
                "mixings combine if each fills another slot (views, queries, negatives)"
            )
        taken[mixing.slot] = name


def spread(targets: Tensor, key_views: int, space: int) -> Tensor:
    """(n, N) targets over images -> (n, N * J) over key views: space h matches key view h alone."""
    return torch.kron(targets, torch.eye(key_views, device=targets.device, dtype=targets.dtype)[space][None])


@torch.no_grad()
def proxy_accuracy(candidates: Candidates, synthetic: bool = True) -> Tensor:
    """(n,) 1 if the candidate with the largest target ranks above all others, else 0; higher is better.

    MoCHi, arXiv:2010.01028, Fig. 2b. synthetic: let synthetic negatives compete as well.
    """
    groups = [part for name, part in candidates.negatives.items() if synthetic or name != "synthetic"]
    wanted = candidates.targets.argmax(dim=1, keepdim=True)
    others = [candidates.positives.scatter(1, wanted, -torch.inf), *groups]
    best = torch.stack([part.amax(dim=1) for part in others if part.shape[1]]).amax(dim=0)
    return (candidates.positives.gather(1, wanted).squeeze(1) > best).float()
