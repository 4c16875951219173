"""Data sources: one function each, all returning a Dataset of one split."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mixviz.data.arrays import arrays_have_test, read_arrays
from mixviz.data.audio import read_fsdd, read_sounds, read_speech_commands, sounds_have_test
from mixviz.data.checks import SMALLEST, check_square
from mixviz.data.dataset import Dataset, joined
from mixviz.data.decode import Reading, SplitBy, resize_all
from mixviz.data.fifth import is_test
from mixviz.data.files import folder_has_test, parquet_has_test, read_folder, read_parquet
from mixviz.data.glyphs import make_glyphs
from mixviz.data.idx import idx_has_test, read_idx
from mixviz.data.published import read_optical_digits, read_published, read_tiny_imagenet
from mixviz.data.tabular import read_covtype, read_embedded, read_table
from mixviz.data.tones import make_tones
from mixviz.errors import MissingData, NoTestSplit, UserError, reason, unknown

SPLITS = ("train", "test")
ALL = "all"  # both, or all of an own source


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """A data set that is known by its name."""

    about: str  # one line
    read: Callable[[str, Reading], Dataset]  # of a split
    domain: str = "image"  # what an example is
    has_test: bool = True  # if not, a fixed fifth of its labelled examples is test


@dataclass(frozen=True, kw_only=True)
class PathSource:
    """A kind of file or folder that holds a data set."""

    about: str  # one line
    read: Callable[[Path, str, Reading], Dataset]  # of a split
    has_test: Callable[[Path], bool]
    domain: str = "image"


def _published(name: str, about: str) -> DataSource:
    return DataSource(about=f"{about}; downloaded by torchvision", read=partial(read_published, name))


def _embedded(name: str, about: str) -> DataSource:
    read = partial(read_embedded, name)
    return DataSource(about=f"{about}; it comes with scikit-learn", read=read, domain="tabular")


SOURCES: dict[str, DataSource] = {
    "glyphs": DataSource(
        about="built in, drawn from a seed: 32 px, 16 shapes, 10,000 + 2,000 images",
        read=lambda split, reading: make_glyphs(split, reading.seed),
    ),
    "optical-digits": DataSource(
        about="8 px, grey, 10 classes, 1,797 scans of handwritten digits; they come with scikit-learn",
        read=read_optical_digits,
        has_test=False,
    ),
    "cifar10": _published("cifar10", "32 px, 10 classes, 50,000 + 10,000 images"),
    "cifar100": _published("cifar100", "32 px, 100 classes, 50,000 + 10,000 images"),
    "stl10": _published("stl10", "96 px, 10 classes, 5,000 + 8,000 labelled images"),
    "stl10-unlabeled": _published("stl10-unlabeled", "96 px, the 100,000 unlabelled images of STL-10, train only"),
    "fashion-mnist": _published(
        "fashion-mnist", "28 px, grey, 10 classes, 60,000 + 10,000 images, also from Debian's package"
    ),
    "tiny-imagenet": DataSource(
        about="64 px, 200 classes, 100,000 + 10,000 images; unpack the publisher's archive", read=read_tiny_imagenet
    ),
    "tones": DataSource(
        about="built in, drawn from a seed: sounds of a second, 12 motifs, 5,000 + 1,000 clips",
        read=lambda split, reading: make_tones(split, reading.seed),
        domain="audio",
    ),
    "fsdd": DataSource(
        about="spoken digits of six speakers at 8 kHz, 2,700 + 300 clips; downloaded (16 MB)",
        read=read_fsdd,
        domain="audio",
    ),
    "speech-commands": DataSource(
        about="35 spoken words at 16 kHz, 84,843 + 11,005 clips; downloaded (2.3 GB)",
        read=read_speech_commands,
        domain="audio",
    ),
    "digits": _embedded("digits", "64 numbers, 10 classes, 1,198 + 599 rows: handwritten digits as a table"),
    "breast-cancer": _embedded("breast-cancer", "30 numbers, 2 classes, 379 + 190 rows"),
    "wine": _embedded("wine", "13 numbers, 3 classes, 118 + 60 rows"),
    "covtype": DataSource(
        about="54 numbers, 7 classes of forest, 11,340 + 3,780 rows; downloaded by scikit-learn",
        read=read_covtype,
        domain="tabular",
    ),
}
PATH_SOURCES: dict[str, PathSource] = {
    "folder": PathSource(
        about="images in a folder: one sub-folder a class, or none and no labels; optionally train/ and test/",
        read=read_folder,
        has_test=folder_has_test,
    ),
    "parquet": PathSource(
        about="the Hugging Face image layout: one file, or a folder with train-*.parquet and test-*.parquet",
        read=read_parquet,
        has_test=parquet_has_test,
    ),
    "numpy": PathSource(
        about="an .npz with images (N, H, W, 3) uint8, and optionally labels, test_images, test_labels",
        read=read_arrays,
        has_test=arrays_have_test,
    ),
    "idx": PathSource(
        about="a folder with the files of MNIST or a set made like it, such as train-images-idx3-ubyte.gz",
        read=read_idx,
        has_test=idx_has_test,
    ),
    "sounds": PathSource(
        about="sounds in a folder (wav, flac, ogg, mp3), laid out as images are, or parquet with a column audio",
        read=read_sounds,
        has_test=sounds_have_test,
        domain="audio",
    ),
    "csv": PathSource(
        about="a table as text or parquet, with a column of classes (--target); or a folder with train and test",
        read=read_table,
        has_test=lambda path: True,  # it keeps a fifth of each class itself
        domain="tabular",
    ),
}


def find_source(source: str) -> DataSource | PathSource:
    """The entry of SOURCES, or of PATH_SOURCES for ``kind:PATH``. Raises UserError."""
    kind, _, path = source.partition(":")
    if path and kind in PATH_SOURCES:
        return PATH_SOURCES[kind]
    if source not in SOURCES and ":" not in source and (os.path.exists(source) or "/" in source):
        suffixes = {".npz": "numpy", ".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}
        kind = suffixes.get(Path(source).suffix.lower(), "folder")
        raise UserError(f"unknown data set {source!r}: a path needs its kind, as in {kind}:{source}")
    if source not in SOURCES:
        raise unknown("data set", source, [*SOURCES, *[f"{kind}:PATH" for kind in PATH_SOURCES]])
    return SOURCES[source]


def load(
    source: str,
    split: str,
    *,
    image_size: int | None = None,
    name: str | None = None,
    skip_bad: bool = False,
    unlabelled: bool = False,
    target: str | None = None,
    sample_rate: int | None = None,
    split_by: SplitBy = "name",
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """One split of a data set, in memory or memory-mapped.

    source: a name of SOURCES, or a kind of PATH_SOURCES with a path, such as folder:PATH. split: train, test, or all:
    both, and an own source without a test split as it is. image_size: px, resized and centre-cropped.
    name: what results call it. skip_bad: skip what cannot be decoded, and count it. unlabelled: ignore labels, for
    folders that are no classes. target: the column of classes of a table. sample_rate: of sounds, samples a second.
    seed: of glyphs and tones. Of an own source without a test split about a fifth of the labelled images is test,
    whatever the seed: by their names, see ``fifth.is_test``, or, in runs of older versions, by their rows. Raises
    UserError in one line; MissingData if the images are not on this machine.

    >>> digits = load("digits", "train")
    >>> digits.stored.shape, len(digits.class_names)
    ((1198, 61), 10)
    """
    if split not in (*SPLITS, ALL):
        raise unknown("split", split, (*SPLITS, ALL))
    found = find_source(source)
    if image_size is not None and found.domain != "image":
        raise UserError(f"--image-size {image_size} is of images, and {source} has none: leave it out")
    if image_size is not None and image_size < SMALLEST:
        raise UserError(f"--image-size {image_size} is too small: give {SMALLEST} or more")
    if target is not None and found.domain != "tabular":
        raise UserError(f"--target {target} is of tables, and {source} is none: leave it out")
    if sample_rate is not None and found.domain != "audio":
        raise UserError(f"--sample-rate {sample_rate} is of sounds, and {source} has none: leave it out")
    reading = Reading(
        image_size=image_size,
        sample_rate=sample_rate,
        target=target,
        skip_bad=skip_bad,
        unlabelled=unlabelled,
        split_by=split_by,
        progress=progress,
        seed=seed,
    )
    try:
        parts = _read(source, found, split, reading)
    except OSError as error:
        raise UserError(f"{source} cannot be read ({reason(error)}): check its path and permissions") from error
    if not any(map(len, parts)):
        raise UserError(f"{source} has nothing in {split}: add some")
    if found.domain == "image":
        parts = [_squares(part, source, image_size) for part in parts]
    data = joined(parts) if len(parts) > 1 else replace(parts[0], split=split)
    if unlabelled:
        data = replace(data, labels=None, class_names=())
    return replace(data, name=name or data.name, domain=found.domain)


def get(name: str, progress: bool = True) -> dict[str, Dataset]:
    """Each split of a data set that is known by its name, fetched unless it is here. Raises UserError, MissingData."""
    splits = {}
    with suppress(NoTestSplit):
        for split in SPLITS:
            splits[split] = load(name, split, progress=progress)
    return splits


def has_test_split(source: str) -> bool:
    """Whether a source has a test split; if it has none, a fifth of its labelled examples is test."""
    found = find_source(source)
    return found.has_test if isinstance(found, DataSource) else found.has_test(_place(source))


def _place(source: str) -> Path:
    return Path(source.partition(":")[2]).expanduser()


def _squares(images: Dataset, source: str, image_size: int | None) -> Dataset:
    """The images, all of one size. Raises UserError if they are no squares."""
    if image_size is not None:
        images = replace(images, stored=resize_all(images.stored, image_size))
    height, width = images.stored.shape[1:3]
    check_square(width, height, f"each image of {source}")
    return images


def _read(source: str, found: DataSource | PathSource, split: str, reading: Reading) -> list[Dataset]:
    """A split; of all, each split that there is. Raises UserError, MissingData, OSError."""
    if isinstance(found, DataSource):
        read, has_test = found.read, found.has_test
    else:
        where = _place(source)
        if not where.exists():
            raise MissingData(f"{source}: there is nothing at {where}: give the path of a file or folder that exists")
        read, has_test = partial(found.read, where), found.has_test(where)
    if split == ALL:
        return [read(one, reading) for one in (SPLITS if has_test else SPLITS[:1])]
    by_name = isinstance(found, PathSource) and reading.split_by == "name"
    return [read(split, reading) if has_test else _read_fifth(read, split, reading, by_name)]


def _read_fifth(read: Callable[[str, Reading], Dataset], split: str, reading: Reading, by_name: bool) -> Dataset:
    """A split of a source without a test split: a fixed fifth of its labelled examples is test."""
    everything = read("train", reading)
    if everything.labels is None or reading.unlabelled:
        if split == "test":
            raise NoTestSplit(
                f"{everything.name} has neither labels nor a test split: to evaluate, add labelled images"
            )
        return everything
    if by_name:
        return replace(everything.select(np.flatnonzero(is_test(everything) == (split == "test"))), split=split)
    order = np.random.default_rng(0).permutation(len(everything))
    fifth = max(1, len(order) // 5)
    part = order[:fifth] if split == "test" else order[fifth:]
    return replace(everything.select(np.sort(part)), split=split)
