"""The report command and what it draws from, on a short run on glyphs and on its recording."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mixviz.__main__ import main
from mixviz.analysis.heads import embed_set
from mixviz.build import TrainSets, load_sets
from mixviz.commands.report import short_names
from mixviz.config import RunConfig
from mixviz.data import load
from mixviz.data.glyphs import make_glyphs
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate, keep
from mixviz.pretrained import add, restore
from mixviz.report.html import Report
from mixviz.report.overview import overview
from mixviz.report.sections import differences, few_shot_intervals, how_it_is_read_out
from mixviz.runs import Run
from mixviz.train import train
from mixviz.widgets.networks import network

SETTINGS = {"epochs": 1, "train_images": 600, "batch_size": 64, "queue_length": 256, "bn_splits": 2, "knn_every": 0}
MOCHI = {"mixing": ["mochi", "mixco"], "mochi_hardest": 16, "mochi_pairs": 8, "mochi_towards_query": 4}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Run]:
    """MoCHi with MixCo, and LooC, each trained for an epoch."""
    root = tmp_path_factory.mktemp("runs")
    configs = [RunConfig.of(**SETTINGS, **MOCHI), RunConfig.of(**SETTINGS, mixing=["looc"])]
    return [train(config, f"run{i}", root=root, progress=False) for i, config in enumerate(configs)]


@pytest.fixture(scope="module")
def looked_at():
    """The sets of images that the overview embeds."""
    return []


@pytest.fixture(scope="module")
def one(runs, looked_at):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mixviz.report.overview.embed_set", lambda *given: looked_at.append(given[1]) or embed_set(*given)
        )
        return overview(runs[0], images=300)


def test_an_overview_sees_a_share_of_every_class_and_nothing_held_out_as_train(runs, one, looked_at):
    config, (train, test) = runs[0].config, looked_at
    sets = load_sets(config.data, progress=False)
    for part, images in ((sets.train, train), (load("glyphs", "test"), test)):
        shares = np.bincount(part.labels) / len(part)
        assert np.abs(np.bincount(images.labels) - len(images) * shares).max() < 2
    held = {image.tobytes() for image in sets.held_out.stored}
    assert len(held) == 60
    assert not held & {image.tobytes() for image in train.stored}
    assert np.array_equal(test.stored, one.test.stored)


def test_an_overview_has_every_analysis(one):
    assert one.exact
    assert len(one.test) == 300
    assert set(one.geometry) == {"backbone", "all"}
    assert one.task.table.similarities.shape[0] == 8  # blends of 16 images
    assert one.task.synthetic.similarity.shape == (60, 12)  # of a tenth of the images, that were held out
    assert one.task.temperature == 0.05
    assert one.task.response["effective_negatives"].is_monotonic_increasing
    assert set(one.blends.paths) == {"mixup", "cutmix"}
    assert one.neighbourhood.index.shape == (300, 10)
    assert one.layout.shape == (300, 2)
    assert one.regularisation.images == 150
    assert set(one.invariance["head"]) == {"backbone", "all"}
    assert one.film.epochs.tolist() == [0, 1]


def test_looking_leaves_the_run_as_it_was(runs, one):
    before = {path.name for path in runs[0].path.iterdir()}
    assert before == {".lock", "checkpoint.pt", "config.json", "environment.json", "film.npz", "metrics.csv"}


def test_a_recording_makes_its_queue_again_and_its_encoder_is_the_run_s(runs, tmp_path):
    (runs[1].path / "evaluation.json").write_text("[]", encoding="utf-8")
    kept = add(runs[1], tmp_path)
    sets = load_sets(kept.config.data, progress=False)
    method, original = restore(kept, sets), restore(runs[1])
    pixels = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = (one.framework.online.features(pixels) for one in (original, method))
        keys = method.framework.target.features(pixels)
    assert torch.allclose(first, second, atol=0.02 * float(first.abs().max()))
    assert torch.equal(second, keys)
    queue = method.framework.queue
    assert torch.allclose(queue.keys.norm(dim=2), torch.ones(2, 256), atol=1e-3)
    assert (queue.labels >= 0).all()
    untouched = restore(kept, sets).framework.queue.keys
    assert torch.equal(untouched, queue.keys)  # the same each time


def test_the_queue_of_a_restored_run_shares_no_image_with_its_queries(runs, tmp_path):
    (runs[1].path / "evaluation.json").write_text("[]", encoding="utf-8")
    kept = add(runs[1], tmp_path)
    images = load_sets(kept.config.data, progress=False).all_train
    numbered = replace(images, labels=np.arange(len(images)))  # so that the queue's labels say which images it holds
    sets = TrainSets(data=kept.config.data, all_train=numbered)
    keys = restore(kept, sets).framework.queue.labels.tolist()
    assert len(set(keys)) == 256
    assert len(sets.held_out) == 60
    assert not set(keys) & set(sets.held_out.labels.tolist())


def test_a_damaged_test_image_that_the_run_skips_is_skipped_by_the_report(tmp_path):
    folder = tmp_path / "pictures"
    for split, n in (("train", 200), ("test", 60)):
        write_pictures(folder / split, n)
    (folder / "test" / "0" / "0.png").write_bytes(b"damaged")
    config = RunConfig.of(**{**SETTINGS, "data": f"folder:{folder}", "train_images": None, "skip_bad": True})
    run = train(config, "skips", root=tmp_path, progress=False)
    assert len(overview(run, images=100).test) == 59
    own = network(run)
    assert (len(own.test), own.stand_in) == (59, False)
    strict = Run.create(config.but(skip_bad=False), "strict", tmp_path)
    (strict.path / "checkpoint.pt").write_bytes((run.path / "checkpoint.pt").read_bytes())
    with pytest.raises(UserError, match=r"0\.png"):  # and does not show glyphs in place of the run's own images
        network(strict).pixels([0], test=True)


def write_pictures(folder, n):
    random = np.random.default_rng(n)
    for i in range(n):
        path = folder / str(i % 2) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)


def test_the_report_holds_all_pictures_of_both_runs(runs, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["report", *(str(run.path) for run in runs), "--out", str(page), "--images", "200"]) == 0
    assert str(page) in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert text.count('<img class="light"') == text.count('<img class="dark"') >= 45
    for chapter in (
        "What was trained",
        "How it learned",
        "Neighbours",
        "Duplicates",
        "Blends of two images",
        "What each embedding",
    ):
        assert chapter in text
    assert "looc" in text
    assert "mochi_hardest" in text  # a setting in which they differ
    assert 'src="http' not in text


def test_read_outs_are_drawn_where_they_are_in_the_run_folder(tmp_path):
    run = Run.create(RunConfig.of(), "read-out", tmp_path)
    empty = Report("nothing")
    how_it_is_read_out(empty, {"moco-v2": run})
    assert len(empty.parts) == 1  # the title
    images = make_glyphs("train", images=320), make_glyphs("test", images=60)
    protocols = ["knn", "few-shot:shots=2,trials=2", "corruptions", "few-shot:shots=1,trials=2"]
    rough = [replace(part, stored=part.stored[:, ::8, ::8]) for part in images]
    results = evaluate(Source(train=rough[0], test=rough[1]), protocols=protocols)
    keep(run, [replace(result, encoder="backbone") for result in results], classes=True)
    report = Report("read-outs")
    how_it_is_read_out(report, {"moco-v2": run, "n-pair": Run.create(RunConfig.of(), "not-read-out", tmp_path)})
    text = "".join(report.parts)
    for chapter in ("With few labels", "On corrupted images", "Class by class: knn"):
        assert f"<h2>{chapter}</h2>" in text
    assert text.count('<img class="light"') == 5
    few = few_shot_intervals(run)
    assert {shots: interval[0] for shots, interval in few.items()} == {2: results[1].accuracy, 1: results[3].accuracy}


def test_runs_of_one_method_are_distinguished_by_name(runs):
    assert short_names(runs) == ["moco-v2 + mochi + mixco", "moco-v2 + looc"]
    assert short_names([runs[0], runs[1], runs[0]])[::2] == ["moco-v2 + mochi + mixco (run0)"] * 2


def test_settings_are_shown_where_they_differ_and_are_used(runs):
    header, rows = differences({run.name: run.config for run in runs})
    assert header == ["setting", "run0", "run1"]
    table = {row[0]: row[1:] for row in rows}
    assert table["mixing"] == ["mochi mixco", "looc"]
    assert table["mochi_hardest"] == ["16", "–"]
    assert table["looc_left_out"] == ["–", "color"]
    assert "epochs" not in table
    alone = {row[0]: row[1] for row in differences({"one": runs[0].config})[1]}
    assert alone["epochs"] == "1"
    assert "lr" not in alone


def test_runs_of_different_data_are_reported_apart(runs, tmp_path, capsys):
    other = Run.create(RunConfig.of(data="cifar10"), "other", tmp_path)
    assert main(["report", str(runs[0].path), str(other.path)]) == 2
    assert "run0 of glyphs, other of cifar10: write one report for each" in capsys.readouterr().err


def test_the_report_of_a_recording_is_here_and_not_among_the_recordings(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr("mixviz.commands.report.overview", lambda run, *settings: run)
    monkeypatch.setattr("mixviz.commands.report.write_report", lambda page, found: drawn.append(page))
    monkeypatch.chdir(tmp_path)
    assert main(["report", "glyphs-moco-v2-seed1"]) == 0
    assert drawn == [tmp_path / "report.html"]


def test_bad_input_is_one_line(runs, capsys):
    assert main(["report", "no-such-run"]) == 2
    assert main(["report", str(runs[0].path), "--images", "5"]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 2
    assert "100 or more" in errors[1]
