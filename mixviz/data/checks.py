"""Checks for every source: labels, the size of images, and messages of one line."""

import sys
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from mixviz.errors import UserError

SMALLEST = 8  # pixels


@cache
def say(line: str) -> None:
    """Print a line about the data on stderr, once in a process."""
    print(f"mixviz: {line}", file=sys.stderr)


def check_square(width: int, height: int, what: str) -> None:
    """Raises UserError for images that no encoder takes."""
    if width != height:
        raise UserError(f"{what} is {width}x{height}, but encoders take square images: give --image-size, such as 64")
    if width < SMALLEST:
        raise UserError(
            f"{what} is {width}x{height}, smaller than {SMALLEST} pixels: give --image-size {SMALLEST} or more"
        )


def check_labels(
    labels: np.ndarray, what: str, row: Callable[[int], str] = "row {}".format, classes: Sequence[str] = ()
) -> np.ndarray | None:
    """Labels (N,) of any integer kind as int64; None if all are -1, the customary sign for a split without labels.

    what: the labels' name in messages. row: the name of image i's. Raises UserError that names the first invalid label.
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{what} is {labels.dtype} of shape {labels.shape}: give one integer per image")
    labels = labels.astype(np.int64)
    if len(labels) and (labels == -1).all():
        return None
    bad = labels < 0
    if bad.any():
        first = int(bad.argmax())
        raise UserError(f"{what} is missing or negative in {row(first)}: leave out such images, or all labels")
    if classes and len(labels) and labels.max() >= len(classes):
        first = int(labels.argmax())
        raise UserError(f"{what} is {labels[first]} in {row(first)}, but there are {len(classes)} class names: fix it")
    return labels
