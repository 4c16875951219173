"""Paths: of the project's own files, and of the user's data sets, decoded caches and runs."""

import os
import sys
from pathlib import Path

from mixviz.errors import UserError

PACKAGE = Path(__file__).resolve().parent
APP = "mixviz"


def is_clone() -> bool:
    """Whether the package is in a clone of the project, not installed by pip."""
    return (PACKAGE.parent / "pyproject.toml").is_file()


def shipped() -> Path:
    """The folder with the project's ``data`` (recordings, results, ledger) and ``notebooks``."""
    return PACKAGE.parent if is_clone() else PACKAGE / "shipped"


def clone(what: str) -> Path:
    """The root of the clone, for commands that only make sense there. Raises UserError if the package was installed."""
    if not is_clone():
        raise UserError(f"{what} is for a clone of the project, and mixviz is installed in {PACKAGE}: clone it first")
    return PACKAGE.parent


def data_root() -> Path:
    """The folder that holds ``datasets/``, ``cache/`` and ``runs/``.

    ``$MIXVIZ_DATA``, else ``data`` of the clone, or of an installed package the user's own folder of this system.
    """
    return Path(os.environ.get("MIXVIZ_DATA") or (PACKAGE.parent / "data" if is_clone() else user_folder()))


def user_folder() -> Path:
    """This system's folder for a program's user data: on Linux by the XDG base directory rules."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / APP
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / APP
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (given if given.is_absolute() else home / ".local" / "share") / APP


def datasets_root() -> Path:
    """Downloaded data sets, as their publishers distribute them."""
    return data_root() / "datasets"


def cache_root() -> Path:
    """Decoded images, memory-mapped, keyed by content; safe to delete."""
    return data_root() / "cache"


def runs_root() -> Path:
    """One folder for each training run."""
    return data_root() / "runs"


def check_writable(path: Path) -> Path:
    """The path of a file to be written later; makes its folder. Raises UserError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path.parent} ({error.strerror}): give another path") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"cannot write {path}: give the path of a file in a folder that can be written")
    return path
