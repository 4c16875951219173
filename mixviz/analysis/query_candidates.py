"""One query in detail: which candidates push it, which of them are of its own class, and at which ranks these are.

Letters: N images, n queries, M candidates, K queue length, S synthetic negatives.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.analysis.hardness import SyntheticPoints, negative_columns, real_parts, synthetic_points
from mixviz.analysis.targets import NONE, contrast_table
from mixviz.frameworks import MoCoV2
from mixviz.method import Method
from mixviz.terms import Candidates, Term

KINDS = OWN_KEY, NEGATIVE, PAIR, TOWARDS = ("own key", "negative", "two negatives", "query and negative")


@torch.no_grad()
def query_candidates(
    method: Method,
    term: Term,
    query: int,
    labels: Tensor | None = None,
    points: SyntheticPoints | None = None,
    own_image: Tensor | None = None,
) -> pd.DataFrame:
    """The candidates of one clean query of MoCo-v2, the most similar first.

    Columns: kind, one of KINDS; column, among all candidates; first and second, places in the queue of what the
    candidate is or is mixed of (-1: of the own key; a mixture with the query has one parent, twice); similarity;
    gradient_share (see ``ContrastTable``); false, the share of the parents that are of the query's class (NaN for the
    own key, and if classes are not known); own_image, the share of the parents that are keys of the query's own image,
    which are false whatever is known of classes. labels: (N,) classes of the batch; the queue keeps its own. points:
    the term's ``synthetic_points``, if they were computed already. own_image: (K,) bool, which keys of the queue are of
    the query's own image; None: none.
    """
    framework = method.framework
    assert isinstance(framework, MoCoV2)
    table = contrast_table(framework, term)
    known, queue = framework.queue.labels, table.slices["queue"]
    kind = torch.full_like(table.kind[query], KINDS.index(OWN_KEY))
    kind[queue] = KINDS.index(NEGATIVE)
    places = torch.full((len(kind), 2), -1)
    places[queue] = torch.arange(len(known))[:, None]
    if "synthetic" in table.slices:
        points = points or synthetic_points(method, term)
        places[table.slices["synthetic"]] = points.places[query]
        kind[table.slices["synthetic"]] = KINDS.index(PAIR) + points.towards_query.long()
    false = torch.full_like(places, torch.nan, dtype=torch.float32)
    if labels is not None and labels[query] >= 0:
        false = (known[places] == labels[query]).float().masked_fill((places < 0) | (known[places] < 0), torch.nan)
    own = torch.zeros_like(known, dtype=torch.bool) if own_image is None else own_image[: len(known)]
    own = own[places] & (places >= 0)
    false = false.masked_fill(own, 1.0)
    order = table.similarities[query].argsort(descending=True, stable=True)
    order = order[table.kind[query, order] != NONE]
    columns = {
        "kind": pd.Categorical.from_codes(kind[order].numpy(), pd.Index(KINDS)),
        "column": order.numpy(),
        "first": places[order, 0].numpy(),
        "second": places[order, 1].numpy(),
        "similarity": table.similarities[query, order].numpy(),
        "gradient_share": table.gradient_share[query, order].numpy(),
        "false": false[order].mean(dim=1).numpy(),
        "own_image": own[order].float().mean(dim=1).numpy(),
    }
    return pd.DataFrame(columns)


@torch.no_grad()
def false_by_rank(candidates: Candidates, same_class: Tensor, top: int) -> Tensor:
    """(top,) share of the own class among each query's hardest, two hardest, ... real negatives, mean over queries.

    ``hardness.false_negatives`` at every depth at once. same_class: (n, M), from ``hardness.of_own_class``.
    """
    similarities = torch.cat(real_parts(candidates), dim=1)
    negative = negative_columns(similarities, candidates)
    order = similarities.masked_fill(~negative, -torch.inf).argsort(dim=1, descending=True)[:, :top]
    real = negative.gather(1, order)
    same = same_class.gather(1, order) & real
    return (same.cumsum(dim=1) / real.cumsum(dim=1)).nanmean(dim=0)


def false_mixtures(points: SyntheticPoints) -> dict[str, float]:
    """Share of the synthetic negatives that have a parent of the query's class, mean over queries, by kind.

    Empty without labels; kinds without a synthetic negative are left out.
    """
    if points.false_parents is None:
        return {}
    some = (points.false_parents > 0).float()
    kinds = {PAIR: ~points.towards_query, TOWARDS: points.towards_query}
    return {kind: float(some[:, chosen].mean()) for kind, chosen in kinds.items() if chosen.any()}


def gradient_by_kind(found: pd.DataFrame) -> pd.DataFrame:
    """The candidates of ``query_candidates`` by kind, for the kinds that occur.

    Index kind, columns candidates, gradient_share, false and own_image: the part of gradient_share that comes from
    candidates with a parent of the query's class, and of the query's own image.
    """
    kind, share = found["kind"].cat.codes, found["gradient_share"].to_numpy()
    weights = {
        "candidates": np.ones(len(kind)),
        "gradient_share": share,
        "false": share * (found["false"] > 0).to_numpy(),
        "own_image": share * (found["own_image"] > 0).to_numpy(),
    }
    sums = pd.DataFrame({name: np.bincount(kind, values, len(KINDS)) for name, values in weights.items()}, index=KINDS)
    return sums[sums["candidates"] > 0]
