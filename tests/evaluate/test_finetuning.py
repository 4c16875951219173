"""Fine-tuning: learns, from as many labels as it says, and leaves the encoder as it was."""

import numpy as np
import pytest

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate, fingerprint


def shapes(n, split, seed):
    """Grey images with a bright left or right half, the flips of one another: told apart by brightness below."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    images = random.integers(0, 60, (n, 16, 16, 3))
    images[:, 8:] += 120 * labels[:, None, None, None]
    return Dataset(name="halves", split=split, stored=images.astype(np.uint8), labels=labels)


@pytest.mark.parametrize(("share", "labels"), [(1, 100), (0.1, 10)])
def test_it_learns_and_changes_nothing(share, labels):
    embedder = build_embedder(RunConfig.of(dtype="float32", device="cpu", framework="n-pair", width=0.25), (3, 16, 16))
    before = fingerprint(embedder)
    source = Source(embedder=embedder, train=shapes(100, "train", 0), test=shapes(60, "test", 1))
    first, again = (evaluate(source, protocols=[f"fine-tuning:share={share},epochs=15"])[0] for _ in range(2))
    assert first.accuracy == again.accuracy > 0.9
    assert first.settings["labels"] == pytest.approx(labels, abs=1)
    assert fingerprint(embedder) == before
    assert not any(p.grad is not None for p in embedder.parameters())


def test_without_a_backbone_it_is_refused():
    source = Source(train=shapes(100, "train", 0), test=shapes(60, "test", 1))
    with pytest.raises(UserError, match="fine-tuning trains a backbone"):
        evaluate(source, protocols=["fine-tuning"])
    with pytest.raises(UserError, match="share 2"):
        evaluate(source, protocols=["fine-tuning:share=2"])
