"""From encoded images to one array: RGB, of one size, each failure named."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from mixviz.data.checks import check_square
from mixviz.errors import UserError, reason

THREADS = min(8, os.cpu_count() or 1)  # PIL lets others run while it decodes
CHUNK = 32  # images that a thread takes at a time


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a split is to be read; each source looks at what it knows of."""

    image_size: int | None = None  # pixels
    sample_rate: int | None = None  # samples a second
    target: str | None = None  # the column of classes
    skip_bad: bool = False
    progress: bool = True
    seed: int = 0  # of what is drawn, such as glyphs


Item = TypeVar("Item", bound=bytes | Path | None, covariant=True)


@dataclass(frozen=True)
class Encoded(Generic[Item]):
    """Images as files or as the bytes of files, each with a name for messages."""

    items: Sequence[Item]
    names: Sequence[str]


def decode_all(
    encoded: Encoded[bytes | Path | None], reading: Reading, what: str = "images"
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) uint8, and the indices of the images that could be decoded, (N,).

    With an image size the short side is resized to it and the middle cut out; without, all must be of one size.
    Raises UserError that names the image.
    """
    count = len(encoded.items)
    pixels = np.empty((0, 0, 0, 3), np.uint8)
    kept: list[int] = []
    with (
        ThreadPool(THREADS) as pool,
        tqdm(total=count, desc=f"decoding {what}", unit=" images", disable=not reading.progress) as bar,
    ):
        results = pool.imap(partial(_try, image_size=reading.image_size), encoded.items, CHUNK)
        for name, (i, result) in zip(encoded.names, enumerate(results), strict=True):
            bar.update()
            if isinstance(result, np.ndarray):
                if not kept:
                    check_square(result.shape[1], result.shape[0], name)
                    pixels = np.empty((count, *result.shape), np.uint8)
                _check_same_size(result, pixels, name)
                pixels[len(kept)] = result
                kept.append(i)
            elif not reading.skip_bad:
                raise UserError(f"cannot decode {name} ({result}): fix it, or skip it with --skip-bad")
    if count and not kept:
        raise UserError(f"none of the {count} images of {what} can be decoded: are they images?")
    return pixels[: len(kept)], np.asarray(kept, np.int64)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any kind of image as upright RGB: grey is repeated, transparency lies on white, 16 bit is scaled to 8."""
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def resize(image: Image.Image, size: int) -> Image.Image:
    """The short side resized to ``size`` pixels, bilinear with antialiasing, and the middle cut out."""
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def resize_all(pixels: np.ndarray, size: int) -> np.ndarray:
    """Images that are decoded already, (N, H, W, 3) -> (N, size, size, 3)."""
    if pixels.shape[1:3] == (size, size):
        return pixels
    return np.stack([np.asarray(resize(Image.fromarray(image), size)) for image in pixels])


def _try(item: bytes | Path | None, image_size: int | None) -> np.ndarray | str:
    """The pixels, or the reason why there are none."""
    if item is None:
        return "it is empty"
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            image = to_rgb(image)
            return np.asarray(image if image_size is None else resize(image, image_size))
    except Exception as error:  # PIL raises many kinds for damaged files
        return "not an image" if isinstance(error, Image.UnidentifiedImageError) else reason(error)


def _check_same_size(result: np.ndarray, pixels: np.ndarray, name: str) -> None:
    (height, width), (first_height, first_width) = result.shape[:2], pixels.shape[1:3]
    if (height, width) != (first_height, first_width):
        raise UserError(
            f"the images are of several sizes ({first_width}x{first_height}, and {name} is {width}x{height}): "
            "give --image-size"
        )
