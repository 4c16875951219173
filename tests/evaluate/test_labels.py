"""Test labels under seal: one read, no choice, and nothing but counts of hits comes out."""

import numpy as np
import pytest
import torch

from mixviz.errors import UserError
from mixviz.evaluate.labels import SealedLabels, SealRefused

CLASSES = np.array([3, 7, 40])
WANTED = np.array([3, 7, 40, 40])


def test_accuracy_is_the_share_of_hits_and_counts_as_one_read():
    sealed = SealedLabels(WANTED, CLASSES)
    assert (len(sealed), sealed.reads) == (4, 0)
    assert sealed.accuracy(torch.tensor([0, 1, 2, 0])) == 0.75
    assert sealed.reads == 1


def test_a_second_read_is_refused():
    sealed = SealedLabels(WANTED, CLASSES)
    sealed.accuracy(torch.tensor([0, 1, 2, 0]))
    with pytest.raises(SealRefused, match="have been read: a new result needs a new evaluation"):
        sealed.accuracy(torch.tensor([0, 1, 2, 2]))
    assert sealed.reads == 1


def test_a_choice_on_test_is_refused():
    candidates = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 2]])
    sealed = SealedLabels(WANTED, CLASSES)
    with pytest.raises(SealRefused, match="choose on a split of train"):
        sealed.accuracy(candidates)
    with pytest.raises(SealRefused, match="choose on a split of train"):
        sealed.best_accuracy(candidates)
    assert sealed.reads == 0


def test_best_on_test_has_to_be_requested_and_is_one_read_as_well():
    candidates = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 2], [2, 1, 2, 0]])
    sealed = SealedLabels(WANTED, CLASSES, best_on_test=True)
    assert sealed.best_accuracy(candidates) == (1.0, 1)
    with pytest.raises(SealRefused, match="have been read"):
        sealed.best_accuracy(candidates)


def test_several_predictions_are_reported_all_or_not_at_all():
    several = torch.tensor([[0, 1, 2, 0], [0, 1, 2, 2], [2, 1, 0, 0]])
    with pytest.raises(SealRefused, match="give one, or report all"):
        SealedLabels(WANTED, CLASSES).accuracies(several)
    sealed = SealedLabels(WANTED, CLASSES, repeated=True)
    assert sealed.accuracies(several).tolist() == [0.75, 1.0, 0.25]
    with pytest.raises(SealRefused, match="have been read"):
        sealed.accuracies(several)
    assert sealed.reads == 1


def test_a_confusion_is_the_one_read_and_knows_classes_that_train_lacks():
    wanted = np.array([0, 1, 1, 3])
    sealed = SealedLabels(wanted, np.array([0, 1, 2]))
    found = sealed.confusion(torch.tensor([0, 1, 2, 2]), names=("cat", "dog"))
    assert found.names == ("cat", "dog", "2", "3")
    assert found.counts.tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    with pytest.raises(SealRefused, match="have been read"):
        sealed.confusion(torch.tensor([0, 1, 2, 2]))


def test_a_wrong_number_of_predictions_is_refused_unread():
    sealed = SealedLabels(WANTED, CLASSES)
    with pytest.raises(UserError, match="3 predictions for 4 test images"):
        sealed.accuracy(torch.tensor([0, 1, 2]))
    assert sealed.reads == 0


def test_neither_representation_nor_attributes_show_labels():
    sealed = SealedLabels(WANTED, CLASSES)
    assert repr(sealed) == "SealedLabels(4 labels, read 0 times)"
    assert not [name for name in ("labels", "classes", "_labels", "_classes") if hasattr(sealed, name)]


def test_later_changes_of_the_array_change_nothing():
    labels = WANTED.copy()
    sealed = SealedLabels(labels, CLASSES)
    labels[:] = 3
    assert sealed.accuracy(torch.tensor([0, 1, 2, 2])) == 1.0
