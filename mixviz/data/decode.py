"""From encoded images to one array: RGB, of one size, each failure named."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from mixviz.errors import UserError

SMALLEST = 8  # pixels
THREADS = 4  # PIL lets others run while it decodes


@dataclass(frozen=True)
class Encoded:
    """Images as files or as the bytes of files, each with a name for messages."""

    items: Sequence[bytes | Path | None]
    names: Sequence[str]


def decode_all(
    encoded: Encoded, image_size: int | None = None, skip_bad: bool = False, what: str = "images", progress: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(N, H, W, 3) uint8, and the indices of the images that could be decoded, (N,).

    image_size: the short side is resized to it and the middle cut out; None: all must be of one size.
    Raises UserError that names the image.
    """
    decoded: list[np.ndarray] = []
    kept: list[int] = []
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(lambda item: _try(item, image_size), encoded.items)
        bar = tqdm(
            results, f"decoding {what}", len(encoded.items), unit=" images", disable=not progress, mininterval=0.5
        )
        for i, result in enumerate(bar):
            if isinstance(result, np.ndarray):
                _check_size(result, decoded, encoded.names[i])
                decoded.append(result)
                kept.append(i)
            elif not skip_bad:
                pool.shutdown(cancel_futures=True)
                raise UserError(
                    f"cannot decode {encoded.names[i]} ({result}): mend it, or leave it out with --skip-bad"
                )
    if not decoded:
        raise UserError(f"none of the {len(encoded.items)} images of {what} can be decoded: are they images?")
    return np.stack(decoded), np.asarray(kept)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any kind of image as RGB: grey is repeated, transparency lies on white, 16 bit is scaled to 8."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _try(item: bytes | Path | None, image_size: int | None) -> np.ndarray | str:
    """The pixels, or the reason why there are none."""
    if item is None:
        return "it is empty"
    try:
        with Image.open(io.BytesIO(item) if isinstance(item, bytes) else item) as image:
            image = to_rgb(image)
    except Exception as error:  # PIL raises many kinds for damaged files
        return "not an image" if "cannot identify" in str(error) else f"{type(error).__name__}: {error}"
    if image_size is not None and image.size != (image_size, image_size):
        image = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _check_size(pixels: np.ndarray, before: list[np.ndarray], name: str) -> None:
    height, width = pixels.shape[:2]
    if before and before[0].shape != pixels.shape:
        first = f"{before[0].shape[1]}x{before[0].shape[0]}"
        raise UserError(f"the images are of several sizes ({first}, and {name} is {width}x{height}): give --image-size")
    if height != width:
        raise UserError(f"{name} is {width}x{height}, and the encoders take squares: give --image-size")
    if height < SMALLEST:
        raise UserError(
            f"{name} is {width}x{height}, smaller than {SMALLEST} pixels: give --image-size {SMALLEST} or more"
        )
