"""Where data sets, decoded caches, recordings and runs live: ``data/`` beside the package, or ``$MIXVIZ_DATA``."""

import os
from pathlib import Path


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
