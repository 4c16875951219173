"""Sealed test labels: predictions go in, their accuracy comes out, once."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mixviz.confusion import Confusion
from mixviz.errors import UserError
from mixviz.evaluate.classes import confusion
from mixviz.result import BEST_ON_TEST, marked


class SealRefused(UserError):
    """Test labels would be read a second time, or used to select."""


class SealedLabels:
    """The test labels of one result. No protocol is given them; they only score its predictions.

    labels: (n,) as in the data; classes: the values that predictions 0, 1, ... stand for. best_on_test: allow selection
    by these labels, in ``best_accuracy``; the result's name then has to say so. repeated: allow ``accuracies`` of
    several predictions, all of which the result reports.
    """

    def __init__(self, labels: np.ndarray, classes: np.ndarray, best_on_test: bool = False, repeated: bool = False):
        self.__labels, self.__classes = np.array(labels), np.array(classes)
        self.__reads, self.__chose = 0, False
        self.__best_on_test, self.__repeated = best_on_test, repeated

    def __len__(self) -> int:
        return len(self.__labels)

    def __repr__(self) -> str:
        return f"SealedLabels({len(self)} labels, read {self.reads} times)"

    @property
    def reads(self) -> int:
        """How often the labels were read: at most once."""
        return self.__reads

    def named(self, label: str) -> str:
        """The label for the result: with ``best-on-test`` if these labels have selected."""
        return marked(label, self.__chose)

    @property
    def chose(self) -> bool:
        """Whether these labels have selected among predictions, whatever the protocol's name says."""
        return self.__chose

    def accuracy(self, predicted: Tensor) -> float:
        """The accuracy of (n,) predictions, in [0, 1]. Raises SealRefused from the second call on."""
        return self.confusion(predicted).accuracy

    def confusion(self, predicted: Tensor, names: Sequence[str] = ()) -> Confusion:
        """As ``judged``, without ranks."""
        return self.judged(predicted, names)[0]

    def judged(
        self, predicted: Tensor, names: Sequence[str] = (), ranked: Tensor | None = None
    ) -> tuple[Confusion, float | None]:
        """The confusion matrix of (n,) predictions: one read, as ``accuracy``.

        And the share of labels that are among (n, k) ``ranked`` classes, if they are given.

        names: of labels 0, 1, ...; a class without one is called by its label.
        """
        if predicted.dim() != 1:
            raise SealRefused(
                f"{len(predicted)} predictions for each test image is a choice on test: choose on a split of train, "
                f"or ask for {BEST_ON_TEST}"
            )
        given = self.__read(predicted)
        labels = np.union1d(self.__classes, self.__labels)
        called = [names[int(label)] if 0 <= label < len(names) else str(label) for label in labels]
        found = confusion(np.searchsorted(labels, given), np.searchsorted(labels, self.__labels), called)
        if ranked is None:
            return found, None
        return found, float((self.__classes[ranked.numpy()] == self.__labels[:, None]).any(axis=1).mean())

    def mean_scores(self, scores: Tensor) -> np.ndarray:
        """(M,) means of scores (M, n, C), each image's of its own class: one read; 0 for a class that is not in train.

        Raises SealRefused from the second call on.
        """
        self.__open(scores.shape[1])
        place = np.searchsorted(self.__classes, self.__labels).clip(max=len(self.__classes) - 1)
        own = scores.numpy()[:, np.arange(len(self)), place]
        return (own * (self.__classes[place] == self.__labels)).mean(axis=1)

    def accuracies(self, predictions: Tensor) -> np.ndarray:
        """The accuracies (M,) of M predictions (M, n), without selection: one read.

        Raises SealRefused if the labels were not made for it, and from the second call on.
        """
        if not self.__repeated:
            raise SealRefused(f"{len(predictions)} predictions for each test image: give one, or report all")
        return self.__hits(predictions)

    def best_accuracy(self, candidates: Tensor) -> tuple[float, int]:
        """The highest accuracy of (M, n) predictions, and which of the M has it: an optimistic number.

        Raises SealRefused if the labels were not made for it, and from the second call on.
        """
        if not self.__best_on_test:
            raise SealRefused(f"a choice on test: choose on a split of train, or ask for {BEST_ON_TEST}")
        accuracies, self.__chose = self.__hits(candidates), True
        return float(accuracies.max()), int(accuracies.argmax())

    def __hits(self, predictions: Tensor) -> np.ndarray:
        return (self.__read(predictions) == self.__labels).mean(axis=1)

    def __read(self, predictions: Tensor) -> np.ndarray:
        """Predictions (..., n) as labels of the data. Counts as the one read: called when labels are used."""
        self.__open(predictions.shape[-1])
        return self.__classes[predictions.cpu().numpy()]

    def __open(self, count: int) -> None:
        """Count the one read. count: number of images with predictions."""
        if count != len(self):
            raise UserError(f"{count} predictions for {len(self)} test images: give one for each")
        if self.__reads:
            raise SealRefused("the test labels of this result have been read: a new result needs a new evaluation")
        self.__reads += 1
