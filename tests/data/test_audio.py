"""Sounds: what is read from files of every kind, classes and speakers, and what is refused."""

import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from mixviz.data.audio import (
    Listening,
    is_sound_folder,
    is_sound_parquet,
    read_sound_folder,
    read_sound_parquet,
    to_int16,
)
from mixviz.errors import UserError

QUIET = Listening(rate=8000, seconds=0.5, progress=False)
SKIPPING = Listening(rate=8000, seconds=0.5, progress=False, skip_bad=True)


def sine(frequency: float = 500.0, seconds: float = 0.25, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """(T,), or (T, channels), of height 0.5."""
    wave = 0.5 * np.sin(2 * math.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return wave if channels == 1 else np.stack([wave * (c + 1) / channels for c in range(channels)], axis=1)


@pytest.fixture
def write(tmp_path):
    """Writes a wave below a folder; gives the folder."""

    def to(name: str, wave: np.ndarray, rate: int = 8000, **kind) -> Path:
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave, rate, **kind)
        return tmp_path / "sounds"

    return to


def refused(root: Path, listening: Listening = QUIET) -> str:
    with pytest.raises(UserError) as caught:
        read_sound_folder(root, "train", listening)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def frequency(wave: np.ndarray, rate: int = 8000) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave))


@pytest.mark.parametrize(
    ("name", "rate", "channels", "kind"),
    [
        ("a.wav", 8000, 1, {"subtype": "PCM_16"}),
        ("a.wav", 8000, 1, {"subtype": "PCM_24"}),
        ("a.wav", 8000, 1, {"subtype": "PCM_U8"}),
        ("a.wav", 44100, 2, {"subtype": "FLOAT"}),
        ("a.wav", 11025, 6, {"subtype": "PCM_16"}),
        ("a.flac", 16000, 1, {}),
        ("a.ogg", 48000, 2, {}),
        ("a.mp3", 22050, 1, {}),
        ("a.AIFF", 8000, 1, {"format": "AIFF"}),
    ],
)
def test_every_kind_becomes_one_channel_of_one_rate(write, name, rate, channels, kind):
    clips = read_sound_folder(write(name, sine(rate=rate, channels=channels), rate, **kind), "train", QUIET)
    assert (clips.waves.shape, clips.waves.dtype) == ((1, 4000), np.int16)
    assert abs(clips.lengths[0] - 2000) <= (300 if name == "a.mp3" else 10)
    assert (clips.waves[0, clips.lengths[0] :] == 0).all()
    height = 0.5 * (channels + 1) / (2 * channels)  # the mean of channels that rise to 0.5
    middle = clips.waves[0, 500:1300]
    assert frequency(middle) == 500
    assert np.abs(middle).max() / 2**15 == pytest.approx(height, rel=0.05)


def test_sixteen_bits_of_the_same_rate_are_kept_as_they_are(write):
    wave = np.random.default_rng(0).integers(-(2**15) + 1, 2**15, 4000).astype(np.int16)
    clips = read_sound_folder(write("a.wav", wave), "train", QUIET)
    assert np.abs(clips.waves[0].astype(int) - wave).max() <= 1


def test_short_clips_are_filled_and_long_ones_cut(write, capsys):
    write("a.wav", sine(seconds=0.01))
    root = write("b.wav", np.concatenate([sine(seconds=1.0), 0.9 * np.ones(8000)]))
    clips = read_sound_folder(root, "train", Listening(rate=8000, seconds=0.5))
    assert clips.lengths.tolist() == [80, 4000]
    assert frequency(clips.waves[1]) == 500
    assert "1 of 2 clips are cut to 0.5 s" in capsys.readouterr().err


def test_of_an_hour_the_beginning_alone_is_read(write, monkeypatch):
    root, read = write("a.wav", np.zeros(1, np.int16)), []
    with soundfile.SoundFile(root / "a.wav", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8000, np.int16))
    whole = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, n, **about: read.append(n) or whole(self, n, **about))
    assert read_sound_folder(root, "train", QUIET).lengths.tolist() == [4000]
    assert read == [4800]


def test_sounds_louder_than_full_scale_are_scaled_down():
    samples = to_int16(np.array([0.0, 2.0, -1.0], np.float32))
    assert samples.tolist() == [0, 2**15 - 1, -(2**14)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty|unknown|not recognised|Format"),
        (b"RIFF but no wave at all", "not recognised|unknown|Format|Error"),
        ("no samples", "it has no samples"),
        ("not finite", "it has samples that are not finite"),
        ("slow", "it has 8 samples a second"),
    ],
)
def test_bad_files_are_refused_or_skipped(write, content, why):
    root = write("b.wav", sine())
    if isinstance(content, bytes):
        (root / "a.wav").write_bytes(content)
    elif content == "no samples":
        write("a.wav", np.zeros(0))
    elif content == "slow":
        write("a.wav", sine(), 8)
    else:
        write("a.wav", np.array([0.1, np.nan]), subtype="FLOAT")
    message = refused(root)
    assert message.startswith("cannot decode a.wav (")
    assert any(part in message for part in why.split("|"))
    assert message.endswith("mend it, or leave it out with --skip-bad")
    clips = read_sound_folder(root, "train", SKIPPING)
    assert (len(clips.waves), clips.skipped, len(clips.lengths)) == (1, 1, 1)


def test_nothing_but_bad_files(write):
    root = write("a.wav", np.zeros(0))
    assert "none of the 1 files" in refused(root, SKIPPING)
    (root / "a.wav").unlink()
    assert "has no sounds, such as .wav" in refused(root)


def test_folders_are_classes(write):
    for kind in ("dog", "cat"):
        for i in range(2):
            root = write(f"{kind}/{i}.wav", sine(300 if kind == "cat" else 900))
    clips = read_sound_folder(root, "train", QUIET)
    assert (clips.class_names, clips.labels.tolist(), clips.speakers) == (("cat", "dog"), [0, 0, 1, 1], None)
    assert [frequency(wave[:2000]) for wave in clips.waves] == [300, 300, 900, 900]
    assert is_sound_folder(root)


def test_spoken_digits_say_digit_and_speaker(write):
    for digit in (3, 7):
        for speaker in ("theo", "jackson"):
            for take in (0, 4, 5, 10):
                root = write(f"{digit}_{speaker}_{take}.wav", sine(100 * digit))
    train, test = (read_sound_folder(root, split, QUIET) for split in ("train", "test"))
    assert train.labels.tolist() == test.labels.tolist() == [3] * 4 + [7] * 4
    assert train.speakers.tolist() == [0, 0, 1, 1] * 2
    assert train.class_names == tuple("0123456789")
    write("9_notes.wav", sine())
    assert read_sound_folder(root, "train", QUIET).labels is None


def test_parquet_with_labels_and_speakers(tmp_path):
    def encoded(frequency: float) -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, sine(frequency), 8000, format="WAV")
        return buffer.getvalue()

    table = pa.table(
        {
            "audio": [{"bytes": encoded(100 * (i + 1)), "path": f"{i}.wav"} for i in range(4)],
            "label": [0, 1, 0, 1],
            "speaker": ["theo", "lucas", "theo", "nicolas"],
        }
    )
    pq.write_table(table, tmp_path / "train-0.parquet")
    clips = read_sound_parquet(tmp_path, "train", QUIET)
    assert [frequency(wave[:2000]) for wave in clips.waves] == [100, 200, 300, 400]
    assert (clips.labels.tolist(), clips.speakers.tolist()) == ([0, 1, 0, 1], [2, 0, 2, 1])
    assert is_sound_parquet(tmp_path)


def test_free_spoken_digits_as_published(real_sets):
    test = read_sound_parquet(real_sets / "fsdd", "test", Listening(rate=8000, progress=False))
    assert test.waves.shape == (300, 8000)
    assert np.bincount(test.labels).tolist() == [30] * 10
    assert np.bincount(test.speakers).tolist() == [50] * 6


def test_what_cannot_be_heard_is_refused():
    with pytest.raises(UserError, match="out of range"):
        Listening(rate=3)
    with pytest.raises(UserError, match="have no samples"):
        Listening(seconds=0)
