"""Images that are both in train and in test: accuracy on them says nothing about new images."""

import numpy as np

from mixviz.data import Dataset
from mixviz.data.fifth import eight_bytes
from mixviz.errors import UserError

TOLERATED = 0.01  # of the test images: even well-known data sets have some


def images_in_both(train: Dataset, test: Dataset) -> int:
    """How many test images are training images too, byte for byte. Raises UserError if they are over 1 %."""
    if train.stored.shape[1:] != test.stored.shape[1:]:
        return 0
    key, test_key = eight_bytes(train.stored), eight_bytes(test.stored)
    known = {image.tobytes() for image in train.stored[np.isin(key, test_key)]}
    both = sum(image.tobytes() in known for image in test.stored[np.isin(test_key, key)])
    if both > TOLERATED * len(test):
        raise UserError(
            f"{both:,} of {len(test):,} test examples are training examples too: remove them, or take another split"
        )
    return both
