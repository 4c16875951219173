"""Archives of published data sets: downloaded with a progress bar, checked, unpacked, moved into place."""

import shutil
import tempfile
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from mixviz.errors import MissingData, reason
from mixviz.files import locked

PARTS = ".part-"  # how temporary folders begin


@dataclass(frozen=True)
class Archive:
    """A file of a publisher, and the SHA-256 that it must have."""

    address: str
    sha256: str


def fetched(archive: Archive, folder: Path) -> Path:
    """The folder with the archive's content; it is downloaded if the folder is not there.

    One process downloads at a time, and removes what killed ones have left. Raises MissingData, or UserError if another
    process downloads.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.parent, ".download.lock"):
            for part in folder.parent.glob(f"{PARTS}*"):
                shutil.rmtree(part, ignore_errors=True)
            if not folder.is_dir():
                _download(archive, folder)
    except (OSError, RuntimeError, HTTPException, shutil.ReadError) as error:
        raise MissingData(
            f"{folder.name} is not in {folder} and {archive.address} cannot be downloaded ({reason(error)}): "
            "unpack the publisher's archive there"
        ) from error
    return folder


def _download(archive: Archive, folder: Path) -> None:
    from torch.hub import download_url_to_file  # slow to import

    name = archive.address.rpartition("/")[2]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=PARTS) as part:
        file, unpacked = Path(part) / name, Path(part) / "unpacked"
        download_url_to_file(archive.address, str(file), hash_prefix=archive.sha256)
        safely: dict[str, Any] = {} if name.endswith(".zip") else {"filter": "data"}
        shutil.unpack_archive(file, unpacked, **safely)
        unpacked.rename(folder)
