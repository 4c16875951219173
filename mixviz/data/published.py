"""Published data sets, as their publishers distribute them, below ``data/datasets``."""

from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.data.cache import Empty, cached, stamp_of
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Encoded, Reading, decode_all
from mixviz.data.idx import read_idx_files
from mixviz.errors import MissingData, NoTestSplit, UserError, reason
from mixviz.paths import datasets_root

NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "stl10-unlabeled": "STL-10 unlabelled",
    "fashion-mnist": "Fashion-MNIST",
}
FOLDERS = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "stl10": "stl10_binary",
    "stl10-unlabeled": "stl10_binary",
    "fashion-mnist": "FashionMNIST",
}  # of torchvision, below the folder of data sets
DEBIAN = {"fashion-mnist": Path("/usr/share/datasets/fashion-mnist")}  # of the package dataset-fashion-mnist


def is_here(source: str) -> bool:
    """Whether a set that torchvision downloads is on this machine."""
    return (datasets_root() / FOLDERS[source]).is_dir() or (source in DEBIAN and DEBIAN[source].is_dir())


def read_published(source: str, split: str, reading: Reading) -> Dataset:
    """A set that torchvision downloads and checks, or that the system has. Raises UserError if it cannot be had."""
    if source == "stl10-unlabeled" and split == "test":
        raise NoTestSplit("stl10-unlabeled has no test split: evaluate on stl10")
    return cached(["torchvision", source, split], lambda _: _download(source, split))


def _download(source: str, split: str) -> Dataset:
    from torchvision import datasets  # slow to import

    root, train = datasets_root(), split == "train"
    try:
        root.mkdir(parents=True, exist_ok=True)
        if source == "cifar10":
            found = datasets.CIFAR10(root, train, download=True)
        elif source == "cifar100":
            found = datasets.CIFAR100(root, train, download=True)
        elif source == "fashion-mnist":
            if DEBIAN[source].is_dir() and not (root / FOLDERS[source]).is_dir():
                return read_idx_files(DEBIAN[source], split, NAMES[source], datasets.FashionMNIST.classes)
            found = datasets.FashionMNIST(root, train, download=True)
        else:
            found = datasets.STL10(root, "unlabeled" if source == "stl10-unlabeled" else split, download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise MissingData(
            f"{source} is not in {root} and cannot be downloaded ({reason(error)}): "
            "put the publisher's files there, or use folder:PATH or parquet:PATH"
        ) from error
    pixels = np.asarray(found.data)
    if pixels.ndim == 3:  # grey
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    elif pixels.shape[1] == 3:  # STL-10 keeps channels first
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = getattr(found, "targets", getattr(found, "labels", None))
    labels = None if source == "stl10-unlabeled" else np.asarray(labels, dtype=np.int64)
    return Dataset(
        name=NAMES[source],
        split=split,
        stored=pixels,
        labels=labels,
        class_names=tuple(found.classes),
    )


def read_optical_digits(split: str, reading: Reading) -> Dataset:
    """The 1,797 scans of handwritten digits that scikit-learn ships (Alpaydin and Kaynak 1998), 8 px and 17 greys."""
    from sklearn.datasets import load_digits  # slow to import

    found: Any = load_digits()  # a Bunch
    grey = np.round(found.images * (255 / 16)).astype(np.uint8)
    names = tuple(map(str, found.target_names))
    return Dataset(
        name="optical digits",
        split=split,
        stored=np.repeat(grey[..., None], 3, axis=3),
        labels=found.target.astype(np.int64),
        class_names=names,
    )


def read_tiny_imagenet(split: str, reading: Reading) -> Dataset:
    """Tiny ImageNet as unpacked: ``tiny-imagenet-200/train/CLASS/images``, ``val`` with its list of classes is test."""
    root = datasets_root() / "tiny-imagenet-200"
    if not root.exists():
        raise MissingData(
            f"tiny-imagenet is not in {root}: unpack the publisher's tiny-imagenet-200.zip in {root.parent}"
        )
    try:
        files, labels, classes = _index_tiny_imagenet(root, split)
        key = ["tiny-imagenet", stamp_of(files, root), labels, classes, reading.image_size, reading.skip_bad]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{root} is not complete ({reason(error)}): unpack the publisher's tiny-imagenet-200.zip again"
        ) from error

    def decode(empty: Empty) -> Dataset:
        names = [str(path.relative_to(root)) for path in files]
        pixels, kept = decode_all(Encoded(files, names), reading, f"tiny-imagenet {split}", empty)
        chosen = np.asarray(labels, dtype=np.int64)[kept]
        return Dataset(
            name="Tiny ImageNet",
            split=split,
            stored=pixels,
            labels=chosen,
            class_names=tuple(classes),
            origins=np.array(names)[kept],
            skipped=len(files) - len(kept),
        )

    return cached(key, decode)


def _index_tiny_imagenet(root: Path, split: str) -> tuple[list[Path], list[int], list[str]]:
    """Image files, their labels, and the names of the classes in the order of ``wnids.txt``."""
    wnids = (root / "wnids.txt").read_text("utf-8").split()
    number = {wnid: label for label, wnid in enumerate(wnids)}
    if split == "train":
        files = sorted(root.glob("train/*/images/*.JPEG"))
        labels = [number[path.parent.parent.name] for path in files]
    else:
        rows = [line.split() for line in (root / "val" / "val_annotations.txt").read_text("utf-8").splitlines()]
        files = [root / "val" / "images" / file for file, *_ in rows]
        labels = [number[wnid] for _, wnid, *_ in rows]
    if not files:
        raise ValueError(f"it has no images in {split}")
    lines = (root / "words.txt").read_text("utf-8").splitlines()
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return files, labels, [words.get(wnid, wnid).partition(",")[0] for wnid in wnids]
