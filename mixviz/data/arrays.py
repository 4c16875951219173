"""Images as arrays: a NumPy archive."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mixviz import files
from mixviz.data.cache import Empty, cached, stamp_of
from mixviz.data.checks import check_labels
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Reading
from mixviz.data.rows import LARGE, parts
from mixviz.environment import free_memory
from mixviz.errors import UserError, reason
from mixviz.files import Shapes

NOT_FACTORS = {"images", "labels", "test_images", "test_labels"}


def arrays_have_test(path: Path) -> bool:
    """Whether there is an array ``test_images``."""
    return "test_images" in _read(path, lambda _: [])[1]


def read_arrays(path: Path, split: str, reading: Reading) -> Dataset:
    """``images`` and ``labels`` of an .npz, or ``test_images`` and ``test_labels``.

    images: (N, H, W), (N, H, W, C) or (N, C, H, W), C of 1, 3 or 4, uint8, or floats in [0, 1]. labels: (N,) whole
    numbers. Further arrays of length N are factors; those of test start with ``test_`` too.
    """
    prefix = "" if split == "train" else "test_"
    images = f"{prefix}images"

    def of_split(shapes: Shapes) -> list[str]:
        count = shapes.get(images, ())[:1]
        named = {images, f"{prefix}labels"}
        return [n for n, s in shapes.items() if n.startswith("test_") == bool(prefix) and (n in named or s == count)]

    arrays, shapes = _read(path, of_split)
    if images not in arrays:
        raise UserError(f"{path} holds {', '.join(shapes) or 'nothing'}: it needs an array called {images}")
    what = f"{path.name}: {images}"
    large = arrays[images].nbytes >= LARGE
    pixels = as_rgb(arrays[images], what, ["numpy", stamp_of([path], path.parent), images] if large else None)
    labels = arrays.get(f"{prefix}labels")
    if labels is not None:
        what = f"{path.name}: {prefix}labels"
        if labels.shape != (len(pixels),):
            raise UserError(f"{what} is of shape {labels.shape}: make it ({len(pixels)},), one label per image")
        labels = check_labels(labels, what)
    factors = {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name not in NOT_FACTORS and values.shape == (len(pixels),)
    }
    return Dataset(name=f"numpy:{path.stem}", split=split, stored=pixels, labels=labels, factors=factors)


def _read(path: Path, wanted: Callable[[Shapes], list[str]]) -> tuple[dict[str, np.ndarray], Shapes]:
    """Those arrays of an archive that ``wanted`` chooses, and the shapes of all. Raises UserError."""
    found: dict[str, tuple[int, ...]] = {}

    def chosen(shapes: Shapes) -> list[str]:
        found.update(shapes)
        return wanted(shapes)

    try:
        return files.read_arrays(path, chosen, free_memory(), map_from=LARGE), found
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files
        raise UserError(
            f"{path} cannot be read as an .npz of arrays ({reason(error)}): write it with np.savez"
        ) from error


def as_rgb(images: np.ndarray, what: str, key: Any = None) -> np.ndarray:
    """(N, H, W, 3) uint8, a view if possible. Raises UserError that names the array and, if it is one, the row.

    key: of an entry of the cache, for an array that is too large to be there twice: it is converted into a file.
    """
    images = _channels_last(images, what)
    if images.dtype == np.uint8 and images.shape[3] == 3:
        return images

    def convert(empty: Empty) -> Dataset:
        pixels = empty((*images.shape[:3], 3), np.uint8)
        return Dataset(name=what, split="", stored=_convert(images, what, pixels))

    return (convert(np.empty) if key is None else cached(key, convert)).stored


def _channels_last(images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, C), C of 1, 3 or 4, a view. Raises UserError."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise UserError(f"{what} is of shape {images.shape}: make it (N, H, W, 3)")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise UserError(f"{what} is {images.dtype}: make it uint8, or floats in [0, 1]")
    return images


def _convert(images: np.ndarray, what: str, pixels: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as RGB, written into pixels (N, H, W, 3), a part at a time. Raises UserError."""
    row = 0
    for part in parts(images):
        first, row = row, row + len(part)
        if part.dtype != np.uint8:
            part = _from_floats(part, what, first)
        if part.shape[3] == 4:
            share = part[..., 3:] / np.float32(255)
            part = (part[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)
        pixels[first:row] = part
    return pixels


def _from_floats(images: np.ndarray, what: str, row: int) -> np.ndarray:
    """Floats in [0, 1] as uint8. row: of the first image. Raises UserError that names the first row with others."""
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        first = row + finite.argmin()
        raise UserError(f"{what} has NaN or infinite values, first in row {first}: leave such images out")
    inside = ((images >= 0) & (images <= 1)).all(axis=(1, 2, 3))
    if not inside.all():
        first, extent = row + inside.argmin(), f"{images.min():.3g} to {images.max():.3g}"
        raise UserError(f"{what} has floats from {extent}, first in row {first}: scale them to [0, 1]")
    return (images.astype(np.float32) * 255).round().astype(np.uint8)
