"""The film of a training run: the network's embeddings of a fixed set of probe images, epoch by epoch.

One compressed file, ``film.npz``, with the probes' rows in the training split, not their images. Reading it needs only
numpy.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.errors import UserError, reason, unknown
from mixviz.files import from_planes, in_planes, read_arrays, write_arrays

EDITION = 1  # of the file's layout
KINDS = ("embeddings", "kept", "curves")  # of values that there are several of, by name


@dataclass(frozen=True, eq=False, kw_only=True)
class Film:
    """E frames of P probe images.

    An embedding is kept in its ``d`` principal directions, float16, of unit vectors: inner products are cosines, up to
    the share that each frame keeps. Each frame is rotated to be as near as possible to the one before.
    """

    epochs: np.ndarray  # (E,) epochs that were trained when the frame was taken; 0 is before training
    rows: np.ndarray  # (P,) of the run's training images
    labels: np.ndarray | None  # (P,)
    embeddings: Mapping[str, np.ndarray]  # backbone, and each embedding space -> (E, P, d) float16
    kept: Mapping[str, np.ndarray]  # the same names -> (E,) share of the squared length that the d directions hold
    curves: Mapping[str, np.ndarray]  # name -> (E,), or (E, R) for curves over ranks; NaN if not defined
    about: Mapping[str, Any] = field(default_factory=dict)  # ranks, top_false, temperature, class_names, ...

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def heads(self) -> tuple[str, ...]:
        """The embedded spaces: the backbone and the embedding spaces."""
        return tuple(self.embeddings)

    def at(self, epoch: float) -> int:
        """The frame nearest to an epoch, the earlier of two."""
        return int(np.abs(self.epochs - epoch).argmin())

    def embedding(self, frame: int, head: str = "backbone") -> np.ndarray:
        """(P, d) float32 of one frame. Raises UserError."""
        if head not in self.embeddings:
            raise unknown("embedding", head, self.heads)
        return self.embeddings[head][frame].astype(np.float32)

    def curve(self, name: str) -> np.ndarray:
        """(E,) or (E, R). Raises UserError."""
        if name not in self.curves:
            raise unknown("curve", name, self.curves)
        return self.curves[name]

    def scalars(self) -> dict[str, np.ndarray]:
        """All curves of one value a frame, with ``epoch`` first: ready for a DataFrame."""
        return {"epoch": self.epochs} | {name: values for name, values in self.curves.items() if values.ndim == 1}

    def save(self, path: Path) -> None:
        """The file is written completely or not at all."""
        arrays: dict[str, Any] = {"epochs": self.epochs, "rows": self.rows}
        if self.labels is not None:
            arrays["labels"] = self.labels
        for kind in KINDS:
            arrays |= {f"{kind}/{name}": values for name, values in getattr(self, kind).items()}
        about = json.dumps({"edition": EDITION, **self.about}, ensure_ascii=False)
        write_arrays(path, {"about": np.array(about), **in_planes(arrays)})

    @classmethod
    def load(cls, path: Path) -> "Film":
        """Raises UserError if there is none, or it cannot be read."""
        if not path.exists():
            raise UserError(f"there is no film at {path}: train with --film-frames and --holdout greater than 0")
        try:
            arrays = from_planes(read_arrays(path, _known))
            about = json.loads(str(arrays.pop("about")))
            if (edition := about.pop("edition", None)) != EDITION:
                raise ValueError(f"it is of another edition, {edition}, than {EDITION}")
            parts = {
                kind: {name.partition("/")[2]: values for name, values in arrays.items() if name.startswith(f"{kind}/")}
                for kind in KINDS
            }
            film = cls(epochs=arrays["epochs"], rows=arrays["rows"], labels=arrays.get("labels"), **parts, about=about)
            if not film._fits:
                raise ValueError("its parts do not belong together")
        except Exception as error:
            raise UserError(
                f"the film {path} is damaged ({reason(error)}): train the run again, or delete it to go without"
            ) from error
        return film

    @property
    def _fits(self) -> bool:
        """Whether all parts have the same frames and probes."""
        frames, probes = self.epochs.shape, self.rows.shape
        return (
            len(frames) == len(probes) == 1
            and frames[0] > 0
            and bool((np.diff(self.epochs) > 0).all())
            and (self.labels is None or self.labels.shape == probes)
            and "backbone" in self.embeddings
            and self.kept.keys() == self.embeddings.keys()
            and all(x.ndim == 3 and x.shape[:2] == (*frames, *probes) for x in self.embeddings.values())
            and all(x.shape[:1] == frames for x in (*self.kept.values(), *self.curves.values()))
        )


def _known(shapes: Iterable[str]) -> list[str]:
    """The arrays that a film has."""
    return [name for name in shapes if name in ("about", "epochs", "rows", "labels") or name.startswith(KINDS)]


def filmed_epochs(epochs: int, frames: int) -> tuple[int, ...]:
    """At which epochs a frame is taken: 0 and the last among them, dense early, at most ``frames``.

    Every epoch if there are few. None if ``frames`` is 0.
    """
    if frames == 0:
        return ()
    if epochs + 1 <= frames:
        return tuple(range(epochs + 1))
    if frames <= 2:
        return (0, epochs)
    marks = np.geomspace(1, epochs, frames - 1)
    chosen = np.maximum(np.round(marks), np.arange(1, frames))  # early marks less than an epoch apart move on
    return (0, *(int(epoch) for epoch in chosen))


def joined(frames: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Frames' values stacked: name -> (E, ...); what a frame lacks is NaN."""
    names = list(dict.fromkeys(name for frame in frames for name in frame))
    shapes = {name: next(np.shape(frame[name]) for frame in frames if name in frame) for name in names}
    return {
        name: np.stack([np.asarray(frame.get(name, np.full(shapes[name], np.nan)), np.float32) for frame in frames])
        for name in names
    }
