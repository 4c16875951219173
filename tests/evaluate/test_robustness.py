"""Each severity is stronger; corruption errors against formulas; one classifier and one read of the test labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data.glyphs import make_glyphs
from mixviz.errors import UserError
from mixviz.evaluate import Inputs, SealedLabels, SealRefused, Source, evaluate, extract, fingerprint, linear_probe
from mixviz.evaluate.corruptions import KINDS, SEVERITIES, corrupt
from mixviz.evaluate.robustness import (
    PSNR,
    LinearCorrupted,
    calibration,
    compare_corruption_errors,
    mean_corruption_error,
    psnr,
)

TRAIN, TEST = make_glyphs("train", images=200), make_glyphs("test", images=90)


def table(clean, **errors):
    rows = [("clean", 0, clean)]
    rows += [(kind, i, error) for kind, values in errors.items() for i, error in enumerate(values, start=1)]
    return pd.DataFrame(
        [{"kind": kind, "severity": severity, "accuracy": 1 - error, "error": error} for kind, severity, error in rows]
    )


def test_each_severity_is_stronger():
    """On glyphs, and in what is stated of CIFAR-10 (JPEG), but for kinds whose published severities do not rise."""
    rising = [kind for kind in SEVERITIES if kind not in ("glass_blur", "snow", "spatter", "saturate")]
    table = calibration(TEST.stored).pivot(index="kind", columns="severity", values="psnr")
    assert list(table.columns) == [1, 2, 3, 4, 5]
    assert (table.loc[rising].diff(axis=1).iloc[:, 1:] < -0.2).all(axis=None)
    assert all(np.all(np.diff(PSNR[kind]) < 0) for kind in rising)
    assert set(PSNR) == set(KINDS) == set(SEVERITIES) == set(table.index)


def test_a_mean_is_over_the_same_kinds_as_before_more_were_added():
    assert LinearCorrupted().kinds == tuple(SEVERITIES)[:12]
    assert LinearCorrupted().kinds[-1] == "jpeg_compression"


def test_psnr_of_a_known_error():
    images = np.full((2, 4, 4, 3), 100, np.uint8)
    shifted = images.copy()
    shifted[0] += 10
    assert psnr(images, shifted).tolist() == [pytest.approx(20 * np.log10(25.5)), np.inf]


@pytest.fixture(scope="module")
def read():
    """Protocol ``corruptions`` on an encoder: predictions of two kinds at two severities, and what they are of."""
    embedder = build_embedder(RunConfig.of(dtype="float32", device="cpu", dim=8, hidden=16), (3, 32, 32))
    one = LinearCorrupted(kinds=("brightness", "fog"), severities=(1, 5))
    inputs, before = Inputs(embedder, TRAIN, TEST), fingerprint(embedder)
    predicted, settings = one.read(inputs, torch.from_numpy(TRAIN.labels), seed=2)
    assert fingerprint(embedder) == before
    return embedder, one, predicted, settings


def test_predictions_are_those_of_the_probe_on_corrupted_images(read):
    embedder, _, predicted, settings = read
    labels, features = torch.from_numpy(TRAIN.labels), extract(embedder, TRAIN)
    shown = [TEST.stored] + [corrupt(TEST.stored, kind, s, seed=2) for kind in ("brightness", "fog") for s in (1, 5)]
    assert predicted.shape == (5, 90)
    for found, images in zip(predicted, shown, strict=True):
        probe = linear_probe(features, labels, extract(embedder, replace(TEST, stored=images)), seed=2)
        assert torch.equal(found, probe.predicted)
        assert (settings["lr"], settings["weight_decay"]) == (probe.lr, probe.weight_decay)
    assert not torch.equal(predicted[0], predicted[4])


def test_the_table_has_a_row_for_each_and_the_accuracy_leaves_the_clean_one_out(read):
    _, one, _, _ = read
    found = one.table(np.array([0.9, 0.8, 0.4, 0.7, 0.1]))
    assert list(zip(found["kind"], found["severity"], strict=True)) == [
        ("clean", 0), ("brightness", 1), ("brightness", 5), ("fog", 1), ("fog", 5)
    ]  # fmt: skip
    assert found["error"].to_numpy() == pytest.approx([0.1, 0.2, 0.6, 0.3, 0.9])
    assert one.more_settings(found) == {"clean": 0.9}
    assert one.counted(5).tolist() == [False, True, True, True, True]


def test_the_test_labels_are_read_once_for_all_corruptions(read, monkeypatch):
    embedder, one, predicted, _ = read
    made = []

    class Counted(SealedLabels):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr("mixviz.evaluate.evaluation.SealedLabels", Counted)
    (result,) = evaluate(Source(embedder=embedder, train=TRAIN, test=TEST, seed=2), protocols=[one])
    hits = (predicted.numpy() == TEST.labels).mean(axis=1)
    assert result.table["accuracy"].to_numpy() == pytest.approx(hits)
    assert (result.accuracy, result.settings["clean"]) == pytest.approx((hits[1:].mean(), hits[0]))
    assert [sealed.reads for sealed in made] == [1]
    with pytest.raises(SealRefused, match="have been read"):
        made[0].accuracies(predicted)


def test_stored_features_cannot_be_corrupted():
    with pytest.raises(UserError, match="evaluate the encoder"):
        LinearCorrupted()(torch.zeros(9, 2), torch.zeros(9).long(), torch.zeros(9, 2))


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
