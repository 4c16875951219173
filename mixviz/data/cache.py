"""Decoded images on disk, memory-mapped, keyed by what they were decoded from; safe to delete at any time."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.data.imageset import ImageSet
from mixviz.paths import cache_root

FORMAT = 1


def cached(key: Any, make: Callable[[], ImageSet]) -> ImageSet:
    """What ``make`` gives, from the cache where it is there. The key is anything that json can write.

    An entry is put in place whole, by one rename. Where the cache cannot be written, images stay in memory.
    """
    folder = cache_root() / sha256(json.dumps([FORMAT, key]).encode()).hexdigest()[:24]
    if (folder / "meta.json").exists():
        return _read(folder)
    images = make()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    except OSError as error:
        print(
            f"mixviz: cannot write {folder.parent} ({error.strerror}); images are decoded anew each time",
            file=sys.stderr,
        )
        return images
    try:
        _write(part, images)
        os.rename(part, folder)
    except OSError:  # the disk is full, or another process was faster
        if not (folder / "meta.json").exists():
            return images
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _read(folder)


def content_of(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Name and SHA-256 of each file: part of a key."""
    found = []
    for path in paths:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 22):
                digest.update(block)
        found.append((path.name, digest.hexdigest()))
    return found


def stamp_of(paths: Iterable[Path], root: Path) -> list[tuple[str, int, int]]:
    """Relative path, size and time of change of each of many files: part of a key."""
    stats = ((path, path.stat()) for path in paths)
    return [(str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def _write(folder: Path, images: ImageSet) -> None:
    np.save(folder / "images.npy", images.images)
    if images.labels is not None:
        np.save(folder / "labels.npy", images.labels)
    for name, values in images.factors.items():
        np.save(folder / f"factor-{name}.npy", values)
    meta = {"name": images.name, "split": images.split, "class_names": images.class_names, "skipped": images.skipped}
    (folder / "meta.json").write_text(json.dumps(meta), "utf-8")


def _read(folder: Path) -> ImageSet:
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    labels = np.load(folder / "labels.npy") if (folder / "labels.npy").exists() else None
    factors = {path.stem.removeprefix("factor-"): np.load(path) for path in sorted(folder.glob("factor-*.npy"))}
    images = np.load(folder / "images.npy", mmap_mode="r")
    stored = ImageSet(meta["name"], meta["split"], images, labels, factors=factors, skipped=meta["skipped"])
    return replace(stored, class_names=tuple(meta["class_names"]))
