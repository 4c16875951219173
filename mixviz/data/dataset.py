"""Examples in memory as they are stored, with optional labels and named factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mixviz.data.draws import draw
from mixviz.errors import UserError, unknown


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """One split of a data set; the arrays may be memory-mapped and are never written to."""

    name: str  # as printed beside every number, such as "CIFAR-10 (JPEG)"
    split: str  # train or test
    domain: str = "image"  # what an example is: a name of DOMAINS
    stored: np.ndarray  # (N, ...), of images (N, H, W, 3) uint8
    labels: np.ndarray | None = None  # (N,) int64
    class_names: tuple[str, ...] = ()
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (N,)
    origins: np.ndarray | None = None  # (N,) names of the files, or rows; None becomes the rows of ``stored``
    skipped: int = 0  # examples that could not be read and were left out

    def __post_init__(self) -> None:
        if self.origins is None:
            object.__setattr__(self, "origins", np.arange(len(self.stored)))

    def __len__(self) -> int:
        return len(self.stored)

    def select(self, index: Sequence[int] | np.ndarray) -> "Dataset":
        """Some of the examples, by row or by a mask, with all that is known of them, in the order of the index."""
        index = np.asarray(index) if len(index) else np.zeros(0, np.int64)
        return replace(
            self,
            stored=self.stored[index],
            labels=None if self.labels is None else self.labels[index],
            factors={name: values[index] for name, values in self.factors.items()},
            origins=self.origins[index],
        )

    def sample(self, size: int) -> "Dataset":
        """At most that many of the examples, drawn at random, each class with its share: see ``draw``."""
        return self.select(draw(self.labels, len(self), size))

    def targets(self, name: str = "label") -> np.ndarray:
        """The labels, or a factor, (N,), for what needs them. Raises UserError if there is nothing to tell apart."""
        if name == "label" and self.labels is None:
            raise UserError(
                f"{self.name} has no labels, but they are needed here: give each class a folder, or add labels"
            )
        if name != "label" and name not in self.factors:
            raise unknown("factor", name, ["label", *self.factors])
        values = self.labels if name == "label" else self.factors[name]
        if len(values) and (values == values[0]).all():
            raise UserError(f"{self.name} has a single {name}, but at least two are needed: add images of another")
        return values

    def tensor(self) -> Tensor:
        """``stored`` as a tensor of its own."""
        return torch.from_numpy(np.array(self.stored))
