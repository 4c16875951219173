"""Which rows of a published set the images of a run are, by a thumbnail of each: for runs whose own files are not here.

A run on CIFAR-10 in parquet files of JPEGs names rows of those files. A reader has the set as it is published: in
another order, and without the traces of JPEG. 4 x 4 grey pixels and the class tell which image is which.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixviz.data.dataset import Dataset
from mixviz.errors import MissingData, reason
from mixviz.files import damaged, read_arrays, write_arrays
from mixviz.paths import shipped

THUMBNAILS = "thumbnails"  # folder of the recordings
SIDE = 4  # pixels
FARTHEST = 6.0  # mean difference of grey levels between an image's thumbnail and that of its JPEG, at most
LEAST_FOUND = 0.98  # of the images, each at its own row: a few are in the set twice


@dataclass(frozen=True, kw_only=True)
class Thumbnails:
    """Those of the training images of a run."""

    source: str  # the published set that they are in, as for ``--data``
    grey: np.ndarray  # (N, 16) uint8
    labels: np.ndarray  # (N,) uint8

    @classmethod
    def of(cls, images: Dataset, source: str) -> "Thumbnails":
        """Of labelled images with at most 256 classes, whose sides are multiples of 4."""
        return cls(source=source, grey=thumbnails(images.stored), labels=images.targets().astype(np.uint8))

    def save(self, path: Path) -> None:
        about = np.array(json.dumps({"source": self.source}))
        write_arrays(path, {"about": about, "grey": self.grey, "labels": self.labels})

    @classmethod
    def load(cls, path: Path) -> "Thumbnails":
        """Raises UserError if the file is damaged."""
        try:
            arrays = read_arrays(path)
            found = cls(source=json.loads(str(arrays["about"]))["source"], grey=arrays["grey"], labels=arrays["labels"])
            if found.grey.shape != (*found.labels.shape, SIDE**2):
                raise ValueError("its parts do not belong together")
        except Exception as error:
            raise damaged(path, reason(error)) from error
        return found

    def rows(self, images: Dataset) -> np.ndarray:
        """(N,) rows of the published training images. Raises MissingData if they are not all there."""
        rows, far = np.zeros(len(self.labels), np.int64), np.zeros(len(self.labels))
        there, classes = thumbnails(images.stored), images.targets()
        for label in np.unique(self.labels):
            wanted, candidates = np.flatnonzero(self.labels == label), np.flatnonzero(classes == label)
            if len(candidates) == 0:
                far[wanted] = np.inf
                continue
            nearest = _nearest(self.grey[wanted].astype(np.float32), there[candidates].astype(np.float32))
            rows[wanted] = candidates[nearest]
            far[wanted] = np.abs(self.grey[wanted] - there[rows[wanted]].astype(float)).mean(axis=1)
        if far.max(initial=0) > FARTHEST or len(np.unique(rows)) < LEAST_FOUND * len(rows):
            raise MissingData(f"not all images of the run are in the {images.name} here: get {self.source} again")
        return rows


def thumbnails(stored: np.ndarray) -> np.ndarray:
    """(N, 16) uint8, grey, of images (N, H, W, 3) whose sides are multiples of 4."""
    n, height, width, _ = stored.shape
    cells = stored.reshape(n, SIDE, height // SIDE, SIDE, width // SIDE, 3)
    return np.round(cells.mean(axis=(2, 4, 5), dtype=np.float32)).astype(np.uint8).reshape(n, -1)


def thumbnails_path(name: str, root: Path | None = None) -> Path:
    """Where those of the data set with this name in results are. root: of the recordings; None: the bundled ones."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (root or shipped() / "data" / "recordings") / THUMBNAILS / f"{slug}.npz"


def _nearest(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(n,) the nearest point of each query."""
    return (np.square(points).sum(axis=1) - 2 * queries @ points.T).argmin(axis=1)
