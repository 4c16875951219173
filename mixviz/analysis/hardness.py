"""How hard the negatives are: matching probabilities, proxy task, false negatives, synthetic points.

The pictures of MoCHi (Kalantidis et al. 2020, arXiv:2010.01028, Fig. 2) and what explains them, from the same
candidates that are trained on. Letters: n queries, M candidates, S synthetic negatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.errors import UserError
from mixviz.frameworks import Framework
from mixviz.method import Method, proxy_accuracy
from mixviz.mixing import MoCHi
from mixviz.terms import Candidates, Term


@dataclass(frozen=True, kw_only=True)
class Hardness:
    """How hard the proxy task of each query is."""

    probabilities: Tensor  # (n, top) matching probabilities of the hardest negatives, the hardest first; 0: no more
    proxy_accuracy: Tensor  # (n,) 1 if the own key ranks above all negatives
    effective_negatives: Tensor  # (n,) how many negatives share the mass, from 1 to their number
    false_negatives: Tensor | None  # (n,) share of the query's own class among the hardest; None without labels


@torch.no_grad()
def hardness(
    candidates: Candidates,
    top: int = 1024,
    top_false: int = 1024,
    same_class: Tensor | None = None,
    synthetic: bool = False,
) -> Hardness:
    """Hardness of every query.

    top: how many of the hardest negatives to keep, and top_false: to look for false ones among (both at most as many
    as any query has). same_class: (n, M), from ``of_own_class``. synthetic: let synthetic negatives count; they have no
    class, so they count neither as true nor as false.
    Raises UserError if there are no negatives at all.
    """
    similarities = candidates.similarities if synthetic else torch.cat(real_parts(candidates), dim=1)
    negative = negative_columns(similarities, candidates)
    if not negative.any():
        raise UserError("these candidates contain no negatives: use moco-v2, simclr or n-pair")
    probabilities = (similarities / candidates.temperature).softmax(dim=1)
    of_negatives = probabilities.masked_fill(~negative, 0.0)
    top = min(top, int(negative.sum(dim=1).max()))
    false = None
    if same_class is not None:
        real = torch.cat(real_parts(candidates), dim=1)
        false = false_negatives(real, negative_columns(real, candidates), same_class[:, : real.shape[1]], top_false)
    return Hardness(
        probabilities=of_negatives.topk(top, dim=1).values,
        proxy_accuracy=proxy_accuracy(candidates, synthetic=synthetic),
        effective_negatives=effective_number(of_negatives),
        false_negatives=false,
    )


def real_parts(candidates: Candidates) -> list[Tensor]:
    """The similarities, group by group, without those of synthetic negatives."""
    return [candidates.positives, *(part for name, part in candidates.negatives.items() if name != "synthetic")]


def negative_columns(similarities: Tensor, candidates: Candidates) -> Tensor:
    """(n, M) bool: candidates, among the first M columns, that carry no target mass."""
    negative = similarities > -torch.inf
    negative[:, : candidates.targets.shape[1]] &= candidates.targets == 0
    return negative


def effective_number(weights: Tensor) -> Tensor:
    """(n,) exponential of the entropy of each row of non-negative weights (n, M), in columns; 1 <= it <= M.

    Of probabilities: how many candidates compete for a query. NaN if the rows are, as BYOL's probabilities.
    """
    shares = weights / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    return torch.special.entr(shares).sum(dim=1).exp()


def false_negatives(similarities: Tensor, negative: Tensor, same_class: Tensor, top: int) -> Tensor:
    """(n,) share of the query's own class among its ``top`` most similar negatives (MoCHi, Fig. 2c); all (n, M)."""
    hardest = similarities.masked_fill(~negative, -torch.inf).topk(min(top, similarities.shape[1]), dim=1).indices
    real = negative.gather(1, hardest)
    return (same_class.gather(1, hardest) & real).sum(dim=1).to(similarities.dtype) / real.sum(dim=1)


def of_own_class(framework: Framework, term: Term, candidates: Candidates, labels: Tensor) -> Tensor:
    """(n, M) bool: which candidates share the class of the image that makes up most of the query.

    labels: (N,) classes of the batch, negative if unknown. Synthetic negatives have no class.
    """
    columns = [labels.repeat_interleave(candidates.positives.shape[1] // len(labels))]
    for name, part in candidates.negatives.items():
        known = {"own view": labels, "queue": framework.pool_labels(labels)}
        columns.append(known.get(name, labels.new_full((part.shape[1],), -1)))
    own = labels[term.query.targets.argmax(dim=1)]
    column_labels = torch.cat(columns)
    return (own[:, None] == column_labels[None]) & (column_labels >= 0)


@dataclass(frozen=True, kw_only=True)
class SyntheticPoints:
    """Synthetic negatives of every query with their parents: first the s pairs, then the s' with the query."""

    similarity: Tensor  # (n, S) cosine to the query
    parents: Tensor  # (n, S, 2) of the negatives that were mixed; mixtures with the query have one, given twice
    places: Tensor  # (n, S, 2) of the parents, in the pool
    towards_query: Tensor  # (S,) bool
    false_parents: Tensor | None  # (n, S) share of the parents that are of the query's own class; None without labels

    @property
    def harder(self) -> Tensor:
        """(n, S) bool: more similar to the query than both parents."""
        return self.similarity > self.parents.amax(dim=2)


@torch.no_grad()
def synthetic_points(method: Method, term: Term, labels: Tensor | None = None) -> SyntheticPoints:
    """What MoCHi synthesised for a term's queries, and from what.

    labels: (N,) classes of the batch; the queue keeps its own. Raises UserError if nothing was synthesised.
    """
    mixing = method.negative_mixing
    if not isinstance(mixing, MoCHi) or not term.synthetic.shape[1]:
        raise UserError("there are no synthetic negatives: use a method with mochi, after its warm-up")
    pool, allowed = method.framework.pool(term.keys, term.query.targets, term.space, term.labels)
    q = term.q.detach()
    first, second, partner = mixing.parents(q, pool.detach(), allowed, term.draw)
    places = torch.stack([torch.cat([first, partner], dim=1), torch.cat([second, partner], dim=1)], dim=2)
    parents = (q @ pool.detach().T).gather(1, places.flatten(1)).view_as(places)
    towards_query = torch.arange(places.shape[1], device=q.device) >= first.shape[1]
    false = None
    if labels is not None:
        own = labels[term.query.targets.argmax(dim=1)]
        pool_labels = method.framework.pool_labels(labels)[places]  # (n, S, 2)
        false = ((pool_labels == own[:, None, None]) & (pool_labels >= 0)).to(q.dtype).mean(dim=2)
    similarity = (term.synthetic @ q[:, :, None]).squeeze(2)
    return SyntheticPoints(
        similarity=similarity, parents=parents, places=places, towards_query=towards_query, false_parents=false
    )


@torch.no_grad()
def temperature_response(candidates: Candidates, temperatures: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """What the temperature does to the same similarities: one row for each.

    Columns: temperature; effective_negatives; positive_probability, the mass on targets; hardest_share, the part of
    the negatives' mass, and so of their push on the query, that the hardest hundredth of them has.
    """
    negative = negative_columns(candidates.similarities, candidates)
    hardest = max(1, int(negative.sum(dim=1).min()) // 100)
    rows = []
    for temperature in temperatures:
        probabilities = (candidates.similarities / temperature).softmax(dim=1)
        of_negatives = probabilities.masked_fill(~negative, 0.0)
        mass = of_negatives.sum(dim=1).clamp(min=torch.finfo(of_negatives.dtype).tiny)
        rows.append(
            {
                "temperature": temperature,
                "effective_negatives": float(effective_number(of_negatives).mean()),
                "positive_probability": float((1 - of_negatives.sum(dim=1)).mean()),
                "hardest_share": float((of_negatives.topk(hardest, dim=1).values.sum(dim=1) / mass).mean()),
            }
        )
    return pd.DataFrame(rows)
