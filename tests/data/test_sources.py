"""Sources of one's own and published ones, on small files written here: what is read, and what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixviz.data import SOURCES, decode, load
from mixviz.errors import UserError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))


def picture(value, size=(16, 16), mode="RGB"):
    colour = {"RGB": (value, 10, 20), "L": value, "RGBA": (value, 10, 20, 128), "CMYK": (value, 0, 0, 0)}[mode]
    return Image.new(mode, size, colour)


def png(value, size=(16, 16), mode="RGB"):
    import io

    buffer = io.BytesIO()
    picture(value, size, mode).save(buffer, "png")
    return buffer.getvalue()


def write_folder(root: Path, classes=("cat", "dog"), n=5):
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(n):
            picture(100 * c + i).save(root / name / f"{i}.png")
    return root


def write_parquet(path: Path, images, labels=None, names=None):
    columns = {"image": pa.array([{"bytes": b, "path": None} for b in images])}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.int64())
    table = pa.table(columns)
    if names:
        info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def load_quiet(source, split="train", **arguments):
    return load(str(source), split, progress=False, **arguments)


def refusal(source, split="train", **arguments):
    with pytest.raises(UserError) as caught:
        load_quiet(source, split, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# a folder


def test_a_folder_with_a_folder_for_each_class(tmp_path):
    write_folder(tmp_path / "pets" / "train")
    write_folder(tmp_path / "pets" / "val", n=2)
    train, test = (load_quiet(f"folder:{tmp_path / 'pets'}", split) for split in ("train", "test"))
    assert (train.name, train.split, train.class_names) == ("folder:pets", "train", ("cat", "dog"))
    assert train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_a_folder_without_splits_keeps_a_fifth_as_test(tmp_path):
    write_folder(tmp_path / "pets")
    train, test = (load_quiet(f"folder:{tmp_path / 'pets'}", split) for split in ("train", "test"))
    shown = [image[0, 0, 0] for part in (train, test) for image in part.images]
    assert sorted(shown) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert len(test) == 2
    assert [label * 100 for label in test.labels] == [value // 100 * 100 for value in test.images[:, 0, 0, 0]]
    again = load_quiet(f"folder:{tmp_path / 'pets'}", "test")
    assert np.array_equal(test.images, again.images)


def test_a_folder_without_classes_has_no_labels(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        picture(i).save(tmp_path / "photos" / f"{i}.png")
    images = load_quiet(f"folder:{tmp_path / 'photos'}")
    assert (len(images), images.labels) == (3, None)
    with pytest.raises(UserError, match="has no labels"):
        images.targets()
    assert "neither labels nor a test split" in refusal(f"folder:{tmp_path / 'photos'}", "test")


def test_what_a_folder_must_have(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    assert "has no images" in refusal(f"folder:{tmp_path / 'empty'}")
    assert "there is nothing at" in refusal(f"folder:{tmp_path / 'nowhere'}")
    assert "is a file" in refusal(f"folder:{tmp_path / 'a.txt'}")


def test_one_class_alone_is_no_target(tmp_path):
    write_folder(tmp_path, ("cat",))
    images = load_quiet(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="has one label alone"):
        images.targets()


# kinds and sizes of images


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", (90, 90, 90)), ("RGB", (90, 10, 20)), ("RGBA", (172, 132, 137)), ("CMYK", (165, 255, 255))],
)
def test_every_kind_becomes_rgb(tmp_path, mode, expected):
    name = "0.png" if mode != "CMYK" else "0.tiff"
    picture(90, mode=mode).save(tmp_path / name)
    image = load_quiet(f"folder:{tmp_path}").images[0]
    np.testing.assert_allclose(image[3, 3], expected, atol=1)


def test_palette_and_16_bit(tmp_path):
    picture(90).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "0.png")
    Image.fromarray(np.full((16, 16), 90 * 256, np.uint16)).save(tmp_path / "1.png")
    images = load_quiet(f"folder:{tmp_path}").images
    np.testing.assert_array_equal(images[0, 0, 0], [90, 10, 20])
    np.testing.assert_array_equal(images[1, 0, 0], [90, 90, 90])


def test_several_sizes_need_an_image_size(tmp_path):
    picture(1, (16, 16)).save(tmp_path / "0.png")
    picture(1, (40, 20)).save(tmp_path / "1.png")
    message = refusal(f"folder:{tmp_path}")
    assert "16x16" in message
    assert "1.png is 40x20" in message
    assert "--image-size" in message
    assert load_quiet(f"folder:{tmp_path}", image_size=12).images.shape == (2, 12, 12, 3)


def test_resizing_keeps_the_middle(tmp_path):
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255
    Image.fromarray(wide).save(tmp_path / "0.png")
    assert (load_quiet(f"folder:{tmp_path}", image_size=16).images[0] == 255).all()


def test_oblong_and_tiny_images_are_refused(tmp_path):
    picture(1, (40, 20)).save(tmp_path / "0.png")
    assert "take squares: give --image-size" in refusal(f"folder:{tmp_path}")
    picture(1, (4, 4)).save(tmp_path / "0.png")
    assert "smaller than 8 pixels" in refusal(f"folder:{tmp_path}")


def test_an_undecodable_file_is_named_or_skipped(tmp_path):
    root = write_folder(tmp_path / "pets", n=3)
    (root / "cat" / "1.png").write_bytes(b"no image")
    (root / "dog" / "0.png").write_bytes(png(7)[:40])
    message = refusal(f"folder:{root}")
    assert "cannot decode cat/1.png (not an image)" in message
    assert "--skip-bad" in message
    parts = [load_quiet(f"folder:{root}", split, skip_bad=True) for split in ("train", "test")]
    assert sum(map(len, parts)) == 4
    assert {part.skipped for part in parts} == {2}


def test_nothing_but_undecodable_files(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    assert "none of the 1 images" in refusal(f"folder:{tmp_path}", skip_bad=True)


# parquet


def test_parquet_shards_with_class_names(tmp_path):
    for shard in range(2):
        images = [png(10 * shard + i) for i in range(3)]
        write_parquet(tmp_path / "set" / f"train-0000{shard}-of-00002.parquet", images, [0, 1, 0], ["a", "b"])
    write_parquet(tmp_path / "set" / "valid-00000-of-00001.parquet", [png(99)], [1])
    train, test = (load_quiet(f"parquet:{tmp_path / 'set'}", split, name="My set") for split in ("train", "test"))
    assert (train.name, train.class_names) == ("My set", ("a", "b"))
    assert train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert train.labels.tolist() == [0, 1, 0, 0, 1, 0]
    assert test.labels.tolist() == [1]


def test_one_parquet_file_without_labels(tmp_path):
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)])
    images = load_quiet(f"parquet:{path}")
    assert (images.name, len(images), images.labels) == ("parquet:set", 4, None)


def test_an_undecodable_row_is_named(tmp_path):
    path = write_parquet(tmp_path / "set.parquet", [png(0), b"broken", None, png(3)], [0, 0, 1, 1])
    assert "cannot decode set.parquet, row 1 (not an image)" in refusal(f"parquet:{path}")
    parts = [load_quiet(f"parquet:{path}", split, skip_bad=True) for split in ("train", "test")]
    assert {part.skipped for part in parts} == {2}


def test_damaged_parquet_names_the_file(tmp_path):
    path = write_parquet(tmp_path / "train-0.parquet", [png(0)])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "train-0.parquet cannot be read as parquet" in refusal(f"parquet:{path}")
    path.write_bytes(b"")
    assert "cannot be read as parquet" in refusal(f"parquet:{path}")


def test_parquet_of_something_else(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    assert "has the columns text: it needs image" in refusal(f"parquet:{tmp_path / 'a.parquet'}")
    (tmp_path / "none").mkdir()
    assert "has no train-*.parquet" in refusal(f"parquet:{tmp_path / 'none'}")


# arrays


def write_arrays(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return f"numpy:{tmp_path / 'set.npz'}"


def test_arrays_with_labels_factors_and_test(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    source = write_arrays(
        tmp_path, images=images, labels=np.arange(6) % 2, hue=np.arange(6), test_images=images[:2], test_labels=[0, 1]
    )
    train, test = load_quiet(source), load_quiet(source, "test")
    np.testing.assert_array_equal(train.images, images)
    assert train.targets("hue").tolist() == list(range(6))
    assert len(test) == 2
    with pytest.raises(UserError, match="unknown factor 'hues': did you mean 'hue'"):
        train.targets("hues")


@pytest.mark.parametrize("shape", [(5, 16, 16), (5, 16, 16, 1), (5, 1, 16, 16), (5, 3, 16, 16), (5, 16, 16, 4)])
def test_layouts_of_arrays(tmp_path, shape):
    assert load_quiet(write_arrays(tmp_path, images=np.full(shape, 255, np.uint8))).images.shape == (5, 16, 16, 3)


def test_floats_are_scaled(tmp_path):
    images = load_quiet(write_arrays(tmp_path, images=np.full((2, 16, 16, 3), 0.5)))
    assert (images.images == 128).all()


NAN = np.zeros((3, 16, 16, 3), np.float32)
NAN[1, 2, 3, 0] = np.nan


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": NAN}, "set.npz: images has NaN or infinite values, first in row 1"),
        ({"images": np.full((2, 16, 16, 3), 1.5)}, "has floats from 1.5 to 1.5: scale them"),
        ({"images": np.zeros((2, 16, 16, 3), np.int32)}, "is int32: make it uint8"),
        ({"images": np.zeros((2, 16, 16, 2), np.uint8)}, "is of shape (2, 16, 16, 2)"),
        ({"images": np.zeros((2, 16), np.uint8)}, "is of shape (2, 16)"),
        ({"images": np.zeros((2, 16, 20, 3), np.uint8)}, "is 20x16: make the images square"),
        ({"images": np.zeros((0, 16, 16, 3), np.uint8)}, "has no images in train"),
        ({"pixels": np.zeros((2, 16, 16, 3), np.uint8)}, "holds pixels: it needs an array called images"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8), "labels": [0, 1, 2]}, "labels is of shape (3,): make it (2,)"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8), "labels": [0.5, 1]}, "labels is float64: make it whole"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_arrays_that_are_refused(tmp_path, arrays, message):
    assert message in refusal(write_arrays(tmp_path, **arrays))


def test_a_damaged_archive_names_the_file(tmp_path):
    source = write_arrays(tmp_path, images=np.zeros((2, 16, 16, 3), np.uint8))
    path = tmp_path / "set.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert "set.npz cannot be read as an .npz" in refusal(source)
    np.savez(path, images=np.array([{"a": 1}], dtype=object))
    assert "set.npz cannot be read as an .npz" in refusal(source)


# published sets


def test_unknown_sets_and_splits():
    assert "unknown data set 'cifar-10': did you mean 'cifar10'" in refusal("cifar-10")
    assert "unknown split 'val'" in refusal("glyphs", "val")


class FakeCifar:
    def __init__(self, root, train, download):
        assert download
        self.data = np.full((4, 32, 32, 3), 7 if train else 9, np.uint8)
        self.targets, self.classes = [0, 1, 2, 3], list("abcd")


class FakeFashion(FakeCifar):
    def __init__(self, root, train, download):
        super().__init__(root, train, download)
        self.data = self.data[..., 0]


class FakeStl:
    def __init__(self, root, split, download):
        self.data = np.zeros((4, 3, 96, 96), np.uint8)
        self.data[:, 2] = 50
        self.labels, self.classes = np.array([0, 1, 2, 3] if split != "unlabeled" else [-1] * 4), list("abcd")


@pytest.mark.parametrize(
    ("source", "attribute", "fake", "size"),
    [
        ("cifar10", "CIFAR10", FakeCifar, 32),
        ("cifar100", "CIFAR100", FakeCifar, 32),
        ("fashion-mnist", "FashionMNIST", FakeFashion, 32),
        ("stl10", "STL10", FakeStl, 96),
    ],
)
def test_torchvision_sets(monkeypatch, source, attribute, fake, size):
    monkeypatch.setattr(f"torchvision.datasets.{attribute}", fake)
    for split in ("train", "test"):
        images = load_quiet(source, split)
        assert images.images.shape == (4, size, size, 3)
        assert images.labels.tolist() == [0, 1, 2, 3]
        assert images.class_names == tuple("abcd")
    assert load_quiet(source, image_size=16).images.shape == (4, 16, 16, 3)


def test_stl10_unlabelled(monkeypatch):
    monkeypatch.setattr("torchvision.datasets.STL10", FakeStl)
    images = load_quiet("stl10-unlabeled")
    assert images.labels is None
    assert images.images[0, 0, 0].tolist() == [0, 0, 50]
    assert "evaluate on stl10" in refusal("stl10-unlabeled", "test")


def test_no_network_names_the_folder_and_the_cure(monkeypatch):
    def offline(*arguments, **keywords):
        raise OSError("no route")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", offline)
    message = refusal("cifar10")
    assert "cannot be downloaded (no route)" in message
    assert "parquet:PATH" in message


def test_tiny_imagenet_as_unpacked(tmp_path):
    root = tmp_path / "data" / "datasets" / "tiny-imagenet-200"
    assert "unpack the publisher's tiny-imagenet-200.zip" in refusal("tiny-imagenet")
    for c, wnid in enumerate(("n02", "n01")):
        (root / "train" / wnid / "images").mkdir(parents=True)
        picture(c, (64, 64)).save(root / "train" / wnid / "images" / f"{wnid}_0.JPEG")
    (root / "val" / "images").mkdir(parents=True)
    picture(200, (64, 64), "L").save(root / "val" / "images" / "val_0.JPEG")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01\t0\t0\t1\t1\n")
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n01\tgoldfish, carp\nn02\tfrog\n")
    train, test = load_quiet("tiny-imagenet"), load_quiet("tiny-imagenet", "test")
    assert train.class_names == ("frog", "goldfish")
    assert sorted(train.labels.tolist()) == [0, 1]
    assert (test.labels.tolist(), test.images.shape) == ([1], (1, 64, 64, 3))


def test_every_source_is_described():
    assert all(SOURCES.values())


# the cache


@pytest.fixture
def decodings(monkeypatch):
    """How often images are decoded."""
    counted, original = [], decode.decode_all

    def counting(*arguments, **keywords):
        counted.append(1)
        return original(*arguments, **keywords)

    monkeypatch.setattr("mixviz.data.files.decode_all", counting)
    return counted


def test_the_second_open_decodes_nothing(tmp_path, decodings):
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)], [0, 1, 0, 1])
    first, second = load_quiet(f"parquet:{path}"), load_quiet(f"parquet:{path}")
    assert len(decodings) == 1
    assert isinstance(second.images, np.ndarray)
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.labels, second.labels)


def test_changed_content_and_options_are_noticed(tmp_path, decodings):
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)])
    load_quiet(f"parquet:{path}")
    write_parquet(path, [png(9 + i) for i in range(4)])
    assert load_quiet(f"parquet:{path}").images[0, 0, 0, 0] == 9
    load_quiet(f"parquet:{path}", image_size=8)
    assert len(decodings) == 3
    folder = write_folder(tmp_path / "pets")
    load_quiet(f"folder:{folder}")
    picture(77).save(folder / "cat" / "0.png")
    os.utime(folder / "cat" / "0.png", ns=(1, 1))
    everything = [load_quiet(f"folder:{folder}", split).images[:, 0, 0, 0] for split in ("train", "test")]
    assert 77 in np.concatenate(everything)


def test_an_interrupted_decoding_leaves_nothing(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)])

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mixviz.data.cache.os.rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_quiet(f"parquet:{path}")
    assert list((tmp_path / "data" / "cache").iterdir()) == []
    assert len(load_quiet(f"parquet:{path}")) == 4


def test_an_unwritable_cache_only_costs_time(tmp_path, monkeypatch, capsys):
    (tmp_path / "blocked").write_text("a file")
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "blocked"))
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)])
    assert len(load_quiet(f"parquet:{path}")) == 4
    assert "decoded anew each time" in capsys.readouterr().err


def test_select_and_tensor(tmp_path):
    images = load_quiet(write_arrays(tmp_path, images=np.zeros((6, 8, 8, 3), np.uint8), f=np.arange(6)))
    some = images.select([4, 1])
    assert (some.factors["f"].tolist(), len(some)) == ([4, 1], 2)
    assert tuple(some.tensor().shape) == (2, 8, 8, 3)


# real sets, where they are at hand

REAL = Path(os.environ.get("MIXVIZ_TEST_DATASETS") or Path(__file__).resolve().parents[3] / "shared" / "datasets")


@pytest.mark.skipif(not (REAL / "cifar10").exists(), reason="no CIFAR-10 parquet files in $MIXVIZ_TEST_DATASETS")
def test_real_cifar10():
    import time

    images = load_quiet(f"parquet:{REAL / 'cifar10'}", "test", name="CIFAR-10 (JPEG)")
    assert images.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert images.class_names[:2] == ("airplane", "automobile")
    began = time.process_time()
    again = load_quiet(f"parquet:{REAL / 'cifar10'}", "test")
    assert time.process_time() - began < 1
    assert np.array_equal(images.images[::1000], again.images[::1000])
