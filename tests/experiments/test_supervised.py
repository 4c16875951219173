"""The ceiling learns from labels, the same twice, and gives an encoder like any other."""

import numpy as np
import pytest
import torch

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.experiments.supervised import train_supervised

CONFIG = RunConfig.of(epochs=3, batch_size=32, bn_splits=1, queue_length=64, lr=0.05, dtype="float32", device="cpu")


def halves(n, split, seed, labelled=True):
    """Noise that is a little brighter above or below: the label says which."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    images = random.integers(0, 200, (n, 16, 16, 3))
    for image, label in zip(images, labels, strict=True):
        image[8 * label : 8 * label + 8] += 40
    return Dataset(name="halves", split=split, stored=images.astype(np.uint8), labels=labels if labelled else None)


def test_it_learns_and_repeats():
    train, test = halves(320, "train", 0), halves(100, "test", 1)
    config = CONFIG.but(crop_min=0.9, jitter=0, grayscale=0, blur=0)
    first, second = (train_supervised(config, train, progress=False) for _ in range(2))
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(first.features(images), second.features(images))
    assert not first.training
    (result,) = evaluate(Source(embedder=first, train=train, test=test), protocols=["linear-features"])
    assert result.accuracy > 0.8


def test_it_needs_labels():
    with pytest.raises(UserError, match="has no labels"):
        train_supervised(CONFIG, halves(64, "train", 0, labelled=False), progress=False)
