"""What an example is: how it is stored, how it becomes an encoder's input, and how it can be augmented."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor, nn

from mixviz.augment import Augmentation, Operation, Parameters, Shape
from mixviz.encoders import Backbone
from mixviz.errors import UserError, unknown

Probability = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]
Change = tuple[Operation, Parameters]  # an operation, and the parameters that it is applied with

THUMBNAIL = 64  # most pixels a side of the picture of an example that is no image


class AugmentSettings(BaseModel):
    """Settings of a domain's augmentations: a leaf's fields are flags and lines of ``config.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class AugmentationFactor:
    """One augmentation with a single strength, to measure what an encoder ignores."""

    group: str  # what LooC leaves out as one augmentation; also the name of its head
    unit: str
    strengths: tuple[float, ...]  # from none to strong; the first changes nothing
    reference: float  # at which heads are compared
    limits: tuple[float, float]
    kind: Literal["classes", "amount", "angle"]  # how the strength is predicted
    change: Callable[[Tensor, Shape, Generator], Change]  # of strengths (n,), inputs' shape

    def at(self, share: float) -> float:
        """The strength at this fraction, in [0, 1], of the way from none to the strongest; of classes the nearest."""
        strength = self.strengths[0] + share * (self.strengths[-1] - self.strengths[0])
        return math.floor(strength + 0.5) if self.kind == "classes" else strength


class Domain:
    """One kind of data, such as images. A leaf is instantiated once, for ``DOMAINS``.

    Everything else sees float tensors (n, *shape). ``stored`` are examples as in a Dataset, (n, ...); ``prepare`` makes
    the input of augmentation; ``clean`` what the encoder sees without augmentation.
    """

    name: ClassVar[str]
    examples: ClassVar[str] = "examples"  # what several are called
    backbones: ClassVar[Mapping[str, Backbone]]  # by name; the first is the default
    settings: ClassVar[type[AugmentSettings]]
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # that LooC may leave out -> the settings that switch it on
    factors: ClassVar[Mapping[str, AugmentationFactor]] = {}  # varied in pictures of invariance; may be empty

    def prepare(self, stored: Tensor) -> Tensor:
        """(n, ...) as stored -> (n, *shape) float, on the same device."""
        raise NotImplementedError

    def finish(self, prepared: Tensor) -> Tensor:
        """(n, *shape) as prepared -> (n, *shape) float, what the encoder sees; augmentation ends with the same step."""
        return prepared

    def clean(self, stored: Tensor) -> Tensor:
        """(n, ...) as stored -> (n, *shape) float, what the encoder sees."""
        return self.finish(self.prepare(stored))

    def augmentation(self, settings: Any, shape: Shape) -> Augmentation:
        """The augmentation that an instance of ``settings`` describes. shape: of a prepared example."""
        raise NotImplementedError

    def normaliser(self, shape: Shape, stored: Tensor | None = None) -> nn.Module:
        """The encoder's first layer, fitted to training examples; without them one to be filled from a run's state.

        shape: of a clean example.
        """
        raise NotImplementedError

    def raw(self, stored: Tensor) -> Tensor:
        """(n, F) float: raw inputs as features, without an encoder."""
        return self.clean(stored).flatten(1)

    def thumbnail(self, stored: np.ndarray) -> np.ndarray:
        """(..., h, w, 3) uint8 pictures of examples (n, ...); by default a vertical bar for each number."""
        numbers = stored.reshape(len(stored), -1).astype(np.float64)
        places = np.linspace(0, numbers.shape[1] - 1, min(numbers.shape[1], THUMBNAIL)).round().astype(int)
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        grey = (255 * (numbers - low) / np.maximum(high - low, 1e-12)).astype(np.uint8)[:, None, places, None]
        return np.broadcast_to(grey, (len(grey), len(places), len(places), 3))

    def flag(self, setting: str) -> str:
        """The flat name of a setting: its own for images, else prefixed with the domain's."""
        return setting if self.name == "image" else f"{self.name}_{setting}"

    def check_left_out(self, group: str, settings: AugmentSettings) -> None:
        """Raises UserError unless LooC can leave out this group, that is, unless the settings switch it on."""
        if group not in self.groups:
            raise unknown("augmentation of --looc-left-out", group, self.groups)
        names = self.groups[group]
        if not any(getattr(settings, name) > 0 for name in names):
            flag = self.flag(names[0]).replace("_", "-")
            raise UserError(f"LooC leaves out {group}, which is switched off: give --{flag} a probability over 0")
