"""Published data sets, as their publishers ship them, below ``data/datasets``."""

from typing import TYPE_CHECKING
from urllib.error import URLError

import numpy as np
from torchvision import datasets

from mixviz.data.cache import cached, stamp_of
from mixviz.data.decode import Encoded, decode_all
from mixviz.data.imageset import ImageSet
from mixviz.errors import UserError
from mixviz.paths import datasets_root

if TYPE_CHECKING:
    from mixviz.data.sources import Reading

NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "stl10-unlabeled": "STL-10 unlabelled",
    "fashion-mnist": "Fashion-MNIST",
}


def read_published(source: str, split: str, reading: "Reading") -> ImageSet:
    """A set that torchvision downloads and checks. Raises UserError where it cannot be had."""
    if source == "stl10-unlabeled" and split == "test":
        raise UserError("stl10-unlabeled has no test split: evaluate on stl10")
    return cached(["torchvision", source, split], lambda: _download(source, split))


def _download(source: str, split: str) -> ImageSet:
    root, train = datasets_root(), split == "train"
    try:
        root.mkdir(parents=True, exist_ok=True)
        if source == "cifar10":
            found = datasets.CIFAR10(root, train, download=True)
        elif source == "cifar100":
            found = datasets.CIFAR100(root, train, download=True)
        elif source == "fashion-mnist":
            found = datasets.FashionMNIST(root, train, download=True)
        else:
            found = datasets.STL10(root, "unlabeled" if source == "stl10-unlabeled" else split, download=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"{source} is not in {root} and cannot be downloaded ({_reason(error)}): "
            "put the publisher's files there, or use folder:PATH or parquet:PATH"
        ) from error
    pixels = np.asarray(found.data)
    if pixels.ndim == 3:  # grey
        pixels = np.repeat(pixels[..., None], 3, axis=3)
    elif pixels.shape[1] == 3:  # STL-10 keeps channels first
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = getattr(found, "targets", getattr(found, "labels", None))
    labels = None if source == "stl10-unlabeled" else np.asarray(labels, dtype=np.int64)
    return ImageSet(NAMES[source], split, np.ascontiguousarray(pixels), labels, tuple(found.classes))


def read_tiny_imagenet(split: str, reading: "Reading") -> ImageSet:
    """Tiny ImageNet as unpacked: ``tiny-imagenet-200/train/CLASS/images``, ``val`` with its list of classes is test."""
    root = datasets_root() / "tiny-imagenet-200"
    if not (root / "wnids.txt").exists():
        raise UserError(f"tiny-imagenet is not in {root}: unpack the publisher's tiny-imagenet-200.zip there")
    wnids = (root / "wnids.txt").read_text().split()
    if split == "train":
        files = sorted(root.glob("train/*/images/*.JPEG"))
        labels = [wnids.index(path.parent.parent.name) for path in files]
    else:
        rows = [line.split("\t") for line in (root / "val" / "val_annotations.txt").read_text().splitlines()]
        files = [root / "val" / "images" / row[0] for row in rows]
        labels = [wnids.index(row[1]) for row in rows]
    words = dict(line.split("\t", 1) for line in (root / "words.txt").read_text().splitlines() if "\t" in line)
    classes = tuple(words.get(wnid, wnid).partition(",")[0] for wnid in wnids)
    key = ["tiny-imagenet", stamp_of(files, root), split, reading.skip_bad]

    def decode() -> ImageSet:
        names = [str(path.relative_to(root)) for path in files]
        pixels, kept = decode_all(
            Encoded(files, names), None, reading.skip_bad, f"tiny-imagenet {split}", reading.progress
        )
        chosen = np.asarray(labels, dtype=np.int64)[kept]
        return ImageSet("Tiny ImageNet", split, pixels, chosen, classes, skipped=len(files) - len(kept))

    return cached(key, decode)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__).splitlines()[0]
