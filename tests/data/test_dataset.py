"""A set of images: some of them, what is told apart, and a tensor of its own."""

import numpy as np
import pytest
import torch

from mixviz.data import Dataset
from mixviz.errors import UserError


@pytest.fixture
def images() -> Dataset:
    pixels = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) * np.ones((8, 8, 3), np.uint8)
    factors = {"hue": np.arange(6) * 10, "still": np.zeros(6)}
    return Dataset(
        name="toys",
        split="train",
        stored=pixels,
        labels=np.arange(6) % 2,
        class_names=("a", "b"),
        factors=factors,
        origins=np.array([f"{i}.png" for i in range(6)]),
        skipped=3,
    )


def test_select_keeps_everything_aligned(images):
    some = images.select([4, 1])
    assert len(some) == 2
    assert some.stored[:, 0, 0, 0].tolist() == [4, 1]
    assert some.origins.tolist() == ["4.png", "1.png"]
    assert some.labels.tolist() == [0, 1]
    assert some.factors["hue"].tolist() == [40, 10]
    assert (some.name, some.split, some.class_names, some.skipped) == ("toys", "train", ("a", "b"), 3)


def test_select_by_mask_range_and_nothing(images):
    assert images.select(images.labels == 1).factors["hue"].tolist() == [10, 30, 50]
    assert images.select(range(2)).factors["hue"].tolist() == [0, 10]
    assert images.select([]).stored.shape == (0, 8, 8, 3)


def test_targets_are_labels_or_a_factor(images):
    assert images.targets().tolist() == [0, 1, 0, 1, 0, 1]
    assert images.targets("hue").tolist() == [0, 10, 20, 30, 40, 50]


def test_targets_that_are_refused(images):
    with pytest.raises(UserError, match="unknown factor 'hues': did you mean 'hue'"):
        images.targets("hues")
    with pytest.raises(UserError, match="toys has a single still"):
        images.targets("still")
    with pytest.raises(UserError, match="toys has a single label"):
        images.select([0, 2]).targets()
    with pytest.raises(UserError, match=r"bare has no labels, but they are needed here: .* add labels"):
        Dataset(name="bare", split="train", stored=images.stored).targets()


def test_a_tensor_is_a_copy(images):
    images.stored.flags.writeable = False  # as memory-mapped arrays are
    tensor = images.tensor()
    assert (tuple(tensor.shape), tensor.dtype) == ((6, 8, 8, 3), torch.uint8)
    tensor += 1
    assert images.stored[0, 0, 0, 0] == 0


def test_origins_are_rows_unless_they_are_named(images):
    bare = Dataset(name="bare", split="train", stored=images.stored)
    assert bare.origins.tolist() == [0, 1, 2, 3, 4, 5]
    assert bare.select([3, 5]).select([1]).origins.tolist() == [5]
