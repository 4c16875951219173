"""Class by class: the confusions of a prediction."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mixviz.confusion import Confusion
from mixviz.errors import UserError


def confusion(predicted: np.ndarray | Tensor, wanted: np.ndarray | Tensor, names: Sequence[str] = ()) -> Confusion:
    """The confusion matrix of predictions (n,) against labels (n,), both from 0.

    names: of all classes, in the order of the labels; without them, the labels that occur.
    Raises UserError if lengths differ, or a label has no name.
    """
    predicted, wanted = np.asarray(predicted), np.asarray(wanted)
    if predicted.shape != wanted.shape or not len(wanted):
        raise UserError(f"{len(predicted)} predictions for {len(wanted)} labels: give one for each, and at least one")
    occurring = np.union1d(predicted, wanted)
    labels = np.arange(len(names)) if names else occurring
    if not np.isin(occurring, labels).all():
        raise UserError(f"label {occurring[-1]} has no name among {len(names)}: name all classes, or none")
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (np.searchsorted(labels, wanted), np.searchsorted(labels, predicted)), 1)
    return Confusion(counts, tuple(names) or tuple(map(str, labels)))
