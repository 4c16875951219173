"""Changes of rows of a table: features dropped, noised, or taken from another row."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mixviz.augment.operation import Operation, Parameters, Shape, apply_to_marked, bernoulli
from mixviz.errors import UserError


@dataclass(frozen=True)
class DropoutParameters(Parameters):
    dropped: Tensor  # (n, F) bool


@dataclass(frozen=True)
class NoiseParameters(Parameters):
    noise: Tensor  # (n, F), standard normal


@dataclass(frozen=True)
class CorruptionParameters(Parameters):
    """``donor`` is the position of the other row in the batch: 0 the first, 1 the end."""

    replaced: Tensor  # (n, F) bool
    donor: Tensor  # (n, F) in [0, 1)


@dataclass(frozen=True)
class FeatureDropout(Operation):
    """Each feature is 0, train's mean, with probability ``rate``; the others stay as they are (i-Mix's code).

    Unlike dropout in a network, what stays is not scaled up. The authors spare the 44 binary columns of CovType; here
    every column may be dropped.
    """

    rate: float = 0.2
    p: float = 1.0
    name: ClassVar[str] = "feature dropout"
    group: ClassVar[str] = "dropout"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.rate, self.name)

    def sample(self, n: int, shape: Shape, generator: Generator) -> DropoutParameters:
        dropped = torch.rand(n, *shape, generator=generator, device=generator.device) < self.rate
        return DropoutParameters(applied=bernoulli(n, self.p, generator), dropped=dropped)

    def apply(self, rows: Tensor, parameters: DropoutParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(lambda part, drawn: part.masked_fill(drawn.dropped, 0), rows, parameters, in_place)


@dataclass(frozen=True)
class FeatureNoise(Operation):
    """Gaussian noise on every feature; sigma in standard deviations of train's."""

    sigma: float = 0.1
    p: float = 1.0
    name: ClassVar[str] = "feature noise"
    group: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma < 0:
            raise UserError(f"sigma of {self.name} must be 0 or more, not {self.sigma}")

    def sample(self, n: int, shape: Shape, generator: Generator) -> NoiseParameters:
        noise = torch.randn(n, *shape, generator=generator, device=generator.device)
        return NoiseParameters(applied=bernoulli(n, self.p, generator), noise=noise)

    def apply(self, rows: Tensor, parameters: NoiseParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(
            lambda part, drawn: part + self.sigma * drawn.noise.to(part.dtype), rows, parameters, in_place
        )


@dataclass(frozen=True)
class FeatureCorruption(Operation):
    """A share of the features is taken from other rows of the batch, each of its own (SCARF, arXiv:2106.15147).

    Equally many features of each row, rounded down. The paper draws from the whole training set and leaves one view
    as it is. The one-hot columns of a category are replaced independently of each other.
    """

    share: float = 0.6
    p: float = 1.0
    name: ClassVar[str] = "feature corruption"
    group: ClassVar[str] = "corruption"
    mixes_inputs: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share, self.name)

    def sample(self, n: int, shape: Shape, generator: Generator) -> CorruptionParameters:
        order = torch.rand(n, *shape, generator=generator, device=generator.device).argsort(dim=1)
        donor = torch.rand(n, *shape, generator=generator, device=generator.device)
        return CorruptionParameters(
            applied=bernoulli(n, self.p, generator), replaced=order < int(self.share * shape[0]), donor=donor
        )

    def apply(self, rows: Tensor, parameters: CorruptionParameters, in_place: bool = False) -> Tensor:
        parameters = parameters.to(rows.device)
        donors = (parameters.donor * len(rows)).long().clamp_(max=len(rows) - 1)  # a product may round up to n
        return torch.where(parameters.replaced & parameters.applied[:, None], rows.gather(0, donors), rows)


def _check_share(share: float, name: str) -> None:
    if not 0 <= share <= 1:
        raise UserError(f"the share of features in {name} must lie in [0, 1], not at {share}")
