"""Images that train and test share: a read-out of these says nothing of others."""

import numpy as np

from mixviz.data import Dataset
from mixviz.errors import UserError

TOLERATED = 0.01  # of the test images: well-known data sets have some


def images_in_both(train: Dataset, test: Dataset) -> int:
    """How many test images are training images too, byte for byte. Raises UserError where they are over 1 %."""
    if train.stored.shape[1:] != test.stored.shape[1:]:
        return 0
    key, test_key = _keys(train.stored), _keys(test.stored)
    known = {image.tobytes() for image in train.stored[np.isin(key, test_key)]}
    both = sum(image.tobytes() in known for image in test.stored[np.isin(test_key, key)])
    if both > TOLERATED * len(test):
        raise UserError(
            f"{both:,} of {len(test):,} test examples are training examples too: remove them, or take another split"
        )
    return both


def _keys(images: np.ndarray) -> np.ndarray:
    """(N,) eight bytes of each image as one number: images that differ in it need not be compared."""
    flat = images.reshape(len(images), -1)
    places = np.random.default_rng(0).integers(0, flat.shape[1], 8)
    return np.ascontiguousarray(flat[:, places]).view(np.uint64)[:, 0]
