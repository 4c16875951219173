"""Images in memory, with optional labels and named factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mixviz.data.draws import draw
from mixviz.errors import UserError, unknown


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSet:
    """One split of a data set; the arrays may be memory-mapped and are never written to."""

    name: str  # as printed beside every number, such as "CIFAR-10 (JPEG)"
    split: str  # train or test
    images: np.ndarray  # (N, H, W, 3) uint8
    labels: np.ndarray | None = None  # (N,) int64
    class_names: tuple[str, ...] = ()
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (N,)
    skipped: int = 0  # images that could not be decoded and were left out

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: Sequence[int] | np.ndarray) -> "ImageSet":
        """Some of the images, by row or by a mask, with their labels and factors, in the order of the index."""
        index = np.asarray(index) if len(index) else np.zeros(0, np.int64)
        return replace(
            self,
            images=self.images[index],
            labels=None if self.labels is None else self.labels[index],
            factors={name: values[index] for name, values in self.factors.items()},
        )

    def sample(self, size: int) -> "ImageSet":
        """At most so many of the images, drawn at random, each class with its share: see ``draw``."""
        return self.select(draw(self.labels, len(self), size))

    def targets(self, name: str = "label") -> np.ndarray:
        """The labels, or a factor, (N,), for what needs them. Raises UserError where there is nothing to tell apart."""
        if name == "label" and self.labels is None:
            raise UserError(f"{self.name} has no labels, and this needs them: give each class a folder, or add labels")
        if name != "label" and name not in self.factors:
            raise unknown("factor", name, ["label", *self.factors])
        values = self.labels if name == "label" else self.factors[name]
        if len(values) and (values == values[0]).all():
            raise UserError(f"{self.name} has one {name} alone, and this tells several apart: add images of another")
        return values

    def tensor(self) -> Tensor:
        """The images as a tensor of their own, (N, H, W, 3) uint8."""
        return torch.from_numpy(np.array(self.images))
