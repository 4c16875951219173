"""A small set in CIFAR-10's own files, and in its publisher's archive."""

import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

CLASSES = list("abcdefghij")


def write_cifar(root: Path, patch: pytest.MonkeyPatch, images: np.ndarray, labels: np.ndarray) -> Path:
    """Train and test of these images, (N, 32, 32, 3), which torchvision then takes for CIFAR-10; their folder."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    batch = {"data": images.transpose(0, 3, 1, 2).reshape(len(images), -1), "labels": labels.tolist()}
    contents = {"train": batch, "test": batch, "meta": {CIFAR10.meta["key"]: CLASSES}}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    sums = {name: md5((folder / name).read_bytes()).hexdigest() for name in contents}
    for name in ("train", "test"):
        patch.setattr(CIFAR10, f"{name}_list", [[name, sums[name]]])
    patch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "filename": "meta", "md5": sums["meta"]})
    return folder


@contextmanager
def published(place: Path, patch: pytest.MonkeyPatch, images: np.ndarray, labels: np.ndarray) -> Iterator[None]:
    """Inside, the same is an archive on a server of this machine, from which torchvision downloads it."""
    folder, archive = write_cifar(place / "publisher", patch, images, labels), place / "publisher" / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, CIFAR10.base_folder)
    patch.setattr(CIFAR10, "tgz_md5", md5(archive.read_bytes()).hexdigest())
    handler = partial(SimpleHTTPRequestHandler, directory=archive.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        patch.setattr(CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
        patch.setenv("no_proxy", "127.0.0.1")
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
