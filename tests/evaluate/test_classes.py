"""Confusions by hand and against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from mixviz.errors import UserError
from mixviz.evaluate.classes import confusion

WANTED = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = torch.tensor([0, 0, 1, 2, 0, 1, 1, 0])
NAMES = ("cat", "dog", "ship", "frog")


def test_counts_by_hand():
    found = confusion(PREDICTED, WANTED, NAMES)
    assert found.counts.tolist() == [[2, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert found.accuracy == pytest.approx(3 / 8)
    np.testing.assert_allclose(found.shares[:3], [[0.5, 0.25, 0.25, 0], [0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]])
    assert np.isnan(found.shares[3]).all()


def test_classes_against_scikit_learn():
    random = np.random.default_rng(0)
    wanted, predicted = random.integers(0, 5, 300), random.integers(0, 5, 300)
    found = confusion(predicted, wanted)
    np.testing.assert_array_equal(found.counts, confusion_matrix(wanted, predicted))
    table = found.per_class()
    precision, recall, _, images = precision_recall_fscore_support(wanted, predicted)
    np.testing.assert_allclose(table["precision"], precision)
    np.testing.assert_allclose(table["accuracy"], recall)
    assert table["images"].tolist() == images.tolist()
    assert table["class"].tolist() == ["0", "1", "2", "3", "4"]


def test_a_class_without_images_has_no_accuracy():
    table = confusion(PREDICTED, WANTED, NAMES).per_class().set_index("class")
    assert np.isnan(table.loc["frog", ["accuracy", "precision"]].astype(float)).all()
    assert table.loc["ship", "precision"] == 0


def test_most_confused_pairs_count_both_directions():
    found = confusion(PREDICTED, WANTED, NAMES).most_confused()
    assert found.to_numpy().tolist() == [
        ["cat", "dog", 2, 0.25, 0.5],
        ["cat", "ship", 2, 0.25, 0.5],
        ["dog", "ship", 1, 0.0, 0.5],
    ]
    assert len(confusion(PREDICTED, WANTED, NAMES).most_confused(1)) == 1
    assert len(confusion(WANTED, WANTED, NAMES).most_confused()) == 0


@pytest.mark.parametrize(
    ("predicted", "names", "message"),
    [(PREDICTED[:3], NAMES, "3 predictions for 8"), (PREDICTED, NAMES[:2], "label 2")],
)
def test_what_does_not_fit_is_refused(predicted, names, message):
    with pytest.raises(UserError, match=message):
        confusion(predicted, WANTED, names)
