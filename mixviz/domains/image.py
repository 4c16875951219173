"""Images: stored as bytes (H, W, 3), seen by an encoder as floats (3, H, W) in [0, 1]."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mixviz.augment import Augmentation, Shape, build_augmentation, to_float
from mixviz.domains.base import AugmentationFactor, AugmentSettings, Domain, Probability, Strength
from mixviz.domains.image_factors import FACTORS
from mixviz.encoders import IMAGE_BACKBONES, Backbone, Normalise


class ImageAugment(AugmentSettings):
    """MoCo-v2's augmentations; a probability of 0 switches one off."""

    crop_min: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.2, description="smallest share of the area that is cropped"
    )
    flip: Probability = Field(default=0.5, description="probability of a horizontal flip")
    jitter: Probability = Field(default=0.8, description="probability of colour jitter")
    brightness: Strength = Field(default=0.4, description="jitter: factor within 1 +- this")
    contrast: Strength = Field(default=0.4, description="jitter: factor within 1 +- this")
    saturation: Strength = Field(default=0.4, description="jitter: factor within 1 +- this")
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.1, description="jitter: shift within +- this, in full turns"
    )
    grayscale: Probability = Field(default=0.2, description="probability of greyscale")
    blur: Probability = Field(default=0.5, description="probability of Gaussian blur, sigma 0.1 to 2 px")
    rotation: Probability = Field(default=0.0, description="probability of a rotation by 90, 180 or 270 degrees")
    texture: Probability = Field(default=0.0, description="probability of a new texture by random convolution")


class Image(Domain):
    """uint8 (H, W, 3), square; the default domain of sources."""

    name: ClassVar[str] = "image"
    examples: ClassVar[str] = "images"
    backbones: ClassVar[Mapping[str, Backbone]] = IMAGE_BACKBONES
    settings: ClassVar[type[AugmentSettings]] = ImageAugment
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "color": ("jitter", "grayscale"),
        "rotation": ("rotation",),
        "texture": ("texture",),
        "blur": ("blur",),
        "crop": ("crop_min",),
        "flip": ("flip",),
    }
    factors: ClassVar[Mapping[str, AugmentationFactor]] = FACTORS

    def prepare(self, stored: Tensor) -> Tensor:
        return to_float(stored)

    def augmentation(self, settings: ImageAugment, shape: Shape) -> Augmentation:
        return build_augmentation(
            shape[-1],
            crop_scale=(settings.crop_min, 1.0),
            flip=settings.flip,
            jitter=(settings.brightness, settings.contrast, settings.saturation, settings.hue),
            jitter_p=settings.jitter,
            grayscale=settings.grayscale,
            blur=settings.blur,
            rotation=settings.rotation,
            texture=settings.texture,
        )

    def normaliser(self, shape: Shape, stored: Tensor | None = None) -> nn.Module:
        """By mean and standard deviation of each channel; the result is laid out channels last."""
        mean, std = (torch.zeros(shape[0]), torch.ones(shape[0])) if stored is None else channel_statistics(stored)
        return Normalise(mean.view(-1, 1, 1), std.view(-1, 1, 1), torch.channels_last)

    def raw(self, stored: Tensor) -> Tensor:
        """(n, H * W * 3) in [0, 1]."""
        return stored.flatten(1).float() / 255

    def thumbnail(self, stored: np.ndarray) -> np.ndarray:
        return stored


def channel_statistics(stored: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of (n, H, W, 3) uint8, (3,) each, in [0, 1]; from its histogram."""
    counts = torch.zeros(stored.shape[-1], 256, dtype=torch.float64)
    for part in stored.cpu().split(512):
        for count, channel in zip(counts, part.flatten(0, -2).unbind(dim=1), strict=True):
            count += channel.bincount(minlength=256)
    values, n = torch.arange(256, dtype=torch.float64) / 255, counts.sum(dim=1)
    mean = (counts * values).sum(dim=1) / n
    variance = (counts * (values - mean[:, None]).square()).sum(dim=1) / (n - 1)
    return mean.float(), variance.sqrt().clamp(min=1e-3).float()
