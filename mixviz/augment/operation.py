"""What an augmentation is: random choices drawn in ``sample``, and a change of the inputs by them in ``apply``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import ClassVar, Self, TypeVar

import torch
from torch import Generator, Tensor

from mixviz.errors import UserError

Shape = tuple[int, ...]  # of one input, such as (C, H, W)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The random choices of one operation for n inputs; the first axis of every field is the input."""

    applied: Tensor  # (n,) bool, whether the operation is applied at all

    def __len__(self) -> int:
        return len(self.applied)

    def __getitem__(self, index: Tensor | slice) -> Self:
        """The parameters of some of the inputs: a mask, indices or a slice."""
        return self._map(lambda field: field[index])

    def take(self, indices: Tensor) -> Self:
        """The parameters of the inputs at ``indices``; faster than indexing on a CPU."""
        return self._map(lambda field: field.index_select(0, indices))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The parameters of the first part's inputs, then of the next one's."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})

    def to(self, device: torch.device) -> Self:
        return self._map(lambda field: field.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(**{field.name: change(getattr(self, field.name)) for field in fields(self)})


Drawn = TypeVar("Drawn", bound=Parameters)
Draw = Mapping[str, Parameters]  # by the operation's name


class Operation:
    """One kind of change of inputs (n, *shape). A leaf is a frozen dataclass of its settings."""

    name: ClassVar[str]
    group: ClassVar[str]  # what LooC leaves out as one augmentation
    p: float = 1.0  # probability that an input is changed
    mixes_inputs: ClassVar[bool] = False  # whether the change of an input depends on the others of the batch

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise UserError(f"the probability of {self.name} must lie in [0, 1], not at {self.p}")

    def sample(self, n: int, shape: Shape, generator: Generator) -> Parameters:
        """The choices for n inputs of this shape, on the generator's device."""
        raise NotImplementedError

    def apply(self, inputs: Tensor, parameters: Parameters, in_place: bool = False) -> Tensor:
        """(n, *shape) float -> the same, each input changed by its own parameters; images are in [0, 1].

        ``inputs`` stay unchanged, unless ``in_place`` allows overwriting them.
        """
        raise NotImplementedError

    def apply_drawn(self, inputs: Tensor, draw: Draw, in_place: bool = False) -> Tensor:
        """As ``apply``, with the operation's own parameters taken from those of several operations."""
        return self.apply(inputs, draw[self.name], in_place)

    def redraw_unlike(self, parameters: Parameters, other: Parameters, generator: Generator) -> Parameters:
        """The parameters, redrawn until none equals ``other``'s; only for operations with few values."""
        return parameters


def apply_to_marked(
    change: Callable[[Tensor, Drawn], Tensor],
    inputs: Tensor,
    parameters: Drawn,
    in_place: bool,
    order: Tensor | None = None,
) -> Tensor:
    """Change those of inputs (n, ...) that ``parameters.applied`` marks and leave the others as they are.

    in_place: the changed ones may be written over what they were, which saves a copy of the others. order: (n,)
    numbers by which the inputs are sorted for ``change``, on a CPU.
    On a GPU every input is changed and the result selected: counting the marked ones would force a synchronisation.
    """
    parameters = parameters.to(inputs.device)
    if inputs.device.type != "cpu":
        applied = parameters.applied.view(-1, *[1] * (inputs.dim() - 1))
        return torch.where(applied, change(inputs, parameters), inputs)
    marked = parameters.applied.nonzero().squeeze(1)
    if len(marked) == 0:
        return inputs
    if order is not None:
        marked = marked.index_select(0, order.index_select(0, marked).argsort())
    elif len(marked) == len(inputs):
        return change(inputs, parameters).contiguous()  # expanded tensors overlap themselves and cannot be written into
    changed = change(inputs.index_select(0, marked), parameters.take(marked))
    return inputs.index_copy_(0, marked, changed) if in_place else inputs.index_copy(0, marked, changed)


def uniform(shape: int | tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Uniform draws from [low, high) on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def bernoulli(n: int, p: float, generator: Generator) -> Tensor:
    """(n,) bool, each True with probability p."""
    return torch.rand(n, generator=generator, device=generator.device) < p


@cache
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Fixed numbers on a device, made once: each copy to a GPU would force a synchronisation."""
    return torch.tensor(values, dtype=dtype, device=device)


def check_colour(images: Tensor, operation: Operation) -> None:
    """Raises UserError for images that do not have three channels."""
    if images.shape[1] != 3:
        raise UserError(
            f"{operation.name} needs 3 colour channels and the images have {images.shape[1]}: "
            f"repeat the grey channel three times or set {operation.name} to 0"
        )
