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
