"""The command line: ``python -m mixviz COMMAND``."""

import ctypes
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mixviz.errors import UserError, message, unknown

COMMANDS = {
    "tour": "train and evaluate every method on the built-in glyphs, and write a report: start here",
    "train": "train one run",
    "evaluate": "evaluate a run's frozen encoder under any protocol",
    "compare": "compare runs seed by seed, with an interval",
    "embed": "write the features of any data, from a run's encoder: csv, npz or parquet",
    "report": "write all analyses of one or several runs into one HTML file",
    "data": "list the data sets that are known by name, or fetch one",
    "list": "list the runs",
    "tag": "add tags to runs or remove them, to filter runs",
    "doctor": "check the installation and the device, and say how to fix what is missing",
    "bench": "measure the speed of augmentation and of a training step on this machine",
    "sweep": "train a grid of settings over several seeds, and compare them",
    "study": "test LooC's claims on glyphs over several seeds",
    "failures": "train small runs that are broken on purpose, and show what exposes each fault",
    "reproduce": "reproduce tables of the papers; --plan estimates the time first",
    "ledger": "show what the papers claim, and what we measured",
    "notebooks": "copy the notebooks to a folder where you can open and edit them",
    "export": "write a notebook as one HTML file, with sliders that need no kernel",
    "site": "write a page that runs bundled networks in a browser, from a file and without a network",
    "export-encoder": "write a run's encoder for use without mixviz: safetensors, pt or onnx",
    "recordings": "list and check the bundled runs",
    "results": "fill the tables of the README and its pages from the result files",
    "pictures": "draw the pictures of the README from the bundled runs",
}


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # in glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks of up to 32 MiB, the most that it allows; other C libraries are left as they are.

    By default it returns large blocks to the system at once, and to fetch one again costs more than a layer of a small
    network on a CPU.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 64 * 2**20)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which stops a command as Ctrl-C does."""


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Inside, SIGTERM raises ``Terminated``; only the main thread of a process can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def missing(error: ModuleNotFoundError) -> str:
    """The line that says what to install."""
    module = str(error.name).partition(".")[0]
    package = {"PIL": "pillow", "sklearn": "scikit-learn"}.get(module, module)
    return f"{package} is not installed: pip install {package}; python -m mixviz doctor lists all that is missing"


def usage() -> str:
    """The commands, one per line."""
    rows = [f"  {name:14} {line}" for name, line in COMMANDS.items()]
    return "\n".join(["usage: python -m mixviz COMMAND [flags]", "", *rows, "", "COMMAND --help lists its flags."])


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 0 on success, 2 on bad input, 130 after Ctrl-C and 143 after SIGTERM."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    try:
        if argv[0] not in COMMANDS:
            raise unknown("command", argv[0], COMMANDS)
        keep_freed_memory()
        with stopped_by_sigterm():
            return import_module(f"mixviz.commands.{argv[0].replace('-', '_')}").main(argv[1:]) or 0
    except UserError as error:
        print(f"mixviz: {message(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "mixviz").partition(".")[0] == "mixviz":
            raise
        print(f"mixviz: {missing(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print("\nmixviz: interrupted; to continue a run from its last epoch, use train --resume", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
