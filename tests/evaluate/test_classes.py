"""Confusions by hand and against scikit-learn; combinations of spaces are what they say."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import precision_recall_fscore_support

from mixviz.data import ImageSet
from mixviz.errors import UserError
from mixviz.evaluate import read_out
from mixviz.evaluate.classes import confusion, read_out_spaces, space_features

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
    table = confusion(predicted, wanted).per_class()
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


def unit(*shape, seed):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_spaces_singly_together_and_with_the_backbone():
    spaces = {"backbone": unit(5, 4, seed=0), "all": unit(5, 3, seed=1), "color": unit(5, 3, seed=2)}
    found = space_features(spaces)
    assert list(found) == ["backbone", "all", "color", "all spaces", "backbone + all spaces"]
    assert all(torch.equal(found[name], spaces[name]) for name in spaces)
    assert torch.equal(found["all spaces"], torch.cat([spaces["all"], spaces["color"]], dim=1))
    assert torch.equal(found["backbone + all spaces"], torch.cat(list(spaces.values()), dim=1))
    assert list(space_features({"all": spaces["all"]})) == ["all"]
    assert list(space_features({name: spaces[name] for name in ("all", "backbone")})) == [
        "all", "backbone", "backbone + all spaces"
    ]  # fmt: skip
    with pytest.raises(UserError, match="at least one"):
        space_features({"backbone": spaces["backbone"]})


def test_what_no_space_holds_alone_is_read_from_all():
    """Each space tells one bit of a label of four classes; together they tell all of it."""
    labels = np.arange(200) % 4
    bits = torch.stack([torch.as_tensor(labels // 2), torch.as_tensor(labels % 2)])
    noise = 0.1 * torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(0))
    spaces = {
        name: F.normalize(F.one_hot(bit, 2) + extra, dim=1)
        for name, bit, extra in zip(("all", "color"), bits, noise, strict=True)
    }
    data = ImageSet("bits", "train", np.zeros((200, 1, 1, 3), np.uint8), labels)
    found = {result.encoder: result for result in read_out_spaces(spaces, spaces, data, data)}
    assert found["all"].accuracy == pytest.approx(0.5, abs=0.1)
    assert found["all spaces"].accuracy > 0.98
    (alone,) = read_out(spaces["color"], spaces["color"], data, data, "color", ["label"], ["linear-features"])
    assert found["color"].accuracy == alone.accuracy
