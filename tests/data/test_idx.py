"""Files of MNIST and its kin, as anyone has them: in a folder, in torchvision's, and in Debian's."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mixviz.data import published
from mixviz.data.published import is_here

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 28, 28), np.uint8)
LABELS = np.array([9, 0, 1, 2, 0, 9], np.uint8)


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write_idx(tmp_path):
    """Writes train and test in a folder, compressed or not."""

    def write(name: str = "mnist", suffix: str = ".gz") -> Path:
        folder, pack = tmp_path / name, gzip.compress if suffix else bytes
        folder.mkdir()
        for split in ("train", "t10k"):
            part = slice(None) if split == "train" else slice(4)
            (folder / f"{split}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(IMAGES[part])))
            (folder / f"{split}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS[part])))
        return folder

    return write


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_a_folder_of_idx_files(write_idx, load_quiet, suffix):
    folder = write_idx(suffix=suffix)
    train, test = load_quiet(f"idx:{folder}"), load_quiet(f"idx:{folder}", "test")
    np.testing.assert_array_equal(train.stored, np.stack([IMAGES] * 3, axis=3))
    assert (train.labels.tolist(), train.labels.dtype, train.name) == (LABELS.tolist(), np.int64, "idx:mnist")
    assert test.labels.tolist() == LABELS[:4].tolist()
    assert load_quiet(f"idx:{folder}", image_size=14).stored.shape == (6, 14, 14, 3)


def test_images_without_labels_or_test(write_idx, load_quiet):
    folder = write_idx()
    for name in ("train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (folder / name).unlink()
    assert load_quiet(f"idx:{folder}").labels is None
    assert len(load_quiet(f"idx:{folder}", "all")) == 6


def test_other_names_of_the_same(write_idx, load_quiet):
    folder = write_idx(suffix="")
    (folder / "train-images-idx3-ubyte").rename(folder / "emnist-letters-train-images.idx3-ubyte")
    assert len(load_quiet(f"idx:{folder}")) == 6


DAMAGES = {
    "cut off": (lambda old: old[:-1], "it has fewer than 4,704 numbers"),
    "too long": (lambda old: old + b"x", "it has more than 4,704 numbers"),
    "empty": (lambda old: b"", "it is damaged"),
    "floats": (lambda old: idx(IMAGES, 0x0D), "it is no idx file of unsigned bytes"),
    "text": (lambda old: b"an error page", "it is no idx file of unsigned bytes"),
    "huge": (lambda old: struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31) + b"x", "memory|fewer than"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_named(write_idx, refusal, name):
    change, said = DAMAGES[name]
    file = write_idx(suffix="") / "train-images-idx3-ubyte"
    file.write_bytes(change(file.read_bytes()))
    line = refusal(f"idx:{file.parent}")
    assert "train-images-idx3-ubyte" in line
    assert any(part in line for part in said.split("|"))


def test_files_that_do_not_belong_together(write_idx, refusal):
    folder = write_idx()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"not compressed")
    assert "train-images-idx3-ubyte.gz: it is damaged" in refusal(f"idx:{folder}")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[:5])))
    assert "has labels of shape (6,), but 5 images" in refusal(f"idx:{folder}")
    (folder / "train-images-idx3-ubyte.gz").unlink()
    assert "has no train images, such as train-images-idx3-ubyte.gz" in refusal(f"idx:{folder}")


def test_debians_fashion_mnist_needs_no_network(write_idx, load_quiet, monkeypatch):
    monkeypatch.setitem(published.DEBIAN, "fashion-mnist", Path("/nowhere"))
    assert not is_here("fashion-mnist")
    monkeypatch.setitem(published.DEBIAN, "fashion-mnist", write_idx("fashion-mnist"))
    assert is_here("fashion-mnist")
    train, test = load_quiet("fashion-mnist"), load_quiet("fashion-mnist", "test")
    np.testing.assert_array_equal(train.stored[..., 0], IMAGES)
    assert (train.name, train.class_names[9], len(test)) == ("Fashion-MNIST", "Ankle boot", 4)
