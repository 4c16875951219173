"""The built-in set of sounds: motifs of four notes whose pitch, timbre and envelope are known, drawn from a seed."""

from dataclasses import dataclass, fields, replace

import numpy as np

from mixviz.data.dataset import Dataset
from mixviz.errors import UserError, unknown

Array = np.ndarray
RATE = 8_000  # samples a second
LENGTH = RATE  # samples of a clip: a second
NOTES = 4
PITCHES = 8  # steps of an octave
LOWEST = 260.0  # Hz, of pitch 0
DEFAULT_CLIPS = {"train": 5_000, "test": 1_000}

# Semitones above the lowest note. No motif is another one shifted in pitch, so a change of pitch leaves the label
# readable; all begin and end at most an octave apart.
MOTIFS: dict[str, tuple[int, int, int, int]] = {
    "up": (0, 4, 7, 12),
    "down": (12, 7, 4, 0),
    "arch": (0, 7, 12, 4),
    "valley": (12, 4, 0, 7),
    "zigzag": (0, 12, 0, 12),
    "zagzig": (12, 0, 12, 0),
    "step up": (0, 0, 12, 12),
    "step down": (12, 12, 0, 0),
    "late up": (0, 0, 0, 12),
    "late down": (12, 12, 12, 0),
    "early up": (0, 12, 12, 12),
    "early down": (12, 0, 0, 0),
}
TIMBRES: dict[str, tuple[tuple[float, float], ...]] = {  # frequency and height of each partial, relative to the first
    "pure": ((1, 1.0),),
    "hollow": ((1, 1.0), (3, 0.55), (5, 0.35), (7, 0.25)),
    "bright": ((1, 0.7), (2, 0.7), (3, 0.7), (4, 0.6), (5, 0.5), (6, 0.4)),
    "bell": ((1, 1.0), (2.76, 0.6), (5.4, 0.4)),
}
ENVELOPES = ("organ", "pluck", "swell", "tremolo")


@dataclass(frozen=True, kw_only=True)
class ToneParameters:
    """What is heard, one entry for each of N clips: replace a field and render again to vary just one factor."""

    motif: Array  # (N,) index into MOTIFS
    pitch: Array  # (N,) 0 .. PITCHES - 1, eighths of an octave
    timbre: Array  # (N,) index into TIMBRES
    envelope: Array  # (N,) index into ENVELOPES
    detune: Array  # (N,) within the pitch's step, in steps
    loudness: Array  # (N,) height of the loudest partials, full scale at 1
    onset: Array  # (N,) seconds
    tempo: Array  # (N,) seconds of a note
    phase: Array  # (N,) radians
    noise: Array  # (N,) standard deviation, relative to the loudness
    noise_seed: int  # of the noise

    def __len__(self) -> int:
        return len(self.motif)


def make_tones(split: str = "train", seed: int = 0, clips: int | None = None) -> Dataset:
    """Motifs with known factors, all independent: label ``motif``; ``pitch``, ``timbre`` and ``envelope``.

    split: "train" (5,000 clips of a second) or "test" (1,000), from seeds that share nothing; clips: another number of
    them, of which the first n are the same for every number, but for their noise. Raises UserError on an unknown
    split, a negative seed, or fewer than one clip.
    """
    if split not in DEFAULT_CLIPS:
        raise unknown("split of tones", split, DEFAULT_CLIPS)
    count = DEFAULT_CLIPS[split] if clips is None else clips
    if count < 1:
        raise UserError(f"{count} clips of tones: ask for at least 1")
    if seed < 0:
        raise UserError(f"seed {seed} of tones: take 0 or more")
    parameters = sample_tones(count, [seed, list(DEFAULT_CLIPS).index(split)])
    factors = {name: getattr(parameters, name) for name in ("pitch", "timbre", "envelope")}
    return Dataset(
        name="tones",
        split=split,
        domain="audio",
        stored=render_tones(parameters),
        labels=parameters.motif,
        class_names=tuple(MOTIFS),
        factors=factors,
    )


def sample_tones(n: int, seed: int | list[int]) -> ToneParameters:
    """Draw the parameters of n clips, each uniform and independent of the others; the onset, where the motif fits."""
    columns = iter(np.random.default_rng(seed).random((n, 10)).T)  # a row a clip: the first rows do not depend on n

    def integers(count: int) -> Array:
        return (next(columns) * count).astype(np.int64)

    def between(low: float, high: float) -> Array:
        return (low + (high - low) * next(columns)).astype(np.float32)

    motif, pitch, timbre, envelope = integers(len(MOTIFS)), integers(PITCHES), integers(len(TIMBRES)), integers(4)
    tempo = between(0.15, 0.22)
    return ToneParameters(
        motif=motif,
        pitch=pitch,
        timbre=timbre,
        envelope=envelope,
        detune=between(-0.25, 0.25),
        loudness=between(0.15, 0.6),
        onset=between(0, 1) * (LENGTH / RATE - NOTES * tempo),
        tempo=tempo,
        phase=between(0, 2 * np.pi),
        noise=between(0.01, 0.1),
        noise_seed=int(np.random.default_rng(seed).integers(2**31)),
    )


def render_tones(parameters: ToneParameters, chunk: int = 128) -> Array:
    """(N, T) int16 waves of a second."""
    waves = np.empty((len(parameters), LENGTH), np.int16)
    generator = np.random.default_rng(parameters.noise_seed)
    for start in range(0, len(parameters), chunk):
        part = clips_of(parameters, slice(start, start + chunk))
        wave = sound(part)
        wave += part.noise[:, None] * generator.standard_normal(wave.shape, dtype=np.float32)
        wave *= part.loudness[:, None]
        waves[start : start + chunk] = np.clip(wave * (2**15 - 1), -(2**15) + 1, 2**15 - 1).round()
    return waves


def clips_of(parameters: ToneParameters, index: Array | slice) -> ToneParameters:
    """The parameters of some of the clips."""
    values = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    return replace(parameters, **{name: value[index] for name, value in values.items() if isinstance(value, Array)})


def sound(parameters: ToneParameters) -> Array:
    """(N, T) float32 waves without noise, at most 1."""
    time = np.arange(LENGTH, dtype=np.float32) / RATE - parameters.onset[:, None]
    beat = time / parameters.tempo[:, None]  # in notes
    note = np.clip(beat.astype(np.int64), 0, NOTES - 1)
    within = beat - note  # outside [0, 1) before the first note and after the last
    steps = np.array(list(MOTIFS.values()), np.float32)[parameters.motif]
    octaves = ((parameters.pitch + parameters.detune) / PITCHES).astype(np.float32)
    frequencies = LOWEST * 2 ** (octaves[:, None] + steps / 12)  # (N, notes)
    turns = np.take_along_axis(frequencies, note, axis=1) * within * parameters.tempo[:, None]
    wave = np.zeros(time.shape, np.float32)
    for index, partials in enumerate(TIMBRES.values()):
        rows = np.flatnonzero(parameters.timbre == index)
        highest = frequencies[rows].max(axis=1, keepdims=True)
        for ratio, height in partials:
            audible = np.float32(height) * (ratio * highest < 0.48 * RATE)  # nothing above half the rate
            wave[rows] += audible * np.sin(np.float32(2 * np.pi * ratio) * turns[rows] + parameters.phase[rows, None])
        wave[rows] /= sum(height for _, height in partials)
    wave *= heights(parameters.envelope, within.astype(np.float32))
    return wave


def heights(envelope: Array, within: Array) -> Array:
    """(N, T) height of each note, 0 .. 1, at its point ``within`` (N, T) from 0 at its start to 1 at its end."""
    place = np.where((within >= 0) & (within < 1), within, 0)
    result = np.minimum(1, np.minimum(place, 1 - place) / 0.05)  # no clicks
    shapes = (np.ones_like, lambda at: np.exp(-5 * at), np.square, lambda at: 0.5 - 0.5 * np.cos(6 * np.pi * at))
    for index, shape in enumerate(shapes):
        rows = envelope == index
        result[rows] *= shape(place[rows])
    return result
