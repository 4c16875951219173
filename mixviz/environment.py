"""The environment of a number: the code's commit, versions, processor and threads, and how the program was called."""

import math
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from mixviz.errors import UserError, reason

CODE = Path(__file__).resolve().parent
MEMORY = Path("/proc/meminfo"), re.compile(r"^MemAvailable:\s*(\d+) kB$", re.MULTILINE)
PACKAGES = ("mixviz", "torch", "torchvision", "numpy", "pandas", "scikit-learn", "pydantic")


def environment() -> dict[str, Any]:
    """Commit, versions, device, and how the program was called."""
    cuda = torch.cuda.is_available()
    others = f"{'Apple GPU' if torch.backends.mps.is_available() else 'CPU'}, {platform.machine()}"
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if cuda else others,
        "processor": torch.cuda.get_device_name() if cuda else processor(),
        "threads": torch.get_num_threads(),
        "processes": dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


@cache
def commit(folder: Path = CODE) -> str:
    """The commit of the code in a folder, such as ``c067dc4``, or ``c067dc4+changes``; empty without git.

    Read once: it is the code that this process has loaded. Changes outside the folder do not count.
    """
    if _git(folder, "ls-files", ".") in (None, ""):  # not under git, or installed inside somebody else's repository
        return ""
    changed = _git(folder, "status", "--porcelain", "--", ".")
    return f"{_git(folder, 'rev-parse', '--short', 'HEAD') or ''}{'+changes' if changed else ''}"


@cache
def processor() -> str:
    """The processor's name, such as ``AMD EPYC 7763``: from Linux, or from Python's ``platform``."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _git(folder: Path, *words: str) -> str | None:
    """The output of git; None if there is no git, no repository or no answer."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_memory(size: float, what: str, cure: str) -> None:
    """Raises UserError if this many bytes are more than can be allocated."""
    if size > (free := free_memory()):
        raise UserError(f"{what} take {size / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free: {cure}")


@contextmanager
def memory_errors() -> Iterator[None]:
    """Inside, running out of memory, also a GPU's, is a UserError; also a decorator."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # on the CPU, torch has no type for it
        text = str(error).casefold()
        if not isinstance(error, MemoryError) and "allocate memory" not in text and "out of memory" not in text:
            raise
        raise UserError(
            "there is not enough memory: lower --batch-size, --image-size, --queue-length, --dim or --hidden, or take "
            f"a smaller --backbone ({reason(error)})"
        ) from error


def free_memory() -> float:
    """Bytes that a process may still allocate; infinite if unknown."""
    file, pattern = MEMORY
    try:
        found = pattern.search(file.read_text(encoding="utf-8"))
    except OSError:
        return math.inf
    return 1024 * int(found[1]) if found else math.inf
