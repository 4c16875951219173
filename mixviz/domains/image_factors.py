"""Augmentations of images with a single strength each, and how they are applied at it."""

from dataclasses import replace
from functools import partial

import torch
from torch import Generator, Tensor

from mixviz.augment import (
    ColorJitter,
    GaussianBlur,
    HorizontalFlip,
    Parameters,
    RandomGrayscale,
    RandomResizedCrop,
    RandomRotation90,
    RandomTexture,
    Shape,
)
from mixviz.augment.color import JitterParameters
from mixviz.augment.filters import BlurParameters
from mixviz.augment.geometry import CropParameters, RotationParameters
from mixviz.domains.base import AugmentationFactor, Change


def rotated(turns: Tensor, shape: Shape, generator: Generator) -> Change:
    turns = turns.round().long()
    return RandomRotation90(1.0), RotationParameters(applied=turns > 0, turns=turns)


def jittered(strength: Tensor, shape: Shape, generator: Generator, *, part: str) -> Change:
    one = torch.ones_like(strength)
    values = {"brightness": one, "contrast": one, "saturation": one, "hue": torch.zeros_like(strength), part: strength}
    order = torch.arange(4, device=strength.device).expand(len(strength), 4)
    return ColorJitter(), JitterParameters(applied=one.bool(), order=order, **values)


def grey(strength: Tensor, shape: Shape, generator: Generator) -> Change:
    return RandomGrayscale(), Parameters(applied=strength > 0.5)


def flipped(strength: Tensor, shape: Shape, generator: Generator) -> Change:
    return HorizontalFlip(), Parameters(applied=strength > 0.5)


def cropped(area: Tensor, shape: Shape, generator: Generator) -> Change:
    """A square box of this share of the area, at a random place."""
    size = shape[-1]
    side = (area.sqrt() * size).round().clamp(min=1).long()
    places = torch.rand(2, len(area), generator=generator, device=generator.device).to(area.device)
    top, left = (places * (size - side + 1)).long().minimum(size - side)
    return RandomResizedCrop(size=size), CropParameters(
        applied=torch.ones_like(area).bool(), top=top, left=left, height=side, width=side
    )


def blurred(sigma: Tensor, shape: Shape, generator: Generator) -> Change:
    return GaussianBlur(), BlurParameters(applied=sigma > 0, sigma=sigma.clamp(min=0.01))


def textured(strength: Tensor, shape: Shape, generator: Generator) -> Change:
    operation = RandomTexture(p=1.0)
    drawn = operation.sample(len(strength), shape, generator).to(strength.device)
    return operation, replace(drawn, applied=strength > 0, share=1 - strength)


def _jitter_factor(part: str) -> AugmentationFactor:
    """Brightness, contrast or saturation."""
    return AugmentationFactor(
        group="color",
        unit="factor",
        strengths=(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4),
        reference=0.6,
        limits=(0.4, 1.6),
        kind="amount",
        change=partial(jittered, part=part),
    )


FACTORS: dict[str, AugmentationFactor] = {
    "rotation": AugmentationFactor(
        group="rotation",
        unit="quarter turns",
        strengths=(0, 1, 2, 3),
        reference=1,
        limits=(0, 3),
        kind="classes",
        change=rotated,
    ),
    "hue": AugmentationFactor(
        group="color",
        unit="shift in turns",
        strengths=(0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
        reference=0.3,
        limits=(-0.5, 0.5),
        kind="angle",
        change=partial(jittered, part="hue"),
    ),
    "saturation": _jitter_factor("saturation"),
    "brightness": _jitter_factor("brightness"),
    "contrast": _jitter_factor("contrast"),
    "grayscale": AugmentationFactor(
        group="color", unit="off or on", strengths=(0, 1), reference=1, limits=(0, 1), kind="classes", change=grey
    ),
    "texture": AugmentationFactor(
        group="texture",
        unit="share of new texture",
        strengths=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
        reference=0.6,
        limits=(0.0, 1.0),
        kind="amount",
        change=textured,
    ),
    "blur": AugmentationFactor(
        group="blur",
        unit="sigma in pixels",
        strengths=(0.0, 0.3, 0.6, 1.0, 1.5, 2.0),
        reference=1.0,
        limits=(0.0, 2.0),
        kind="amount",
        change=blurred,
    ),
    "crop": AugmentationFactor(
        group="crop",
        unit="share of area kept",
        strengths=(1.0, 0.8, 0.6, 0.4, 0.2),
        reference=0.4,
        limits=(0.2, 1.0),
        kind="amount",
        change=cropped,
    ),
    "flip": AugmentationFactor(
        group="flip", unit="off or on", strengths=(0, 1), reference=1, limits=(0, 1), kind="classes", change=flipped
    ),
}
