"""Images in files of one's own: a folder of images, or parquet files in the Hugging Face layout."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from mixviz.data.cache import cached, content_of, stamp_of
from mixviz.data.checks import check_labels
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Encoded, Reading, decode_all
from mixviz.errors import UserError, reason

TEST_NAMES = ("test", "val", "valid", "validation")
OTHERS = "sounds are read by sounds:PATH, tables by csv:PATH"
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")


def folder_has_test(root: Path) -> bool:
    """Whether there is a folder for train and one for test."""
    return (root / "train").is_dir() and _test_folder(root) is not None


def read_folder(root: Path, split: str, reading: Reading) -> Dataset:
    """A folder of images.

    One sub-folder a class, numbered in the order of train's names, or images directly and no labels. Where there is a
    folder ``train``, that is train, and the first of ``test``, ``val``, ``valid`` and ``validation`` is test.
    """
    encoded, labels, classes = index_folder(root, split, _extensions(), "images, such as .png or .jpg")
    key = ["folder", stamp_of(encoded.items, root), classes, split, reading.image_size, reading.skip_bad]
    name = f"folder:{root.resolve().name}"
    return replace(cached(key, lambda: _decoded(encoded, labels, classes, name, split, reading)), name=name)


def index_folder(
    root: Path, split: str, suffixes: frozenset[str], what: str
) -> tuple[Encoded[Path], np.ndarray | None, list[str]]:
    """The files of a split whose names end so, their labels, and the names of train's classes. Raises UserError.

    what: they are, as messages call them.
    """
    if not root.is_dir():
        raise UserError(f"folder:{root} is a file: give the folder that holds it")
    train = root / "train" if (root / "train").is_dir() else root
    folder = _test_folder(root) if split == "test" else train
    assert folder is not None  # only folder_has_test leads to test
    present = _classes(folder, suffixes)
    classes = _classes(train, suffixes) or present
    unseen = [name for name in present if name not in classes]
    if unseen:
        raise UserError(f"{folder} has the class {unseen[0]!r}, but {train} has none of it: use the same class names")
    places = present or [""]
    files = sorted(path for place in places for path in _files_in(folder / place, suffixes, deep=bool(present)))
    if not files:
        raise UserError(f"{folder} has no {what}: add some, or give the folder that has; {OTHERS}")
    labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files]) if present else None
    return Encoded(files, [str(path.relative_to(root)) for path in files]), labels, classes


def parquet_has_test(path: Path) -> bool:
    """Whether there are shards named so."""
    return bool(shards(path, "test"))


def read_parquet(path: Path, split: str, reading: Reading) -> Dataset:
    """Parquet as Hugging Face lays it out: ``image`` (or ``img``), a struct with ``bytes``, and perhaps ``label``."""
    files = shards(path, split)
    name = f"parquet:{path.stem if path.is_file() else path.resolve().name}"
    key = ["parquet", content_of(files), split, reading.image_size, reading.skip_bad]
    return replace(
        cached(key, lambda: _decoded(*read_shards(files, name, split, IMAGE_COLUMNS), name, split, reading)), name=name
    )


def _test_folder(root: Path) -> Path | None:
    return next((root / name for name in TEST_NAMES if (root / name).is_dir()), None)


def _classes(folder: Path, suffixes: frozenset[str]) -> list[str]:
    """The sub-folders that hold such files, by name."""
    folders = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path.name for path in folders if next(_files_in(path, suffixes, deep=True), None))


def _files_in(folder: Path, suffixes: frozenset[str], deep: bool) -> Iterator[Path]:
    """Files whose names end so, hidden ones left out."""
    for path in folder.rglob("*") if deep else folder.iterdir():
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file():
            yield path


@cache
def _extensions() -> frozenset[str]:
    return frozenset(extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def shards(path: Path, split: str) -> list[Path]:
    """The files of a split, in order; a single file is train. Raises UserError for a folder without any."""
    if path.is_file():
        return [path] if split == "train" else []
    files = sorted(path.glob("*.parquet"))
    named = {name: [file for file in files if _first_word(file) == name] for name in ("train", *TEST_NAMES)}
    if split == "test":
        return next((named[name] for name in TEST_NAMES if named[name]), [])
    if named["train"] or (files and not any(named.values())):
        return named["train"] or files
    raise UserError(f"{path} has no train-*.parquet: rename the training shards, or give a single file")


def _first_word(file: Path) -> str:
    return re.split("[^a-z]", file.stem.lower())[0]


def read_shards(
    files: list[Path], name: str, split: str, columns: Sequence[str]
) -> tuple[Encoded[bytes | None], np.ndarray | None, list[str]]:
    """What the first of the columns that is there holds, labels, and the names of classes. Raises UserError."""
    items: list[bytes | None] = []
    names: list[str] = []
    labels: list[np.ndarray] = []
    for file in files:
        found, shard_labels = _read_shard(file, columns)
        items += found
        names += [f"{file.name}, row {row}" for row in range(len(found))]
        if shard_labels is not None:
            labels.append(shard_labels)
    everything = np.concatenate(labels) if labels else None
    if everything is not None and len(everything) != len(items):
        raise UserError(f"{name}: some shards of {split} have labels and some have none: give all of them labels")
    classes = _class_names(files[0])
    if everything is not None:
        everything = check_labels(everything, f"{name}: label", names.__getitem__, classes)
    return Encoded(items, names), everything, classes


def _read_shard(file: Path, columns: Sequence[str]) -> tuple[list[bytes | None], np.ndarray | None]:
    """Encoded files, and labels, -1 where there is none. Raises UserError that names the shard."""
    try:
        schema = pq.read_schema(file)
        column = _first_of(columns, schema)
        if column is None or "bytes" not in [field.name for field in _fields(schema.field(column).type)]:
            raise UserError(
                f"{file} has the columns {', '.join(schema.names)}: it needs {columns[0]}, a struct with bytes; "
                f"{OTHERS}"
            )
        label = _first_of(LABEL_COLUMNS, schema)
        if label is not None and not pa.types.is_integer(schema.field(label).type):
            raise UserError(f"{file}: {label} is {schema.field(label).type}: give one integer per row")
        table = pq.read_table(file, columns=[name for name in (column, label) if name is not None])
        # pyarrow makes its compute functions at import
        items = pc.struct_field(table[column], "bytes").to_pylist()  # pyright: ignore[reportAttributeAccessIssue]
        return items, None if label is None else pc.fill_null(table[label].cast(pa.int64()), -1).to_numpy()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as parquet ({reason(error)}): fetch it again") from error


def _first_of(columns: Sequence[str], schema: pa.Schema) -> str | None:
    return next((column for column in columns if column in schema.names), None)


def _fields(kind: pa.DataType) -> list[pa.Field]:
    return list(kind) if pa.types.is_struct(kind) else []


def _class_names(file: Path) -> list[str]:
    """From the schema's metadata, as Hugging Face writes it; empty where it is not there."""
    schema = pq.read_schema(file)
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return list(features[_first_of(LABEL_COLUMNS, schema)]["names"])
    except (ValueError, KeyError, TypeError):
        return []


def _decoded(
    encoded: Encoded[bytes | Path | None],
    labels: np.ndarray | None,
    classes: Sequence[str],
    name: str,
    split: str,
    reading: Reading,
) -> Dataset:
    pixels, kept = decode_all(encoded, reading, f"{name} {split}")
    labels = None if labels is None else labels[kept]
    return Dataset(
        name=name,
        split=split,
        stored=pixels,
        labels=labels,
        class_names=tuple(classes),
        origins=np.array(encoded.names)[kept],
        skipped=len(encoded.items) - len(kept),
    )
