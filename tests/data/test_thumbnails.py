"""Images of a run are found again in the set as it is published, in another order and without the traces of JPEG."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar import CLASSES, published, write_cifar
from PIL import Image

from mixviz.__main__ import main
from mixviz.build import load_sets, thumbnails_of
from mixviz.config import DataConfig
from mixviz.data import Dataset, load
from mixviz.data.thumbnails import Thumbnails, thumbnails
from mixviz.errors import MissingData, UserError
from mixviz.widgets import networks

PHOTOS = Path(__file__).parents[2] / "shared" / "datasets" / "cifar10"


def as_jpegs(images: np.ndarray, quality: int) -> np.ndarray:
    """What is left of images after JPEG, which also halves the resolution of colours."""
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image).save(file, "jpeg", quality=quality)
    return np.stack([np.asarray(Image.open(file)) for file in files])


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    """2,000 of them with the labels of ten classes."""
    found = load("glyphs", "test", progress=False)
    assert found.labels is not None
    return replace(found, labels=found.labels % 10, class_names=tuple(CLASSES))


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(1).permutation(2000)[:600]


def test_thumbnails_are_means_of_parts():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = thumbnails(images).reshape(3, 4, 4)
    assert found[1, 2, 3] == np.round(images[1, 16:24, 24:32].mean())
    assert found.dtype == np.uint8


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_jpegs_are_found_among_their_originals(glyphs, rows, quality):
    some = glyphs.select(rows)
    known = Thumbnails.of(replace(some, stored=as_jpegs(some.stored, quality)), "cifar10")
    np.testing.assert_array_equal(known.rows(glyphs), rows)


def test_images_with_noise_and_of_another_brightness_are_found(glyphs, rows):
    some = glyphs.select(rows)
    noise = np.random.default_rng(0).normal(3, 20, some.stored.shape)
    moved = np.clip(some.stored + noise, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(Thumbnails.of(replace(some, stored=moved), "cifar10").rows(glyphs), rows)


def test_another_set_is_refused(glyphs, rows):
    known = Thumbnails.of(glyphs.select(rows), "cifar10")
    for wrong in (
        replace(glyphs, stored=255 - glyphs.stored),
        replace(glyphs, labels=(glyphs.labels + 1) % 10),
        glyphs.select(np.setdiff1d(np.arange(2000), rows[:50])),
        replace(glyphs, stored=np.repeat(glyphs.stored[:1], 2000, axis=0)),
        glyphs.select(np.flatnonzero(glyphs.labels != 3)),
    ):
        with pytest.raises(MissingData, match="not all images of the run are in the glyphs here: get cifar10 again"):
            known.rows(wrong)


def test_a_file_comes_back_and_a_damaged_one_is_a_line(glyphs, rows, tmp_path):
    known = Thumbnails.of(glyphs.select(rows), "cifar10")
    known.save(tmp_path / "kept.npz")
    again = Thumbnails.load(tmp_path / "kept.npz")
    assert again.source == "cifar10"
    np.testing.assert_array_equal(again.grey, known.grey)
    np.testing.assert_array_equal(again.labels, known.labels)
    (tmp_path / "kept.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"kept\.npz: it is damaged"):
        Thumbnails.load(tmp_path / "kept.npz")


@pytest.fixture
def run_on_jpegs(glyphs, rows, tmp_path, monkeypatch) -> DataConfig:
    """The data of a run on JPEGs that are not here, whose thumbnails are kept: of 600 glyphs."""
    some = glyphs.select(rows)
    kept = tmp_path / "kept.npz"
    Thumbnails.of(replace(some, stored=as_jpegs(some.stored, 50)), "cifar10").save(kept)
    monkeypatch.setattr("mixviz.build.thumbnails_path", lambda name: kept if name == "Pictures" else tmp_path / "none")
    networks.images.cache_clear()
    return DataConfig(data=f"parquet:{tmp_path}/gone", data_name="Pictures", image_size=16, train_images=600)


def test_a_run_finds_its_images_in_the_readers_own_set(run_on_jpegs, glyphs, rows, own_data_folder, monkeypatch):
    with pytest.raises(MissingData, match="there is nothing at"):
        load_sets(run_on_jpegs, progress=False)
    write_cifar(own_data_folder / "datasets", monkeypatch, glyphs.stored, glyphs.labels)
    sets = load_sets(run_on_jpegs, progress=False)
    small = np.stack([np.asarray(Image.fromarray(image).resize((16, 16), 2)) for image in glyphs.stored[rows[:9]]])
    assert np.abs(sets.all_train.stored[:9].astype(int) - small).mean() < 2
    np.testing.assert_array_equal(sets.all_train.labels, glyphs.labels[rows])
    assert (len(sets.held_out), len(sets.train), sets.exact) == (60, 540, False)
    assert (len(sets.test), sets.test.stored.shape[1], sets.test.name) == (2000, 16, "CIFAR-10")
    assert thumbnails_of(run_on_jpegs.model_copy(update={"train_images": 500})) is None
    assert thumbnails_of(run_on_jpegs.model_copy(update={"data_name": "Others"})) is None


def test_a_set_is_fetched_checked_and_then_shown(run_on_jpegs, glyphs, tmp_path, monkeypatch, capsys):
    assert networks.images(run_on_jpegs)[1]
    with published(tmp_path, monkeypatch, glyphs.stored, glyphs.labels):
        assert main(["data", "get", "cifar10"]) == 0
    shown = capsys.readouterr()
    assert "cifar10: 2,000 train + 2,000 test images, in " in shown.out
    assert "100%" in shown.err
    networks.images.cache_clear()
    assert not networks.images(run_on_jpegs)[1]


def test_an_archive_with_a_wrong_checksum_is_refused(glyphs, tmp_path, monkeypatch, capsys):
    with published(tmp_path, monkeypatch, glyphs.stored[:20], glyphs.labels[:20]):
        monkeypatch.setattr("torchvision.datasets.CIFAR10.tgz_md5", "0" * 32)
        assert main(["data", "get", "cifar10"]) == 2
    assert "cannot be downloaded" in capsys.readouterr().err


def test_sets_are_listed_and_others_refused(capsys):
    assert main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    assert "fashion-mnist" in shown
    assert "folder:PATH" in shown
    assert main(["data", "get", "optical-digits"]) == 0
    assert "optical-digits: 1,438 train + 359 test images\n" in capsys.readouterr().out
    assert main(["data", "get", "cifar"]) == 2
    assert "did you mean 'cifar10'?" in capsys.readouterr().err
    assert main(["data", "get"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="CIFAR-10 is not here")
def test_photographs_are_found_among_fifty_thousand():
    photos = load(f"parquet:{PHOTOS}", "train", progress=False)
    rows = np.random.default_rng(0).permutation(50_000)[:3000]
    some = photos.select(rows)
    known = Thumbnails.of(replace(some, stored=as_jpegs(some.stored, 60)), "cifar10")
    np.testing.assert_array_equal(photos.stored[known.rows(photos)], some.stored)
