"""Domains: images, sounds and tables. ``DOMAINS`` has them by name."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mixviz.augment import Augmentation, Shape
from mixviz.data import Dataset, draw
from mixviz.domains.audio import Audio
from mixviz.domains.base import AugmentationFactor, AugmentSettings, Domain
from mixviz.domains.image import Image
from mixviz.domains.tabular import Tabular
from mixviz.errors import unknown

__all__ = ["DOMAINS", "AugmentSettings", "AugmentationFactor", "Domain", "augmentation_of", "clean", "domain_of"]
__all__ += ["find_factor", "inputs_of", "prepared"]

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (Image(), Audio(), Tabular())}
FITTED_ON = 10_000  # training examples that a normaliser is fitted to, at most

Rows = slice | Sequence[int] | np.ndarray


def domain_of(data: Dataset) -> Domain:
    """Raises UserError."""
    if data.domain not in DOMAINS:
        raise unknown("domain", data.domain, DOMAINS)
    return DOMAINS[data.domain]


def prepared(data: Dataset, rows: Rows = slice(None), device: torch.device | str = "cpu") -> Tensor:
    """(n, *shape) float: examples as augmentation takes them."""
    return domain_of(data).prepare(_stored(data, rows, device))


def clean(data: Dataset, rows: Rows = slice(None), device: torch.device | str = "cpu") -> Tensor:
    """(n, *shape) float: examples as an encoder sees them without augmentation."""
    return domain_of(data).clean(_stored(data, rows, device))


def augmentation_of(settings: AugmentSettings, data: Dataset) -> Augmentation:
    """The augmentation of a run's ``config.augment`` for its data."""
    return domain_of(data).augmentation(settings, tuple(prepared(data, slice(1)).shape[1:]))


def inputs_of(data: Dataset) -> tuple[Shape, nn.Module]:
    """Shape of an encoder's inputs and the normaliser fitted to these training examples, as ``build_method`` takes."""
    shape = tuple(clean(data, slice(1)).shape[1:])
    rows = np.sort(draw(None, len(data), FITTED_ON))
    return shape, domain_of(data).normaliser(shape, _stored(data, rows))


def find_factor(name: str) -> AugmentationFactor:
    """A factor of any domain by its name, unique over all domains. Raises UserError."""
    factors = {key: factor for domain in DOMAINS.values() for key, factor in domain.factors.items()}
    if name not in factors:
        raise unknown("augmentation", name, factors)
    return factors[name]


def _stored(data: Dataset, rows: Rows, device: torch.device | str = "cpu") -> Tensor:
    stored = data.stored[rows]
    return torch.from_numpy(np.array(stored) if isinstance(rows, slice) else stored).to(device)  # a copy either way
