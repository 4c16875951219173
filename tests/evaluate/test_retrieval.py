"""Retrieval: scikit-learn's average precision for the class of each query, and labels that stay sealed."""

import numpy as np
import pytest
import torch

from mixviz.data import Dataset
from mixviz.evaluate import Source, evaluate
from mixviz.evaluate.retrieval import retrieval


def test_average_precision_is_scikit_learns():
    from sklearn.metrics import average_precision_score

    random = torch.Generator().manual_seed(0)
    bank, queries = torch.randn(60, 5, generator=random), torch.randn(9, 5, generator=random)
    labels = torch.arange(60) % 4 // 1
    labels[:20] = 1  # classes of other sizes
    found, first = retrieval(bank, labels, queries, chunk=4)
    similarity = torch.nn.functional.normalize(queries, dim=1) @ torch.nn.functional.normalize(bank, dim=1).T
    for i in range(9):
        for c in range(4):
            assert found[i, c] == pytest.approx(average_precision_score(labels == c, similarity[i]))
        assert first[i].tolist() == [float(labels[similarity[i].argmax()] == c) for c in range(4)]


def test_a_result_is_the_mean_over_the_classes_that_images_have():
    """Classes are named 3, 7 and 40; queries of class 40 look like class 3, and one is of a class that train lacks."""
    labels = np.repeat([3, 7, 40], 4)
    features, wanted = torch.eye(3).repeat_interleave(4, dim=0), np.array([3, 7, 40, 50])
    queries = torch.eye(3)[[0, 1, 0, 0]]
    images = np.arange(16 * 8 * 8 * 3, dtype=np.uint8).reshape(16, 8, 8, 3)
    train = Dataset(name="x", split="train", stored=images[:12], labels=labels)
    test = Dataset(name="x", split="test", stored=images[12:] + 1, labels=wanted)
    (result,) = evaluate(Source(features=(features, queries), train=train, test=test), protocols=["retrieval"])
    assert result.settings["precision_at_1"] == 0.5
    low = np.mean([k / (8 + k) for k in range(1, 5)])  # places 9 to 12, after ties in order of the rows
    assert result.accuracy == result.settings["mean_average_precision"] == pytest.approx((1 + 1 + low + 0) / 4)
    assert result.confusion is None
