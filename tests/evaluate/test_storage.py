"""Results are evaluated once and stored once, with what they are made of, which comes back as it was."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Result, keep, read_out
from mixviz.evaluate.classes import confusion
from mixviz.evaluate.storage import CLASSES, keep_confusions, keep_tables, with_confusions, with_tables
from mixviz.runs import Run
from mixviz.train import train

TABLE = pd.DataFrame({"kind": ["clean", "fog"], "severity": [0, 3], "accuracy": [0.8, 0.1 + 0.2]})
CONFUSION = confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))


def result(protocol, encoder="backbone", **more):
    sizes = {"train_images": 9, "test_images": 3, "classes": 2, "seed": 1, "device": "cpu"}
    return Result(
        protocol=protocol, encoder=encoder, target="label", accuracy=0.5, data="x", split="test", **sizes, **more
    )


def test_tables_come_back(tmp_path):
    corrupted = result("corruptions", options={"kinds": ("fog",)}, table=TABLE)
    results = [corrupted, result("corruptions"), result("knn", confusion=CONFUSION)]
    assert keep_tables(tmp_path, results) == [tmp_path / "corruptions.json"]
    (found,) = with_tables(tmp_path, [replace(one, table=None) for one in results], "corruptions")
    assert found == corrupted
    pd.testing.assert_frame_equal(found.table, TABLE)
    assert keep_tables(tmp_path, results[1:]) == []


def test_a_confusion_comes_back_and_takes_the_place_of_the_old_one(tmp_path):
    other = confusion(np.array([1, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))
    keep_confusions(tmp_path, [result("knn", confusion=other), result("knn", "random", confusion=other)])
    keep_confusions(tmp_path, [result("knn", confusion=CONFUSION), result("few-shot", table=TABLE)])
    found = with_confusions(tmp_path, [result("knn"), result("knn", "random"), result("few-shot")])
    assert [one.encoder for one in found] == ["backbone", "random"]
    assert found[0].confusion.names == ("cat", "dog")
    assert found[0].confusion.counts.tolist() == CONFUSION.counts.tolist()
    assert found[1].confusion.counts.tolist() == other.counts.tolist()
    assert len((tmp_path / CLASSES).read_text().splitlines()) == 4  # one a line
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [CLASSES]


def test_what_is_missing_is_empty_and_what_is_damaged_is_refused(tmp_path):
    assert with_confusions(tmp_path, [result("knn")]) == []
    (tmp_path / CLASSES).write_text("[{")
    with pytest.raises(UserError, match="delete it") as caught:
        with_confusions(tmp_path, [result("knn")])
    assert "\n" not in str(caught.value)


def test_what_is_stored_comes_back_from_a_run_of_any_name(tmp_path):
    run = Run.create(RunConfig.of(), "before", tmp_path)
    flattering = result("logistic", chosen_on_test=True)
    assert len(keep(run, [result("few-shot", table=TABLE), result("knn", confusion=CONFUSION), flattering], True)) == 2
    moved = Run(run.path.rename(tmp_path / "after"))
    assert [one.label for one in moved.results] == ["few-shot", "knn"]
    assert len(with_tables(moved.path, moved.results, "few-shot")) == 1
    assert len(with_confusions(moved.path, moved.results)) == 1
    keep(moved, [result("knn", confusion=CONFUSION)], True)
    assert [one.label for one in moved.results] == ["few-shot", "knn"]
    assert len((moved.path / CLASSES).read_text().splitlines()) == 3


def colours(n, split, seed):
    random = np.random.default_rng(seed)
    labels, images = random.integers(0, 3, n), random.integers(0, 60, (n, 16, 16, 3))
    images[np.arange(n), :, :, labels] += 150
    return Dataset(
        name="colours", split=split, stored=images.astype(np.uint8), labels=labels, factors={"hue": labels % 2}
    )


def test_a_run_is_read_out_once(tmp_path, monkeypatch):
    sets = colours(80, "train", 0), colours(40, "test", 1)
    small = {"epochs": 1, "batch_size": 16, "queue_length": 32, "bn_splits": 2, "dim": 8, "hidden": 16}
    run = train(RunConfig.of(**small, film_frames=0, knn_every=0, seed=5), "mine", sets[0], tmp_path, progress=False)
    first = read_out(run, sets, protocols=["knn"])
    both = read_out(run, sets, ["label", "hue"], ["knn", "linear-features"])
    assert [(one.label, one.target) for one in both] == [
        ("knn", "label"), ("knn", "hue"), ("linear-features", "label"), ("linear-features", "hue")
    ]  # fmt: skip
    assert {(one.run, one.seed, one.encoder) for one in both} == {("mine", 5, "backbone")}
    assert both[0].accuracy == first[0].accuracy
    (untrained,) = read_out(run, sets, protocols=["knn"], trained=False)
    assert untrained.encoder == "random"
    assert len(run.results) == 5
    monkeypatch.setattr(Run, "encoder", lambda *_: pytest.fail("it was read out again"))
    again = read_out(run, sets, ["label", "hue"], ["knn", "linear-features"])
    assert [one.accuracy for one in again] == [one.accuracy for one in both]
    assert read_out(run, sets, protocols=["knn"], trained=False)[0].encoder == "random"
