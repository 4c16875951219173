"""``doctor``: what is installed, which device is used, what is missing, and the command that fixes it.

It imports only the standard library, since any package may be missing.
"""

import os
import platform
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from mixviz.commands.parser import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.paths import data_root


def main(argv: list[str]) -> int:
    Parser("doctor", "Check the installation. Exit code 1 if something has to be fixed, else 0.").parse_args(argv)
    rows = [_python(), *map(_package, _requirements()), _device(), _writable(), _space(), _sets()]
    print_table(["part", "found", "state"], [row[:3] for row in rows])
    cures = [row[3] for row in rows if row[3]]
    for cure in cures:
        print(f"to fix: {cure}")
    return 1 if cures else 0


Row = tuple[str, str, str, str]  # part, found, state, cure or nothing


def _python() -> Row:
    fine = sys.version_info >= (3, 11)
    return (
        "python",
        platform.python_version(),
        "ok" if fine else "too old",
        "" if fine else "install Python 3.11 or newer",
    )


def _requirements() -> list[str]:
    """Such as ``numpy>=2.0``. Raises UserError if mixviz itself is not installed."""
    try:
        return [line for line in requires("mixviz") or [] if "extra" not in line]
    except PackageNotFoundError as error:
        raise UserError("mixviz is not installed: pip install -e . in its folder, or pip install its wheel") from error


def _package(requirement: str) -> Row:
    name = re.split(r"[^\w.-]", requirement)[0]
    try:
        found = version(name)
    except PackageNotFoundError:
        return name, "–", "missing", f'pip install "{requirement}"'
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return name, found, "not checked: packaging is missing", ""
    wanted = Requirement(requirement).specifier
    if not wanted.contains(found.partition("+")[0], prereleases=True):
        return name, found, f"needs {wanted}", f'pip install --upgrade "{requirement}"'
    return name, found, "ok", ""


def _device() -> Row:
    try:
        import torch

        from mixviz.build import find_device
        from mixviz.encoders import fast_dtype
    except ImportError as error:
        return "device", "–", f"not known: {error.name or error} is missing", ""
    device = find_device("auto")
    name = f"CPU, {torch.get_num_threads()} threads"
    if device.type != "cpu":
        name = torch.cuda.get_device_name() if device.type == "cuda" else "Apple GPU (mps)"
    state = f"computes in {str(fast_dtype(device)).removeprefix('torch.')}"
    return "device", name, state + ("; mixings are drawn on the CPU" if device.type == "mps" else ""), ""


def _writable() -> Row:
    root = data_root()
    place = next(path for path in (root, *root.parents) if path.exists())
    fine = os.access(place, os.W_OK)
    cure = "" if fine else f"make {root} writable, or set MIXVIZ_DATA to a folder that is"
    return "data folder", str(root), "ok" if fine else "not writable", cure


def _space() -> Row:
    root = data_root()
    place = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    return (
        "free space",
        f"{free:.0f} GiB",
        "ok" if free > 2 else "little",
        "" if free > 2 else f"free some space for {root}",
    )


def _sets() -> Row:
    """The published data sets that are on this machine."""
    try:
        from mixviz.data.published import NAMES, is_here
    except ImportError as error:
        return "data sets", "–", f"not known: {error.name or error} is missing", ""
    here = [name for name in NAMES if is_here(name)]
    return "data sets", ", ".join(here) or "none fetched", "others: python -m mixviz data get NAME", ""
