"""Test labels under seal: predictions go in, one accuracy comes out, once."""

import numpy as np
from torch import Tensor

from mixviz.errors import UserError

BEST_ON_TEST = "best-on-test"  # stands in the name of every result that was chosen by test labels


class SealRefused(UserError):
    """Test labels were to be read a second time, or to choose by."""


class SealedLabels:
    """The test labels of one result. No protocol is given them; they only judge what one has predicted.

    labels: (n,) as in the data; classes: the values that predictions 0, 1, ... stand for. best_on_test: allow a
    choice by these labels, which ``best_accuracy`` makes; the result's name then has to say so.
    """

    def __init__(self, labels: np.ndarray, classes: np.ndarray, best_on_test: bool = False):
        self.__labels, self.__classes = np.array(labels), np.array(classes)
        self.__reads = 0
        self.__best_on_test = best_on_test

    def __len__(self) -> int:
        return len(self.__labels)

    def __repr__(self) -> str:
        return f"SealedLabels({len(self)} labels, read {self.reads} times)"

    @property
    def reads(self) -> int:
        """How often the labels were looked at: at most once."""
        return self.__reads

    def accuracy(self, predicted: Tensor) -> float:
        """The share of hits of (n,) predictions, in [0, 1]. Raises SealRefused from the second call on."""
        if predicted.dim() != 1:
            raise SealRefused(
                f"{len(predicted)} predictions for each test image is a choice on test: choose on a split of train, "
                f"or ask for {BEST_ON_TEST}"
            )
        return float(self.__hits(predicted[None])[0])

    def best_accuracy(self, candidates: Tensor) -> tuple[float, int]:
        """The highest accuracy of (M, n) predictions, and which of the M it is of: a number that flatters.

        Raises SealRefused where the labels were not made for it, and from the second call on.
        """
        if not self.__best_on_test:
            raise SealRefused(f"a choice on test: choose on a split of train, or ask for {BEST_ON_TEST}")
        accuracies = self.__hits(candidates)
        return float(accuracies.max()), int(accuracies.argmax())

    def __hits(self, candidates: Tensor) -> np.ndarray:
        if candidates.shape[-1] != len(self):
            raise UserError(f"{candidates.shape[-1]} predictions for {len(self)} test images: give one for each")
        if self.__reads:
            raise SealRefused("the test labels of this result have been read: a new result needs a new evaluation")
        self.__reads += 1
        return (self.__classes[candidates.cpu().numpy()] == self.__labels).mean(axis=1)
