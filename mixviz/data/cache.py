"""Decoded images on disk, memory-mapped, keyed by what they were decoded from; safe to delete at any time."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.data.dataset import Dataset
from mixviz.paths import cache_root

FORMAT = 5  # raise it whenever decoding changes


def cached(key: Any, make: Callable[[], Dataset]) -> Dataset:
    """The result of ``make``, from the cache if possible. The key is anything that JSON can represent.

    An entry is moved into place by one rename; a damaged one is recomputed. If the cache cannot be written, images stay
    in memory.
    """
    folder = cache_root() / sha256(json.dumps([FORMAT, key]).encode()).hexdigest()[:24]
    stored = _read(folder)
    if stored is not None:
        return stored
    images = make()
    try:
        _put(folder, images)
    except OSError as error:
        print(
            f"mixviz: cannot write {folder.parent} ({error.strerror or error}); images stay in memory", file=sys.stderr
        )
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


def _put(folder: Path, images: Dataset) -> None:
    """Writes an entry next to its final path, then moves it there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        _write(part, images)
        if folder.exists() and _read(folder) is None:  # damaged
            shutil.rmtree(folder)
        os.rename(part, folder)
    except OSError:
        if _read(folder) is None:  # else another process was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, images: Dataset) -> None:
    np.save(folder / "stored.npy", images.stored)
    np.save(folder / "origins.npy", images.origins)
    factors: dict[str, Any] = dict(images.factors)
    np.savez(folder / "factors.npz", **factors)
    if images.labels is not None:
        np.save(folder / "labels.npy", images.labels)
    meta = {name: getattr(images, name) for name in ("name", "split", "domain", "class_names", "skipped")}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def _read(folder: Path) -> Dataset | None:
    """The entry, or None if there is none that can be read."""
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        stored = np.load(folder / "stored.npy", mmap_mode="r")
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
