"""Weighted kNN, against a slow loop."""

import math

import pytest
import torch

from mixviz.evaluate.knn import knn_predict


def slow_knn(bank, labels, queries, k, temperature):
    predicted = []
    for query in queries.tolist():
        votes = {}
        norm = math.sqrt(sum(x * x for x in query))
        cosines = []
        for row, label in zip(bank.tolist(), labels.tolist(), strict=True):
            length = math.sqrt(sum(x * x for x in row))
            cosines.append((sum(a * b for a, b in zip(query, row, strict=True)) / norm / length, label))
        for cosine, label in sorted(cosines, reverse=True)[:k]:
            votes[label] = votes.get(label, 0) + math.exp(cosine / temperature)
        predicted.append(max(votes, key=votes.get))
    return predicted


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (20, 0.07), (20, 10.0), (999, 0.5)])
def test_equals_a_slow_loop(k, temperature):
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (60, 25))
    labels = torch.randint(5, (60,), generator=generator)
    assert knn_predict(bank, labels, queries, k, temperature).tolist() == slow_knn(
        bank, labels, queries, k, temperature
    )


def test_chunks_change_nothing():
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, 4, generator=generator) for n in (60, 25))
    labels = torch.randint(5, (60,), generator=generator)
    whole = knn_predict(bank, labels, queries, 7, 0.1)
    assert torch.equal(whole, knn_predict(bank, labels, queries, 7, 0.1, chunk=4))


def test_a_small_temperature_does_not_overflow():
    bank = torch.eye(3)
    assert knn_predict(bank, torch.tensor([2, 0, 1]), bank, k=3, temperature=1e-3).tolist() == [2, 0, 1]


def test_euclidean_votes_equal_cosine_votes_on_unit_vectors():
    """There, minus half the squared distance is the cosine minus one."""
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (60, 25))
    bank, queries = (part / part.norm(dim=1, keepdim=True) for part in (bank, queries))
    labels = torch.randint(5, (60,), generator=generator)
    cosine, euclidean = (knn_predict(bank, labels, queries, 20, 0.1, metric=m) for m in ("cosine", "euclidean"))
    assert torch.equal(cosine, euclidean)


def test_euclidean_minds_lengths_and_cosine_does_not():
    bank, query = torch.tensor([[10.0, 0.0], [0.7, 0.8]]), torch.tensor([[1.0, 0.3]])
    labels = torch.tensor([0, 1])
    assert knn_predict(bank, labels, query, 1, None, metric="cosine").tolist() == [0]
    assert knn_predict(bank, labels, query, 1, None, metric="euclidean").tolist() == [1]


def test_far_neighbours_do_not_vanish():
    """Weights are relative to the nearest: at a distance of 100 all would be zero otherwise, and class 0 win."""
    bank, query = torch.tensor([[100.0, 0.0], [0.0, 101.0]]), torch.zeros(1, 2)
    assert knn_predict(bank, torch.tensor([1, 0]), query, 2, 0.1, metric="euclidean").tolist() == [1]
