"""Nearest neighbours, weighted (Wu et al. 2018, arXiv:1805.01978) or with one vote each."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Metric = Literal["cosine", "euclidean"]


def knn_predict(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    k: int,
    temperature: float | None,
    chunk: int = 1024,
    metric: Metric = "cosine",
) -> Tensor:
    """Class of each query, (n,), by ``knn_votes``. A tie goes to the smallest class."""
    return knn_votes(bank, labels, queries, k, temperature, chunk, metric).argmax(dim=1)


@torch.no_grad()
def knn_votes(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    k: int,
    temperature: float | None,
    chunk: int = 1024,
    metric: Metric = "cosine",
) -> Tensor:
    """Votes for each class, (n, C), of the k nearest of the bank.

    Each votes with weight exp(similarity / temperature), or 1 if the temperature is None. The similarity is the
    cosine or, for Euclidean distance d, -d² / 2, which on vectors of unit length differs from the cosine by a
    constant alone.

    bank: (N, F); labels: (N,) from 0; queries: (n, F); k larger than N is N.
    Works in chunks of queries: chunk * N memory.
    """
    if metric == "cosine":
        bank, queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    classes = int(labels.max()) + 1
    found = []
    for part in queries.split(chunk):
        similarity = part @ bank.T if metric == "cosine" else torch.cdist(part, bank).square_().div_(-2)
        nearest = similarity.topk(min(k, len(bank)), dim=1)
        weights = torch.ones_like(nearest.values)
        if temperature is not None:  # relative to the nearest, so that nothing overflows or vanishes
            weights = ((nearest.values - nearest.values[:, :1]) / temperature).exp()
        votes = torch.zeros(len(part), classes, device=part.device, dtype=part.dtype)
        votes.scatter_add_(1, labels.to(part.device)[nearest.indices], weights)
        found.append(votes)
    return torch.cat(found)
