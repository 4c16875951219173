"""Images in the files of MNIST and the sets made like it, such as ``train-images-idx3-ubyte.gz``."""

import gzip
import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mixviz.data.arrays import as_rgb
from mixviz.data.checks import check_labels
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Reading
from mixviz.environment import check_memory
from mixviz.errors import UserError, reason
from mixviz.files import damaged

UNSIGNED_BYTES = 0x08  # the type of the numbers, in the third byte of a file
SPLITS = {"train": "train", "test": "t10k|test"}  # in the names of files


def idx_has_test(root: Path) -> bool:
    """Whether there are test images."""
    return _file(root, "test", "images") is not None


def read_idx(root: Path, split: str, reading: Reading) -> Dataset:
    """A folder with images of a split (N, H, W) or (N, H, W, C) and, if there is a file of them, labels (N,)."""
    return read_idx_files(root, split, f"idx:{root.resolve().name}")


def read_idx_files(root: Path, split: str, name: str, class_names: Sequence[str] = ()) -> Dataset:
    """The same, with the name that results have, and names of the classes. Raises UserError."""
    images, numbers = (_file(root, split, kind) for kind in ("images", "labels"))
    if images is None:
        raise UserError(f"{root} has no {split} images, such as train-images-idx3-ubyte.gz: give the folder that has")
    pixels = as_rgb(read_array(images), images.name)
    labels = None if numbers is None else read_array(numbers)
    if labels is not None and numbers is not None:
        if labels.shape != (len(pixels),):
            raise UserError(f"{numbers} has labels of shape {labels.shape}, but {len(pixels)} images: fetch both again")
        labels = check_labels(labels.astype(np.int64), numbers.name)
    return Dataset(name=name, split=split, stored=pixels, labels=labels, class_names=tuple(class_names))


def read_array(path: Path) -> np.ndarray:
    """The array of a file, compressed or not. Raises UserError if it is damaged, or holds other than bytes."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zero, kind, dims = struct.unpack(">HBB", file.read(4))
            if zero or kind != UNSIGNED_BYTES or not 1 <= dims <= 4:
                raise ValueError("it is no idx file of unsigned bytes")
            shape = struct.unpack(f">{dims}I", file.read(4 * dims))
            size = math.prod(shape)
            check_memory(float(size), f"{path.name}, {size:,} bytes,", "take a smaller file")
            content = file.read(size + 1)
    except UserError:
        raise
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise damaged(path, reason(error)) from error
    if len(content) != size:
        raise damaged(path, f"it has {'more' if len(content) > size else 'fewer'} than {size:,} numbers")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _file(root: Path, split: str, kind: str) -> Path | None:
    """The file of the images or labels of a split; None if there is none."""
    name = re.compile(rf"(.*[-_])?({SPLITS[split]})-{kind}[-.]idx\d-ubyte(\.gz)?", re.IGNORECASE)
    return next((path for path in sorted(root.glob("*")) if name.fullmatch(path.name)), None)
