"""Sounds: stored as a second of 16-bit samples (rate,), seen by an encoder as log-mel spectrograms (1, 32, 32).

Mixing blends spectrograms, as i-Mix does (arXiv:2010.08887), so computing them is the last step of augmentation but for
the masks. As a clip is one second long, its length is its sample rate.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from mixviz.augment import Augmentation, Shape
from mixviz.augment.audio import (
    BackgroundNoise,
    FrequencyMask,
    Gain,
    GainParameters,
    LogMel,
    NoiseParameters,
    ShiftParameters,
    Speed,
    SpeedParameters,
    TimeMask,
    TimeShift,
)
from mixviz.domains.base import AugmentationFactor, AugmentSettings, Change, Domain, Probability, Strength
from mixviz.encoders import BACKBONES, Backbone, Normalise

Share = Annotated[float, Field(ge=0, lt=1)]
FULL = 2**15  # int16 of full scale
LEAST_DEVIATION = 0.05  # of a mel, in shares of 80 dB: mels that are silent in train must not be scaled up


class AudioAugment(AugmentSettings):
    """i-Mix's augmentations of speech, and the masks of SpecAugment; a probability of 0 switches one off."""

    gain: Probability = Field(default=0.5, description="probability of a change of loudness")
    gain_most: Strength = Field(default=6.0, description="gain: decibels within +- this")
    shift: Probability = Field(default=0.5, description="probability of a shift in time")
    shift_most: Share = Field(default=0.1, description="shift: share of the clip within +- this")
    speed: Probability = Field(default=0.5, description="probability of a change of speed, which also changes pitch")
    speed_most: Share = Field(default=0.2, description="speed: duration times 1 +- this")
    noise: Probability = Field(default=0.5, description="probability of background noise, 5 to 30 dB below the clip")
    time_mask: Probability = Field(default=0.0, description="probability that some frames are masked")
    frequency_mask: Probability = Field(default=0.0, description="probability that some mels are masked")
    mask_most: Share = Field(default=0.25, description="masks: share of the axis, at most")


def louder(decibels: Tensor, shape: Shape, generator: Generator) -> Change:
    return Gain(), GainParameters(applied=decibels != 0, factor=10 ** (decibels / 20))


def shifted(share: Tensor, shape: Shape, generator: Generator) -> Change:
    return TimeShift(), ShiftParameters(applied=share != 0, shift=share)


def stretched(stretch: Tensor, shape: Shape, generator: Generator) -> Change:
    return Speed(), SpeedParameters(applied=stretch != 1, stretch=stretch)


def noisy(level: Tensor, shape: Shape, generator: Generator) -> Change:
    """Pink noise of this amplitude, the clip's being 1."""
    noise = torch.randn(len(level), *shape, generator=generator, device=generator.device).to(level.device)
    snr = -20 * level.clamp(min=1e-6).log10()
    return BackgroundNoise(), NoiseParameters(applied=level > 0, noise=noise, slope=torch.ones_like(level), snr=snr)


class Audio(Domain):
    """int16 (rate,): a second of sound."""

    name: ClassVar[str] = "audio"
    examples: ClassVar[str] = "clips"
    backbones: ClassVar[Mapping[str, Backbone]] = BACKBONES
    settings: ClassVar[type[AugmentSettings]] = AudioAugment
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "gain": ("gain",),
        "shift": ("shift",),
        "speed": ("speed",),
        "noise": ("noise",),
        "time-mask": ("time_mask",),
        "frequency-mask": ("frequency_mask",),
    }
    factors: ClassVar[Mapping[str, AugmentationFactor]] = {
        "gain": AugmentationFactor(
            group="gain",
            unit="decibels",
            strengths=(0.0, -3.0, -6.0, -12.0, -18.0, -24.0),
            reference=-12.0,
            limits=(-40.0, 12.0),
            kind="amount",
            change=louder,
        ),
        "shift": AugmentationFactor(
            group="shift",
            unit="share of the clip",
            strengths=(0.0, 0.02, 0.05, 0.1, 0.2, 0.3),
            reference=0.1,
            limits=(-0.9, 0.9),
            kind="amount",
            change=shifted,
        ),
        "speed": AugmentationFactor(
            group="speed",
            unit="times as long, and lower",
            strengths=(1.0, 1.05, 1.1, 1.15, 1.2, 1.3),
            reference=1.15,
            limits=(0.5, 2.0),
            kind="amount",
            change=stretched,
        ),
        "background noise": AugmentationFactor(
            group="noise",
            unit="noise over clip",
            strengths=(0.0, 0.05, 0.1, 0.2, 0.4, 0.8),
            reference=0.2,
            limits=(0.0, 1.0),
            kind="amount",
            change=noisy,
        ),
    }

    def prepare(self, stored: Tensor) -> Tensor:
        return stored.float() / FULL

    def finish(self, prepared: Tensor) -> Tensor:
        return LogMel(rate=prepared.shape[1]).apply(prepared)

    def augmentation(self, settings: AudioAugment, shape: Shape) -> Augmentation:
        waves = (
            Gain(settings.gain_most, settings.gain),
            TimeShift(settings.shift_most, settings.shift),
            Speed(settings.speed_most, settings.speed),
            BackgroundNoise(p=settings.noise),
        )
        masks = (
            TimeMask(settings.mask_most, settings.time_mask),
            FrequencyMask(settings.mask_most, settings.frequency_mask),
        )
        operations = (*waves, LogMel(rate=shape[0]), *masks)
        return Augmentation(tuple(operation for operation in operations if operation.p > 0))

    def normaliser(self, shape: Shape, stored: Tensor | None = None) -> nn.Module:
        """By mean and standard deviation of each mel; the result is laid out channels last."""
        mean, std = torch.zeros(shape[1]), torch.ones(shape[1])
        if stored is not None:
            parts = torch.cat([self.clean(part) for part in stored.cpu().split(512)]).double()
            mean, std = (value.float() for value in (parts.mean(dim=(0, 1, 3)), parts.std(dim=(0, 1, 3))))
        std = std.clamp(min=LEAST_DEVIATION)
        return Normalise(mean.view(1, -1, 1), std.view(1, -1, 1), torch.channels_last)

    def thumbnail(self, stored: np.ndarray) -> np.ndarray:
        """Spectrograms, high pitch at the top."""
        grey = 255 * self.clean(torch.from_numpy(np.array(stored)))[:, 0].flip(1)
        return np.repeat(grey.byte().numpy()[..., None], 3, axis=3)
