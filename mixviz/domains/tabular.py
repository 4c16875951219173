"""Rows of tables: stored as floats (F,), standardised and one-hot by their readers, and seen by an encoder as they are.

Augmentation is i-Mix's for domains without prior knowledge: dropped features, or noise. All of it can be off, with
InputMix instead (arXiv:2010.08887).
"""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from mixviz.augment import Augmentation, Shape
from mixviz.augment.tabular import (
    CorruptionParameters,
    DropoutParameters,
    FeatureCorruption,
    FeatureDropout,
    FeatureNoise,
    NoiseParameters,
)
from mixviz.domains.base import AugmentationFactor, AugmentSettings, Change, Domain, Probability, Strength
from mixviz.encoders import Backbone, mlp


class TabularAugment(AugmentSettings):
    """Changes of rows; 0 switches one off."""

    dropout: Probability = Field(default=0.2, description="probability that a feature is 0, the mean of train's")
    noise: Strength = Field(default=0.0, description="Gaussian noise, in standard deviations of train's")
    corruption: Probability = Field(default=0.0, description="share of features taken from another row (SCARF)")


def dropped(rate: Tensor, shape: Shape, generator: Generator) -> Change:
    drawn = torch.rand(len(rate), *shape, generator=generator, device=generator.device).to(rate.device)
    return FeatureDropout(), DropoutParameters(applied=rate > 0, dropped=drawn < rate[:, None])


def noised(sigma: Tensor, shape: Shape, generator: Generator) -> Change:
    noise = torch.randn(len(sigma), *shape, generator=generator, device=generator.device).to(sigma.device)
    return FeatureNoise(sigma=1.0), NoiseParameters(applied=sigma > 0, noise=noise * sigma[:, None])


def corrupted(share: Tensor, shape: Shape, generator: Generator) -> Change:
    drawn, donor = torch.rand(2, len(share), *shape, generator=generator, device=generator.device).to(share.device)
    return FeatureCorruption(), CorruptionParameters(applied=share > 0, replaced=drawn < share[:, None], donor=donor)


def _factor(group: str, unit: str, change) -> AugmentationFactor:
    """A strength between 0 and 0.8."""
    strengths = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
    return AugmentationFactor(
        group=group, unit=unit, strengths=strengths, reference=0.4, limits=(0.0, 1.0), kind="amount", change=change
    )


class Tabular(Domain):
    """float32 (F,)."""

    name: ClassVar[str] = "tabular"
    examples: ClassVar[str] = "rows"
    backbones: ClassVar[Mapping[str, Backbone]] = {
        "mlp": mlp,
        "mlp-narrow": partial(mlp, width=128),
        "mlp-wide": partial(mlp, width=2048),
    }
    settings: ClassVar[type[AugmentSettings]] = TabularAugment
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "dropout": ("dropout",),
        "noise": ("noise",),
        "corruption": ("corruption",),
    }
    factors: ClassVar[Mapping[str, AugmentationFactor]] = {
        "dropout": _factor("dropout", "share of features dropped", dropped),
        "noise": _factor("noise", "standard deviations", noised),
        "corruption": _factor("corruption", "share of features replaced", corrupted),
    }

    def prepare(self, stored: Tensor) -> Tensor:
        return stored.float()

    def augmentation(self, settings: TabularAugment, shape: Shape) -> Augmentation:
        """Corruption comes first, since it takes features of rows as they are."""
        operations = (
            (FeatureCorruption(settings.corruption), settings.corruption),
            (FeatureDropout(settings.dropout), settings.dropout),
            (FeatureNoise(settings.noise), settings.noise),
        )
        return Augmentation(tuple(operation for operation, strength in operations if strength > 0))

    def normaliser(self, shape: Shape, stored: Tensor | None = None) -> nn.Module:
        """None: the readers of tables standardise."""
        return nn.Identity()
