"""Which images represent a set, if not all of them are used."""

import numpy as np


def are_mixed(labels: np.ndarray | None) -> bool:
    """Whether classes alternate about as often as in random order, so that any first part represents the whole.

    labels: (n,); False without labels, the safe answer.
    """
    if labels is None or len(labels) < 2:
        return False
    _, counts = np.unique(labels, return_counts=True)
    by_chance = float(np.square(counts / len(labels)).sum())
    return float((labels[1:] == labels[:-1]).mean()) <= (1 + by_chance) / 2


def draw(labels: np.ndarray | None, n: int, size: int, seed: int = 0) -> np.ndarray:
    """(min(size, n),) rows of n images, drawn at random without repeats, in random order.

    labels: (n,); every class is then drawn in proportion, to about one image, however the images are sorted. This also
    holds for the first k rows, for every k. The same labels, n and seed give the same rows; a larger size appends to
    them.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(n)
    if labels is None:
        return order[:size]
    _, kind, counts = np.unique(labels[order], return_inverse=True, return_counts=True)
    rank = np.empty(n)  # rank of an image within its class
    rank[np.argsort(kind, kind="stable")] = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (rank + random.random(len(counts))[kind]) / counts[kind]  # each class spread evenly over [0, 1)
    return order[np.argsort(place, kind="stable")][:size]
