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

from mixviz.data import ImageSet
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate.augmented import LinearAugmented, LinearOnline
from mixviz.evaluate.base import Protocol, Readout, Repeated
from mixviz.evaluate.classes import Confusion
from mixviz.evaluate.features import NotFrozen, Source, extract, fingerprint, frozen, raw_pixels
from mixviz.evaluate.knn import knn_predict
from mixviz.evaluate.labels import BEST_ON_TEST, SealedLabels, SealRefused
from mixviz.evaluate.linear import linear_probe
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
    train: ImageSet,
    test: ImageSet,
    encoder: str = "backbone",
    targets: Sequence[str] = ("label",),
    protocols: Sequence[str | Protocol] = DEFAULTS,
    seed: int = 0,
    run: str = "",
) -> list[Result]:
    """Read a frozen encoder out by every protocol, for every target. Raises UserError, NotFrozen.

    embedder: None stands for raw pixels. encoder and run: what the results call it. protocols: names, names with
    options such as ``knn:k=20``, or protocols. Test labels stay sealed: see ``SealedLabels``.
    """
    chosen = [as_protocol(given) for given in protocols]  # before any work
    for target in targets:
        train.targets(target), test.targets(target)
    source = Source(embedder, train, test)
    about = {"encoder": encoder, "seed": seed, "run": run, "device": str(source.device)}
    results = []
    for one in chosen:
        for target in targets:
            classes, labels = np.unique(train.targets(target), return_inverse=True)
            found = one.read(source, torch.as_tensor(labels), seed)
            results.append(_judged(one, found, classes, train, test, target, about))
    return results


def read_out(
    features: Tensor,
    test_features: Tensor,
    train: ImageSet,
    test: ImageSet,
    encoder: str,
    targets: Sequence[str],
    protocols: Sequence[str | Protocol],
    seed: int = 0,
    device: str = "cpu",
    run: str = "",
) -> list[Result]:
    """As ``evaluate``, from features that are there already: (N, F) of train, (n, F) of test."""
    about = {"encoder": encoder, "seed": seed, "run": run, "device": device}
    results = []
    for one in [as_protocol(given) for given in protocols]:
        if one.layer == "head":
            raise UserError(f"{one.label}: stored features are of one layer alone: evaluate the encoder")
        for target in targets:
            classes, labels = np.unique(train.targets(target), return_inverse=True)
            found = one(features, torch.as_tensor(labels), test_features, seed)
            results.append(_judged(one, found, classes, train, test, target, about))
    return results


def _judged(
    one: Protocol,
    found: Readout,
    classes: np.ndarray,
    train: ImageSet,
    test: ImageSet,
    target: str,
    about: dict[str, Any],
) -> Result:
    """The result of predictions."""
    predicted, settings = found
    wanted = test.targets(target)
    sealed = SealedLabels(wanted, classes, best_on_test=one.peeks, repeated=isinstance(one, Repeated))
    verdict, told = _unsealed(one, predicted, sealed, test.class_names if target == "label" else ())
    sizes = {"train_images": len(train), "test_images": len(test), "classes": len(classes)}
    label = {"protocol": one.label, "target": target, "data": train.name, "split": test.split}
    return Result(**label, **verdict, **sizes, **about, settings=one.options | settings | told, versions=_versions())


def _unsealed(
    one: Protocol, predicted: Tensor, sealed: SealedLabels, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracy and what it is made of, as a result has them, and what else is told: the only place of the one read."""
    if one.peeks:
        accuracy, place = sealed.best_accuracy(predicted)
        return {"accuracy": accuracy}, {"chosen_on": f"test: {BEST_ON_TEST}", "of": len(predicted), "place": place}
    if isinstance(one, Repeated):
        table = one.table(sealed.accuracies(predicted))
        accuracy, told = one.summary(table)
        return {"accuracy": accuracy, "table": table}, told
    confusion = sealed.confusion(predicted, names)
    return {"accuracy": confusion.accuracy, "confusion": confusion}, {}


@cache
def _versions() -> dict[str, str]:
    return environment()["packages"]


def read_out_knn(features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> Readout:
    """Protocol ``knn`` with its defaults."""
    return PROTOCOLS["knn"](features, labels, test_features, seed)
