"""The cache of decoded images: what it saves, what it notices, and what cannot break it."""

import os
import shutil
from threading import Barrier, Thread

import numpy as np
import pytest

from mixviz.data import Dataset, decode
from mixviz.data.cache import cached


@pytest.fixture
def decodings(monkeypatch):
    """How often images are decoded."""
    counted = []

    def counting(*arguments):
        counted.append(1)
        return decode.decode_all(*arguments)

    monkeypatch.setattr("mixviz.data.files.decode_all", counting)
    return counted


@pytest.fixture
def parquet(tmp_path, png, write_parquet):
    return write_parquet(tmp_path / "set.parquet", [png(i) for i in range(10)], [0, 1] * 5, ["a", "b"])


def test_the_second_open_decodes_nothing(parquet, load_quiet, decodings):
    first, second = load_quiet(f"parquet:{parquet}"), load_quiet(f"parquet:{parquet}")
    assert len(decodings) == 1
    assert np.array_equal(first.stored, second.stored)
    assert np.array_equal(first.labels, second.labels)
    assert (second.name, second.split, second.class_names) == ("parquet:set", "train", ("a", "b"))


def test_images_are_mapped_not_read(tmp_path, picture, load_quiet):
    picture(1).save(tmp_path / "0.png")
    images = load_quiet(f"folder:{tmp_path}").stored
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable


def test_a_copy_elsewhere_keeps_its_own_name(tmp_path, parquet, load_quiet, decodings):
    load_quiet(f"parquet:{parquet}")
    (tmp_path / "other").mkdir()
    shutil.copy(parquet, tmp_path / "other")
    assert load_quiet(f"parquet:{tmp_path / 'other'}").name == "parquet:other"
    assert len(decodings) == 1


def test_changed_content_and_options_are_noticed(parquet, png, write_parquet, load_quiet, decodings):
    load_quiet(f"parquet:{parquet}")
    write_parquet(parquet, [png(100 + i) for i in range(10)])
    assert load_quiet(f"parquet:{parquet}").stored[0, 0, 0, 0] == 100
    assert load_quiet(f"parquet:{parquet}", image_size=8).stored.shape == (10, 8, 8, 3)
    load_quiet(f"parquet:{parquet}", skip_bad=True)
    assert len(decodings) == 4


def test_a_changed_file_in_a_folder_is_noticed(tmp_path, picture, load_quiet):
    path = tmp_path / "pets" / "0.bmp"
    path.parent.mkdir()
    picture(1).save(path)
    before = path.stat()
    assert load_quiet(f"folder:{path.parent}").stored[0, 0, 0, 0] == 1
    picture(77).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as old and as large as before
    assert path.stat().st_size == before.st_size
    assert load_quiet(f"folder:{path.parent}").stored[0, 0, 0, 0] == 77


def test_a_new_class_renumbers(tmp_path, write_folder, load_quiet):
    write_folder(tmp_path / "train", ("cat", "dog"))
    write_folder(tmp_path / "test", ("cat", "dog"))
    assert set(load_quiet(f"folder:{tmp_path}", "test").labels) == {0, 1}
    write_folder(tmp_path / "train", ("bee",))
    assert set(load_quiet(f"folder:{tmp_path}", "test").labels) == {1, 2}


@pytest.mark.parametrize("place", ["mixviz.data.cache.os.rename", "mixviz.data.cache._write", "numpy.save"])
def test_an_interruption_leaves_nothing(parquet, own_data_folder, load_quiet, monkeypatch, place):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_quiet(f"parquet:{parquet}")
    assert list((own_data_folder / "cache").iterdir()) == []
    assert len(load_quiet(f"parquet:{parquet}")) == 8


@pytest.mark.parametrize("file", ["stored.npy", "labels.npy", "origins.npy", "meta.json"])
def test_a_damaged_entry_is_made_again(parquet, own_data_folder, load_quiet, decodings, file):
    images = load_quiet(f"parquet:{parquet}").stored.copy()
    (damaged,) = (own_data_folder / "cache").glob(f"*/{file}")
    damaged.write_bytes(damaged.read_bytes()[:20])
    for _ in range(2):
        assert np.array_equal(load_quiet(f"parquet:{parquet}").stored, images)
    assert len(decodings) == 2


def test_two_at_once_leave_one_entry(own_data_folder):
    together, found = Barrier(2, timeout=10), []

    def make(empty) -> Dataset:
        together.wait()
        return Dataset(name="toys", split="train", stored=np.full((2, 8, 8, 3), 7, np.uint8))

    threads = [Thread(target=lambda: found.append(cached("key", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [int(images.stored.min()) for images in found] == [7, 7]
    assert len(list((own_data_folder / "cache").iterdir())) == 1


def test_an_unwritable_cache_only_costs_time(tmp_path, parquet, load_quiet, monkeypatch, capsys):
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "blocked"))
    assert len(load_quiet(f"parquet:{parquet}")) == 8
    err = capsys.readouterr().err
    assert "cannot write" in err
    assert err.count("\n") == 1


def test_a_full_disk_only_costs_time(parquet, own_data_folder, load_quiet, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    assert len(load_quiet(f"parquet:{parquet}")) == 8
    assert "(No space left on device); images stay in memory" in capsys.readouterr().err
    assert list((own_data_folder / "cache").iterdir()) == []
