"""The film: what is kept of an embedding, when frames are taken, and that the file comes back as it was."""

import subprocess
import sys

import numpy as np
import pytest

from mixviz.errors import UserError
from mixviz.files import from_planes, in_planes
from mixviz.film import Film, filmed_epochs, joined


@pytest.fixture
def film() -> Film:
    rng = np.random.default_rng(0)
    return Film(
        epochs=np.array([0, 1, 3]),
        rows=np.arange(5, dtype=np.int32),
        labels=np.array([0, 1, 0, 1, 2], np.int16),
        embeddings={"backbone": rng.normal(size=(3, 5, 4)).astype(np.float16)},
        kept={"backbone": np.array([0.9, 0.8, 0.7], np.float32)},
        curves={"loss": np.array([3, 2, np.nan], np.float32), "hardness": rng.random((3, 6)).astype(np.float32)},
        about={"ranks": [1, 2, 4], "class_names": ["cat", "dog", "horse"], "method": "moco-v2"},
    )


def test_what_was_saved_is_loaded(film, tmp_path):
    film.save(tmp_path / "film.npz")
    again = Film.load(tmp_path / "film.npz")
    for name in ("epochs", "rows", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(film, name))
        assert getattr(again, name).dtype == getattr(film, name).dtype
    for kind in ("embeddings", "kept", "curves"):
        assert getattr(again, kind).keys() == getattr(film, kind).keys()
        for name, values in getattr(film, kind).items():
            np.testing.assert_array_equal(getattr(again, kind)[name], values)
    assert again.about == film.about
    assert [path.name for path in tmp_path.iterdir()] == ["film.npz"]


def test_every_half_precision_number_survives_the_planes_it_is_kept_in():
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    arrays = {"all": numbers.reshape(2, -1).T, "some": numbers[:1501], "few": numbers[:9], "other": np.arange(3)}
    planes = in_planes(arrays)
    assert {planes[name].dtype for name in ("all.high", "all.low", "some.high", "some.low")} == {np.dtype(np.uint8)}
    again = from_planes(planes)
    assert list(again) == list(arrays)
    for name, values in arrays.items():
        assert (again[name].dtype, again[name].shape) == (values.dtype, values.shape)
        assert again[name].tobytes() == values.tobytes()


def test_planes_that_do_not_fit_are_refused():
    planes = in_planes({"x": np.zeros(1501, np.float16)})
    for broken in ({"x.high": planes["x.high"]}, planes | {"x.low": planes["x.low"][:, 1:]}):
        with pytest.raises(ValueError, match="does not fit"):
            from_planes(broken)


def test_frames_and_curves_are_found_by_epoch_and_name(film):
    assert [film.at(epoch) for epoch in (0, 1.4, 2, 2.1, 99)] == [0, 1, 1, 2, 2]
    assert film.embedding(1).dtype == np.float32
    np.testing.assert_array_equal(film.embedding(1), film.embeddings["backbone"][1])
    assert list(film.scalars()) == ["epoch", "loss"]
    with pytest.raises(UserError, match="hardness"):
        film.curve("hardnes")
    with pytest.raises(UserError, match="backbone"):
        film.embedding(0, "head")


def test_a_film_that_is_missing_damaged_or_of_another_edition_is_said_in_one_line(film, tmp_path, monkeypatch):
    path = tmp_path / "film.npz"
    with pytest.raises(UserError, match="--film-frames"):
        Film.load(path)
    path.write_bytes(b"PK\x03\x04 no film")
    with pytest.raises(UserError, match="damaged"):
        Film.load(path)
    monkeypatch.setattr("mixviz.film.EDITION", 0)
    film.save(path)
    monkeypatch.undo()
    with pytest.raises(UserError, match="another edition"):
        Film.load(path)


def test_reading_a_film_needs_no_torch(film, tmp_path):
    film.save(tmp_path / "film.npz")
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from mixviz.film import Film\n"
        f"print(len(Film.load(Path({str(tmp_path / 'film.npz')!r}))))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "3", found.stderr


@pytest.mark.parametrize(("epochs", "frames"), [(1, 24), (6, 24), (23, 24), (24, 24), (100, 24), (200, 24), (800, 24)])
def test_frames_begin_before_training_end_with_it_and_lie_dense_early(epochs, frames):
    marks = filmed_epochs(epochs, frames)
    assert marks[0] == 0
    assert marks[-1] == epochs
    assert len(marks) <= frames
    assert len(marks) == min(epochs + 1, frames)
    steps = np.diff(marks)
    assert (steps >= 1).all()
    assert steps[0] == 1
    assert steps[-1] == steps.max()


def test_few_frames_are_first_and_last():
    assert filmed_epochs(10, 0) == ()
    assert filmed_epochs(10, 1) == filmed_epochs(10, 2) == (0, 10)
    assert filmed_epochs(10, 3) == (0, 1, 10)


def test_what_a_frame_lacks_is_not_a_number():
    curves = joined([{"loss": 1.0}, {"loss": 2.0, "hardness": np.array([0.5, 0.1])}])
    assert curves["loss"].tolist() == [1, 2]
    assert np.isnan(curves["hardness"][0]).all()
    assert curves["hardness"][1].tolist() == pytest.approx([0.5, 0.1])
