"""What a protocol is: how a frozen encoder's features become predictions of test images.

It is given training labels, never test labels: it returns one prediction for each test image or, for ``best-on-test``,
all candidates to choose from.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field
from torch import Tensor

from mixviz.errors import UserError
from mixviz.evaluate.features import Inputs, Layer
from mixviz.result import BEST_ON_TEST, protocol_label

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Rates = Annotated[tuple[Positive, ...], Field(min_length=1)]
Decays = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)]
Choice = Literal["on-train", "best-on-test"]  # of learning rate and weight decay
Epoch = Literal["last", "best-on-test"]
ON_TRAIN = "a fifth of train"
TOP = 5
RANKED = "ranked"  # in a read-out next to the predictions: (n, TOP) classes, the first is predicted

Readout = tuple[
    Tensor, dict[str, Any]
]  # (n,) predictions, or (M, n) of a choice on test or of a MultiTrialProtocol, or a Scored's scores; what was used


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What all protocols have: a name, options, and a label that names the options which are not the defaults."""

    name: ClassVar[str]
    domains: ClassVar[tuple[str, ...] | None] = None  # on which it is defined; None: all
    layer: Layer = "backbone"  # the head is the embedding of the first space, which is discarded after training

    @property
    def label(self) -> str:
        """The name, and in brackets the options that are not the defaults: ``knn (k 20, layer head)``."""
        return protocol_label(self.name, self.changed)

    @property
    def options(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def changed(self) -> dict[str, Any]:
        """The options that are not the defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in self.options.items() if value != defaults[name]}

    @property
    def selects_on_test(self) -> bool:
        """Whether test labels select: such a number is optimistic, and is left out of comparisons."""
        return BEST_ON_TEST in self.options.values()

    def check_domain(self, domain: str) -> None:
        """Raises UserError if the protocol is not defined for such data."""
        if self.domains is not None and domain not in self.domains:
            needed = " or ".join(self.domains)
            raise UserError(f"{self.name} needs {needed} data, and this is {domain} data: take linear-features or knn")

    def read(self, inputs: Inputs, labels: Tensor, seed: int = 0) -> Readout:
        """Predictions for the test images. labels: (N,) of train, from 0. Raises UserError, NotFrozen."""
        features, test_features = inputs.features(self.layer)
        return self(features, labels, test_features, seed)

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        """As ``read``, from features (N, F) and (n, F). Raises UserError if the protocol needs the images."""
        raise UserError(f"{self.name} needs images, but stored features have none: evaluate the encoder")


@dataclass(frozen=True, kw_only=True)
class MultiTrialProtocol(Protocol):
    """A protocol that predicts the test images M times and is scored on all of them: nothing is selected.

    The result's accuracy is the mean of those that ``counted`` marks, which is known before any test label is read. The
    table that the protocol makes cannot change it.
    """

    def counted(self, count: int) -> np.ndarray:
        """(M,) bool, which of the M predictions the mean is over; at least one."""
        return np.ones(count, bool)

    def table(self, accuracies: np.ndarray) -> pd.DataFrame:
        """The table of (M,) accuracies: one row each, in their order, with ``accuracy`` among the columns."""
        raise NotImplementedError

    def more_settings(self, table: pd.DataFrame) -> dict[str, Any]:
        """More settings of the result, from the table."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Scored(Protocol):
    """A protocol without predictions: it scores each test image for every class that it might have.

    Its read-out is (M, n, C), one score for each of ``measures``; the result's accuracy is the mean of the first over
    the images' true classes; its settings have all of them.
    """

    measures: ClassVar[tuple[str, ...]]


def ranked_of(scores: Tensor) -> dict[str, Any]:
    """For a read-out: the five classes with the highest of (n, C) scores, in order; empty if there are no more."""
    if scores.shape[1] <= TOP:
        return {}
    return {RANKED: scores.argsort(dim=1, descending=True, stable=True)[:, :TOP].cpu()}
