"""Files that survive crashes, damage and other processes: written atomically, checked before reading, locked in use.

Any failure is a UserError of one line, with the file, the cause and the fix.
"""

import csv
import errno
import json
import math
import os
import socket
import stat
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import uuid4

import numpy as np

from mixviz.errors import UserError, printable, reason

try:
    import fcntl
except ImportError:  # Windows has none: there, nothing is locked
    fcntl = None

LARGEST_TEXT = 2**28  # bytes
LARGEST_ARRAYS = 2**30  # bytes of all that is read from one file
HIGH, LOW = ".high", ".low"  # end the names of both halves of an array, see in_planes
PART = ".part"  # ends the name of a file that is being written

Kind = TypeVar("Kind", dict, list)
Shapes = Mapping[str, tuple[int, ...]]


def write_whole(path: Path, write: Callable[[Path], Any], previous: Path | None = None) -> None:
    """Write a temporary file, flush it to the disk, then rename it; previous: where the old one is moved.

    At any time the old or the new content is there, whole, even if the power fails. Raises UserError if it cannot be
    written; what was written of it is removed then.
    """
    part = None
    try:
        path = path.resolve()  # a link is kept
        if path.exists() and not path.is_file():
            raise OSError("it is not a file")
        part = path.with_name(f".{path.name}.{uuid4().hex[:12]}{PART}")
        write(part)
        _flush(part)
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(part, path)
        with suppress(OSError):  # not every file system can
            _flush(path.parent)
    except Exception as error:
        if (of_disk := _disk_error(error)) is None:
            raise
        raise cannot_write(path, of_disk) from error
    finally:
        if part is not None:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name as a compressed .npz file, as ``write_whole`` does; ``read_arrays`` reads them."""

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_whole(path, write)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, as ``write_whole`` does; ``read_json`` reads it."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write rows by column as a csv file with a header, as ``write_whole`` does; None and missing values are empty."""

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def _disk_error(error: BaseException | None) -> OSError | None:
    """What the system said, if that is what stopped a library; torch and safetensors raise errors of their own."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        if (full := os.strerror(errno.ENOSPC)) in str(error):
            return OSError(errno.ENOSPC, full)
        error = error.__context__
    return None


def cannot_write(path: Path, error: OSError) -> UserError:
    """The error for a file or folder that cannot be written, with the fix."""
    cures = {
        errno.ENOSPC: "free some space, then run the command again",
        errno.EDQUOT: "free some space, then run the command again",
        errno.ENOENT: "its folder was moved or removed: put it back",
    }
    cure = cures.get(error.errno or 0, "make it writable, or choose another place")
    return UserError(f"cannot write {path} ({error.strerror or error}): {cure}")


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name == "nt":  # opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(path: Path, why: object) -> UserError:
    """The error for a damaged file."""
    return UserError(f"cannot read {path}: it is damaged ({why})")


def size_of(path: Path) -> int:
    """Bytes of a file. Raises OSError if there is none, also for a pipe or a device, which might never end."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is not a file")
    return found.st_size


def read_text(path: Path) -> str:
    """The content of a text file. Raises UserError, also for what is no file, such as a pipe, and for huge files."""
    try:
        if (size := size_of(path)) > LARGEST_TEXT:
            raise OSError(f"it has {size / 1e6:.0f} MB, more than the {LARGEST_TEXT / 1e6:.0f} MB expected")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise damaged(path, reason(error)) from error


def read_json(path: Path, kind: type[Kind] = dict) -> Kind:
    """The content of a JSON file, an object or a list of objects. Raises UserError if it holds anything else."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, reason(error)) from error
    if not isinstance(content, kind) or (kind is list and not all(isinstance(entry, dict) for entry in content)):
        raise damaged(path, "it holds something else than is kept there")
    return content


def read_arrays(
    path: Path,
    wanted: Callable[[Shapes], Iterable[str]] = tuple,
    largest: float = LARGEST_ARRAYS,
    map_from: float = math.inf,
) -> dict[str, np.ndarray]:
    """Arrays of an .npz file by name; nothing in it is run.

    All names, types and shapes are read first, from the headers. wanted: which of them to read, by default all.
    largest: bytes of those together. map_from: bytes from which one that is not compressed is memory-mapped instead.
    Raises OSError and ValueError, and other kinds for damaged files.
    """
    size_of(path)
    with path.open("rb") as file:
        if file.read(6) == b"\x93NUMPY":
            raise ValueError("it is a single array")
        with zipfile.ZipFile(file) as archive:
            members = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
            shapes = {name: _shape_of(archive, member) for name, member in members.items()}
            chosen = {name: members[name] for name in wanted(shapes)}
            mapped = {
                name: _mapped(path, file, member)
                for name, member in chosen.items()
                if member.file_size >= map_from and member.compress_type == zipfile.ZIP_STORED
            }
            size = sum(member.file_size for name, member in chosen.items() if name not in mapped)
            if size > largest:
                raise ValueError(f"it holds {size / 1e6:,.0f} MB, more than the {largest / 1e6:,.0f} MB expected")
            return mapped | {name: _array_of(archive, member) for name, member in chosen.items() if name not in mapped}


def _header_of(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type, from the beginning of an .npy file."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _mapped(path: Path, file: IO[bytes], member: zipfile.ZipInfo) -> np.ndarray:
    """A member that is not compressed, where it lies in the archive, of which ``file`` is the open one."""
    file.seek(member.header_offset + 26)  # in its local header: the lengths of its name and of its extra field
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(name + extra, os.SEEK_CUR)
    shape, by_column, dtype = _header_of(file)
    return np.memmap(path, dtype, "r", file.tell(), shape, "F" if by_column else "C")


def _shape_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[int, ...]:
    """From the header alone. Raises ValueError for arrays of objects, and for more than the member can hold."""
    with archive.open(member) as file:
        shape, _, dtype = _header_of(file)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects")
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} is cut off")
    return shape


def _array_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def in_planes(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by name, each large float16 one as two of uint8, of which deflate makes less.

    ``HIGH``: sign, exponent and the first two digits of each number. ``LOW``: (8, n / 8), the other digits, a row each.
    """
    planes = {}
    for name, value in arrays.items():
        if getattr(value, "dtype", None) == np.float16 and value.size >= 1000:  # below, names take more than is won
            words = np.ascontiguousarray(value).view(np.uint16)
            planes[name + HIGH] = (words >> 8).astype(np.uint8)
            planes[name + LOW] = np.stack([np.packbits((words >> bit) & 1) for bit in reversed(range(8))])
        else:
            planes[name] = value
    return planes


def from_planes(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ``in_planes`` was given, bit for bit. Raises ValueError if planes are missing or do not fit."""
    whole = {}
    for name, value in arrays.items():
        if name.endswith(HIGH):
            whole[name.removesuffix(HIGH)] = _of_planes(name, value, arrays.get(name.removesuffix(HIGH) + LOW))
        elif not name.endswith(LOW):
            whole[name] = value
    return whole


def _of_planes(name: str, high: np.ndarray, low: np.ndarray | None) -> np.ndarray:
    if low is None or low.shape != (8, -(-high.size // 8)) or not high.dtype == low.dtype == np.uint8:
        raise ValueError(f"{name} does not fit its other half")
    words = high.astype(np.uint16)
    for bits in low:
        words = words << 1 | np.unpackbits(bits, count=high.size).reshape(high.shape)
    return words.view(np.float16)


def remove_parts(folder: Path, *names: str) -> None:
    """Remove what processes that were killed have left of these files, which may have * in their names.

    None of them may be written meanwhile.
    """
    for name in names:
        for part in folder.glob(f".{name}.*{PART}"):
            part.unlink(missing_ok=True)


def _taken(file: IO[bytes]) -> bool:
    """Whether this process now has the lock of a file. Raises OSError if the file system has none."""
    assert fcntl is not None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(folder: Path, name: str = ".lock", wait: float = 0) -> Iterator[None]:
    """Hold a lock of a folder. Raises UserError with the owner if it is held already, by whatever process.

    wait: seconds to wait for it. The system frees a lock when its process ends; if it ended without releasing it, a
    line says so, unless it is a lock to wait for.
    """
    if fcntl is None:
        yield
        return
    try:
        file = (folder / name).open("a+b", buffering=0)
    except OSError as error:
        raise cannot_write(folder, error) from error
    with file:
        file.seek(0)
        owner = file.read(200).decode(errors="replace")
        until = time.monotonic() + wait
        try:
            while not _taken(file):
                if time.monotonic() >= until:
                    by = owner or "another process"
                    raise UserError(f"{folder.name} is in use by {by}: wait until that has ended, or stop it")
                time.sleep(0.05)
        except OSError:  # a file system without locks
            owner = ""
        if owner and not wait:
            print(f"mixviz: {folder.name} was left unfinished by {printable(owner)}, which has ended", file=sys.stderr)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # a full disk: the lock is held all the same
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now}".encode())
        try:
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)


@contextmanager
def results_locked(path: Path) -> Iterator[None]:
    """For updating a file of results: one process at a time, the others wait."""
    with locked(path.parent, ".results.lock", wait=60):
        remove_parts(path.parent, escape(path.name))
        yield
