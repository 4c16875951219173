"""Changes of sounds against slow loops, and what log-mel spectrograms show."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixviz.augment.audio import BackgroundNoise, FrequencyMask, Gain, LogMel, Speed, TimeMask, TimeShift
from mixviz.errors import UserError

N, T, RATE = 24, 400, 8000


@pytest.fixture
def waves() -> torch.Tensor:
    return torch.randn(N, T, generator=torch.Generator().manual_seed(3)).mul_(0.2)


@pytest.fixture
def spectrograms() -> torch.Tensor:
    return torch.rand(N, 1, 20, 30, generator=torch.Generator().manual_seed(4))


def slow_wave(operation, wave: np.ndarray, drawn, i: int) -> np.ndarray:
    """One clip, one sample after the other."""
    result = np.zeros(len(wave))
    if isinstance(operation, Gain):
        return wave * drawn.factor[i].item()
    if isinstance(operation, TimeShift):
        for t in range(len(wave)):
            source = t - round(drawn.shift[i].item() * len(wave))
            result[t] = wave[source] if 0 <= source < len(wave) else 0
    if isinstance(operation, Speed):
        for t in range(len(wave)):
            place = t / drawn.stretch[i].item()
            if place <= len(wave) - 1:
                k = min(int(place), len(wave) - 2)
                result[t] = wave[k] + (place - k) * (wave[k + 1] - wave[k])
    if isinstance(operation, BackgroundNoise):
        spectrum = np.fft.rfft(drawn.noise[i].numpy())
        for k in range(len(spectrum)):
            spectrum[k] /= max(k, 1) ** (drawn.slope[i].item() / 2)
        noise = np.fft.irfft(spectrum, len(wave))
        wanted = math.sqrt(np.mean(wave**2)) / 10 ** (drawn.snr[i].item() / 20)
        result = wave + noise * wanted / math.sqrt(np.mean(noise**2))
    return result


@pytest.mark.parametrize(
    "operation", [Gain(p=0.6), TimeShift(0.3, p=0.6), Speed(0.4, p=0.6), BackgroundNoise(p=0.6)], ids=lambda o: o.name
)
def test_waves_are_changed_by_their_own_parameters(operation, waves, generator):
    drawn, before = operation.sample(N, (T,), generator), waves.clone()
    changed = operation.apply(waves, drawn)
    assert 0 < drawn.applied.sum() < N
    for i, wave in enumerate(waves.double().numpy()):
        expected = slow_wave(operation, wave, drawn, i) if drawn.applied[i] else wave
        np.testing.assert_allclose(changed[i], expected, atol=2e-5)
    assert torch.equal(waves, before)


@pytest.mark.parametrize("operation", [TimeMask(0.5, p=0.6), FrequencyMask(0.5, p=0.6)], ids=lambda o: o.name)
def test_masks_become_the_mean(operation, spectrograms, generator):
    drawn, before = operation.sample(N, (1, 20, 30), generator), spectrograms.clone()
    changed = operation.apply(spectrograms, drawn)
    expected = spectrograms.clone()
    for i in range(N):
        for y in range(20):
            for x in range(30):
                place = (y + 0.5) / 20 if isinstance(operation, FrequencyMask) else (x + 0.5) / 30
                start = drawn.start[i].item()
                if drawn.applied[i] and start <= place < start + drawn.width[i].item():
                    expected[i, 0, y, x] = spectrograms[i].mean()
    torch.testing.assert_close(changed, expected)
    assert torch.equal(spectrograms, before)
    assert not torch.equal(changed, before)


def slow_log_mel(wave: np.ndarray, rate: int, mels: int, frames: int, size: int) -> np.ndarray:
    """Straight from the definitions: a DFT by its sum, triangles by their corners."""
    hop = math.ceil(len(wave) / frames)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.concatenate([np.zeros(size // 2), wave, np.zeros(size + hop * frames)])
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * np.log10(1 + rate / 1400), mels + 2)]
    result = np.zeros((mels, frames))
    for frame in range(frames):
        part = padded[frame * hop : frame * hop + size] * window
        for k in range(size // 2 + 1):
            spectrum = np.sum(part * np.exp(-2j * np.pi * k * np.arange(size) / size))
            power, frequency = abs(spectrum) ** 2 / (size / 4) ** 2, k * rate / size
            for m, (low, peak, high) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
                if low < frequency <= peak:
                    result[m, frame] += power * (frequency - low) / (peak - low)
                elif peak < frequency < high:
                    result[m, frame] += power * (high - frequency) / (high - peak)
    return np.clip(1 + 10 * np.log10(np.maximum(result, 1e-8)) / 80, 0, 1)


def test_log_mel_equals_its_definition(waves):
    result = LogMel(rate=1000, mels=9, frames=8).apply(waves[:3])
    assert result.shape == (3, 1, 9, 8)
    for i in range(3):
        expected = slow_log_mel(waves[i].double().numpy(), 1000, 9, 8, 64)
        np.testing.assert_allclose(result[i, 0], expected, atol=1e-4)


@pytest.mark.parametrize("length", [1, 31, 8000, 8001, 16000])
def test_log_mel_has_the_same_shape_for_every_length(length):
    result = LogMel(rate=RATE).apply(torch.randn(2, length))
    assert result.shape == (2, 1, 32, 32)
    assert ((result >= 0) & (result <= 1)).all()


def test_log_mel_of_sines_and_of_silence():
    time = torch.arange(RATE) / RATE
    frequencies = torch.tensor([300.0, 1000.0, 3000.0])
    picture = LogMel(rate=RATE).apply(torch.sin(2 * math.pi * frequencies[:, None] * time))[:, 0, :, 4:-4]
    brightest = picture.mean(dim=2).argmax(dim=1)
    highest = 2595 * math.log10(1 + RATE / 2 / 700)
    expected = [round(2595 * math.log10(1 + f / 700) / highest * 33 - 1) for f in frequencies.tolist()]
    assert brightest.tolist() == expected
    assert picture.amax(dim=(1, 2)).min() > 0.97
    soft = LogMel(rate=RATE).apply(0.1 * torch.sin(2 * math.pi * 1000 * time)[None])
    assert (picture[1].max() - soft[..., 4:-4].max()).item() == pytest.approx(20 / 80, abs=1e-3)
    assert (LogMel(rate=RATE).apply(torch.zeros(1, RATE)) == 0).all()


def test_speed_moves_pitch_and_duration():
    time = torch.arange(RATE) / RATE
    wave = (torch.sin(2 * math.pi * 1000 * time) * (time < 0.5))[None]
    drawn = replace(Speed(p=1.0).sample(1, (RATE,), torch.Generator()), stretch=torch.tensor([1.25]))
    changed = Speed(p=1.0).apply(wave, drawn)
    assert torch.fft.rfft(changed).abs().argmax() == 800
    assert changed.abs().gt(0.1).nonzero().max() / RATE == pytest.approx(0.625, abs=0.01)


def test_what_is_drawn_is_in_its_range(generator):
    n = 4000
    assert Gain(6.0).sample(n, (T,), generator).factor.log10().mul(20).abs().max() <= 6.001
    assert TimeShift(0.1).sample(n, (T,), generator).shift.abs().max() <= 0.1
    assert (Speed(0.2).sample(n, (T,), generator).stretch - 1).abs().max() <= 0.2
    mask = TimeMask(0.25).sample(n, (1, 32, 32), generator)
    assert (mask.start + mask.width).max() <= 1
    assert mask.width.max() <= 0.25
    noise = BackgroundNoise((5.0, 30.0)).sample(n, (T,), generator)
    assert 5 <= noise.snr.min() <= noise.snr.max() <= 30
    assert noise.applied.float().mean().item() == pytest.approx(0.5, abs=0.05)


def test_silence_stays_silent(generator):
    drawn = BackgroundNoise(p=1.0).sample(2, (T,), generator)
    assert (BackgroundNoise(p=1.0).apply(torch.zeros(2, T), drawn) == 0).all()


def test_what_is_out_of_range_is_refused():
    for make in (lambda: TimeShift(1.5), lambda: Speed(1.0), lambda: TimeMask(-0.1)):
        with pytest.raises(UserError, match=r"must lie in \[0, 1\)"):
            make()
    with pytest.raises(UserError, match="must rise"):
        BackgroundNoise((20.0, 5.0))
