"""Nearest neighbours of embeddings by cosine: which they are, whether they share a class, and which points are hubs."""

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.analysis.geometry import at_least_float32
from mixviz.errors import UserError


class Neighbours(NamedTuple):
    """The k nearest of each query, the nearest first."""

    similarity: Tensor  # (n, k) cosine, in [-1, 1]
    index: Tensor  # (n, k) rows of x


@dataclass(frozen=True, kw_only=True)
class Hubness:
    """How often each point is among the k nearest of others (Radovanović et al. 2010, JMLR 11)."""

    occurrences: Tensor  # (N,) the k-occurrence N_k of each point; with n queries they average to n k / N
    skewness: float  # of the k-occurrences; 0 is even, above 1 few points are the neighbours of many
    antihubs: float  # share of points that are never a neighbour, in [0, 1]
    top_share: float  # share of all places that the most frequent 1 % of points take, in [0, 1]


@torch.no_grad()
def nearest(x: Tensor, k: int, queries: Tensor | None = None, chunk: int = 1024) -> Neighbours:
    """The exact k nearest rows of x by cosine, for each query; as LooC's Fig. 3 shows them.

    x: (N, D); queries: (n, D); None: x itself, each point without itself. Lengths do not matter.
    O(n N D) time, O(chunk N) memory. Raises UserError if k is not in 1 .. N (N - 1 without queries).
    """
    bank = F.normalize(at_least_float32(x), dim=1)
    asked = bank if queries is None else F.normalize(at_least_float32(queries).to(bank), dim=1)
    available = len(x) - (queries is None)
    if not 1 <= k <= available:
        raise UserError(f"{k} neighbours of {available} other images: choose k from 1 to {available}")
    found = []
    for start in range(0, len(asked), chunk):
        similarity = asked[start : start + chunk] @ bank.T
        if queries is None:
            similarity.diagonal(offset=start).fill_(-torch.inf)
        found.append(similarity.topk(k, dim=1))
    values, index = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Neighbours(values.clamp(-1, 1), index)


@torch.no_grad()
def hardest_negatives(x: Tensor, labels: Tensor, k: int, chunk: int = 1024) -> Neighbours:
    """The k points of other classes that lie nearest to each point by cosine, the nearest first.

    Of the negatives that a softmax compares a query with, these are pushed away the most (MoCHi, arXiv:2010.01028).
    x: (N, D); labels: (N,). O(N² D) time, O(chunk N) memory. Raises UserError if a point has fewer than k.
    """
    points, labels = F.normalize(at_least_float32(x), dim=1), labels.to(x.device)
    fewest = len(x) - int(labels.unique(return_counts=True)[1].max())
    if not 1 <= k <= fewest:
        raise UserError(f"{k} negatives of {fewest} images of other classes: choose k from 1 to {fewest}")
    found = []
    for start in range(0, len(points), chunk):
        rows = slice(start, start + chunk)
        same = labels[rows, None] == labels
        found.append((points[rows] @ points.T).masked_fill(same, -torch.inf).topk(k, dim=1))
    values, index = (torch.cat(parts) for parts in zip(*found, strict=True))
    return Neighbours(values.clamp(-1, 1), index)


def purity(index: Tensor, labels: Tensor, query_labels: Tensor | None = None) -> Tensor:
    """Share of each query's neighbours that have its class, (n,) in [0, 1]; higher is purer.

    Any factor of the data serves as labels: high purity by hue means that the embedding keeps the hue. The chance level
    is the class's share of all points. index: (n, k) of ``nearest``; labels: (N,) of the points; query_labels: (n,),
    None if the points are the queries. Raises UserError if a label is missing.
    """
    query_labels = labels if query_labels is None else query_labels
    if len(query_labels) != len(index):
        raise UserError(f"{len(index)} queries need {len(index)} labels, not {len(query_labels)}: give one per query")
    same = labels.to(index.device)[index] == query_labels.to(index.device)[:, None]
    return same.double().mean(dim=1)


def purity_table(shares: Tensor, query_labels: Tensor) -> pd.DataFrame:
    """One row a class that occurs: label, queries, purity (mean of its queries' shares), chance.

    shares: (n,) of ``purity``; query_labels: (n,). Chance is the class's share of the queries.
    """
    table = pd.DataFrame({"label": query_labels.cpu().numpy(), "purity": shares.cpu().numpy()})
    table = table.groupby("label").agg(queries=("purity", "size"), purity=("purity", "mean")).reset_index()
    return table.assign(chance=table["queries"] / table["queries"].sum())


def hubness(index: Tensor, n: int) -> Hubness:
    """How unevenly n points occur among the neighbours of all queries (Radovanović et al. 2010, Eq. 1).

    index: (queries, k) of ``nearest``; n: how many points there are to occur.
    """
    occurrences = index.flatten().bincount(minlength=n)
    counts = occurrences.double()
    deviations = counts - counts.mean()
    spread = deviations.square().mean().sqrt()
    skewness = (deviations**3).mean() / spread**3 if spread > 0 else torch.tensor(0.0)
    top = counts.sort(descending=True).values[: max(1, round(n / 100))]
    return Hubness(
        occurrences=occurrences,
        skewness=float(skewness),
        antihubs=float((occurrences == 0).double().mean()),
        top_share=float(top.sum() / counts.sum()),
    )
