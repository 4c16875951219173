"""Decoded images on disk, memory-mapped, keyed by what they were decoded from; safe to delete at any time."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.data.checks import say
from mixviz.data.dataset import Dataset
from mixviz.data.rows import PART
from mixviz.environment import check_memory
from mixviz.paths import cache_root

FORMAT = 5  # raise it whenever decoding changes
STORED = "stored.npy"

Empty = Callable[[tuple[int, ...], type[np.generic]], np.ndarray]  # an array of this shape and type, to be filled


def cached(key: Any, make: Callable[[Empty], Dataset]) -> Dataset:
    """The result of ``make``, from the cache if possible. The key is anything that JSON can represent.

    make: is given what allocates the array of examples, in a file of the cache, so that memory never holds all of them;
    it returns the first rows of that array, or another one. An entry is moved into place by one rename; a damaged one
    is recomputed. If the cache cannot be written, images stay in memory. Raises UserError if they do not fit.
    """
    folder = cache_root() / sha256(json.dumps([FORMAT, key]).encode()).hexdigest()[:24]
    stored = _read(folder)
    if stored is not None:
        return stored
    entry = _Entry(folder)
    try:
        images = make(entry.empty)
        entry.put(images)
    finally:
        entry.remove()
    stored = _read(folder)
    return images if stored is None else stored


def content_of(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file: part of a key."""
    found = []
    for path in paths:
        with path.open("rb") as file:
            found.append((path.name, file_digest(file, "sha256").hexdigest()))
    return found


def stamp_of(paths: Iterable[Path], root: Path) -> list[Any]:
    """The folder, and relative path, size and times of change of each of many files in it: part of a key."""
    stats = ((path, path.stat()) for path in paths)
    files = [(str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stats]
    return [str(root.resolve()), files]


class _Entry:
    """An entry that is written next to its final path, then moved there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._part: Path | None = None
        self._mapped = False  # whether the examples are in a file already

    def empty(self, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        """In a file whose space is reserved, or in memory if there is none. Raises UserError if neither has room."""
        if os.name == "nt" or 0 in shape:  # Windows cannot move a mapped file
            return np.empty(shape, dtype)
        try:
            found = np.lib.format.open_memmap(self._open() / STORED, mode="w+", dtype=dtype, shape=shape)
            _reserve(self._open() / STORED)
        except OSError as error:
            self._give_up(error)
            size = float(np.prod(shape)) * np.dtype(dtype).itemsize
            check_memory(size, f"{shape[0]:,} decoded examples", f"free that much in {self.folder.parent}")
            return np.empty(shape, dtype)
        self._mapped = True
        return found

    def put(self, images: Dataset) -> None:
        """Write what is not yet written, and move the entry to its place."""
        try:
            part = self._open()
            _write(part, images, self._mapped)
            if self.folder.exists() and _read(self.folder) is None:  # damaged
                shutil.rmtree(self.folder)
            os.rename(part, self.folder)
        except OSError as error:
            if _read(self.folder) is None:  # else another process was faster
                self._give_up(error)

    def remove(self) -> None:
        """What was not moved."""
        if self._part is not None:
            shutil.rmtree(self._part, ignore_errors=True)

    def _open(self) -> Path:
        if self._part is None:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._part = Path(tempfile.mkdtemp(dir=self.folder.parent, prefix=".part-"))
        return self._part

    def _give_up(self, error: OSError) -> None:
        say(f"cannot write {self.folder.parent} ({error.strerror or error}); images stay in memory")


def _reserve(path: Path) -> None:
    """Allocate the blocks of a file: on a full disk, writing to a mapped one would end the process. Raises OSError."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        while (left := size - file.tell()) > 0:
            file.write(bytes(min(left, PART)))


def _write(folder: Path, images: Dataset, mapped: bool) -> None:
    if mapped:
        _shorten(folder / STORED, len(images))
    else:
        np.save(folder / STORED, np.asarray(images.stored))
    np.save(folder / "origins.npy", images.origins)
    factors: dict[str, Any] = dict(images.factors)
    np.savez(folder / "factors.npz", **factors)
    if images.labels is not None:
        np.save(folder / "labels.npy", images.labels)
    meta = {name: getattr(images, name) for name in ("name", "split", "domain", "class_names", "skipped")}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def _shorten(path: Path, rows: int) -> None:
    """Let the array in an .npy file end after these rows. Its header, which has room for any number, keeps its size."""
    with path.open("r+b") as file:
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        header = {"shape": (rows, *shape[1:]), "fortran_order": fortran, "descr": np.lib.format.dtype_to_descr(dtype)}
        end = file.tell()
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header)
        assert file.tell() == end


def _read(folder: Path) -> Dataset | None:
    """The entry, or None if there is none that can be read."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        stored = np.load(folder / STORED, mmap_mode="r")
        labels = np.load(folder / "labels.npy") if (folder / "labels.npy").exists() else None
        class_names = tuple(meta["class_names"])
        with np.load(folder / "factors.npz") as archive:
            factors = {name: archive[name] for name in archive.files}
        return Dataset(
            name=meta["name"],
            split=meta["split"],
            domain=meta["domain"],
            stored=stored,
            origins=np.load(folder / "origins.npy"),
            labels=labels,
            class_names=class_names,
            factors=factors,
            skipped=meta["skipped"],
        )
    except (OSError, ValueError, KeyError, EOFError):
        return None
