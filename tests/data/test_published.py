"""Published sets from small files in their publishers' own layouts, read by torchvision's own code."""

import pickle
import struct
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

RANDOM = np.random.default_rng(0)


def digest(path: Path) -> str:
    return md5(path.read_bytes()).hexdigest()


@pytest.fixture
def root(own_data_folder) -> Path:
    (own_data_folder / "datasets").mkdir(parents=True)
    return own_data_folder / "datasets"


@pytest.fixture(params=[("cifar10", datasets.CIFAR10, "labels"), ("cifar100", datasets.CIFAR100, "fine_labels")])
def cifar(request, root, monkeypatch):
    """The name of the set, and the images that were written, (4, 32, 32, 3)."""
    source, kind, key = request.param
    folder = root / kind.base_folder
    folder.mkdir()
    images = RANDOM.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    batch = {"data": images.transpose(0, 3, 1, 2).reshape(4, -1), key: [0, 1, 2, 3]}
    contents = {"train": batch, "test": {**batch, key: [3, 2, 1, 0]}, "meta": {kind.meta["key"]: list("abcd")}}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    for name in ("train", "test"):
        monkeypatch.setattr(kind, f"{name}_list", [[name, digest(folder / name)]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "filename": "meta", "md5": digest(folder / "meta")})
    return source, images


def test_cifar(cifar, load_quiet):
    source, images = cifar
    train, test = load_quiet(source), load_quiet(source, "test")
    np.testing.assert_array_equal(train.stored, images)
    assert (train.labels.tolist(), train.labels.dtype) == ([0, 1, 2, 3], np.int64)
    assert test.labels.tolist() == [3, 2, 1, 0]
    assert train.class_names == tuple("abcd")
    assert train.name == {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[source]
    assert load_quiet(source, image_size=16).stored.shape == (4, 16, 16, 3)


def test_fashion_mnist(root, load_quiet):
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    images = RANDOM.integers(0, 256, (4, 28, 28), dtype=np.uint8)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, 4, 28, 28) + images.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, 4) + bytes([9, 0, 1, 2]))
    for split in ("train", "test"):
        found = load_quiet("fashion-mnist", split)
        np.testing.assert_array_equal(found.stored, np.stack([images] * 3, axis=3))
        assert (found.labels.tolist(), found.class_names[9]) == ([9, 0, 1, 2], "Ankle boot")


def pairs(images, labels) -> set:
    return {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}


def test_optical_digits_come_with_scikit_learn(load_quiet):
    from sklearn.datasets import load_digits

    train, test = (load_quiet("optical-digits", split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1438, 359)
    assert train.stored.shape[1:] == (8, 8, 3)
    assert (train.name, train.class_names) == ("optical digits", tuple("0123456789"))
    every = load_digits()
    wanted = np.round(every.images * 255 / 16).astype(np.uint8)
    assert pairs([*train.stored[..., 0], *test.stored[..., 0]], [*train.labels, *test.labels]) == pairs(
        wanted, every.target
    )
    assert load_quiet("optical-digits", "test", image_size=16).stored.shape == (359, 16, 16, 3)


def test_stl10(root, monkeypatch, load_quiet, refusal):
    folder = root / "stl10_binary"
    folder.mkdir()
    images = RANDOM.integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    for split in ("train", "test", "unlabeled"):
        (folder / f"{split}_X.bin").write_bytes(images.transpose(0, 3, 2, 1).tobytes())  # column by column
        (folder / f"{split}_y.bin").write_bytes(bytes([1, 2, 10]))  # from 1
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    parts = {"train": ["train_X.bin", "train_y.bin", "unlabeled_X.bin"], "test": ["test_X.bin", "test_y.bin"]}
    for split, files in parts.items():
        monkeypatch.setattr(datasets.STL10, f"{split}_list", [[file, digest(folder / file)] for file in files])
    for split in ("train", "test"):
        found = load_quiet("stl10", split)
        np.testing.assert_array_equal(found.stored, images)
        assert (found.labels.tolist(), found.class_names[9]) == ([0, 1, 9], "j")
    unlabelled = load_quiet("stl10-unlabeled")
    np.testing.assert_array_equal(unlabelled.stored, images)
    assert unlabelled.labels is None
    assert "stl10-unlabeled has no test split: evaluate on stl10" in refusal("stl10-unlabeled", "test")


@pytest.mark.parametrize("source", ["cifar10", "cifar100", "stl10", "fashion-mnist"])
def test_no_network_names_the_folder_and_the_cure(monkeypatch, root, refusal, source):
    def offline(*arguments, **options):
        raise OSError("no route to host")

    for module in ("cifar", "stl10", "mnist"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", offline)
    message = refusal(source)
    assert f"{source} is not in {root} and cannot be downloaded" in message
    assert "parquet:PATH" in message


@pytest.fixture
def tiny_imagenet(root, picture) -> Path:
    folder = root / "tiny-imagenet-200"
    for red, wnid in enumerate(("n02", "n01")):
        (folder / "train" / wnid / "images").mkdir(parents=True)
        picture(100 * red, (64, 64)).save(folder / "train" / wnid / "images" / f"{wnid}_0.JPEG")
    (folder / "val" / "images").mkdir(parents=True)
    picture(200, (64, 64), "L").save(folder / "val" / "images" / "val_0.JPEG")
    (folder / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\t0\t0\t1\t1\n")
    (folder / "wnids.txt").write_text("n02\nn01\n")
    (folder / "words.txt").write_text("n01\tgoldfish, carp\nn02\tfrog\n")
    return folder


def test_tiny_imagenet_as_unpacked(tiny_imagenet, load_quiet):
    train, test = load_quiet("tiny-imagenet"), load_quiet("tiny-imagenet", "test")
    assert (train.name, train.class_names) == ("Tiny ImageNet", ("frog", "goldfish"))
    assert train.labels.tolist() == [round(red / 100) for red in train.stored[:, 0, 0, 0]] == [1, 0]
    assert (test.labels.tolist(), test.stored.shape) == ([1], (1, 64, 64, 3))


def test_tiny_imagenet_of_another_size(tiny_imagenet, load_quiet):
    for size in (32, None):
        assert load_quiet("tiny-imagenet", image_size=size).stored.shape[1:3] == (size or 64, size or 64)


@pytest.mark.parametrize("part", ["wnids.txt", "words.txt", "train/n01/images/n01_0.JPEG", "val/images/val_0.JPEG"])
def test_incomplete_tiny_imagenet(tiny_imagenet, refusal, part):
    (tiny_imagenet / part).unlink()
    if part.startswith("train"):
        (tiny_imagenet / "train/n02/images/n02_0.JPEG").unlink()
    split = "test" if part.startswith("val") else "train"
    assert "is not complete" in refusal("tiny-imagenet", split)


def test_no_tiny_imagenet(root, refusal):
    message = refusal("tiny-imagenet")
    assert f"unpack the publisher's tiny-imagenet-200.zip in {root}" in message
