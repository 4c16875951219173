"""From encoded images to one array: RGB, of one size, each failure named."""

import io
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Lock
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from mixviz.data.cache import Empty
from mixviz.data.checks import check_square, say
from mixviz.data.rows import PART, parts
from mixviz.environment import check_memory
from mixviz.errors import UserError, reason

THREADS = min(8, os.cpu_count() or 1)  # PIL releases the GIL while it decodes
CHUNK = 32  # images that a thread takes at a time
BLOCK = THREADS * CHUNK  # images that are read at a time; the time of the first ones says how long all will take
ANNOUNCED = 10**9  # bytes of decoded images, from which disk and time are announced
LARGEST = 2**29  # pixels of an image
HUGE = 2**26  # pixels, of which only one image is decoded at a time
DEPTHS = (8, 12, 16)  # bits that a grey image with room for more may use
_huge, _own_pillow = Lock(), Lock()


SplitBy = Literal["name", "row"]  # what decides which fifth is test if the data have no test split


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a split is read; each source uses the options that it has."""

    image_size: int | None = None  # pixels
    sample_rate: int | None = None  # samples a second
    target: str | None = None  # the column of classes
    skip_bad: bool = False
    unlabelled: bool = False  # ignore labels
    split_by: SplitBy = "name"
    progress: bool = True
    seed: int = 0  # of generated data, such as glyphs


Source = TypeVar("Source")
Found = TypeVar("Found")
Item = TypeVar("Item", bound=bytes | Path | None, covariant=True)


@dataclass(frozen=True)
class Encoded(Generic[Item]):
    """Images as files or as the bytes of files, each with a name for messages."""

    items: Iterable[Item]  # which may be read as they are needed, each time again
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)


class _Decoded(NamedTuple):
    """A decoded image; for grey images of more than 8 bits, the raw values."""

    pixels: np.ndarray  # (H, W, 3) uint8, or (H, W) uint16
    frames: bool  # whether there is more than one frame


def decode_all(
    encoded: Encoded[bytes | Path | None], reading: Reading, what: str = "images", empty: Empty = np.empty
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) uint8, and the indices of the images that could be decoded, (N,).

    With an image size the short side is resized to it and the centre cropped; without, all must have the same size.
    Grey images of more than 8 bits are all scaled alike, by the smallest of DEPTHS that holds the largest value. Of
    several frames the first is taken; stderr says so in both cases, and before a large set is decoded, how much disk
    and time that takes. empty: allocates the array. Raises UserError that names the image.
    """
    count, animated = len(encoded), 0
    pixels = np.empty((0, 0, 0, 3), np.uint8)
    kept: list[int] = []
    deep: dict[int, np.ndarray] = {}
    with (
        _patient_pillow(),
        ThreadPool(THREADS) as pool,
        tqdm(total=count, desc=f"decoding {what}", unit=" images", disable=not reading.progress) as bar,
    ):
        results, began = in_order(pool, partial(_try, image_size=reading.image_size), encoded.items), time.monotonic()
        for name, (i, result) in zip(encoded.names, enumerate(results), strict=True):
            bar.update()
            if isinstance(result, _Decoded):
                height, width = result.pixels.shape[:2]
                if not kept:
                    check_square(width, height, name)
                    pixels = empty((count, height, width, 3), np.uint8)
                _check_same_size(result.pixels, pixels, name)
                if result.pixels.ndim == 2:
                    deep[len(kept)] = result.pixels
                else:
                    pixels[len(kept)] = result.pixels
                animated += result.frames
                kept.append(i)
            elif not reading.skip_bad:
                raise UserError(f"cannot decode {name} ({result}): fix it, or skip it with --skip-bad")
            if i + 1 == BLOCK and pixels.nbytes >= ANNOUNCED:
                minutes = (time.monotonic() - began) / BLOCK * count / 60
                say(f"{what}: decoding takes about {minutes:,.0f} min and {pixels.nbytes / 1e9:,.1f} GB of disk, once")
    if count and not kept:
        raise UserError(f"none of the {count} images of {what} can be decoded: are they images?")
    if animated:
        say(f"{what}: {animated:,} of {len(kept):,} files have several frames, of which the first is taken")
    _scale(deep, pixels, what)
    return pixels[: len(kept)], np.asarray(kept, np.int64)


def in_order(pool: ThreadPool, work: Callable[[Source], Found], items: Iterable[Source]) -> Iterator[Found]:
    """The results for all items, in order; only a block of items is in memory at a time."""
    for block in _blocks(items):
        yield from pool.imap(work, block, -(-len(block) // THREADS))  # a share for each thread


def _blocks(items: Iterable[Source]) -> Iterator[list[Source]]:
    """At most BLOCK items each, and not much more than half of PART bytes, since two blocks are there at a time."""
    block, size = [], 0
    for item in items:
        block.append(item)
        size += len(item) if isinstance(item, bytes) else 0
        if len(block) == BLOCK or size > PART // 2:
            yield block
            block, size = [], 0
    if block:
        yield block


@contextmanager
def _patient_pillow() -> Iterator[None]:
    """Pillow without its own size limit, which LARGEST replaces, and without warnings about tags."""
    with _own_pillow, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _scale(deep: dict[int, np.ndarray], pixels: np.ndarray, what: str) -> None:
    """Write images of more than 8 bits into their rows of pixels (N, H, W, 3), all scaled alike."""
    top = max((int(values.max()) for values in deep.values()), default=0)
    depth = next(bits for bits in DEPTHS if top < 2**bits)
    for row, values in deep.items():
        pixels[row] = (values >> (depth - 8))[..., None]
    if deep and depth < max(DEPTHS):
        say(f"{what}: {len(deep):,} grey images with values up to {top:,} are taken for images of {depth} bits")


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of 8 bits as RGB: grey is repeated, transparency is blended onto white. Raises ValueError for floats."""
    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def upright(image: Image.Image) -> Image.Image:
    """Rotated as its EXIF tag says; unchanged if its tags cannot be read."""
    image.load()  # a fault of the pixels, not of the tags
    with suppress(Exception):  # Pillow raises many kinds for damaged tags
        return ImageOps.exif_transpose(image)
    return image


def resize(image: Image.Image, size: int) -> Image.Image:
    """The short side resized to ``size`` pixels, bilinear with antialiasing, and the centre cropped."""
    if image.size == (size, size):
        return image
    return ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def resize_all(pixels: np.ndarray, size: int) -> np.ndarray:
    """Decoded images, (N, H, W, 3) -> (N, size, size, 3). Raises UserError if they do not fit into memory."""
    if pixels.shape[1:3] == (size, size):
        return pixels
    check_memory(3.0 * size * size * len(pixels), f"{len(pixels):,} images of {size} px", "lower --image-size")
    resized = np.empty((len(pixels), size, size, 3), np.uint8)
    images = (image for part in parts(pixels) for image in part)
    for row, image in zip(resized, images, strict=True):
        row[:] = np.asarray(resize(Image.fromarray(image), size))
    return resized


def _try(item: bytes | Path | None, image_size: int | None) -> _Decoded | str:
    """The image, or the reason why there is none."""
    if item is None:
        return "it is empty"
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            frames = getattr(image, "is_animated", False) and image.format != "MPO"  # previews of cameras
            if image_size is not None:
                image.draft(None, (2 * image_size, 2 * image_size))  # a large JPEG is decoded to a part of its size
            size = image.width * image.height
            if size > LARGEST:
                return f"it has {size / 1e6:,.0f} megapixels, and {LARGEST / 1e6:,.0f} can be read: make it smaller"
            with _huge if size > HUGE else nullcontext():
                return _Decoded(_pixels(upright(image), image_size), frames)
    except Exception as error:  # PIL raises many kinds for damaged files
        return "not an image" if isinstance(error, Image.UnidentifiedImageError) else reason(error)


def _pixels(image: Image.Image, image_size: int | None) -> np.ndarray:
    """(H, W, 3) uint8; of a grey image of more than 8 bits (H, W) uint16."""
    if not image.mode.startswith("I"):
        image = to_rgb(image)
        return np.asarray(image if image_size is None else resize(image, image_size))
    values = np.asarray(image).clip(0, 2**16 - 1)
    if image_size is not None:
        values = np.asarray(resize(Image.fromarray(values.astype(np.float32)), image_size)).round()
    return values.astype(np.uint16)


def _check_same_size(result: np.ndarray, pixels: np.ndarray, name: str) -> None:
    (height, width), (first_height, first_width) = result.shape[:2], pixels.shape[1:3]
    if (height, width) != (first_height, first_width):
        raise UserError(
            f"the images are of several sizes ({first_width}x{first_height}, and {name} is {width}x{height}): "
            "give --image-size, such as 64"
        )
