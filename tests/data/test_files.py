"""Folders of images and parquet files: splits, classes and labels, and what is refused."""

import shutil
import sys
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixviz.data import files

# folders


def test_a_folder_with_a_folder_for_each_class(tmp_path, write_folder, load_quiet):
    write_folder(tmp_path / "pets" / "train")
    write_folder(tmp_path / "pets" / "val", n=2)
    train, test = (load_quiet(f"folder:{tmp_path / 'pets'}", split) for split in ("train", "test"))
    assert (train.name, train.split, train.class_names) == ("folder:pets", "train", ("cat", "dog"))
    assert train.stored[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert test.labels.tolist() == [0, 0, 1, 1]


def test_classes_are_numbered_as_in_train(tmp_path, write_folder, load_quiet, refusal):
    write_folder(tmp_path / "train")
    write_folder(tmp_path / "test", ("dog",))
    test = load_quiet(f"folder:{tmp_path}", "test")
    assert (test.labels.tolist(), test.class_names) == ([1] * 5, ("cat", "dog"))
    write_folder(tmp_path / "test", ("eel",))
    assert "has the class 'eel', but" in refusal(f"folder:{tmp_path}", "test")


def test_a_folder_without_splits_keeps_a_fifth_as_test(tmp_path, write_folder, load_quiet):
    source = f"folder:{write_folder(tmp_path / 'pets')}"
    train, test = (load_quiet(source, split) for split in ("train", "test"))
    shown = [image[0, 0, 0] for part in (train, test) for image in part.stored]
    assert sorted(shown) == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert (len(test), train.split, test.split) == (2, "train", "test")
    assert test.labels.tolist() == [red // 100 for red in test.stored[:, 0, 0, 0]]
    assert np.array_equal(test.stored, load_quiet(source, "test", seed=7).stored)


def test_a_folder_without_classes_has_no_labels(tmp_path, picture, load_quiet, refusal):
    (tmp_path / "photos" / "empty").mkdir(parents=True)
    for i in range(3):
        picture(i).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "._0.png").write_bytes(b"a hidden companion, as some file systems leave")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    images = load_quiet(f"folder:{tmp_path / 'photos'}")
    assert (len(images), images.labels, images.class_names) == (3, None, ())
    assert "neither labels nor a test split" in refusal(f"folder:{tmp_path / 'photos'}", "test")


def test_unlabelled_train_and_labelled_test(tmp_path, picture, write_folder, load_quiet):
    (tmp_path / "train").mkdir()
    picture(1).save(tmp_path / "train" / "0.png")
    write_folder(tmp_path / "valid")
    assert load_quiet(f"folder:{tmp_path}").labels is None
    assert load_quiet(f"folder:{tmp_path}", "test").labels.tolist() == [0] * 5 + [1] * 5


def test_the_current_folder_has_a_name(tmp_path, write_folder, load_quiet, monkeypatch):
    monkeypatch.chdir(write_folder(tmp_path / "pets"))
    assert load_quiet("folder:.").name == "folder:pets"


def test_what_a_folder_must_have(tmp_path, refusal):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    assert "has no images, such as .png or .jpg: add some" in refusal(f"folder:{tmp_path / 'empty'}")
    assert "there is nothing at" in refusal(f"folder:{tmp_path / 'nowhere'}")
    assert "is a file" in refusal(f"folder:{tmp_path / 'a.txt'}")


def test_what_systems_leave_in_folders_is_no_image(tmp_path, write_folder, load_quiet):
    root = write_folder(tmp_path / "pets", n=3)
    for left in (".ipynb_checkpoints", "@eaDir/0.png", "__MACOSX"):
        write_folder(root / "cat" / left, n=1)
        write_folder(root / left, n=1)
    images = load_quiet(f"folder:{root}", "all")
    assert (len(images), images.class_names) == (6, ("cat", "dog"))


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "Testing"), ("TRAIN", "dev")])
def test_splits_are_named_in_many_ways(tmp_path, write_folder, load_quiet, train, test):
    write_folder(tmp_path / train)
    write_folder(tmp_path / test, n=1)
    parts = [load_quiet(f"folder:{tmp_path}", split) for split in ("train", "test")]
    assert [(len(part), part.class_names) for part in parts] == [(10, ("cat", "dog")), (2, ("cat", "dog"))]


def test_split_names_without_train_are_refused(tmp_path, write_folder, refusal):
    write_folder(tmp_path, ("Test", "dev"))
    assert "has a folder Test but no train: rename the one to train on" in refusal(f"folder:{tmp_path}")


def test_a_class_may_be_called_train(tmp_path, write_folder, load_quiet):
    assert load_quiet(f"folder:{write_folder(tmp_path, ('car', 'train'))}").class_names == ("car", "train")


def test_one_folder_of_images_is_no_class(tmp_path, write_folder, load_quiet, refusal):
    root = write_folder(tmp_path / "photos", ("all",))
    images = load_quiet(f"folder:{root}")
    assert (len(images), images.labels, images.class_names) == (5, None, ())
    assert "neither labels nor a test split" in refusal(f"folder:{root}", "test")


def test_sub_folders_that_are_no_classes(tmp_path, write_folder, load_quiet, picture):
    root = write_folder(tmp_path / "photos", ("2023", "2024"))
    picture(7).save(root / "loose.png")
    images = load_quiet(f"folder:{root}", unlabelled=True)
    assert (len(images), images.labels, images.class_names) == (11, None, ())
    assert len(load_quiet(f"folder:{root}", "all")) == 10


def test_files_of_other_kinds_are_counted(tmp_path, write_folder, picture, load_quiet, capsys, refusal):
    root = write_folder(tmp_path / "pets", n=3)
    for i in range(5):
        (root / "cat" / f"{i}.HEIC").write_bytes(b"x")
    for name in ("features.h5", "clip.mpg", "scan"):  # Pillow registers the first two, but cannot decode them
        (root / "dog" / name).write_bytes(b"x")
    picture(1).save(root / "loose.png")
    assert len(load_quiet(f"folder:{root}", "all")) == 6
    said = capsys.readouterr().err
    assert "left out 9 files (5 .heic, " in said
    for part in ("1 .h5", "1 .mpg", "1 without a suffix", "1 images next to the folders of classes"):
        assert part in said
    assert "to read its .heic files, pip install pillow-heif" in said
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "0.heic").write_bytes(b"x")
    assert "has no images, such as .png or .jpg: to read its .heic files, pip" in refusal(f"folder:{tmp_path}/phone")


def test_plugins_of_pillow_are_registered(tmp_path, monkeypatch):
    plugin = types.ModuleType("pillow_heif")
    plugin.register_heif_opener = lambda: monkeypatch.setitem(Image.EXTENSION, ".heic", "PNG")
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    assert ".heic" in files._extensions.__wrapped__()


# parquet


def test_parquet_shards_with_class_names(tmp_path, png, write_parquet, load_quiet):
    for shard in range(2):
        images = [png(10 * shard + i) for i in range(3)]
        write_parquet(tmp_path / "set" / f"train-0000{shard}-of-00002.parquet", images, [0, 1, 0], ["a", "b"])
    write_parquet(tmp_path / "set" / "valid-00000-of-00001.parquet", [png(99)], [1])
    train, test = (load_quiet(f"parquet:{tmp_path / 'set'}", split) for split in ("train", "test"))
    assert (train.name, train.class_names) == ("parquet:set", ("a", "b"))
    assert train.stored[:, 0, 0, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert train.labels.tolist() == [0, 1, 0, 0, 1, 0]
    assert test.labels.tolist() == [1]


def test_one_parquet_file_without_labels(tmp_path, png, write_parquet, load_quiet):
    path = write_parquet(tmp_path / "set.parquet", [png(i) for i in range(4)])
    images = load_quiet(f"parquet:{path}")
    assert (images.name, len(images), images.labels) == ("parquet:set", 4, None)


def test_the_column_names_of_cifar(tmp_path, png, write_parquet, load_quiet):
    images, names = [png(i) for i in range(10)], ["a", "b"]
    path = write_parquet(tmp_path / "set.parquet", images, [0, 1] * 5, names, image="img", label="fine_label")
    found = load_quiet(f"parquet:{path}")
    assert (found.labels.tolist(), found.class_names) == ([red % 2 for red in found.stored[:, 0, 0, 0]], ("a", "b"))


def test_validation_is_not_mixed_with_test(tmp_path, png, write_parquet, load_quiet):
    for red, split in enumerate(("train", "validation", "test")):
        write_parquet(tmp_path / f"{split}-00000-of-00001.parquet", [png(red)], [-1 if split == "test" else 0])
    test = load_quiet(f"parquet:{tmp_path}", "test")
    assert (test.stored[:, 0, 0, 0].tolist(), test.labels) == ([2], None)


@pytest.mark.parametrize("names", [("train_0", "test_0"), ("train", "Validation"), ("train-00000-of-00001", "val-0")])
def test_names_of_shards(tmp_path, png, write_parquet, load_quiet, names):
    for red, name in enumerate(names):
        write_parquet(tmp_path / f"{name}.parquet", [png(red)], [0])
    shown = [load_quiet(f"parquet:{tmp_path}", split).stored[:, 0, 0, 0].tolist() for split in ("train", "test")]
    assert shown == [[0], [1]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.array([0, None]), "label is missing or negative in set.parquet, row 1"),
        (pa.array([-1, 1]), "label is missing or negative in set.parquet, row 0"),
        (pa.array([0, 2]), "label is 2 in set.parquet, row 1, but there are 2 class names"),
        (pa.array(["a", "b"]), "set.parquet: label is string: give one integer per row"),
    ],
)
def test_labels_that_are_refused(tmp_path, png, write_parquet, refusal, labels, message):
    path = write_parquet(tmp_path / "set.parquet", [png(0), png(1)], labels, ["a", "b"])
    assert message in refusal(f"parquet:{path}")


@pytest.mark.parametrize("labels", [pa.array([None, None], pa.int8()), pa.array([-1, -1])])
def test_no_label_in_any_row_is_no_labels(tmp_path, png, write_parquet, load_quiet, labels):
    path = write_parquet(tmp_path / "set.parquet", [png(0), png(1)], labels)
    assert load_quiet(f"parquet:{path}").labels is None


def test_labels_of_few_bits(tmp_path, png, write_parquet, load_quiet):
    path = write_parquet(tmp_path / "train-0.parquet", [png(0), png(1)], pa.array([3, 200], pa.uint8()))
    shutil.copy(path, tmp_path / "test-0.parquet")
    labels = load_quiet(f"parquet:{tmp_path}").labels
    assert (labels.tolist(), labels.dtype) == ([3, 200], np.int64)


def test_shards_with_and_without_labels(tmp_path, png, write_parquet, refusal):
    write_parquet(tmp_path / "train-0.parquet", [png(0)], [0])
    write_parquet(tmp_path / "train-1.parquet", [png(1)])
    assert "some shards of train have labels and some have none" in refusal(f"parquet:{tmp_path}")


def test_an_undecodable_row_is_named(tmp_path, png, write_parquet, load_quiet, refusal):
    path = write_parquet(tmp_path / "set.parquet", [png(0), b"broken", None, png(3)], [0, 0, 1, 1])
    assert "cannot decode set.parquet, row 1 (not an image)" in refusal(f"parquet:{path}")
    parts = [load_quiet(f"parquet:{path}", split, skip_bad=True) for split in ("train", "test")]
    assert {part.skipped for part in parts} == {2}
    assert {name for part in parts for name in part.origins} == {"set.parquet, row 0", "set.parquet, row 3"}


def test_damaged_parquet_names_the_file(tmp_path, png, write_parquet, refusal):
    path = write_parquet(tmp_path / "train-0.parquet", [png(0)])
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"PAR1" + content[50:]):
        path.write_bytes(damaged)
        assert "train-0.parquet cannot be read as parquet" in refusal(f"parquet:{path}")


def test_parquet_of_something_else(tmp_path, write_parquet, refusal):
    for column in (pa.array(["a"]), pa.array([b"a"]), pa.array([{"path": "a"}])):
        pq.write_table(pa.table({"image": column}), tmp_path / "a.parquet")
        assert "has the columns image: it needs image, a struct with bytes" in refusal(f"parquet:{tmp_path}")
    (tmp_path / "none").mkdir()
    assert "has no train-*.parquet: rename the training shards" in refusal(f"parquet:{tmp_path / 'none'}")
