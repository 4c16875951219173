"""Your own sound files: a folder, or parquet in the Hugging Face layout; one channel, one rate, one length."""

import io
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from mixviz.data.archives import Archive, fetched
from mixviz.data.cache import Empty, cached, content_of, stamp_of
from mixviz.data.dataset import Dataset
from mixviz.data.decode import THREADS, Encoded, Reading, in_order
from mixviz.data.files import folder_has_test, index_folder, parquet_has_test, read_shards, shards
from mixviz.errors import UserError, reason
from mixviz.paths import datasets_root

SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au"))
AUDIO_COLUMNS = ("audio",)
SPEAKER = "speaker"  # the column of parquet, and the factor
SPOKEN_DIGIT = re.compile(r"(\d)_([a-z]+)_(\d+)$")  # digit, speaker and take, as FSDD names its files
TEST_TAKES = 5  # of each speaker and digit, the first ones: FSDD's test split
RATES = (1_000, 400_000)  # samples a second that a file may have
RATE = 16_000  # samples a second, by default
FSDD_RATE = 8_000
FSDD = Archive(
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
    "c680098f5d2355ba7cc4bd8b0ca9e0a24c00ebe3b4c552208889a4d28d4fbc2b",
)
SPEECH_COMMANDS = Archive(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
TESTING, VALIDATION = "testing_list.txt", "validation_list.txt"  # of Speech Commands, and what its splits are
FULL = 2**15  # int16 of full scale


class _Clips(NamedTuple):
    """A split that is not decoded yet."""

    name: str
    split: str
    encoded: Encoded[bytes | Path | None]
    labels: np.ndarray | None  # (N,)
    classes: Sequence[str]
    speakers: np.ndarray | None  # (N,) of text


def read_sounds(path: Path, split: str, reading: Reading) -> Dataset:
    """Clips of a second, (N, rate) int16: of a folder, or of parquet. Raises UserError."""
    return _read_parquet(path, split, reading) if _is_parquet(path) else _read_folder(path, split, reading)


def read_fsdd(split: str, reading: Reading) -> Dataset:
    """The Free Spoken Digit Dataset (Jackson et al. 2018) at its own 8,000 samples a second.

    Its folder ``recordings`` below ``fsdd``, or parquet; downloaded if neither is there. Raises MissingData.
    """
    folder = fetched(FSDD, datasets_root() / "fsdd")
    recordings = next((path for path in folder.glob("**/recordings") if path.is_dir()), folder)
    return replace(
        read_sounds(recordings, split, replace(reading, sample_rate=reading.sample_rate or FSDD_RATE)), name="FSDD"
    )


def read_speech_commands(split: str, reading: Reading) -> Dataset:
    """Speech Commands 0.02 (Warden 2018, arXiv:1804.03209): 35 words, 84,843 clips of train and 11,005 of test.

    The publisher's validation clips are left out. Downloaded (2.3 GiB) if ``speech-commands`` is not there. Speakers
    are factors. Raises MissingData, UserError.
    """
    root = fetched(SPEECH_COMMANDS, datasets_root() / "speech-commands")
    lists = {name: root / name for name in (TESTING, VALIDATION)}
    missing = next((path for path in lists.values() if not path.is_file()), None)
    if missing is not None:
        raise UserError(f"{missing} is missing: unpack the publisher's archive in {root}")
    listed = {name: set(path.read_text("utf-8").split()) for name, path in lists.items()}
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("[!_]*/*.wav"))
    wanted = [
        name for name in names if (name in listed[TESTING]) == (split == "test") and name not in listed[VALIDATION]
    ]
    classes = sorted({name.partition("/")[0] for name in names})
    if not wanted:
        raise UserError(f"{root} has no clips of {split}: unpack the publisher's archive there")
    labels = np.array([classes.index(name.partition("/")[0]) for name in wanted])
    speakers = np.array([name.partition("/")[2].partition("_")[0] for name in wanted])
    encoded = Encoded([root / name for name in wanted], wanted)
    clips = _Clips("Speech Commands", split, encoded, labels, classes, speakers)
    key = ["speech commands", stamp_of(encoded.items, root), split, _rate(reading), reading.skip_bad]
    return cached(key, lambda empty: _decoded(clips, reading, empty))


def sounds_have_test(path: Path) -> bool:
    """Whether there is a test split: by folders, by the names of shards, or by takes as in FSDD."""
    return parquet_has_test(path) if _is_parquet(path) else folder_has_test(path) or has_spoken_digits(path)


def _read_folder(root: Path, split: str, reading: Reading) -> Dataset:
    """A folder of sounds: one sub-folder a class, or files directly.

    Files directly have no labels, unless they are named as FSDD's are: then digit and speaker come from their names,
    and the first five takes of each are test.
    """
    spoken = has_spoken_digits(root)
    where = "train" if spoken else split
    encoded, labels, classes = index_folder(root, where, SUFFIXES, "sounds, such as .wav or .flac", reading)
    speakers = None
    if spoken:
        encoded, labels, speakers = _spoken_digits(encoded, split)
        classes = [str(digit) for digit in range(10)]
    clips = _Clips(f"sounds:{root.resolve().name}", split, encoded, labels, classes, speakers)
    key = ["sounds", stamp_of(encoded.items, root), classes, split, _rate(reading), reading.skip_bad]
    return replace(cached(key, lambda empty: _decoded(clips, reading, empty)), name=clips.name)


def _read_parquet(path: Path, split: str, reading: Reading) -> Dataset:
    """Parquet as Hugging Face lays it out: ``audio``, a struct with ``bytes``, perhaps ``label`` and ``speaker``."""
    files = shards(path, split)
    name = f"sounds:{path.stem if path.is_file() else path.resolve().name}"
    encoded, labels, classes = read_shards(files, name, split, AUDIO_COLUMNS)
    speakers = None
    if all(SPEAKER in pq.read_schema(file).names for file in files):
        speakers = np.array(pq.read_table(files, columns=[SPEAKER])[SPEAKER].to_pylist(), dtype=str)
    clips = _Clips(name, split, encoded, labels, classes, speakers)
    key = ["sounds", content_of(files), split, _rate(reading), reading.skip_bad]
    return replace(cached(key, lambda empty: _decoded(clips, reading, empty)), name=clips.name)


def _rate(reading: Reading) -> int:
    """Samples a second. Raises UserError."""
    low, high = RATES
    rate = reading.sample_rate or RATE
    if not low <= rate <= high:
        raise UserError(f"--sample-rate {rate} is out of range: give {low:,} to {high:,} samples a second")
    return rate


def _is_parquet(path: Path) -> bool:
    return path.is_file() or any(path.glob("*.parquet"))


def has_spoken_digits(root: Path) -> bool:
    """Whether a folder holds files directly that are all named as FSDD's are, so that it has a test split."""
    found = root.iterdir() if root.is_dir() else []
    names = [path.stem for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return bool(names) and all(SPOKEN_DIGIT.match(name) for name in names)


def _spoken_digits(encoded: Encoded[Path], split: str) -> tuple[Encoded[Path], np.ndarray, np.ndarray]:
    """The files of a split, all named as FSDD's are, their digits and their speakers."""
    files = list(encoded.items)
    found = [SPOKEN_DIGIT.match(path.stem) for path in files]
    parts = [match.groups() for match in found if match]
    rows = [i for i, (_, _, take) in enumerate(parts) if (int(take) < TEST_TAKES) == (split == "test")]
    chosen = Encoded([files[i] for i in rows], [encoded.names[i] for i in rows])
    return chosen, np.array([int(parts[i][0]) for i in rows]), np.array([parts[i][1] for i in rows])


def _decoded(clips: _Clips, reading: Reading, empty: Empty) -> Dataset:
    waves, kept = decode_sounds(clips.encoded, reading, f"{clips.name} {clips.split}", empty)
    factors = {}
    if clips.speakers is not None:
        factors[SPEAKER] = np.unique(clips.speakers, return_inverse=True)[1].astype(np.int64)[kept]
    return Dataset(
        name=clips.name,
        split=clips.split,
        domain="audio",
        stored=waves,
        labels=None if clips.labels is None else clips.labels[kept],
        class_names=tuple(clips.classes),
        factors=factors,
        origins=np.array(clips.encoded.names)[kept],
        skipped=len(clips.encoded) - len(kept),
    )


def decode_sounds(
    encoded: Encoded[bytes | Path | None], reading: Reading, what: str, empty: Empty = np.empty
) -> tuple[np.ndarray, np.ndarray]:
    """(N, rate) int16, and which could be decoded (N,).

    Says in one line how many were longer and are cut. empty: allocates the array. Raises UserError that names the
    sound.
    """
    count, length = len(encoded), _rate(reading)
    waves = empty((count, length), np.int16)
    kept: list[int] = []
    cut = 0
    with (
        ThreadPool(THREADS) as pool,
        tqdm(total=count, desc=f"decoding {what}", unit=" clips", disable=not reading.progress) as bar,
    ):
        results = in_order(pool, partial(_try, rate=length), encoded.items)
        for name, (i, result) in zip(encoded.names, enumerate(results), strict=True):
            bar.update()
            if isinstance(result, np.ndarray):
                waves[len(kept), : len(result)] = result[:length]
                waves[len(kept), len(result) :] = 0
                cut += len(result) > length
                kept.append(i)
            elif not reading.skip_bad:
                raise UserError(f"cannot decode {name} ({result}): fix it, or skip it with --skip-bad")
    if count and not kept:
        raise UserError(f"none of the {count} files of {what} can be decoded: are they sounds?")
    if cut and reading.progress:
        print(f"mixviz: {what}: {cut:,} of {count:,} clips are cut to a second", file=sys.stderr)
    return waves[: len(kept)], np.asarray(kept, np.int64)


def _try(item: bytes | Path | None, rate: int) -> np.ndarray | str:
    """The samples of a second, and one more if it is longer, or the reason why there are none."""
    import soundfile  # loads a library

    if not item:
        return "it is empty"
    try:
        with soundfile.SoundFile(io.BytesIO(item) if isinstance(item, bytes) else item) as file:
            if not RATES[0] <= file.samplerate <= RATES[1]:
                return f"it has {file.samplerate:,} samples a second"
            most = math.ceil(1.1 * file.samplerate)  # only the beginning of a long file
            samples = file.read(most, dtype="float32", always_2d=True).mean(axis=1)
            found = file.samplerate
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        return reason(error)
    if not len(samples):
        return "it has no samples"
    if not np.isfinite(samples).all():
        return "it has samples that are not finite"
    return to_int16(resample(samples, found, rate)[: rate + 1])


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
