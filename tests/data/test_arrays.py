"""NumPy archives: layouts, floats, factors, and what is refused."""

import numpy as np
import pytest


def test_arrays_with_labels_factors_and_test(write_arrays, load_quiet):
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    test = {"test_images": images[:2], "test_labels": [0, 1], "test_hue": np.array([0.5, 0.25])}
    source = write_arrays(images=images, labels=np.arange(6) % 2, hue=np.arange(6), other=np.arange(3), **test)
    train, test = load_quiet(source), load_quiet(source, "test")
    np.testing.assert_array_equal(train.stored, images)
    assert (train.name, train.labels.tolist()) == ("numpy:set", [0, 1, 0, 1, 0, 1])
    assert {name: values.tolist() for name, values in train.factors.items()} == {"hue": [0, 1, 2, 3, 4, 5]}
    assert (test.labels.tolist(), test.targets("hue").tolist()) == ([0, 1], [0.5, 0.25])


def test_a_fifth_is_test_with_its_factors(write_arrays, load_quiet):
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1) * np.ones((8, 8), np.uint8)
    source = write_arrays(images=images, labels=np.arange(10) % 2, row=np.arange(10))
    parts = [load_quiet(source, split) for split in ("train", "test")]
    assert all(set(part.labels) == {0, 1} for part in parts)
    for part in parts:
        np.testing.assert_array_equal(part.stored[:, 0, 0, 0], part.factors["row"])
        np.testing.assert_array_equal(part.labels, part.factors["row"] % 2)
    assert sorted(np.concatenate([part.factors["row"] for part in parts])) == list(range(10))


@pytest.mark.parametrize("shape", [(5, 16, 16), (5, 16, 16, 1), (5, 1, 16, 16), (5, 3, 16, 16), (5, 16, 16, 4)])
def test_layouts_of_arrays(write_arrays, load_quiet, shape):
    assert load_quiet(write_arrays(images=np.full(shape, 255, np.uint8))).stored.shape == (5, 16, 16, 3)


def test_channels_first_are_moved_last(write_arrays, load_quiet):
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    found = load_quiet(write_arrays(images=images.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(found.stored, images)


def test_transparency_is_blended_onto_white(write_arrays, load_quiet):
    images = np.broadcast_to(np.array([90, 10, 20, 128], np.uint8), (2, 16, 16, 4))
    assert load_quiet(write_arrays(images=images)).stored[0, 0, 0].tolist() == [172, 132, 137]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_scaled(write_arrays, load_quiet, dtype):
    images = np.ones((3, 16, 16, 3), dtype) * np.array([0, 0.2, 1], dtype).reshape(3, 1, 1, 1)
    assert load_quiet(write_arrays(images=images)).stored[:, 0, 0, 0].tolist() == [0, 51, 255]


def test_oblong_arrays_are_cropped_to_the_image_size(write_arrays, load_quiet):
    images = np.zeros((2, 16, 48, 3), np.uint8)
    images[:, :, 16:32] = 255
    assert (load_quiet(write_arrays(images=images), image_size=16).stored == 255).all()


NAN = np.zeros((3, 16, 16, 3), np.float32)
NAN[1, 2, 3, 0] = np.nan
LARGE = np.zeros((3, 16, 16, 3))
LARGE[2] = 1.5
GOOD = np.zeros((2, 16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": NAN}, "set.npz: images has NaN or infinite values, first in row 1"),
        ({"images": LARGE}, "set.npz: images has floats from 0 to 1.5, first in row 2: scale them"),
        ({"images": np.zeros((2, 16, 16, 3), np.int32)}, "is int32: make it uint8"),
        ({"images": np.zeros((2, 16, 16, 2), np.uint8)}, "is of shape (2, 16, 16, 2)"),
        ({"images": np.zeros((2, 16), np.uint8)}, "is of shape (2, 16)"),
        (
            {"images": np.zeros((2, 16, 20, 3), np.uint8)},
            "is 20x16, but encoders take square images: give --image-size",
        ),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, "is 4x4, smaller than 8 pixels"),
        ({"images": np.zeros((0, 16, 16, 3), np.uint8)}, "has nothing in train: add some"),
        ({"images": np.zeros((0, 16, 16, 3))}, "has nothing in train: add some"),
        ({"pixels": GOOD}, "holds pixels: it needs an array called images"),
        ({"images": GOOD, "labels": [0, 1, 2]}, "labels is of shape (3,): make it (2,), one label per image"),
        ({"images": GOOD, "labels": [0.5, 1]}, "labels is float64 of shape (2,): give one integer per image"),
        ({"images": GOOD, "labels": [0, -1]}, "labels is missing or negative in row 1"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_arrays_that_are_refused(write_arrays, refusal, arrays, message):
    assert message in refusal(write_arrays(**arrays))


def test_a_damaged_archive_names_the_file(tmp_path, refusal):
    path, images = tmp_path / "set.npz", np.random.default_rng(0).integers(0, 9, (4, 16, 16, 3), dtype=np.uint8)
    np.savez_compressed(path, images=images)
    content = path.read_bytes()
    for damaged in (content[:100], b"", content[:300] + bytes(200) + content[500:]):
        path.write_bytes(damaged)
        assert "set.npz cannot be read as an .npz of arrays" in refusal(f"numpy:{path}")


def test_archives_of_something_else(tmp_path, refusal):
    np.savez(tmp_path / "set.npz", images=np.array([{"a": 1}], dtype=object))
    assert "set.npz cannot be read as an .npz of arrays" in refusal(f"numpy:{tmp_path / 'set.npz'}")
    np.save(tmp_path / "set.npy", GOOD)
    assert "(it is a single array): write it with np.savez" in refusal(f"numpy:{tmp_path / 'set.npy'}")
