"""Your own image files: a folder of images, or parquet files in the Hugging Face layout."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from mixviz.data.cache import Empty, cached, content_of, stamp_of
from mixviz.data.checks import check_labels, say
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Encoded, Reading, decode_all
from mixviz.data.rows import PART
from mixviz.errors import UserError, reason

TRAIN_NAMES = ("train", "training")  # of folders and shards, in any case
TEST_NAMES = ("test", "testing", "val", "valid", "validation", "eval", "evaluation", "dev")
NOT_OURS = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", "Thumbs.db", "desktop.ini"))
STUBS = frozenset(("BUFR", "GRIB", "HDF5", "MPEG", "WMF"))  # Pillow knows them by sight, and cannot decode them
PLUGINS = {"pillow_heif": "register_heif_opener", "pillow_jxl": ""}  # of Pillow; pillow_jxl registers at import
CURES = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "pip install pillow-heif"),
    ".jxl": "pip install pillow-jxl-plugin",
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".dcm", ".svg"), "convert them to .png"),
    **dict.fromkeys((".m4a", ".aac", ".wma"), "convert them to .wav"),
}
NAMED = 5  # kinds of skipped files that a message names
OTHERS = "sounds are read by sounds:PATH, tables by csv:PATH"
IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")
BATCH = 8  # rows of parquet that are read at a time: photographs may take megabytes each


def folder_has_test(root: Path) -> bool:
    """Whether there is a folder for train and one for test."""
    return root.is_dir() and None not in _named_splits(root)


def read_folder(root: Path, split: str, reading: Reading) -> Dataset:
    """A folder of images.

    One sub-folder a class, numbered in the order of train's names. Images directly in the folder, or in a single
    sub-folder, have no labels. If there is a folder for train, and one for test or validation, those are the splits.
    Files of other kinds are skipped; a line on stderr counts them.
    """
    encoded, labels, classes = index_folder(root, split, _extensions(), "images, such as .png or .jpg", reading)
    key = ["folder", stamp_of(encoded.items, root), classes, split, reading.image_size, reading.skip_bad]
    name = f"folder:{root.resolve().name}"
    return replace(
        cached(key, lambda empty: _decoded(encoded, labels, classes, name, split, reading, empty)), name=name
    )


def index_folder(
    root: Path, split: str, suffixes: frozenset[str], what: str, reading: Reading
) -> tuple[Encoded[Path], np.ndarray | None, list[str]]:
    """The files of a split with these suffixes, their labels, and the names of train's classes. Raises UserError.

    what: the kind of files in messages.
    """
    if not root.is_dir():
        raise UserError(f"folder:{root} is a file: give the folder that holds it")
    train, test = _splits(root, suffixes)
    folder = test if split == "test" else train
    assert folder is not None  # only folder_has_test leads to test
    files, left_out = _find(folder, suffixes)
    if not files:
        cure = _cure(left_out) or "add some, or give the folder that has"
        raise UserError(f"{folder} has no {what}: {cure}; {OTHERS}")
    present = _classes(folder, files)
    classes = present if folder == train else _classes(train, _find(train, suffixes)[0]) or present
    if reading.unlabelled or len(classes) < 2:
        present, classes = [], []
    unseen = [name for name in present if name not in classes]
    if unseen:
        raise UserError(f"{folder} has the class {unseen[0]!r}, but {train} has none of it: use the same class names")
    if present:
        left_out[f"{what.partition(',')[0]} next to the folders of classes"] = sum(p.parent == folder for p in files)
        files = [path for path in files if path.parent != folder]
    if left_out := +left_out:
        cure = _cure(left_out)
        say(f"{folder}: left out {_listed(left_out)}{f'; {cure}' if cure else ''}")
    labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files]) if present else None
    return Encoded(files, [str(path.relative_to(root)) for path in files]), labels, classes


def parquet_has_test(path: Path) -> bool:
    """Whether there are test shards."""
    return bool(shards(path, "test"))


def read_parquet(path: Path, split: str, reading: Reading) -> Dataset:
    """Parquet as Hugging Face lays it out: ``image`` (or ``img``), a struct with ``bytes``, and perhaps ``label``."""
    files = shards(path, split)
    name = f"parquet:{path.stem if path.is_file() else path.resolve().name}"
    key = ["parquet", content_of(files), split, reading.image_size, reading.skip_bad]

    def decode(empty: Empty) -> Dataset:
        return _decoded(*read_shards(files, name, split, IMAGE_COLUMNS), name, split, reading, empty)

    return replace(cached(key, decode), name=name)


def _named_splits(root: Path) -> tuple[Path | None, Path | None]:
    """The sub-folders with the names of train and of test."""
    named = {path.name.lower(): path for path in sorted(root.iterdir(), reverse=True) if path.is_dir()}
    train, test = (next((named[n] for n in names if n in named), None) for names in (TRAIN_NAMES, TEST_NAMES))
    return train, test


def _splits(root: Path, suffixes: frozenset[str]) -> tuple[Path, Path | None]:
    """The folder of train, and that of test if both exist. Raises UserError for a test folder without train."""
    train, test = _named_splits(root)
    if train and test:
        return train, test
    classes = _classes(root, _find(root, suffixes)[0]) if train or test else []
    if any(name.lower() not in (*TRAIN_NAMES, *TEST_NAMES) for name in classes):
        return root, None  # a class with that name
    if test:
        raise UserError(f"{root} has a folder {test.name} but no train: rename the one to train on, or give {test}")
    return train or root, None


def _find(folder: Path, suffixes: frozenset[str]) -> tuple[list[Path], Counter[str]]:
    """The files below a folder with these suffixes, in order, and the number of others by kind, without hidden ones."""
    files, others = [], Counter[str]()
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in names:
            path = Path(place, name)
            suffix = path.suffix.lower()
            if not _is_hidden(name) and path.is_file():
                if suffix in suffixes:
                    files.append(path)
                else:
                    others[suffix or "without a suffix"] += 1
    return sorted(files), others


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    """Whether a file or folder is one that operating systems make."""
    return name.startswith(".") or name in NOT_OURS


def _classes(folder: Path, files: Sequence[Path]) -> list[str]:
    """The sub-folders that hold files, by name."""
    return sorted({path.relative_to(folder).parts[0] for path in files if path.parent != folder})


def _listed(left_out: Counter[str]) -> str:
    """How many files of which kind."""
    common = [f"{count:,} {kind}" for kind, count in left_out.most_common(NAMED)]
    return f"{left_out.total():,} files ({', '.join(common)}{', ...' if len(left_out) > NAMED else ''})"


def _cure(left_out: Counter[str]) -> str:
    """How the skipped files can be read; empty if there is no known way."""
    kinds = [kind for kind, _ in left_out.most_common() if kind in CURES]
    return f"to read its {kinds[0]} files, {CURES[kinds[0]]}" if kinds else ""


@cache
def _extensions() -> frozenset[str]:
    for plugin, register in PLUGINS.items():
        with suppress(ImportError):
            module = import_module(plugin)
            if register:
                getattr(module, register)()
    known = Image.registered_extensions().items()
    return frozenset(extension for extension, kind in known if kind in Image.OPEN and kind not in STUBS)


def shards(path: Path, split: str) -> list[Path]:
    """The files of a split, in order; a single file is train. Raises UserError for a folder without any."""
    if path.is_file():
        return [path] if split == "train" else []
    files = sorted(path.glob("*.parquet"))
    words = {file: _first_word(file) for file in files}
    train, test = (
        next((found for name in names if (found := [file for file in files if words[file] == name])), [])
        for names in (TRAIN_NAMES, TEST_NAMES)
    )
    if split == "test":
        return test
    if train or (files and not test):
        return train or files
    raise UserError(f"{path} has no train-*.parquet: rename the training shards, or give a single file")


def _first_word(file: Path) -> str:
    return re.split("[^a-z]", file.stem.lower())[0]


@dataclass(frozen=True)
class Column:
    """The bytes in a column of shards, None for a missing one, read while they are iterated over."""

    places: Sequence[tuple[Path, str]]  # shards, and what the column is called there

    def __iter__(self) -> Iterator[bytes | None]:
        """Raises UserError that names the shard."""
        for file, name in self.places:
            with _readable(file), pq.ParquetFile(file, pre_buffer=False, buffer_size=PART) as shard:
                for batch in shard.iter_batches(BATCH, columns=[name], use_threads=False):
                    # pyarrow makes its compute functions at import
                    yield from pc.struct_field(batch[name], "bytes").to_pylist()  # pyright: ignore[reportAttributeAccessIssue]


def read_shards(
    files: list[Path], name: str, split: str, columns: Sequence[str]
) -> tuple[Encoded[bytes | None], np.ndarray | None, list[str]]:
    """The content of the first of these columns that exists, labels, and the names of classes. Raises UserError."""
    names: list[str] = []
    labels: list[np.ndarray] = []
    places: list[tuple[Path, str]] = []
    for file in files:
        column, rows, shard_labels = _index_shard(file, columns)
        places.append((file, column))
        names += [f"{file.name}, row {row}" for row in range(rows)]
        if shard_labels is not None:
            labels.append(shard_labels)
    everything = np.concatenate(labels) if labels else None
    if everything is not None and len(everything) != len(names):
        raise UserError(f"{name}: some shards of {split} have labels and some have none: give all of them labels")
    classes = _class_names(files[0])
    if everything is not None:
        everything = check_labels(everything, f"{name}: label", names.__getitem__, classes)
    return Encoded(Column(places), names), everything, classes


def _index_shard(file: Path, columns: Sequence[str]) -> tuple[str, int, np.ndarray | None]:
    """The column of encoded files, the number of rows, and labels, -1 if there is none. Raises UserError."""
    with _readable(file):
        about = pq.read_metadata(file)
        schema = about.schema.to_arrow_schema()
        column = _first_of(columns, schema)
        if column is None or "bytes" not in [field.name for field in _fields(schema.field(column).type)]:
            raise UserError(
                f"{file} has the columns {', '.join(schema.names)}: it needs {columns[0]}, a struct with bytes; "
                f"{OTHERS}"
            )
        label = _first_of(LABEL_COLUMNS, schema)
        if label is None:
            return column, about.num_rows, None
        if not pa.types.is_integer(schema.field(label).type):
            raise UserError(f"{file}: {label} is {schema.field(label).type}: give one integer per row")
        # pyarrow makes its compute functions at import
        fill = pc.fill_null  # pyright: ignore[reportAttributeAccessIssue]
        return column, about.num_rows, fill(pq.read_table(file, columns=[label])[label].cast(pa.int64()), -1).to_numpy()


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Inside, what pyarrow cannot read is a UserError that names the shard."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as parquet ({reason(error)}): fetch it again") from error


def _first_of(columns: Sequence[str], schema: pa.Schema) -> str | None:
    return next((column for column in columns if column in schema.names), None)


def _fields(kind: pa.DataType) -> list[pa.Field]:
    return list(kind) if pa.types.is_struct(kind) else []


def _class_names(file: Path) -> list[str]:
    """From the schema's metadata, as Hugging Face writes it; empty if it is not there."""
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
    empty: Empty,
) -> Dataset:
    pixels, kept = decode_all(encoded, reading, f"{name} {split}", empty)
    labels = None if labels is None else labels[kept]
    return Dataset(
        name=name,
        split=split,
        stored=pixels,
        labels=labels,
        class_names=tuple(classes),
        origins=np.array(encoded.names)[kept],
        skipped=len(encoded) - len(kept),
    )
