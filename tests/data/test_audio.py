"""Sounds: what is read from files of every kind, classes and speakers, and what is refused."""

import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from mixviz.data.audio import read_sounds, sounds_have_test, to_int16
from mixviz.data.decode import Reading
from mixviz.errors import UserError

QUIET = Reading(sample_rate=8000, progress=False)
SKIPPING = Reading(sample_rate=8000, progress=False, skip_bad=True)


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


def refused(root: Path, reading: Reading = QUIET) -> str:
    with pytest.raises(UserError) as caught:
        read_sounds(root, "train", reading)
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
    clips = read_sounds(write(name, sine(rate=rate, channels=channels), rate, **kind), "train", QUIET)
    assert (clips.stored.shape, clips.stored.dtype, clips.domain) == ((1, 8000), np.int16, "audio")
    assert np.abs(clips.stored[0, (2600 if name == "a.mp3" else 2100) :]).max() < 2**15 / 100
    height = 0.5 * (channels + 1) / (2 * channels)  # the mean of channels that rise to 0.5
    middle = clips.stored[0, 500:1300]
    assert frequency(middle) == 500
    assert np.abs(middle).max() / 2**15 == pytest.approx(height, rel=0.05)


def test_sixteen_bits_of_the_same_rate_are_kept_as_they_are(write):
    wave = np.random.default_rng(0).integers(-(2**15) + 1, 2**15, 8000).astype(np.int16)
    clips = read_sounds(write("a.wav", wave), "train", QUIET)
    assert np.abs(clips.stored[0].astype(int) - wave).max() <= 1


def test_short_clips_are_filled_and_long_ones_cut(write, capsys):
    write("a.wav", 0.5 * np.ones(80))
    root = write("b.wav", np.concatenate([sine(seconds=1.0), 0.9 * np.ones(8000)]))
    clips = read_sounds(root, "train", Reading(sample_rate=8000))
    assert np.count_nonzero(clips.stored[0]) == 80
    assert frequency(clips.stored[1]) == 500
    assert "1 of 2 clips are cut to a second" in capsys.readouterr().err


def test_only_the_beginning_of_an_hour_is_read(write, monkeypatch):
    root, read = write("a.wav", np.zeros(1, np.int16)), []
    with soundfile.SoundFile(root / "a.wav", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * 8000, np.int16))
    whole = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, n, **about: read.append(n) or whole(self, n, **about))
    assert read_sounds(root, "train", QUIET).stored.shape == (1, 8000)
    assert read == [8800]


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
    assert message.endswith("fix it, or skip it with --skip-bad")
    clips = read_sounds(root, "train", SKIPPING)
    assert (len(clips), clips.skipped, clips.origins.tolist()) == (1, 1, ["b.wav"])


def test_nothing_but_bad_files(write):
    root = write("a.wav", np.zeros(0))
    assert "none of the 1 files" in refused(root, SKIPPING)
    (root / "a.wav").unlink()
    assert "has no sounds, such as .wav" in refused(root)


def test_folders_are_classes(write):
    for kind in ("dog", "cat"):
        for i in range(2):
            root = write(f"{kind}/{i}.wav", sine(300 if kind == "cat" else 900))
    clips = read_sounds(root, "train", QUIET)
    assert (clips.class_names, clips.labels.tolist(), clips.factors) == (("cat", "dog"), [0, 0, 1, 1], {})
    assert [frequency(wave[:2000]) for wave in clips.stored] == [300, 300, 900, 900]


def test_spoken_digits_say_digit_and_speaker(write):
    for digit in (3, 7):
        for speaker in ("theo", "jackson"):
            for take in (0, 4, 5, 10):
                root = write(f"{digit}_{speaker}_{take}.wav", sine(100 * digit))
    train, test = (read_sounds(root, split, QUIET) for split in ("train", "test"))
    assert train.labels.tolist() == test.labels.tolist() == [3] * 4 + [7] * 4
    assert train.factors["speaker"].tolist() == [0, 0, 1, 1] * 2
    assert train.class_names == tuple("0123456789")
    write("9_notes.wav", sine())
    assert read_sounds(root, "train", QUIET).labels is None


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
    clips = read_sounds(tmp_path, "train", QUIET)
    assert [frequency(wave[:2000]) for wave in clips.stored] == [100, 200, 300, 400]
    assert (clips.labels.tolist(), clips.factors["speaker"].tolist()) == ([0, 1, 0, 1], [2, 0, 2, 1])


def test_free_spoken_digits_as_published(real_sets):
    test = read_sounds(real_sets / "fsdd", "test", QUIET)
    assert test.stored.shape == (300, 8000)
    assert np.bincount(test.labels).tolist() == [30] * 10
    assert np.bincount(test.factors["speaker"]).tolist() == [50] * 6


def test_rates_out_of_range_are_refused(write):
    assert "--sample-rate 3 is out of range" in refused(write("a.wav", sine()), Reading(sample_rate=3))


def test_where_test_is_recognised(write, tmp_path):
    assert not sounds_have_test(write("a.wav", sine()))
    write("train/dog/a.wav", sine())
    assert sounds_have_test(write("valid/dog/a.wav", sine()))


def test_decoded_clips_are_kept(write, own_data_folder):
    root = write("3_theo_9.wav", sine())
    write("3_theo_1.wav", sine())
    first, second = (read_sounds(root, "train", QUIET) for _ in range(2))
    assert isinstance(second.stored, np.memmap)
    assert np.array_equal(first.stored, second.stored)
    assert second.factors["speaker"].tolist() == [0]
    assert len(read_sounds(root, "train", Reading(sample_rate=4000)).stored[0]) == 4000
