"""The fifth of a source without a test split that is kept as test."""

import math
from hashlib import blake2b, sha256

import numpy as np

from mixviz.data.dataset import Dataset
from mixviz.data.rows import Stored, parts

SHARE = 0.2


def is_test(data: Dataset) -> np.ndarray:
    """(N,) bool: which labelled examples are test, by a hash of each name: independent of the other examples.

    Copies go to the same split. A class of two or more examples is in train and in test; a single one goes to train.
    """
    assert data.labels is not None
    copies = first_copies(data.stored)
    places = np.array([_place(str(origin)) for origin in data.origins])
    lowest = np.ones(len(data))
    np.minimum.at(lowest, copies, places)
    places = lowest[copies]
    test = places < SHARE
    for label in np.unique(data.labels):
        own = data.labels == label
        pictures = np.unique(places[own])
        if len(pictures) == 1:
            test[own] = False
        elif not test[own].any():
            test |= places == pictures[0]
        elif test[own].all():
            test &= places != pictures[-1]
    if not test.any():
        test[places.argmin()] = True  # every class has a single example
    return test


def _place(name: str) -> float:
    """In [0, 1), the same on every system."""
    digest = blake2b(name.replace("\\", "/").encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def first_copies(stored: Stored) -> np.ndarray:
    """(N,) the first row that has the same bytes as each."""
    _, kind, counts = np.unique(eight_bytes(stored), return_inverse=True, return_counts=True)
    first, known = np.arange(len(stored)), dict[bytes, int]()
    for row in np.flatnonzero(counts[kind] > 1).tolist():
        first[row] = known.setdefault(sha256(np.ascontiguousarray(stored[row]).data).digest(), row)
    return first


def eight_bytes(stored: Stored) -> np.ndarray:
    """(N,) eight bytes of each example as one number: examples that differ in it need not be compared."""
    size = math.prod(stored.shape[1:])
    places = np.random.default_rng(0).integers(0, size, 8)
    found = [part.reshape(-1, size)[:, places] for part in parts(stored)]
    together = np.concatenate(found or [np.zeros((0, 8), stored.dtype)])
    return np.ascontiguousarray(together).view(np.uint64)[:, 0]
