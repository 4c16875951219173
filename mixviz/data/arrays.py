"""Images as arrays: a NumPy archive."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from mixviz.data.checks import check_labels
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Reading
from mixviz.errors import UserError, reason

NOT_FACTORS = {"images", "labels", "test_images", "test_labels"}


def arrays_have_test(path: Path) -> bool:
    """Whether there is an array ``test_images``."""
    with _archive(path) as archive:
        return "test_images" in archive.files


def read_arrays(path: Path, split: str, reading: Reading) -> Dataset:
    """``images`` and ``labels`` of an .npz, or ``test_images`` and ``test_labels``.

    images: (N, H, W), (N, H, W, C) or (N, C, H, W), C of 1, 3 or 4, uint8, or floats in [0, 1]. labels: (N,) whole
    numbers. Further arrays of length N are factors; those of test start with ``test_`` too.
    """
    prefix = "" if split == "train" else "test_"
    with _archive(path) as archive:
        arrays = {name: archive[name] for name in archive.files if name.startswith("test_") == bool(prefix)}
    if f"{prefix}images" not in arrays:
        raise UserError(f"{path} holds {', '.join(arrays) or 'nothing'}: it needs an array called {prefix}images")
    pixels = as_rgb(arrays[f"{prefix}images"], f"{path.name}: {prefix}images")
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


@contextmanager
def _archive(path: Path) -> Iterator[NpzFile]:
    """The open archive. Raises UserError that names the file, also for what goes wrong while it is read."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise TypeError("it is a single array")
            with archive:
                yield archive
    except Exception as error:  # NumPy and zipfile raise many kinds for damaged files
        raise UserError(
            f"{path} cannot be read as an .npz of arrays ({reason(error)}): write it with np.savez"
        ) from error


def as_rgb(images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, 3) uint8. Raises UserError that names the array and, where it is one, the row."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim != 4 or images.shape[3] not in (1, 3, 4):
        raise UserError(f"{what} is of shape {images.shape}: make it (N, H, W, 3)")
    if np.issubdtype(images.dtype, np.floating):
        images = _from_floats(images, what)
    if images.dtype != np.uint8:
        raise UserError(f"{what} is {images.dtype}: make it uint8, or floats in [0, 1]")
    if images.shape[3] == 4:
        share = images[..., 3:] / np.float32(255)
        images = (images[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(images, (*images.shape[:3], 3)))


def _from_floats(images: np.ndarray, what: str) -> np.ndarray:
    """Floats in [0, 1] as uint8. Raises UserError that names the first row with others."""
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        raise UserError(f"{what} has NaN or infinite values, first in row {finite.argmin()}: leave such images out")
    inside = ((images >= 0) & (images <= 1)).all(axis=(1, 2, 3))
    if not inside.all():
        extent = f"{images.min():.3g} to {images.max():.3g}"
        raise UserError(f"{what} has floats from {extent}, first in row {inside.argmin()}: scale them to [0, 1]")
    return (images.astype(np.float32) * 255).round().astype(np.uint8)
