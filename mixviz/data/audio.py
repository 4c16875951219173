"""Sounds in files of one's own: a folder, or parquet in the Hugging Face layout; one channel, one rate, one length."""

import io
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from mixviz.data.checks import reason
from mixviz.data.decode import CHUNK, THREADS, Encoded
from mixviz.data.files import index_folder, read_shards, shards
from mixviz.errors import UserError

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au"))
AUDIO_COLUMNS = ("audio",)
SPEAKER = "speaker"  # the column of parquet, and the factor
SPOKEN_DIGIT = re.compile(r"(\d)_([a-z]+)_(\d+)$")  # digit, speaker and take, as FSDD names its files
TEST_TAKES = 5  # the first so many of each speaker and digit are FSDD's test split
RATES = (1_000, 400_000)  # samples a second that a file may have
FULL = 2**15  # int16 of full scale


@dataclass(frozen=True, kw_only=True)
class Listening:
    """How sounds are to be read."""

    rate: int = 16_000  # samples a second
    seconds: float = 1.0  # of each clip: cut at its end, or filled with silence
    skip_bad: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        low, high = RATES
        if not low <= self.rate <= high:
            raise UserError(f"a rate of {self.rate} samples a second is out of range: give {low:,} to {high:,}")
        if self.length < 1:
            raise UserError(f"clips of {self.seconds:g} s have no samples: make them longer")

    @property
    def length(self) -> int:
        """Samples of a clip."""
        return round(self.rate * self.seconds)


@dataclass(frozen=True, kw_only=True)
class Clips:
    """One split of a set of sounds."""

    name: str
    split: str
    waves: np.ndarray  # (N, T) int16
    lengths: np.ndarray  # (N,) samples before the silence that fills them up
    labels: np.ndarray | None  # (N,) int64
    class_names: tuple[str, ...] = ()
    speakers: np.ndarray | None = None  # (N,) int64
    skipped: int = 0


def read_sound_folder(root: Path, split: str, listening: Listening) -> Clips:
    """A folder of sounds: one sub-folder a class, or files directly.

    Files directly have no labels, unless they are named as FSDD's are: then digit and speaker come from their names,
    and the first five takes of each are test.
    """
    spoken = has_spoken_digits(root)
    where = "train" if spoken else split
    encoded, labels, classes = index_folder(root, where, SUFFIXES, "sounds, such as .wav or .flac")
    speakers = None
    if spoken:
        encoded, labels, speakers = _spoken_digits(encoded, split)
        classes = [str(digit) for digit in range(10)]
    return _decoded(f"folder:{root.resolve().name}", split, encoded, labels, classes, speakers, listening)


def read_sound_parquet(path: Path, split: str, listening: Listening) -> Clips:
    """Parquet as Hugging Face lays it out: ``audio``, a struct with ``bytes``, perhaps ``label`` and ``speaker``."""
    files = shards(path, split)
    name = f"parquet:{path.stem if path.is_file() else path.resolve().name}"
    encoded, labels, classes = read_shards(files, name, split, AUDIO_COLUMNS)
    speakers = None
    if all(SPEAKER in pq.read_schema(file).names for file in files):
        speakers = np.array(pq.read_table(files, columns=[SPEAKER])[SPEAKER].to_pylist(), dtype=str)
    return _decoded(name, split, encoded, labels, classes, speakers, listening)


def is_sound_folder(root: Path) -> bool:
    """Whether what can be read in a folder are sounds: it, or a folder in it, has one."""
    return root.is_dir() and any(path.suffix.lower() in SUFFIXES for path in root.rglob("*"))


def is_sound_parquet(path: Path) -> bool:
    """Whether the table has sounds."""
    file = path if path.is_file() else next(iter(sorted(path.glob("*.parquet"))), None)
    return file is not None and any(column in pq.read_schema(file).names for column in AUDIO_COLUMNS)


def has_spoken_digits(root: Path) -> bool:
    """Whether a folder holds files directly that are all named as FSDD's are, so that it has a test split."""
    found = root.iterdir() if root.is_dir() else []
    names = [path.stem for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return bool(names) and all(SPOKEN_DIGIT.match(name) for name in names)


def _spoken_digits(encoded: Encoded, split: str) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """The files of a split, their digits and their speakers."""
    parts = [SPOKEN_DIGIT.match(path.stem).groups() for path in encoded.items]
    rows = [i for i, (_, _, take) in enumerate(parts) if (int(take) < TEST_TAKES) == (split == "test")]
    chosen = Encoded([encoded.items[i] for i in rows], [encoded.names[i] for i in rows])
    return chosen, np.array([int(parts[i][0]) for i in rows]), np.array([parts[i][1] for i in rows])


def _decoded(
    name: str,
    split: str,
    encoded: Encoded,
    labels: np.ndarray | None,
    classes: Sequence[str],
    speakers: np.ndarray | None,
    listening: Listening,
) -> Clips:
    waves, lengths, kept = decode_sounds(encoded, listening, f"{name} {split}")
    if speakers is not None:
        speakers = np.unique(speakers, return_inverse=True)[1].astype(np.int64)
    return Clips(
        name=name,
        split=split,
        waves=waves,
        lengths=lengths,
        labels=None if labels is None else labels[kept],
        class_names=tuple(classes),
        speakers=None if speakers is None else speakers[kept],
        skipped=len(encoded.items) - len(kept),
    )


def decode_sounds(encoded: Encoded, listening: Listening, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, T) int16, the samples of each before its silence (N,), and which could be decoded (N,).

    Says in one line how many were longer and are cut. Raises UserError that names the sound.
    """
    count = len(encoded.items)
    waves = np.zeros((count, listening.length), np.int16)
    lengths: list[int] = []
    kept: list[int] = []
    cut = 0
    with (
        ThreadPool(THREADS) as pool,
        tqdm(total=count, desc=f"decoding {what}", unit=" clips", disable=not listening.progress) as bar,
    ):
        results = pool.imap(partial(_try, listening=listening), encoded.items, CHUNK)
        for name, (i, result) in zip(encoded.names, enumerate(results), strict=True):
            bar.update()
            if isinstance(result, np.ndarray):
                cut += len(result) > listening.length
                result = result[: listening.length]
                waves[len(kept), : len(result)] = result
                lengths.append(len(result))
                kept.append(i)
            elif not listening.skip_bad:
                raise UserError(f"cannot decode {name} ({result}): mend it, or leave it out with --skip-bad")
    if count and not kept:
        raise UserError(f"none of the {count} files of {what} can be decoded: are they sounds?")
    if cut and listening.progress:
        print(f"mixviz: {what}: {cut:,} of {count:,} clips are cut to {listening.seconds:g} s", file=sys.stderr)
    return waves[: len(kept)], np.asarray(lengths, np.int64), np.asarray(kept, np.int64)


def _try(item: bytes | Path | None, listening: Listening) -> np.ndarray | str:
    """The samples, one more than asked for where there are, or the reason why there are none."""
    import soundfile  # loads a library

    if not item:
        return "it is empty"
    try:
        with soundfile.SoundFile(io.BytesIO(item) if isinstance(item, bytes) else item) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                return f"it has {file.samplerate:,} samples a second"
            most = math.ceil((listening.seconds + 0.1) * file.samplerate)  # of an hour, the beginning alone
            samples = file.read(most, dtype="float32", always_2d=True).mean(axis=1)
            rate = file.samplerate
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        return reason(error)
    if not len(samples):
        return "it has no samples"
    if not np.isfinite(samples).all():
        return "it has samples that are not finite"
    return to_int16(resample(samples, rate, listening.rate)[: listening.length + 1])


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(T,) at another rate, low-pass filtered."""
    from scipy.signal import resample_poly  # slow to import

    if rate == wanted:
        return samples
    common = math.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """(T,) with full scale at 1; what is louder, as floats can be, is scaled down to it."""
    loudest = np.abs(samples).max()
    return (samples * ((FULL - 1) / max(1.0, loudest))).round().astype(np.int16)
