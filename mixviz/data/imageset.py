"""Images in memory, with optional labels and named factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from mixviz.errors import UserError, unknown


@dataclass(frozen=True)
class ImageSet:
    """One split of a data set."""

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: Sequence[int] | np.ndarray) -> "ImageSet":
        index = np.asarray(index)
        return replace(self, images=self.images[index], labels=None if self.labels is None else self.labels[index],
                       factors={k: v[index] for k, v in self.factors.items()})

    def targets(self, name: str = "label") -> np.ndarray:
        if name == "label":
            if self.labels is None:
                raise UserError(f"{self.name} has no labels")
            return self.labels
        if name not in self.factors:
            raise unknown("factor", name, self.factors)
        return self.factors[name]

    def tensor(self) -> Tensor:
        return torch.from_numpy(np.array(self.images))
