"""Images in files of one's own: a folder of images, or parquet files in the Hugging Face layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mixviz.data.cache import cached, content_of, stamp_of
from mixviz.data.decode import Encoded, decode_all
from mixviz.data.imageset import ImageSet
from mixviz.errors import UserError

if TYPE_CHECKING:
    from mixviz.data.sources import Reading

TEST_NAMES = ("test", "val", "valid", "validation")


def folder_has_test(root: Path) -> bool:
    """Whether there is a folder for train and one for test."""
    return (root / "train").is_dir() and _test_folder(root) is not None


def read_folder(root: Path, split: str, reading: "Reading") -> ImageSet:
    """A folder of images.

    One sub-folder a class, in the order of their names, or images directly and no labels. Where there is a folder
    ``train``, that is train, and ``test``, ``val``, ``valid`` or ``validation`` is test.
    """
    if not root.is_dir():
        raise UserError(f"folder:{root} is a file: give the folder that holds it")
    name = f"folder:{root.name}"
    train = root / "train" if (root / "train").is_dir() else root
    folder = _test_folder(root) if split == "test" else train
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = _image_files(folder, classes)
    if not files:
        raise UserError(f"{folder} has no images ({', '.join(sorted(_extensions())[:8])}, ...): add some")
    labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files]) if classes else None
    names = [str(path.relative_to(root)) for path in files]
    key = ["folder", stamp_of(files, root), split, reading.image_size, reading.skip_bad]
    return cached(key, lambda: _decoded(Encoded(files, names), labels, classes, name, split, reading))


def parquet_has_test(path: Path) -> bool:
    """Whether there are shards named so."""
    return bool(_shards(path, "test"))


def read_parquet(path: Path, split: str, reading: "Reading") -> ImageSet:
    """Parquet with a column ``image`` (a struct with ``bytes``) and perhaps ``label``, as Hugging Face lays it out."""
    files = _shards(path, split)
    name = f"parquet:{path.stem if path.is_file() else path.name}"
    key = ["parquet", content_of(files), split, reading.image_size, reading.skip_bad]
    return cached(key, lambda: _read_shards(files, name, split, reading))


def _test_folder(root: Path) -> Path | None:
    return next((root / name for name in TEST_NAMES if (root / name).is_dir()), None)


def _image_files(folder: Path, classes: Sequence[str]) -> list[Path]:
    extensions = _extensions()
    places = [folder / name for name in classes] if classes else [folder]
    files = [path for place in places for path in place.rglob("*") if path.suffix.lower() in extensions]
    return sorted(path for path in files if path.is_file())


def _extensions() -> set[str]:
    return {extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def _shards(path: Path, split: str) -> list[Path]:
    """The files of a split, in order; a single file is train. Raises UserError for a folder without any."""
    if path.is_file():
        return [path] if split == "train" else []
    names = ("train",) if split == "train" else TEST_NAMES
    files = sorted(path.glob("*.parquet"))
    found = [file for file in files if file.stem.startswith(names)]
    if split == "train" and not found:
        if files and not any(file.stem.startswith(TEST_NAMES) for file in files):
            return files
        raise UserError(f"{path} has no train-*.parquet: name the shards of train so, or give one file")
    return found


def _read_shards(files: list[Path], name: str, split: str, reading: "Reading") -> ImageSet:
    items: list[bytes | None] = []
    names: list[str] = []
    labels: list[np.ndarray] = []
    for file in files:
        table = _read_table(file)
        items += [bytes_ for chunk in table["image"].chunks for bytes_ in chunk.field("bytes").to_pylist()]
        names += [f"{file.name}, row {row}" for row in range(len(table))]
        if "label" in table.column_names:
            labels.append(table["label"].to_numpy().astype(np.int64))
    classes = _class_names(files[0])
    everything = np.concatenate(labels) if labels else None
    return _decoded(Encoded(items, names), everything, classes, name, split, reading)


def _read_table(file: Path) -> pa.Table:
    """The columns that are used. Raises UserError that names the file."""
    try:
        schema = pq.read_schema(file)
        if "image" not in schema.names or not pa.types.is_struct(schema.field("image").type):
            raise UserError(f"{file} has the columns {', '.join(schema.names)}: it needs image, a struct with bytes")
        return pq.read_table(file, columns=[name for name in ("image", "label") if name in schema.names])
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file} cannot be read as parquet ({reason}): fetch it again") from error


def _class_names(file: Path) -> list[str]:
    """From the schema's metadata, as Hugging Face writes it; empty where it is not there."""
    metadata = (pq.read_schema(file).metadata or {}).get(b"huggingface")
    try:
        return list(json.loads(metadata)["info"]["features"]["label"]["names"]) if metadata else []
    except (ValueError, KeyError, TypeError):
        return []


def _decoded(
    encoded: Encoded,
    labels: np.ndarray | None,
    classes: Sequence[str],
    name: str,
    split: str,
    reading: "Reading",
) -> ImageSet:
    pixels, kept = decode_all(encoded, reading.image_size, reading.skip_bad, f"{name} {split}", reading.progress)
    labels = None if labels is None else labels[kept]
    return ImageSet(name, split, pixels, labels, tuple(classes), skipped=len(encoded.items) - len(kept))
