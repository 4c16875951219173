"""Changes of sounds as waves (n, T), full scale at 1; of their spectrograms (n, 1, mels, frames); and the way between.

Lengths are shares of a clip, so parameters drawn for one length hold for every other.
"""

import math
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.augment.operation import Operation, Parameters, Shape, apply_to_marked, bernoulli, uniform
from mixviz.errors import UserError

WINDOW = 0.05  # seconds of a spectrum, at least: FFTs are of a power of two
BLOCK = 2**17  # samples whose spectra are made together on a CPU, so that they stay in its cache
RANGE = 80.0  # decibels between black and white of a log-mel spectrogram


@dataclass(frozen=True)
class GainParameters(Parameters):
    factor: Tensor  # (n,)


@dataclass(frozen=True)
class ShiftParameters(Parameters):
    shift: Tensor  # (n,) share of the clip, positive is later


@dataclass(frozen=True)
class SpeedParameters(Parameters):
    stretch: Tensor  # (n,) new duration over the old one


@dataclass(frozen=True, kw_only=True)
class NoiseParameters(Parameters):
    noise: Tensor  # (n, T) white, standard normal
    slope: Tensor  # (n,) power falls as 1 / frequency^slope: 0 white, 1 pink, 2 brown
    snr: Tensor  # (n,) decibels of the clip above the noise


@dataclass(frozen=True)
class MaskParameters(Parameters):
    start: Tensor  # (n,) share of the axis
    width: Tensor  # (n,) share of the axis


@dataclass(frozen=True)
class Gain(Operation):
    """Louder or quieter by up to ``decibels``."""

    decibels: float = 6.0
    p: float = 0.5
    name: ClassVar[str] = "gain"
    group: ClassVar[str] = "gain"

    def sample(self, n: int, shape: Shape, generator: Generator) -> GainParameters:
        factor = 10 ** (uniform(n, -self.decibels, self.decibels, generator) / 20)
        return GainParameters(applied=bernoulli(n, self.p, generator), factor=factor)

    def apply(self, waves: Tensor, parameters: GainParameters, in_place: bool = False) -> Tensor:
        parameters = parameters.to(waves.device)
        factor = torch.where(parameters.applied, parameters.factor, 1.0)[:, None]
        return waves.mul_(factor) if in_place else waves * factor


@dataclass(frozen=True)
class TimeShift(Operation):
    """Earlier or later by up to ``most`` of the clip; what comes in is silence."""

    most: float = 0.1
    p: float = 0.5
    name: ClassVar[str] = "shift"
    group: ClassVar[str] = "shift"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.most, self.name)

    def sample(self, n: int, shape: Shape, generator: Generator) -> ShiftParameters:
        shift = uniform(n, -self.most, self.most, generator)
        return ShiftParameters(applied=bernoulli(n, self.p, generator), shift=shift)

    def apply(self, waves: Tensor, parameters: ShiftParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(lambda part, drawn: shift_waves(part, drawn.shift), waves, parameters, in_place)


@dataclass(frozen=True)
class Speed(Operation):
    """Slower or faster, so that pitch falls or rises: duration times 1 +- ``most``, cut or filled with silence."""

    most: float = 0.2
    p: float = 0.5
    name: ClassVar[str] = "speed"
    group: ClassVar[str] = "speed"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.most, self.name)

    def sample(self, n: int, shape: Shape, generator: Generator) -> SpeedParameters:
        stretch = 1 + uniform(n, -self.most, self.most, generator)
        return SpeedParameters(applied=bernoulli(n, self.p, generator), stretch=stretch)

    def apply(self, waves: Tensor, parameters: SpeedParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(lambda part, drawn: stretch_waves(part, drawn.stretch), waves, parameters, in_place)


@dataclass(frozen=True)
class BackgroundNoise(Operation):
    """Noise between white and brown, quieter than the clip by decibels within ``snr``. Silence stays silent."""

    snr: tuple[float, float] = (5.0, 30.0)
    p: float = 0.5
    name: ClassVar[str] = "background noise"
    group: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.snr[0] > self.snr[1]:
            raise UserError(f"decibels of {self.name} must rise, not from {self.snr[0]} to {self.snr[1]}")

    def sample(self, n: int, shape: Shape, generator: Generator) -> NoiseParameters:
        noise = torch.randn(n, *shape, generator=generator, device=generator.device)
        slope, snr = uniform(n, 0, 2, generator), uniform(n, *self.snr, generator)
        return NoiseParameters(applied=bernoulli(n, self.p, generator), noise=noise, slope=slope, snr=snr)

    def apply(self, waves: Tensor, parameters: NoiseParameters, in_place: bool = False) -> Tensor:
        return apply_to_marked(add_noise, waves, parameters, in_place)


@dataclass(frozen=True, kw_only=True)
class LogMel(Operation):
    """Waves (n, T) -> spectrograms (n, 1, mels, frames) in [0, 1]: decibels on the mel scale, low notes first.

    0 is 80 dB below a sine of full scale, 1 is the sine itself. rate: samples a second. ``mels`` triangular filters of
    equal width in O'Shaughnessy's mels up to half the rate; frames at equal distances, the first around the start.
    """

    rate: int = 16_000
    mels: int = 32
    frames: int = 32
    p: float = field(default=1.0, init=False)
    name: ClassVar[str] = "log-mel"
    group: ClassVar[str] = "log-mel"

    def sample(self, n: int, shape: Shape, generator: Generator) -> Parameters:
        return Parameters(applied=torch.ones(n, dtype=torch.bool, device=generator.device))

    def apply(self, waves: Tensor, parameters: Parameters | None = None, in_place: bool = False) -> Tensor:
        block = BLOCK // waves.shape[1] if waves.device.type == "cpu" else len(waves)
        return torch.cat([self._log_mel(part) for part in waves.split(max(1, block))])

    def _log_mel(self, waves: Tensor) -> Tensor:
        size = 2 ** math.ceil(math.log2(self.rate * WINDOW))
        hop = math.ceil(waves.shape[1] / self.frames)
        window = _window(size, waves.dtype, waves.device)
        padded = F.pad(waves, (size // 2, size // 2 + hop * self.frames - waves.shape[1]))
        pieces = padded.unfold(1, size, hop)[:, : self.frames]  # (n, frames, size)
        squares = torch.view_as_real(torch.fft.rfft(pieces * window)).square_()
        power = squares[..., 0] + squares[..., 1]
        mels = power @ mel_filters(self.rate, size, self.mels, waves.dtype, waves.device).T
        decibels = mels.clamp_(min=10 ** (-RANGE / 10)).log10_().mul_(10)
        return decibels.div_(RANGE).add_(1).clamp_(max=1).transpose(1, 2)[:, None].contiguous()


@dataclass(frozen=True)
class _Mask(Operation):
    """A band of the spectrogram, of up to ``most`` of an axis, becomes the clip's mean (SpecAugment, 1904.08779)."""

    most: float = 0.25
    p: float = 0.5
    axis: ClassVar[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.most, self.name)

    def sample(self, n: int, shape: Shape, generator: Generator) -> MaskParameters:
        width = uniform(n, 0, self.most, generator)
        start = uniform(n, 0, 1, generator) * (1 - width)
        return MaskParameters(applied=bernoulli(n, self.p, generator), start=start, width=width)

    def apply(self, spectrograms: Tensor, parameters: MaskParameters, in_place: bool = False) -> Tensor:
        def change(part: Tensor, drawn: MaskParameters) -> Tensor:
            size = part.shape[self.axis]
            place = (torch.arange(size, device=part.device) + 0.5) / size
            masked = (place >= drawn.start[:, None]) & (place < (drawn.start + drawn.width)[:, None])
            shape = [len(part), 1, 1, 1]
            shape[self.axis] = size
            return torch.where(masked.view(shape), part.mean(dim=(1, 2, 3), keepdim=True), part)

        return apply_to_marked(change, spectrograms, parameters, in_place)


@dataclass(frozen=True)
class FrequencyMask(_Mask):
    """Some neighbouring mels become the clip's mean (SpecAugment, arXiv:1904.08779)."""

    name: ClassVar[str] = "frequency mask"
    group: ClassVar[str] = "frequency-mask"
    axis: ClassVar[int] = 2


@dataclass(frozen=True)
class TimeMask(_Mask):
    """Some neighbouring frames become the clip's mean (SpecAugment, arXiv:1904.08779)."""

    name: ClassVar[str] = "time mask"
    group: ClassVar[str] = "time-mask"
    axis: ClassVar[int] = 3


def shift_waves(waves: Tensor, shift: Tensor) -> Tensor:
    """(n, T), each later by ``shift`` (n,), a share of T between -1 and 1, rounded to samples."""
    length = waves.shape[1]
    samples = (shift * length).round().long()
    longest = int(samples.abs().max()) if waves.device.type == "cpu" else length  # a GPU would have to wait for it
    padded = F.pad(waves, (longest, longest))
    return padded.unfold(1, length, 1)[torch.arange(len(waves), device=waves.device), longest - samples]


def stretch_waves(waves: Tensor, stretch: Tensor) -> Tensor:
    """(n, T), each ``stretch`` (n,) times as long, interpolated linearly, and cut or filled with silence to T."""
    length = waves.shape[1]
    place = torch.arange(length, device=waves.device) / stretch[:, None]
    silent, whole = place > length - 1, place.floor()
    share, index = place.sub_(whole), whole.clamp_(max=length - 1).long()
    before = waves.gather(1, index)
    after = waves.gather(1, index.add_(1).clamp_(max=length - 1))
    return before.lerp_(after, share).masked_fill_(silent, 0)


def add_noise(waves: Tensor, drawn: NoiseParameters) -> Tensor:
    """(n, T) with the noise of ``drawn`` at its slope and level."""
    length = waves.shape[1]
    frequency = torch.arange(length // 2 + 1, device=waves.device).clamp_(min=1)
    colour = frequency ** (-drawn.slope[:, None] / 2)
    spectrum = torch.fft.rfft(drawn.noise.to(waves.dtype))
    spectrum.real.mul_(colour)  # as floats: a product of complex numbers takes longer
    spectrum.imag.mul_(colour)
    noise = torch.fft.irfft(spectrum, n=length)
    level = _rms(waves) / _rms(noise).clamp_(min=1e-12) * 10 ** (-drawn.snr[:, None] / 20)
    return noise.mul_(level).add_(waves)


@cache
def mel_filters(rate: int, size: int, mels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(mels, size / 2 + 1): triangles of height 1 that each begin and end at the peaks beside them."""
    frequencies = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)
    highest = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, highest, mels + 2, dtype=torch.float64) / 2595) - 1)
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = torch.minimum((frequencies - low) / (peak - low), (high - frequencies) / (high - peak))
    return triangles.clamp_(min=0).to(device, dtype)


@cache
def _window(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Hann's, such that a sine of full scale has power 1 at its frequency."""
    return torch.hann_window(size, dtype=dtype, device=device) / (size / 4)


def _rms(waves: Tensor) -> Tensor:
    return waves.square().mean(dim=1, keepdim=True).sqrt()


def _check_share(share: float, name: str) -> None:
    if not 0 <= share < 1:
        raise UserError(f"the share of a clip in {name} must lie in [0, 1), not at {share}")
