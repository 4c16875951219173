"""Own photos without labels, from a folder to a report, as one would: relative paths, damaged files, few images."""

import shutil

import numpy as np
import pytest
from PIL import Image

from mixviz.__main__ import main
from mixviz.commands.train import summary
from mixviz.errors import UserError
from mixviz.runs import Run
from mixviz.widgets import InvarianceFingerprint, ProjectionExplorer
from mixviz.widgets.networks import network

SETTINGS = ["--framework", "n-pair", "--epochs", "1", "--dim", "8", "--hidden", "16", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 150 photos in two sub-folders that are no classes, one file damaged, and a run on them."""
    place = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    for year in ("2023", "2024"):
        (place / "photos" / year).mkdir(parents=True)
        for i in range(75):
            Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(place / "photos" / year / f"{i}.png")
    (place / "photos" / "2023" / "0.png").write_bytes(b"damaged")
    shutil.copy(place / "photos" / "2023" / "1.png", place / "photos" / "2024" / "7.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train = ["train", "--data", "folder:photos", "--skip-bad", "--unlabelled", "--film-frames", "2"]
        assert main([*train, *SETTINGS]) == 0
    return Run.open("photos-n-pair-seed0")


def test_the_run_knows_its_data_from_every_folder(photos):
    assert photos.config.data.data.endswith("/own0/photos")
    assert photos.config.data.shown == "folder:photos"
    assert photos.film.about["data"] == "folder:photos"
    assert photos.config.train.batch_size == 16


def test_the_next_step_without_labels_is_a_report(photos):
    assert summary(photos).endswith(f"next: python -m mixviz report {photos.name}")


def test_a_report_shows_the_held_out_images(photos, capsys):
    assert main(["report", photos.name]) == 0
    page = (photos.path / "report.html").read_text("utf-8")
    assert "14 held-out images of folder:photos" in page
    assert "test images" not in page
    assert "pairs among 149 images: 1 exact, " in page
    assert "<td>2023/1.png (train)</td><td>2024/7.png (train)</td><td>1.000</td><td>exact</td>" in page
    assert "across train and test" not in page
    assert "the query&#x27;s class" not in page


def test_widgets_show_the_held_out_images(photos):
    found = network(photos.name)
    assert not found.stand_in
    assert sorted(found.test.origins) == sorted(found.held_out.origins)
    assert "of 14 held-out images" in ProjectionExplorer(photos.name).caption()
    assert InvarianceFingerprint(photos.name).caption()


def test_an_evaluation_says_what_is_missing(photos, capsys):
    assert main(["evaluate", photos.name]) == 2
    assert "photos has neither labels nor a test split: to evaluate, add labelled images" in capsys.readouterr().err


def test_few_images_are_too_few_for_a_report(photos, monkeypatch):
    from mixviz.report import overview

    monkeypatch.setattr(overview, "NEIGHBOURS", 14)
    with pytest.raises(UserError, match="14 images for analysis, but a report needs more than 14"):
        overview.overview(photos)
