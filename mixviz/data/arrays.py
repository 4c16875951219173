"""Images as arrays: a NumPy archive."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixviz.data.decode import SMALLEST
from mixviz.data.imageset import ImageSet
from mixviz.errors import UserError

if TYPE_CHECKING:
    from mixviz.data.sources import Reading


def arrays_have_test(path: Path) -> bool:
    """Whether there is an array ``test_images``."""
    return "test_images" in _open(path)


def read_arrays(path: Path, split: str, reading: "Reading") -> ImageSet:
    """``images`` and ``labels`` of an .npz, or ``test_images`` and ``test_labels``.

    images: (N, H, W), (N, H, W, C) or (N, C, H, W), C of 1, 3 or 4, uint8, or floats in [0, 1]. labels: (N,) whole
    numbers. Further arrays of length N are factors.
    """
    prefix = "" if split == "train" else "test_"
    arrays = _open(path)
    if f"{prefix}images" not in arrays:
        raise UserError(f"{path} holds {', '.join(arrays) or 'nothing'}: it needs an array called images")
    pixels = _to_rgb(arrays[f"{prefix}images"], f"{path.name}: {prefix}images")
    known = {"images", "labels", "test_images", "test_labels"}
    names = [name for name in arrays if name not in known and name.startswith("test_") == bool(prefix)]
    factors = {name.removeprefix(prefix): arrays[name] for name in names if arrays[name].shape == (len(pixels),)}
    labels = arrays.get(f"{prefix}labels")
    if labels is not None:
        labels = _check_labels(labels, len(pixels), f"{path.name}: {prefix}labels")
    return ImageSet(f"numpy:{path.stem}", split, pixels, labels, factors=factors)


def _open(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be read as an .npz of plain arrays ({error}): write it with np.savez"
        ) from error


def _to_rgb(images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, 3) uint8. Raises UserError that names the array and, where it is one, the row."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise UserError(f"{what} is of shape {images.shape}: make it (N, H, W, 3)")
    height, width = images.shape[1:3]
    if height != width or height < SMALLEST:
        raise UserError(f"{what} is {width}x{height}: make the images square, {SMALLEST} pixels or more")
    if np.issubdtype(images.dtype, np.floating):
        images = _from_floats(images, what)
    if images.dtype != np.uint8:
        raise UserError(f"{what} is {images.dtype}: make it uint8, or floats in [0, 1]")
    if images.shape[3] == 4:
        share = images[..., 3:] / np.float32(255)
        images = (images[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(images, (*images.shape[:3], 3)))


def _from_floats(images: np.ndarray, what: str) -> np.ndarray:
    rows = images.reshape(len(images), -1)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise UserError(f"{what} has NaN or infinite values, first in row {bad.argmax()}: leave such images out")
    if len(rows) and (rows.min() < 0 or rows.max() > 1):
        raise UserError(f"{what} has floats from {rows.min():.3g} to {rows.max():.3g}: scale them to [0, 1]")
    return (images * 255).round().astype(np.uint8)


def _check_labels(labels: np.ndarray, n: int, what: str) -> np.ndarray:
    if labels.shape != (n,):
        raise UserError(f"{what} is of shape {labels.shape}: make it ({n},), one label an image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"{what} is {labels.dtype}: make it whole numbers")
    return labels.astype(np.int64)
