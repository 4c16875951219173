"""Downloads of published archives: checked, unpacked whole or not at all; Speech Commands as published."""

import shutil
from hashlib import file_digest
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixviz.data import audio, load
from mixviz.data.archives import Archive, fetched
from mixviz.data.decode import Reading
from mixviz.errors import MissingData, UserError

QUIET = Reading(progress=False)


def packed(folder: Path, kind: str) -> Archive:
    """The folder as a publisher's archive beside it."""
    path = Path(shutil.make_archive(str(folder), kind, folder))
    with path.open("rb") as file:
        return Archive(path.as_uri(), file_digest(file, "sha256").hexdigest())


def spoken(path: Path, loudness: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(1600, loudness), 16_000)


@pytest.fixture
def published(tmp_path) -> Path:
    """A small Speech Commands: three words, a clip of each list, and a folder of noise."""
    root = tmp_path / "publisher"
    for name in ("bed/ann_nohash_0", "bed/bob_nohash_0", "cat/ann_nohash_0", "cat/cy_nohash_1", "dog/bob_nohash_0"):
        spoken(root / f"{name}.wav")
    spoken(root / "_background_noise_" / "pink.wav")
    (root / "testing_list.txt").write_text("bed/bob_nohash_0.wav\n")
    (root / "validation_list.txt").write_text("cat/cy_nohash_1.wav\n")
    return root


def left(folder: Path) -> list[str]:
    """What is in a folder of data sets, without its lock."""
    return [path.name for path in folder.iterdir() if path.name != ".download.lock"]


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_is_fetched_once_and_whole(published, tmp_path, kind):
    archive, folder = packed(published, kind), tmp_path / "datasets" / "words"
    assert fetched(archive, folder) == folder
    assert (folder / "bed" / "bob_nohash_0.wav").is_file()
    assert left(folder.parent) == ["words"]
    assert fetched(Archive("file:///nowhere", ""), folder) == folder  # it is there


@pytest.mark.parametrize("fault", ["other content", "no archive", "nothing there"])
def test_what_is_not_the_archive_leaves_nothing_behind(published, tmp_path, fault):
    archive = packed(published, "zip")
    if fault == "other content":
        archive = Archive(archive.address, "0" * 64)
    elif fault == "no archive":
        (tmp_path / "x.zip").write_text("not found")
        archive = packed_text(tmp_path / "x.zip")
    else:
        archive = Archive((tmp_path / "missing.zip").as_uri(), archive.sha256)
    with pytest.raises(MissingData, match=r"^words is not in .*: unpack the publisher's archive there$"):
        fetched(archive, tmp_path / "datasets" / "words")
    assert left(tmp_path / "datasets") == []


def packed_text(path: Path) -> Archive:
    with path.open("rb") as file:
        return Archive(path.as_uri(), file_digest(file, "sha256").hexdigest())


def test_speech_commands_are_split_as_published(published, monkeypatch, own_data_folder):
    monkeypatch.setattr(audio, "SPEECH_COMMANDS", packed(published, "gztar"))
    train = load("speech-commands", "train", progress=False)
    test = load("speech-commands", "test", progress=False)
    assert (train.name, train.stored.shape, test.stored.shape) == ("Speech Commands", (3, 16_000), (1, 16_000))
    assert train.class_names == ("bed", "cat", "dog")
    assert train.origins.tolist() == ["bed/ann_nohash_0.wav", "cat/ann_nohash_0.wav", "dog/bob_nohash_0.wav"]
    assert (train.labels.tolist(), train.factors["speaker"].tolist()) == ([0, 1, 2], [0, 0, 1])
    assert test.origins.tolist() == ["bed/bob_nohash_0.wav"]


def test_a_list_that_is_missing_is_named(published, monkeypatch, own_data_folder):
    (published / "validation_list.txt").unlink()
    monkeypatch.setattr(audio, "SPEECH_COMMANDS", packed(published, "zip"))
    with pytest.raises(UserError, match=r"validation_list.txt is missing: unpack"):
        audio.read_speech_commands("train", QUIET)


def test_free_spoken_digits_from_the_archive(tmp_path, monkeypatch, own_data_folder):
    root = tmp_path / "publisher"
    for name in ("3_theo_9", "4_lucas_7", "4_lucas_0"):
        spoken(root / "free-spoken-digit-dataset-1.0.10" / "recordings" / f"{name}.wav")
    monkeypatch.setattr(audio, "FSDD", packed(root, "zip"))
    train = load("fsdd", "train", progress=False)
    assert (train.name, train.stored.shape) == ("FSDD", (2, 8000))
    assert train.labels.tolist() == [3, 4]
