"""The live linear evaluation: recordings paired by seed, the same numbers as ``evaluate``, intervals by Student's t."""

import json

import numpy as np
import pandas as pd
import pytest

from mixviz.build import load_sets
from mixviz.config import RunConfig
from mixviz.data import load
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate, read_out
from mixviz.lessons import reproduction
from mixviz.lessons.reproduction import RESULTS, linear_evaluation, pairs_of, train_and_read_out
from mixviz.pretrained import add, available
from mixviz.train import train

SETTINGS = {"data": "optical-digits", "image_size": 16, "train_images": 200, "epochs": 1, "batch_size": 32}
SMALL = {**SETTINGS, "queue_length": 32, "dim": 8, "hidden": 16, "knn_every": 0, "dtype": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Recordings of base and method with two seeds each, and a third seed of the base alone."""
    runs, kept = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("recordings")
    sets = [load("optical-digits", split, image_size=16) for split in ("train", "test")]
    for name, seed, mixing in [
        ("base", 1, []),
        ("base", 2, []),
        ("base", 3, []),
        ("mixed", 1, ["mixco"]),
        ("mixed", 2, ["mixco"]),
    ]:
        run = train(RunConfig.of(**SMALL, mixing=mixing, seed=seed), f"{name}-seed{seed}", root=runs, progress=False)
        read_out(run, sets)
        add(run, kept)
    return kept


@pytest.fixture(autouse=True)
def only_these(root, monkeypatch):
    monkeypatch.setattr(reproduction, "available", lambda: available(root))


def test_recordings_are_paired_by_seed():
    pairs = pairs_of("base", "mixed")
    assert [(one.name, other.name) for one, other in pairs] == [
        ("base-seed1", "mixed-seed1"),
        ("base-seed2", "mixed-seed2"),
    ]
    with pytest.raises(UserError, match="no recordings of base and nothing share a seed"):
        pairs_of("base", "nothing")


def test_the_table_is_what_evaluate_finds(root):
    table = linear_evaluation("base", "mixed")
    assert table["by"].tolist() == ["linear-features", "knn"] * 2
    assert table["read out on"].tolist() == [*["optical digits"] * 2, *["optical digits, as recorded"] * 2]
    assert table["seeds"].tolist() == [2] * 4
    assert abs(table["base"][0] - table["base"][2]) < 3  # recorded on the very same images, with weights in full
    assert set(table["verdict"]) == {"not settled"}  # two seeds settle nothing
    runs = {run.name: run for run in available(root)}
    sets = [load("optical-digits", split, image_size=16) for split in ("train", "test")]
    by_name = {}
    for name, run in runs.items():
        (result,) = evaluate(Source.of_run(run, sets), protocols=["linear-features"])
        by_name[name] = 100 * result.accuracy
    differences = [by_name[f"mixed-seed{seed}"] - by_name[f"base-seed{seed}"] for seed in (1, 2)]
    ours = table.iloc[0]
    assert ours["base"] == round((by_name["base-seed1"] + by_name["base-seed2"]) / 2, 1)
    half = 12.706204736 * np.std(differences, ddof=1) / np.sqrt(2)
    mean = np.mean(differences)
    assert ours["difference"] == f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def test_one_seed_has_no_interval(monkeypatch, root):
    monkeypatch.setattr(reproduction, "available", lambda: [run for run in available(root) if "seed1" in run.name])
    table = linear_evaluation("base", "mixed")
    assert set(table["seeds"]) == {1}
    assert table["difference"].str.fullmatch(r"[+-]\d+\.\d").all()
    assert set(table["verdict"]) == {"not settled"}


MIXCO = "reproduce/mixco-table-laptop-digits"
SHORT = {"backbone": "mlp-narrow", "epochs": 1, "train_images": 300}


@pytest.fixture(scope="module")
def here() -> pd.DataFrame:
    return train_and_read_out(MIXCO, "simclr + mixco", (1, 2), **SHORT)


def test_both_are_trained_with_the_settings_of_the_long_runs_and_read_out_in_full(here, tmp_path):
    settings = {"data": "digits", "framework": "simclr", "lr": 0.125, "projector": "mlpbn", "batch_size": 256}
    settings |= {"knn_every": 0, "film_frames": 0, "weight_decay": 1e-4, "dtype": "float32", **SHORT}
    accuracies = []
    for mixing in ([], ["mixco"]):
        config = RunConfig.of(**settings, mixing=mixing, seed=1)
        sets = load_sets(config.data).evaluated_on
        run = train(config, str(len(mixing)), images=sets[0], root=tmp_path, progress=False)
        accuracies.append({one.label: 100 * one.accuracy for one in evaluate(Source.of_run(run, sets))})
    table = train_and_read_out(MIXCO, "simclr + mixco", (1,), **SHORT)
    assert table["by"].tolist() == ["linear-features", "knn"] * 2
    for row in table[:2].to_dict("records"):
        base, mixed = (one[row["by"]] for one in accuracies)
        assert row["base"] == f"≈ {base:.1f}"
        assert row["method"] == f"≈ {mixed:.1f}"
        assert row["difference"] == f"≈ {mixed - base:+.1f}"
        assert (row["seeds"], row["verdict"]) == (1, "≈ not settled")
    assert here["seeds"].tolist() == [2, 2, 10, 10]
    assert "[" in here["difference"][0]


def test_the_long_runs_stand_below(here):
    rows = json.loads((RESULTS / f"{MIXCO}.json").read_text())["rows"]
    for row in here[2:].to_dict("records"):
        values = {
            arm: [one["value"] for one in rows if (one["arm"], one["measure"]) == (arm, f"{row['by']}: label")]
            for arm in ("simclr", "simclr + mixco")
        }
        assert row["read out on"] == "handwritten digits, 60 epochs, as recorded"
        assert row["base"] == round(float(np.mean(values["simclr"])), 1)
        assert row["method"] == round(float(np.mean(values["simclr + mixco"])), 1)


def test_it_says_how_far_it_is(capsys):
    train_and_read_out(MIXCO, "simclr + mixco", (3,), **SHORT)
    assert capsys.readouterr().out.splitlines() == [
        "seed 3: simclr is trained and read out",
        "seed 3: simclr + mixco is trained and read out",
    ]


def test_factors_are_read_out_next_to_those_of_the_study():
    small = {"backbone": "convnet-narrow", "image_size": 16, "train_images": 256, "epochs": 1}
    table = train_and_read_out("glyphs-study/study", "n-pair + looc (rotation)", (1,), ("label", "hue"), **small)
    by = ["shape, linear-features", "shape, knn", "hue, linear-features", "hue, knn"]
    assert table["by"].tolist() == by * 2
    assert table["seeds"].tolist() == [1] * 4 + [3] * 4
