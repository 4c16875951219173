"""Where data sets, decoded caches, recordings and runs live: ``data/`` beside the package, or ``$MIXVIZ_DATA``."""

import os
from pathlib import Path

from mixviz.errors import UserError


def data_root() -> Path:
    """The folder that holds ``datasets/``, ``cache/``, ``runs/`` and ``recordings/``."""
    return Path(os.environ.get("MIXVIZ_DATA") or Path(__file__).resolve().parent.parent / "data")


def datasets_root() -> Path:
    """Downloaded data sets, as their publishers ship them."""
    return data_root() / "datasets"


def cache_root() -> Path:
    """Decoded images, memory-mapped, keyed by content; safe to delete."""
    return data_root() / "cache"


def runs_root() -> Path:
    """One folder for each training run."""
    return data_root() / "runs"


def check_writable(path: Path) -> Path:
    """The path of a file that is to be written later, its folder made. Raises UserError where it cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path.parent} ({error.strerror}): give another path") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"cannot write {path}: give the path of a file in a folder that can be written")
    return path
