"""Understand, measure and reproduce mixing in contrastive learning."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {  # torch is slow to import
    "MixvizEncoder": "mixviz.transformer",
    "embed": "mixviz.embedding",
    "export_encoder": "mixviz.encoder_files",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
