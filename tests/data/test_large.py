"""Data that are larger than memory, or too large to be there twice.

What counts is memory that the system cannot take back: not the pages of mapped files. With MIXVIZ_LONG=1 a set of 20 GB
is trained on, in a sparse file that takes no room on the disk; otherwise a small one.
"""

import io
import json
import os
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from victim import config_of, exit_code, pictures

from mixviz.config import RunConfig
from mixviz.data import cache, decode, load, rows
from mixviz.data.rows import Ahead, Rows, select
from mixviz.domains import inputs_of
from mixviz.train import train

STATUS = Path("/proc/self/status")
linux = pytest.mark.skipif(not STATUS.exists(), reason="only Linux says how much memory a process has")
LONG = bool(os.environ.get("MIXVIZ_LONG"))
BYTES, PIXELS, MOST = (20e9, 96, 4e9) if LONG else (6e8, 32, 2e8)  # of the set; a side; of memory that it may take
STEPS = 40 if LONG else 10
COUNT, SIDE = 200, 512  # images that are decoded, 157 MB


class Enough(Exception):
    pass


def memory() -> float:
    """Bytes that this process has in memory, without mapped files."""
    lines = (line.split() for line in STATUS.read_text().splitlines())
    return 1024.0 * sum(int(words[1]) for words in lines if words[0] in ("RssAnon:", "RssShmem:"))


@contextmanager
def peak(out: Path):
    """Writes the bytes that the inside takes at most, more than were taken before, and what it leaves in ``found``."""
    before, highest, ended, found = memory(), 0.0, threading.Event(), {}

    def look() -> None:
        nonlocal highest
        while not ended.wait(0.005):
            highest = max(highest, memory())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()
    out.write_text(json.dumps({"bytes": highest - before, **found}))


def load_measured(source: str, folder: Path, out: Path) -> None:
    os.environ["MIXVIZ_DATA"] = str(folder)
    with peak(out) as found:
        data = load(source, "train", progress=False)
        found["size"] = data.stored.nbytes
        found["sum"] = sum(int(image.sum()) for image in data.stored)


def train_measured(source: str, folder: Path, out: Path) -> None:
    """Some steps of a first epoch, whose order is that of all examples."""
    os.environ["MIXVIZ_DATA"] = str(folder)
    torch.set_num_threads(1)
    train(config_of(), "warm", pictures(), folder / "runs", progress=False)
    moments = []

    def stop(seen: int, wanted: int) -> None:
        moments.append(time.perf_counter())
        if len(moments) == STEPS:
            raise Enough

    config = RunConfig.of(
        data=source, batch_size=64, queue_length=64, bn_splits=1, dim=8, hidden=16, device="cpu", dtype="float32",
        backbone="convnet-narrow", holdout=500,
    )  # fmt: skip
    with peak(out) as found:
        try:
            train(config, "large", root=folder / "runs", progress=False, watch=stop)
        except Enough:
            found["steps"] = len(moments)
            found["seconds"] = (moments[-1] - moments[0]) / (STEPS - 1)


def sparse_archive(path: Path, count: int, side: int) -> None:
    """Labelled images of one colour, and a few of noise, as ``np.savez`` writes them, but with a hole for the rest."""
    shape, noise = (count, side, side, 3), np.random.default_rng(0).integers(0, 256, (200, side, side, 3), np.uint8)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": shape, "fortran_order": False, "descr": "|u1"})
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as member:
            member.write(header.getvalue())
            hole = int(np.prod(shape)) - noise.nbytes
            archive.fp.seek(hole, os.SEEK_CUR)
            member._file_size += hole
            member.write(noise.tobytes())
        few = {"test_images": noise[:20], "test_labels": np.arange(20) % 10, "labels": np.arange(count) % 10}
        for name, array in few.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)


def encoded(i: int) -> bytes:
    """A picture that is as large as a file as in memory."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "png", compress_level=0)
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["folder", "parquet", "bytes", "compressed", "floats", "channels first"])
def source(request, tmp_path_factory):
    """A source of COUNT images, and its files."""
    folder, kind = tmp_path_factory.mktemp("source"), request.param
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
    if kind == "folder":
        for i in range(COUNT):
            (folder / f"{i}.png").write_bytes(encoded(i))
        return f"folder:{folder}"
    if kind == "parquet":
        table = pa.table({"image": pa.array([{"bytes": encoded(i), "path": None} for i in range(COUNT)])})
        pq.write_table(table, folder / "set.parquet", row_group_size=20)  # Hugging Face's have 100, of smaller images
        return f"parquet:{folder / 'set.parquet'}"
    if kind == "compressed":
        pixels[:, :, 1:] = 0
        np.savez_compressed(folder / "set.npz", images=pixels)
    else:
        floats = pixels.astype(np.float16) / 255 if kind == "floats" else pixels
        np.savez(folder / "set.npz", images=floats.transpose(0, 3, 1, 2) if kind == "channels first" else floats)
    return f"numpy:{folder / 'set.npz'}"


@linux
@pytest.mark.slow
def test_loading_takes_little_more_memory_than_the_data(source, tmp_path):
    assert exit_code(load_measured, source, tmp_path / "data", tmp_path / "out.json", longest=300) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["size"] == COUNT * SIDE * SIDE * 3
    assert found["bytes"] <= 1.2 * found["size"]


@linux
@pytest.mark.slow
def test_a_set_larger_than_memory_is_trained_on(tmp_path):
    """In a shuffled pass, from a file that is only mapped."""
    count = int(BYTES / (3 * PIXELS**2))
    sparse_archive(tmp_path / "set.npz", count, PIXELS)
    try:
        source = f"numpy:{tmp_path / 'set.npz'}"
        assert exit_code(train_measured, source, tmp_path, tmp_path / "out.json", longest=600) == 0
    finally:
        (tmp_path / "set.npz").unlink()
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["steps"] == STEPS
    assert found["bytes"] < MOST
    print(found)


def test_large_data_train_the_same_run(tmp_path, monkeypatch):
    """Gathered a batch ahead, or on the device from the beginning: bit for bit."""
    small = train(config_of(), "small", pictures(), tmp_path, progress=False).load_checkpoint()
    monkeypatch.setattr(rows, "LARGE", 1)
    large = train(config_of(), "large", pictures(), tmp_path, progress=False).load_checkpoint()
    assert large["data"] == small["data"]
    assert all(torch.equal(small["method"][name], large["method"][name]) for name in small["method"])


def test_rows_behave_as_the_array_of_them(monkeypatch):
    monkeypatch.setattr(rows, "LARGE", 1)
    array = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)
    index = np.array([3, 3, 29, 0, 7])
    found, wanted = select(array, index), array[index]
    assert isinstance(found, Rows)
    assert (found.shape, found.ndim, found.nbytes, len(found)) == (wanted.shape, 4, wanted.nbytes, 5)
    for some in (2, slice(1, 4), [4, 0], wanted[:, 0, 0, 0] > 100):
        assert np.array_equal(found[some], wanted[some])
    assert np.array_equal(found, wanted)
    assert [image.tobytes() for image in found] == [image.tobytes() for image in wanted]
    again = select(found, np.array([True, False, True, True, False]))
    assert isinstance(again, Rows)
    assert again.base is array
    assert np.array_equal(again, wanted[[0, 2, 3]])


@pytest.mark.parametrize("part", [1, 100, 10**9])
def test_a_digest_does_not_depend_on_parts(monkeypatch, part):
    data = pictures()
    whole = data.fingerprint()
    monkeypatch.setattr(rows, "PART", part)
    monkeypatch.setattr(rows, "LARGE", 1)
    assert data.select(np.arange(len(data))).fingerprint() == whole
    monkeypatch.setattr("mixviz.data.dataset.DIGESTED", 1000)
    strided = data.fingerprint()
    monkeypatch.setattr(rows, "PART", 10**9)
    assert data.fingerprint() == strided


def test_batches_are_gathered_ahead_in_order():
    stored = np.arange(40, dtype=np.uint8)[:, None]
    ahead, order = Ahead(stored, torch.device("cpu")), torch.randperm(40).split(10)
    assert [ahead[index].flatten().tolist() for index in ahead.batches(order)] == [part.tolist() for part in order]
    assert ahead[torch.tensor([5, 2])].flatten().tolist() == [5, 2]
    assert list(ahead.batches([])) == []


def test_the_normaliser_is_fitted_to_the_pixels():
    data = pictures()
    normalise = inputs_of(data)[1]
    pixels = torch.from_numpy(data.stored).double().flatten(0, 2) / 255
    assert torch.equal(normalise.mean.flatten(), pixels.mean(dim=0).float())
    assert torch.equal(normalise.std.flatten(), pixels.std(dim=0).float())


def test_disk_and_time_are_announced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decode, "ANNOUNCED", 5000)
    monkeypatch.setattr(decode, "BLOCK", 4)
    for i in range(10):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(tmp_path / f"{i}.png")
    load(f"folder:{tmp_path}", "train", progress=False)
    assert "train: decoding takes about 0 min and 0.0 GB of disk, once\n" in capsys.readouterr().err


def test_skipped_images_leave_no_rows(tmp_path, own_data_folder):
    for i in range(6):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"nothing")
    for _ in range(2):  # decoded, then from the cache
        data = load(f"folder:{tmp_path}", "train", skip_bad=True, progress=False)
        assert data.stored[:, 0, 0, 0].tolist() == [0, 1, 3, 4, 5]
        assert isinstance(data.stored, np.memmap)


def test_a_disk_without_room_is_noticed_before_decoding(tmp_path, own_data_folder, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    Image.new("RGB", (16, 16)).save(tmp_path / "0.png")
    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    assert load(f"folder:{tmp_path}", "train", progress=False).stored.shape == (1, 16, 16, 3)
    monkeypatch.setattr(cache, "check_memory", lambda size, what, cure: (_ for _ in ()).throw(MemoryError(what)))
    with pytest.raises(MemoryError, match="1 decoded examples"):
        load(f"folder:{tmp_path}", "train", image_size=8, progress=False)


def test_archives_are_mapped_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setattr("mixviz.data.arrays.LARGE", 1000)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "set.npz", images=images, factor=np.arange(5))
    data = load(f"numpy:{tmp_path / 'set.npz'}", "train", progress=False)
    assert isinstance(data.stored, np.memmap)
    assert np.array_equal(data.stored, images)
    assert data.factors["factor"].tolist() == [0, 1, 2, 3, 4]
