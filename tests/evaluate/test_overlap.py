"""Images in both train and test are counted byte for byte, and quickly."""

import time
from dataclasses import replace

import numpy as np
import pytest

from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate.overlap import images_in_both


def noise(n, split, seed, size=8, high=256):
    images = np.random.default_rng(seed).integers(0, high, (n, size, size, 3), dtype=np.uint8)
    return Dataset(name="noise", split=split, stored=images)


def test_shared_images_are_counted_wherever_they_are():
    train, test = noise(500, "train", 0), noise(400, "test", 1)
    assert images_in_both(train, test) == 0
    images = test.stored.copy()
    images[[7, 99, 399]] = train.stored[[3, 3, 498]]
    assert images_in_both(train, replace(test, stored=images)) == 3


def test_images_that_differ_in_one_byte_are_not_shared():
    train, images = noise(100, "train", 0), noise(100, "train", 0).stored.copy()
    images[np.arange(100), np.arange(100) % 8, 3, 1] ^= 1
    assert images_in_both(train, replace(train, stored=images)) == 0


def test_images_that_are_nearly_all_alike_are_distinguished():
    """Black but for one pixel, so that few bytes tell nothing."""
    images = np.zeros((128, 8, 8, 3), np.uint8)
    images.reshape(128, -1)[np.arange(128), np.arange(128)] = 9
    black = Dataset(name="dots", split="train", stored=images)
    assert images_in_both(black.select(range(64)), black.select(range(64, 128))) == 0
    with pytest.raises(UserError, match="64 of 64 test examples"):
        images_in_both(black.select(range(64)), black.select(range(64)))


def test_images_of_another_size_are_others():
    assert images_in_both(noise(10, "train", 0), noise(10, "test", 0, size=16)) == 0


def test_more_than_one_in_a_hundred_is_refused():
    train, test = noise(300, "train", 0), noise(300, "test", 1)
    for shared in (3, 4):
        mixed = replace(test, stored=np.concatenate([train.stored[:shared], test.stored[shared:]]))
        if shared == 3:
            assert images_in_both(train, mixed) == 3
        else:
            with pytest.raises(UserError, match=r"^4 of 300 test examples are training examples too: remove them"):
                images_in_both(train, mixed)


def test_sixty_thousand_images_take_a_moment():
    train, test = noise(50_000, "train", 0, size=32), noise(10_000, "test", 1, size=32)
    began = time.process_time()
    assert images_in_both(train, test) == 0
    assert time.process_time() - began < 0.5
