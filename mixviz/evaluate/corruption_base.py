"""What every corruption is made with: unit values, bytes, lengths that grow with the image, and smears along a line."""

from collections.abc import Sequence
from functools import cache

import numpy as np

Array = np.ndarray
Draws = Sequence[np.random.Generator]  # one an image
REFERENCE_SIZE = 32  # pixels; lengths hold at this size and grow with the image


def to_unit(images: Array) -> Array:
    """uint8 -> float32 in [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


def to_bytes(images: Array) -> Array:
    """[0, 1] -> uint8, cut and rounded; halves go up, whatever the last bits of the sum that they come from."""
    return (np.clip(images, 0, 1) * np.float32(255) + np.float32(0.5 + 1e-3)).astype(np.uint8)


def pixels(images: Array) -> float:
    """Pixels of these images to one of the table's."""
    return min(images.shape[1:3]) / REFERENCE_SIZE


def smear(unit: Array, angles: Array, deviation: float, steps: int) -> Array:
    """Half a Gaussian along a line, of so many pixels; the edge goes on beyond the image.

    unit: (N, H, W, C) float32; angles: (N,) in radians; deviation: pixels.
    """
    (height, width), angles = unit.shape[1:3], angles[:, None, None]
    weights = np.exp(-0.5 * (np.arange(steps) / deviation) ** 2)
    image, smeared = np.arange(len(unit))[:, None, None], np.zeros(unit.shape, np.float32)
    for step, weight in enumerate((weights / weights.sum()).astype(np.float32)):
        down = np.rint(step * np.sin(angles)).astype(int) + np.arange(height)[:, None]
        right = np.rint(step * np.cos(angles)).astype(int) + np.arange(width)
        smeared += weight * unit[image, np.clip(down, 0, height - 1), np.clip(right, 0, width - 1)]
    return smeared


@cache
def zoom_weights(length: int, zoom: float) -> Array:
    """(length, length) float32: which pixels of a line make each pixel of its zoomed middle, linearly."""
    middle = (length - 1) / 2
    source = middle + (np.arange(length) - middle) / zoom
    return np.clip(1 - np.abs(source[:, None] - np.arange(length)), 0, 1).astype(np.float32)
