"""Retrieval: test images are queries for training images of their class, by cosine similarity."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.evaluate.base import Readout, Scored


@torch.no_grad()
def retrieval(bank: Tensor, labels: Tensor, queries: Tensor, chunk: int = 256) -> tuple[Tensor, Tensor]:
    """Average precision and precision at 1 of each query for each class that it might have: (n, C) float64 both.

    The whole bank is ranked by cosine with the query; the average precision is scikit-learn's, the mean of the
    precision at each of the class's places. bank: (N, F); labels: (N,) from 0, each of them there; queries: (n, F).
    Works in chunks of queries: chunk * N memory.
    """
    labels = labels.to(bank.device)
    bank, counts = F.normalize(bank, dim=1), labels.bincount()
    grouped = labels.sort().values
    hits = torch.arange(1, len(labels) + 1, device=bank.device) - (counts.cumsum(0) - counts)[grouped]  # of the class
    averages, firsts = [], []
    for part in F.normalize(queries, dim=1).split(chunk):
        ranked = labels[(part @ bank.T).argsort(dim=1, descending=True, stable=True)]
        places = ranked.argsort(dim=1, stable=True) + 1  # class by class, each in rising order
        sums = torch.zeros(len(part), len(counts), dtype=torch.float64, device=bank.device)
        averages.append(sums.index_add_(1, grouped, hits / places.double()) / counts)
        firsts.append(F.one_hot(ranked[:, 0], len(counts)).double())
    return torch.cat(averages), torch.cat(firsts)


@dataclass(frozen=True)
class Retrieval(Scored):
    """Mean average precision (the result) and precision at 1 of all of train, ranked for each test image.

    Nothing is trained and nothing is chosen.
    """

    name: ClassVar[str] = "retrieval"
    measures: ClassVar[tuple[str, ...]] = ("mean_average_precision", "precision_at_1")

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        return torch.stack(retrieval(features, labels, test_features)).cpu(), {}
