"""Weighted nearest neighbours (Wu et al. 2018, arXiv:1805.01978)."""

import torch
import torch.nn.functional as F
from torch import Tensor


@torch.no_grad()
def knn_predict(bank: Tensor, labels: Tensor, queries: Tensor, k: int, temperature: float, chunk: int = 1024) -> Tensor:
    """Class of each query, (n,): the k nearest of the bank by cosine vote, each with weight exp(cosine / temperature).

    bank: (N, F); labels: (N,) from 0; queries: (n, F); k larger than N is N.
    Works in chunks of queries: chunk * N memory.
    """
    bank, queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    classes = int(labels.max()) + 1
    predicted = []
    for part in queries.split(chunk):
        nearest = (part @ bank.T).topk(min(k, len(bank)), dim=1)
        weights = ((nearest.values - 1) / temperature).exp()  # as exp(cosine / temperature), and never overflows
        votes = torch.zeros(len(part), classes, device=part.device, dtype=part.dtype)
        votes.scatter_add_(1, labels.to(part.device)[nearest.indices], weights)
        predicted.append(votes.argmax(dim=1))
    return torch.cat(predicted)
