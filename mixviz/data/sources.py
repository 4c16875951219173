"""Where images come from: one function a source, all giving an ImageSet of one split."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mixviz.data.arrays import arrays_have_test, read_arrays
from mixviz.data.checks import SMALLEST, check_square, reason
from mixviz.data.decode import Reading, resize_all
from mixviz.data.files import folder_has_test, parquet_has_test, read_folder, read_parquet
from mixviz.data.glyphs import make_glyphs
from mixviz.data.imageset import ImageSet
from mixviz.data.published import read_optical_digits, read_published, read_tiny_imagenet
from mixviz.errors import MissingData, UserError, unknown

SPLITS = ("train", "test")

SOURCES: dict[str, str] = {
    "glyphs": "built in, drawn from a seed: 32 px, 16 shapes, 10,000 + 2,000 images",
    "optical-digits": "8 px, grey, 10 classes, 1,797 scans of handwritten digits; they come with scikit-learn",
    "cifar10": "32 px, 10 classes, 50,000 + 10,000 images; downloaded by torchvision",
    "cifar100": "32 px, 100 classes, 50,000 + 10,000 images; downloaded by torchvision",
    "stl10": "96 px, 10 classes, 5,000 + 8,000 labelled images; downloaded by torchvision",
    "stl10-unlabeled": "96 px, the 100,000 unlabelled images of STL-10, train alone; downloaded by torchvision",
    "fashion-mnist": "28 px, grey, 10 classes, 60,000 + 10,000 images; downloaded by torchvision",
    "tiny-imagenet": "64 px, 200 classes, 100,000 + 10,000 images; unpack the publisher's archive",
}
PATH_SOURCES: dict[str, str] = {
    "folder": "images in a folder: one sub-folder a class, or none and no labels; train/ and test/ where there are",
    "parquet": "the Hugging Face image layout: one file, or a folder with train-*.parquet and test-*.parquet",
    "numpy": "an .npz with images (N, H, W, 3) uint8, and labels, test_images, test_labels where there are",
}


def load(
    source: str,
    split: str,
    *,
    image_size: int | None = None,
    name: str | None = None,
    skip_bad: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> ImageSet:
    """One split of a data set, in memory or memory-mapped.

    source: a name of SOURCES, or folder:PATH, parquet:PATH, numpy:PATH. image_size: px, resized and centre-cropped.
    name: what results call it. skip_bad: leave out what cannot be decoded, and count it. seed: of glyphs.
    A source of one's own without a test split gives a fixed fifth of its labelled images as test, whatever the seed.
    Raises UserError in one line; MissingData if the images are not on this machine.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if image_size is not None and image_size < SMALLEST:
        raise UserError(f"--image-size {image_size} is too small: give {SMALLEST} or more")
    try:
        images = _reader(source, seed)(split, Reading(image_size, skip_bad, progress))
    except OSError as error:
        raise UserError(f"{source} cannot be read ({reason(error)}): mend its path or permissions") from error
    if len(images) == 0:
        raise UserError(f"{source} has no images in {split}: add some")
    if image_size is not None:
        images = replace(images, images=resize_all(images.images, image_size))
    height, width = images.images.shape[1:3]
    check_square(width, height, f"each image of {source}")
    return replace(images, name=name or images.name)


def _reader(source: str, seed: int) -> Callable[[str, Reading], ImageSet]:
    """The function that reads a split of this source. Raises UserError for an unknown one."""
    kind, _, path = source.partition(":")
    if path and kind in PATH_SOURCES:
        where = Path(path).expanduser()
        if not where.exists():
            raise MissingData(f"{source}: there is nothing at {where}: give the path of a file or folder that exists")
        read = {"folder": read_folder, "parquet": read_parquet, "numpy": read_arrays}[kind]
        has_test = {"folder": folder_has_test, "parquet": parquet_has_test, "numpy": arrays_have_test}[kind]
        return lambda split, reading: _read_own(partial(read, where), has_test(where), split, reading)
    if source == "glyphs":
        return lambda split, reading: make_glyphs(split, seed)
    if source == "optical-digits":  # without a test split
        return lambda split, reading: _read_own(read_optical_digits, False, split, reading)
    if source == "tiny-imagenet":
        return read_tiny_imagenet
    if source in SOURCES:
        return partial(read_published, source)
    raise unknown("data set", source, [*SOURCES, *[f"{kind}:PATH" for kind in PATH_SOURCES]])


def _read_own(read: Callable[[str, Reading], ImageSet], has_test: bool, split: str, reading: Reading) -> ImageSet:
    """The split of a source of one's own; without a test split, a fixed fifth of its labelled images is test."""
    if has_test:
        return read(split, reading)
    everything = read("train", reading)
    if everything.labels is None:
        if split == "test":
            raise UserError(f"{everything.name} has neither labels nor a test split: evaluation needs labelled images")
        return everything
    order = np.random.default_rng(0).permutation(len(everything))
    fifth = max(1, len(order) // 5)
    part = order[:fifth] if split == "test" else order[fifth:]
    return replace(everything.select(np.sort(part)), split=split)
