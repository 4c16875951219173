"""Evaluation: frozen features, read out by named protocols; every result says what it is a result of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.data import Dataset
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate.augmented import LinearAugmented, LinearOnline
from mixviz.evaluate.base import Protocol, Readout, Repeated
from mixviz.evaluate.classes import Confusion
from mixviz.evaluate.features import NotFrozen, Source, extract, fingerprint, frozen, raw_pixels
from mixviz.evaluate.knn import knn_predict
from mixviz.evaluate.labels import BEST_ON_TEST, SealedLabels, SealRefused
from mixviz.evaluate.linear import linear_probe
from mixviz.evaluate.overlap import images_in_both
from mixviz.evaluate.protocols import DEFAULTS, PROTOCOLS, as_protocol, protocol
from mixviz.evaluate.stored import Knn, LinearFeatures, Logistic
from mixviz.runs import environment

__all__ = ["BEST_ON_TEST", "DEFAULTS", "PROTOCOLS", "Knn", "LinearAugmented", "LinearFeatures", "LinearOnline"]
__all__ += ["Logistic", "NotFrozen", "Protocol", "Result", "SealRefused", "SealedLabels", "Source", "evaluate"]
__all__ += ["extract", "fingerprint", "frozen", "knn_predict", "linear_probe", "protocol", "raw_pixels", "read_out"]


@dataclass(frozen=True)
class Result:
    """One number, and all that it depends on."""

    protocol: str  # linear-features, knn, ...; options that are not the defaults in brackets
    encoder: str  # backbone, random, supervised, pixels
    target: str  # label, or a factor of the data such as hue
    accuracy: float  # on test, in [0, 1]; higher is better
    data: str  # name of the data set
    split: str
    train_images: int
    test_images: int
    classes: int
    seed: int
    device: str
    settings: dict[str, Any] = field(default_factory=dict)  # of the protocol, and what it chose
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    run: str = ""  # name of the run whose encoder was read out
    versions: dict[str, str] = field(default_factory=dict)  # of the packages
    commit: str = ""  # of the code that read it out
    confusion: Confusion | None = field(default=None, repr=False, compare=False)  # of one prediction
    table: pd.DataFrame | None = field(default=None, repr=False, compare=False)  # of several: a row for each

    @property
    def comparable(self) -> bool:
        """Whether no test label had a say in it but to judge."""
        return BEST_ON_TEST not in self.protocol

    def to_dict(self) -> dict[str, Any]:
        """For evaluation.json: all but the confusion and the table."""
        return {key: value for key, value in vars(self).items() if key not in ("confusion", "table")}


def evaluate(
    embedder: Embedder | None,
    train: Dataset,
    test: Dataset,
    encoder: str = "backbone",
    targets: Sequence[str] = ("label",),
    protocols: Sequence[str | Protocol] = DEFAULTS,
    seed: int = 0,
    run: str = "",
) -> list[Result]:
    """Read a frozen encoder out by every protocol, for every target.

    Raises UserError, also where train and test share images, and NotFrozen where a protocol changed the encoder.

    embedder: None stands for raw pixels. encoder and run: what the results call it. protocols: names, names with
    options such as ``knn:k=20``, or protocols. Test labels stay sealed: see ``SealedLabels``.
    """
    chosen = [as_protocol(given) for given in protocols]  # before any work
    for one in chosen:
        one.check_domain(train.domain)
    for target in targets:
        train.targets(target), test.targets(target)
    shared = _shared(train, test)
    source = Source(embedder, train, test)
    about = {"encoder": encoder, "seed": seed, "run": run, "device": str(source.device)}
    with frozen(embedder):
        found = [
            (one, target, one.read(source, _from_zero(train, target), seed)) for one in chosen for target in targets
        ]
    return [_judged(*each, train, test, shared, about) for each in found]  # once all have predicted


def read_out(
    features: Tensor,
    test_features: Tensor,
    train: Dataset,
    test: Dataset,
    encoder: str,
    targets: Sequence[str],
    protocols: Sequence[str | Protocol],
    seed: int = 0,
    device: str = "cpu",
    run: str = "",
) -> list[Result]:
    """As ``evaluate``, from features that are there already: (N, F) of train, (n, F) of test. Raises UserError."""
    shared = _shared(train, test)
    about = {"encoder": encoder, "seed": seed, "run": run, "device": device}
    found = []
    for one in [as_protocol(given) for given in protocols]:
        if one.layer == "head":
            raise UserError(f"{one.label}: stored features are of one layer alone: evaluate the encoder")
        found += [(one, target, one(features, _from_zero(train, target), test_features, seed)) for target in targets]
    return [_judged(*each, train, test, shared, about) for each in found]


def _from_zero(train: Dataset, target: str) -> Tensor:
    """(N,) the target's values, numbered in their order."""
    return torch.as_tensor(np.unique(train.targets(target), return_inverse=True)[1])


def _shared(train: Dataset, test: Dataset) -> dict[str, int]:
    """What a result's settings tell of images that are in both; nothing where there are none. Raises UserError."""
    both = images_in_both(train, test)
    return {"images_in_both": both} if both else {}


def _judged(
    one: Protocol,
    target: str,
    found: Readout,
    train: Dataset,
    test: Dataset,
    shared: dict[str, int],
    about: dict[str, Any],
) -> Result:
    """The result of predictions."""
    predicted, used = found
    classes = np.unique(train.targets(target))
    sealed = SealedLabels(test.targets(target), classes, best_on_test=one.peeks, repeated=isinstance(one, Repeated))
    verdict, told = _unsealed(one, predicted, sealed, test.class_names if target == "label" else ())
    sizes = {"train_images": len(train), "test_images": len(test), "classes": len(classes)}
    label = {"protocol": sealed.named(one.label), "target": target, "data": train.name, "split": test.split}
    settings = one.options | used | told | shared
    return Result(**label, **verdict, **sizes, **about, settings=settings, versions=_versions())


def _unsealed(
    one: Protocol, predicted: Tensor, sealed: SealedLabels, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracy and what it is made of, as a result has them, and what else is told: the only place of the one read."""
    if one.peeks:
        accuracy, place = sealed.best_accuracy(predicted)
        return {"accuracy": accuracy}, {"chosen_on": f"test: {BEST_ON_TEST}", "of": len(predicted), "place": place}
    if isinstance(one, Repeated):
        return _repeated(one, predicted, sealed)
    confusion = sealed.confusion(predicted, names)
    return {"accuracy": confusion.accuracy, "confusion": confusion}, {}


def _repeated(one: Repeated, predicted: Tensor, sealed: SealedLabels) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mean of what the protocol counts, which it says before the labels are read. Raises UserError."""
    counted = np.array(one.counted(len(predicted)), bool)
    accuracies = sealed.accuracies(predicted)
    accuracy, table = float(accuracies[counted].mean()), one.table(accuracies.copy())
    if not np.array_equal(table["accuracy"], accuracies):
        raise UserError(f"{one.name}: its table has other accuracies than were found: give all, in their order")
    return {"accuracy": accuracy, "table": table}, one.told(table)


@cache
def _versions() -> dict[str, str]:
    return environment()["packages"]


def read_out_knn(features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> Readout:
    """Protocol ``knn`` with its defaults."""
    return PROTOCOLS["knn"](features, labels, test_features, seed)
