"""Examples in memory as they are stored, with optional labels and named factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from mixviz.data.draws import are_mixed, draw
from mixviz.data.rows import parts, select
from mixviz.errors import UserError, unknown

ROWS = np.zeros(0, np.int64)  # origins that are not given: the rows of ``stored``
DIGESTED = 2**30  # bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """One split of a data set; the arrays may be memory-mapped and are never written to.

    A selection of a large set is not copied: its ``stored`` are ``rows.Rows``, which are indexed as arrays are.
    """

    name: str  # as printed next to every number, such as "CIFAR-10 (JPEG)"
    split: str  # train, test, or all
    domain: str = "image"  # what an example is: a name of DOMAINS
    stored: np.ndarray  # (N, ...), of images (N, H, W, 3) uint8
    labels: np.ndarray | None = None  # (N,) int64
    class_names: tuple[str, ...] = ()
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (N,)
    origins: np.ndarray = field(default_factory=lambda: ROWS)  # (N,) names of the files, or rows
    skipped: int = 0  # number of examples that could not be read and were left out

    def __post_init__(self) -> None:
        if self.origins is ROWS:
            object.__setattr__(self, "origins", np.arange(len(self.stored)))

    def __len__(self) -> int:
        return len(self.stored)

    def select(self, index: Sequence[int] | np.ndarray | Tensor) -> "Dataset":
        """Some of the examples, by row or by a mask, with labels, factors and origins, in the order of the index."""
        index = np.asarray(index) if len(index) else np.zeros(0, np.int64)
        return replace(
            self,
            stored=select(self.stored, index),
            labels=None if self.labels is None else self.labels[index],
            factors={name: values[index] for name, values in self.factors.items()},
            origins=self.origins[index],
        )

    def sample(self, size: int) -> "Dataset":
        """At most ``size`` of the examples, drawn at random, each class in proportion: see ``draw``."""
        return self.select(draw(self.labels, len(self), size))

    def mixed(self) -> "Dataset":
        """The same examples in an order in which any first part represents all; unchanged if it is already so."""
        return self if are_mixed(self.labels) else self.sample(len(self))

    def targets(self, name: str = "label") -> np.ndarray:
        """The labels, or a factor, (N,). Raises UserError if there are none, or only one class."""
        values = self.labels if name == "label" else self.factors.get(name)
        if values is None and name == "label":
            raise UserError(
                f"{self.name} has no labels, but they are needed here: give each class a folder, or add labels"
            )
        if values is None:
            raise unknown("factor", name, ["label", *self.factors])
        if len(values) and (values == values[0]).all():
            raise UserError(f"{self.name} has a single {name}, but at least two are needed: add examples of another")
        return values

    @property
    def numbered_labels(self) -> Tensor | None:
        """(N,) labels, which may be any integers, as indices of ``class_names`` or, without names, as ranks."""
        if self.labels is None or self.class_names:
            return None if self.labels is None else torch.as_tensor(self.labels)
        return torch.as_tensor(np.unique(self.labels, return_inverse=True)[1])

    def fingerprint(self) -> str:
        """A digest of the examples and their labels: the same for the same bytes in the same order.

        Of more than ``DIGESTED`` bytes, only examples at equal distances enter.
        """
        digest = sha256()
        for array in (self.stored, self.labels):
            if array is not None:
                digest.update(f"{array.dtype} {array.shape}".encode())
                for part in parts(array, 1 + array.nbytes // DIGESTED):
                    digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def tensor(self) -> Tensor:
        """A copy of ``stored`` as a tensor."""
        return torch.from_numpy(np.array(self.stored))


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Splits of one set, concatenated, as split ``all``: labels are -1 if a split has none.

    Rows are numbered by split, such as ``test 3``. Raises UserError if their examples are of several shapes.
    """
    first, *others = parts
    shapes = {part.stored.shape[1:] for part in parts}
    if len(shapes) > 1:
        sizes = " and ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))
        raise UserError(f"{first.name} has splits of {sizes}: give --image-size, or one split")
    labelled = any(part.labels is not None for part in parts)
    return replace(
        first,
        split="all",
        stored=np.concatenate([part.stored for part in parts]),
        labels=np.concatenate([_labels(part) for part in parts]) if labelled else None,
        factors={
            name: np.concatenate([part.factors[name] for part in parts])
            for name in first.factors
            if all(name in part.factors for part in others)
        },
        origins=np.concatenate([_origins(part) for part in parts]),
        skipped=sum(part.skipped for part in parts),
    )


def _labels(part: Dataset) -> np.ndarray:
    return np.full(len(part), -1) if part.labels is None else part.labels


def _origins(part: Dataset) -> np.ndarray:
    """Names of files as they are; rows with their split."""
    names = part.origins.dtype.kind == "U"
    return part.origins if names else np.array([f"{part.split} {row}" for row in part.origins])
