"""Which classes an encoder's predictions mistake for one another."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of a prediction."""

    counts: np.ndarray  # (C, C) images; rows: the class they have, columns: the class they were given
    names: tuple[str, ...]  # of the C classes

    @property
    def accuracy(self) -> float:
        """Share of correct images, in [0, 1]."""
        return float(np.trace(self.counts) / self.counts.sum())

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the classes' accuracies, without those that have no images, in [0, 1]."""
        return float(np.nanmean(np.diagonal(self.shares)))

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1, without those that occur neither as true nor as predicted class, in [0, 1]."""
        both = self.counts.sum(axis=0) + self.counts.sum(axis=1)
        return float((2 * np.diagonal(self.counts)[both > 0] / both[both > 0]).mean())

    @property
    def shares(self) -> np.ndarray:
        """(C, C) rows that sum to one; the diagonal is each class's accuracy. NaN for a class without images."""
        images = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, images, out=np.full(self.counts.shape, np.nan), where=images > 0)

    def per_class(self) -> pd.DataFrame:
        """One row a class: class, images, accuracy (recall), precision, in [0, 1]; NaN if there is none to count."""
        given = self.counts.sum(axis=0)
        hits = np.diagonal(self.counts)
        precision = np.divide(hits, given, out=np.full(len(given), np.nan), where=given > 0)
        columns = {"images": self.counts.sum(axis=1), "accuracy": np.diagonal(self.shares), "precision": precision}
        return pd.DataFrame({"class": self.names, **columns})

    def most_confused(self, k: int = 10) -> pd.DataFrame:
        """The k pairs of classes that are confused most, in both directions together: the most frequent first.

        Columns: first, second, count (of both directions), first_as_second, second_as_first (shares of the class's
        images, in [0, 1]). Pairs that are never confused are left out.
        """
        both, shares = self.counts + self.counts.T, self.shares
        rows, columns = np.triu_indices(len(both), k=1)
        order = np.argsort(-both[rows, columns], kind="stable")[:k]
        pairs = [(i, j) for i, j in zip(rows[order], columns[order], strict=True) if both[i, j] > 0]
        found = [(self.names[i], self.names[j], int(both[i, j]), shares[i, j], shares[j, i]) for i, j in pairs]
        return pd.DataFrame(found, columns=["first", "second", "count", "first_as_second", "second_as_first"])
