"""Each severity is stronger; corruption errors against formulas; a classifier stays as it is."""

import numpy as np
import pandas as pd
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data.glyphs import make_glyphs
from mixviz.errors import UserError
from mixviz.evaluate import linear_probe, raw_pixels
from mixviz.evaluate.corruptions import KINDS, SEVERITIES, corrupt
from mixviz.evaluate.features import fingerprint
from mixviz.evaluate.robustness import (
    PSNR,
    calibration,
    compare_corruption_errors,
    corruption_errors,
    mean_corruption_error,
    psnr,
    train_classifier,
)

TEST = make_glyphs("test", images=90)


def table(clean, **errors):
    rows = [("clean", 0, clean)]
    rows += [(kind, i, error) for kind, values in errors.items() for i, error in enumerate(values, start=1)]
    return pd.DataFrame(
        [{"kind": kind, "severity": severity, "accuracy": 1 - error, "error": error} for kind, severity, error in rows]
    )


def test_each_severity_is_stronger():
    """On glyphs, and in what is stated of CIFAR-10 (JPEG)."""
    table = calibration(TEST.images).pivot(index="kind", columns="severity", values="psnr")
    assert list(table.columns) == [1, 2, 3, 4, 5]
    assert (table.diff(axis=1).iloc[:, 1:] < -0.2).all(axis=None)
    assert all(np.all(np.diff(PSNR[kind]) < 0) for kind in SEVERITIES)
    assert set(PSNR) == set(KINDS) == set(SEVERITIES) == set(table.index)


def test_psnr_of_a_known_error():
    images = np.full((2, 4, 4, 3), 100, np.uint8)
    shifted = images.copy()
    shifted[0] += 10
    assert psnr(images, shifted).tolist() == [pytest.approx(20 * np.log10(25.5)), np.inf]


def test_accuracy_is_of_the_corrupted_images():
    """Pixels and a rule on their mean brightness, counted by hand."""
    bright = float(np.median(TEST.images.mean(axis=(1, 2, 3))))

    def rule(features):
        return np.where(255 * features.mean(dim=1).numpy() > bright, TEST.labels, -1)

    found = corruption_errors(None, rule, TEST, ["brightness", "fog"], [1, 5], seed=2)
    assert list(zip(found["kind"], found["severity"], strict=True)) == [
        ("clean", 0), ("brightness", 1), ("brightness", 5), ("fog", 1), ("fog", 5)
    ]  # fmt: skip
    assert found["accuracy"][0] == pytest.approx(0.5, abs=0.02)
    assert found["accuracy"][2] > 0.95  # all are brighter
    foggy = corrupt(TEST.images, "fog", 5, seed=2).mean(axis=(1, 2, 3)) > bright
    assert found["accuracy"][4] == pytest.approx(foggy.mean())
    assert found["error"].to_numpy() == pytest.approx(1 - found["accuracy"].to_numpy())


def test_an_encoder_is_frozen_and_a_classifier_is_that_of_the_probe():
    embedder = build_embedder(RunConfig.of(dtype="float32", device="cpu"), 32)
    before = fingerprint(embedder)
    train = make_glyphs("train", images=200)
    labels = 10 * train.labels + 3
    pixels, test_pixels = raw_pixels(train)[:, ::7], raw_pixels(TEST)[:, ::7]
    classifier = train_classifier(pixels, labels, seed=5)
    probe = linear_probe(pixels, torch.from_numpy(train.labels), test_pixels, seed=5)
    assert (classifier.lr, classifier.weight_decay) == (probe.lr, probe.weight_decay)
    agree = classifier(test_pixels) == 10 * probe.predicted.numpy() + 3
    assert agree.mean() > 0.9  # the same settings, another order of batches
    found = corruption_errors(embedder, lambda features: np.zeros(len(features)), TEST, ["contrast"], [3])
    assert found["accuracy"].tolist() == pytest.approx([np.mean(TEST.labels == 0)] * 2)
    assert fingerprint(embedder) == before


def test_corruption_errors_by_the_formula():
    ours = table(0.1, fog=[0.2, 0.4], contrast=[0.1, 0.3])
    reference = table(0.2, contrast=[0.4, 0.6], fog=[0.3, 0.5])  # in another order
    found = compare_corruption_errors(ours, reference).set_index("kind")
    assert found.loc["fog", "ce"] == pytest.approx(0.6 / 0.8)
    assert found.loc["contrast", "ce"] == pytest.approx(0.4 / 1.0)
    assert found.loc["fog", "relative_ce"] == pytest.approx((0.6 - 0.2) / (0.8 - 0.4))
    assert found.loc["contrast", "relative_ce"] == pytest.approx((0.4 - 0.2) / (1.0 - 0.4))
    assert mean_corruption_error(ours, reference) == pytest.approx((0.575, (1 + 1 / 3) / 2))
    assert mean_corruption_error(ours, ours) == pytest.approx((1, 1))


def test_a_reference_that_loses_nothing_has_no_relative_error():
    ours, reference = table(0.1, fog=[0.2], contrast=[0.2]), table(0.2, fog=[0.2], contrast=[0.3])
    compared = compare_corruption_errors(ours, reference).set_index("kind")
    assert np.isnan(compared.loc["fog", "relative_ce"])
    assert mean_corruption_error(ours, reference)[1] == pytest.approx(0.1 / 0.1)


def test_tables_of_other_cells_are_refused():
    with pytest.raises(UserError, match="kinds or severities"):
        compare_corruption_errors(table(0.1, fog=[0.2]), table(0.1, fog=[0.2, 0.3]))
    with pytest.raises(UserError, match="kinds or severities"):
        compare_corruption_errors(table(0.1, fog=[0.2]), table(0.1, contrast=[0.2]))
