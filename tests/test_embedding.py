"""Features of one's own data: any source, size and layer, in any of the three files."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import mixviz
from mixviz.__main__ import main
from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.data.decode import resize
from mixviz.domains import clean
from mixviz.embedding import embed, examples_for, tabulated
from mixviz.errors import MissingData, UserError
from mixviz.evaluate import extract
from mixviz.pretrained import find
from mixviz.runs import Run
from mixviz.train import train

SHORT = {"epochs": 1, "batch_size": 16, "framework": "n-pair", "dim": 8, "hidden": 16, "film_frames": 0}
SHORT |= {"knn_every": 0, "dtype": "float32"}


def pixels(n: int, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """LooC on 40 images of 16 px."""
    images = Dataset(name="noise", split="train", stored=pixels(40))
    config = RunConfig.of(**SHORT, mixing=["looc"], looc_left_out=["color"])
    return train(config, "noise", images, tmp_path_factory.mktemp("runs"), progress=False)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Run:
    """N-pair on a table with a column of words."""
    folder = tmp_path_factory.mktemp("table")
    random = np.random.default_rng(0)
    table = pd.DataFrame({"age": random.normal(40, 10, 60), "colour": random.choice(["red", "blue"], 60)})
    table.assign(kind=np.arange(60) % 2).to_csv(folder / "known.csv", index=False)
    config = RunConfig.of(data=f"csv:{folder / 'known.csv'}", target="kind", **SHORT)
    return train(config, "rows", root=folder / "runs", progress=False)


@pytest.fixture
def photos(tmp_path) -> Path:
    """Six photos of several sizes, in two folders."""
    for i, image in enumerate(pixels(6, 40)):
        folder = tmp_path / "photos" / ("cat" if i < 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((40 + i, 30)).save(folder / f"{i}.png")
    return tmp_path / "photos"


def test_features_are_those_that_evaluations_read(run):
    images = Dataset(name="new", split="all", stored=pixels(20, seed=1))
    found = mixviz.embed(run, images, batch_size=7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, extract(run.encoder(device="cpu"), images), atol=1e-5)


def test_embedding_costs_little_more_than_the_bare_passes():
    """Of 3,000 images of 32 px by the default network, read from bytes: the fastest of three turns each."""
    run, images = find("glyphs-moco-v2-seed1"), pixels(3000, 32)
    embedder, batches = (
        run.encoder(device="cpu"),
        torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).split(512),
    )

    @torch.no_grad()
    def bare() -> None:
        for batch in batches:
            embedder.features(batch)

    def seconds(work) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    turns = [(seconds(bare), seconds(lambda: embed(run, images, device="cpu"))) for _ in range(3)]
    passes, whole = map(min, zip(*turns, strict=True))
    assert whole < 1.3 * passes, (whole, passes)  # 1.2 of 10,000 images; what does not grow with them weighs more here


def test_a_head_and_a_space_are_what_the_network_gives(run):
    images = Dataset(name="new", split="all", stored=pixels(5, seed=1))
    with torch.no_grad():
        spaces = run.encoder(device="cpu")(clean(images)).numpy()
    for of, h in [("head", 0), ("all", 0), ("color", 1)]:
        np.testing.assert_allclose(embed(run, images, of), spaces[:, h], atol=1e-5)
    with pytest.raises(UserError, match="did you mean 'color'"):
        embed(run, images, "colour")


def test_arrays_of_any_size_are_resized_as_images_are(run):
    large = pixels(3, 48, seed=2)
    small = np.stack([np.asarray(resize(Image.fromarray(image), 16)) for image in large])
    np.testing.assert_array_equal(embed(run, large), embed(run, small))
    with pytest.raises(UserError, match="make it \\(N, H, W, 3\\)"):
        embed(run, large[..., :2])
    with pytest.raises(UserError, match="no images"):
        embed(run, large[:0])


def test_a_folder_of_photos_becomes_a_table(run, photos, capsys):
    out = photos.parent / "features.parquet"
    assert main(["embed", str(run.path), f"folder:{photos}", "--out", str(out), "--quiet"]) == 0
    table = pd.read_parquet(out)
    assert table["origin"].tolist() == ["cat/0.png", "cat/1.png", *(f"dog/{i}.png" for i in range(2, 6))]
    assert table["label"].tolist() == ["cat"] * 2 + ["dog"] * 4
    expected = embed(run, load(f"folder:{photos}", "all", image_size=16))
    np.testing.assert_array_equal(table.filter(regex="^f").to_numpy(), expected)
    assert f"{expected.shape[1]} features of 6 images" in capsys.readouterr().out


def test_all_three_files_hold_the_same(run, photos):
    for suffix in ("csv", "npz", "parquet"):
        out = photos.parent / f"features.{suffix}"
        assert main(["embed", str(run.path), f"folder:{photos}", "--out", str(out), "--of", "color", "--quiet"]) == 0
    with np.load(photos.parent / "features.npz") as archive:
        text, found = pd.read_csv(photos.parent / "features.csv"), pd.read_parquet(photos.parent / "features.parquet")
        assert archive["origin"].tolist() == text["origin"].tolist() == found["origin"].tolist()
        assert archive["label"].tolist() == text["label"].tolist()
        np.testing.assert_array_equal(archive["features"], found.filter(regex="^f").to_numpy())
        np.testing.assert_allclose(archive["features"], text.filter(regex="^f").to_numpy(), rtol=1e-6)


def test_images_without_labels_and_one_that_is_damaged(run, photos, capsys):
    flat = photos / "cat"
    (flat / "bad.png").write_bytes(b"nothing")
    words = ["embed", str(run.path), f"folder:{flat}", "--out", str(photos / "f.csv"), "--quiet"]
    assert main(words) == 2
    assert "bad.png" in capsys.readouterr().err
    assert main([*words, "--skip-bad"]) == 0
    assert "2 images, 1 skipped" in capsys.readouterr().out
    assert list(pd.read_csv(photos / "f.csv").columns[:2]) == ["origin", "f0"]


def test_both_splits_of_a_source_are_taken_unless_one_is_named(run, tmp_path):
    arrays = {"images": pixels(4), "labels": np.arange(4), "test_images": pixels(3, 24), "test_labels": np.arange(3)}
    np.savez(tmp_path / "both.npz", **arrays)
    source = f"numpy:{tmp_path / 'both.npz'}"
    data = examples_for(run, source)
    table = tabulated(data, embed(run, source))
    assert table["origin"].tolist() == [f"train {i}" for i in range(4)] + [f"test {i}" for i in range(3)]
    assert table["label"].tolist() == [*"0123", *"012"]
    assert len(embed(run, source, split="test")) == 3


def test_rows_are_read_in_the_units_of_the_table_that_was_trained_on(rows, tmp_path):
    """Also where the new table's own mean and deviation are others, and classes are unknown."""
    known = load(rows.config.data.data, "train", target="kind", progress=False)
    new = pd.DataFrame({"colour": ["blue", "red"], "age": [80.0, 81.0]})
    new.to_csv(tmp_path / "new.csv", index=False)
    data = examples_for(rows, f"csv:{tmp_path / 'new.csv'}")
    assert data.labels is None
    assert data.stored.shape == (2, known.stored.shape[1])
    assert (data.stored[:, 0] > 2).all()  # ages far above train's
    new.assign(kind=["x", None]).to_csv(tmp_path / "new.csv", index=False)
    table = tabulated(data := examples_for(rows, f"csv:{tmp_path / 'new.csv'}"), embed(rows, data))
    assert table["label"].tolist() == ["x", ""]
    new.drop(columns="age").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match="lacks the column 'age'"):
        examples_for(rows, f"csv:{tmp_path / 'new.csv'}")
    with pytest.raises(MissingData, match=r"other\.csv"):
        examples_for(rows, f"csv:{tmp_path / 'other.csv'}")


def test_data_of_another_kind_or_shape_are_refused(run, rows):
    with pytest.raises(UserError, match="is tabular data, and noise was trained on image data"):
        embed(run, "wine")
    with pytest.raises(UserError, match="inputs of 5, and rows was trained on 3"):
        embed(rows, np.zeros((2, 5), np.float32))
    with pytest.raises(UserError, match="not finite, first in row 1"):
        embed(rows, np.array([[0.0, 1.0, 0.0], [np.nan, 1.0, 0.0]]))


def test_what_cannot_be_written_is_refused_before_anything_is_read(run, capsys, tmp_path):
    assert main(["embed", str(run.path), "glyphs", "--out", str(tmp_path / "features.txt")]) == 2
    assert "unknown kind of file '.txt'" in capsys.readouterr().err
    assert main(["embed", str(run.path), "glyphs"]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_recording_is_found_by_its_name():
    assert embed("glyphs-moco-v2-seed1", pixels(2, 32)).shape == (2, 256)


def test_importing_mixviz_does_not_import_torch():
    code = "import sys, mixviz; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mixviz.embed is embed
    with pytest.raises(AttributeError, match="'emed'"):
        mixviz.emed
