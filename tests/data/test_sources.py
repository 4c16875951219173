"""Where images come from: names, splits, and real sets where they are at hand."""

import io
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixviz.data import PATH_SOURCES, SOURCES, Dataset, DataSource


def test_unknown_sets_and_splits(refusal):
    assert "unknown data set 'cifar-10': did you mean 'cifar10'" in refusal("cifar-10")
    assert "unknown data set 'folders:x': did you mean 'folder:PATH'" in refusal("folders:x")
    assert "'my/photos': a path needs its kind, as in folder:my/photos" in refusal("my/photos")
    assert "a path needs its kind, as in numpy:a/b.npz" in refusal("a/b.npz")
    assert "unknown data set 'parquet:': did you mean 'parquet:PATH'" in refusal("parquet:")
    assert "unknown split 'val'" in refusal("glyphs", "val")


def test_every_source_is_described():
    assert {"glyphs", "cifar10", "cifar100", "stl10", "fashion-mnist", "tiny-imagenet"} <= set(SOURCES)
    assert set(PATH_SOURCES) == {"folder", "parquet", "numpy", "idx", "sounds", "csv"}
    for source in (*SOURCES.values(), *PATH_SOURCES.values()):
        assert 20 < len(source.about) < 120
        assert source.domain in ("image", "audio", "tabular")


def test_a_source_of_another_domain_is_read_as_it_is(monkeypatch, load_quiet, refusal):
    """What is stored need not be square, nor of bytes; without a test split a fifth is test here too."""
    rows = Dataset(name="rows", split="train", stored=np.arange(40.0).reshape(10, 4), labels=np.arange(10) % 2)
    source = DataSource(about="made here", read=lambda split, reading: rows, domain="rows", has_test=False)
    monkeypatch.setitem(SOURCES, "rows", source)
    train, test = load_quiet("rows"), load_quiet("rows", "test")
    assert (train.domain, len(train), len(test)) == ("rows", 8, 2)
    assert np.array_equal(train.stored, rows.stored[train.origins])
    assert sorted([*train.origins, *test.origins]) == list(range(10))
    assert "--image-size 16 is of images, and rows has none" in refusal("rows", image_size=16)


def test_glyphs_resized(load_quiet):
    assert load_quiet("glyphs", "test", image_size=16).stored.shape[1:] == (16, 16, 3)


def test_a_name_of_ones_own(write_arrays, load_quiet):
    source = write_arrays(images=np.zeros((2, 8, 8), np.uint8))
    assert load_quiet(source, name="Eights").name == "Eights"


def test_home_is_understood(tmp_path, write_folder, load_quiet, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "pets")
    assert len(load_quiet("folder:~/pets")) == 8


def test_a_file_that_may_not_be_read(tmp_path, png, write_parquet, refusal, monkeypatch):
    def denied(*arguments):
        raise PermissionError(13, "Permission denied", "set.parquet")

    path = write_parquet(tmp_path / "set.parquet", [png(0)])
    monkeypatch.setattr("mixviz.data.files.content_of", denied)
    message = refusal(f"parquet:{path}")
    assert "cannot be read ([Errno 13] Permission denied: 'set.parquet'): check its path and permissions" in message


@pytest.fixture
def cifar10(real_sets):
    return real_sets / "cifar10"


def test_real_cifar10(cifar10, load_quiet):
    images = load_quiet(f"parquet:{cifar10}", "test", name="CIFAR-10 (JPEG)")
    assert (images.name, images.stored.shape) == ("CIFAR-10 (JPEG)", (10_000, 32, 32, 3))
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert (len(images.class_names), images.class_names[:2]) == (10, ("airplane", "automobile"))
    table = pq.read_table(next(cifar10.glob("test-*.parquet")))
    for row in range(0, len(table), 1111):
        encoded = table["image"][row].as_py()["bytes"]
        np.testing.assert_array_equal(images.stored[row], np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")))
        assert images.labels[row] == table["label"][row].as_py()
    began = time.perf_counter()
    load_quiet(f"parquet:{cifar10}", "test")
    assert time.perf_counter() - began < 1
