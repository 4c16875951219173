"""Understand, measure and reproduce mixing in contrastive learning."""

import sys
from importlib import import_module
from typing import Any

if sys.version_info[:2] < (3, 11):  # noqa: UP036
    _old = f"mixviz needs Python 3.11 or newer, and this is {sys.version_info[0]}.{sys.version_info[1]}"
    if sys.argv[:1] == ["-m"]:  # python -m mixviz
        print(f"mixviz: {_old}: make an environment with a newer one", file=sys.stderr)
        sys.exit(2)
    raise ImportError(_old)

__version__ = "0.1.0"

_LAZY = {  # torch is slow to import
    "MixvizEncoder": "mixviz.transformer",
    "embed": "mixviz.embedding",
    "export_encoder": "mixviz.encoder_files",
    "near_duplicates": "mixviz.embedding",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
