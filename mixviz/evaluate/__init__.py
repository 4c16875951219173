"""Evaluation: frozen features, read out by named protocols; every result says what it is a result of."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixviz.data import ImageSet
from mixviz.encoders import Embedder
from mixviz.errors import unknown
from mixviz.evaluate.features import NotFrozen, extract, fingerprint, frozen, raw_pixels
from mixviz.evaluate.knn import knn_predict
from mixviz.evaluate.linear import linear_probe

__all__ = ["PROTOCOLS", "NotFrozen", "Result", "evaluate", "extract", "fingerprint", "frozen", "knn_predict"]
__all__ += ["linear_probe", "raw_pixels", "read_out"]


@dataclass(frozen=True)
class Result:
    """One number, and all that it depends on."""

    protocol: str  # linear-features, knn
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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_out_linear(features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> tuple[Tensor, dict]:
    """Protocol ``linear-features``: a linear probe on stored features, its settings chosen on a fifth of train."""
    probe = linear_probe(features, labels, test_features, seed)
    chosen = {"lr": probe.lr, "weight_decay": probe.weight_decay, "validation_accuracy": probe.validation_accuracy}
    return probe.predicted, {"epochs": 50, "batch_size": 1024, "chosen_on": "a fifth of train", **chosen}


def read_out_knn(features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> tuple[Tensor, dict]:
    """Protocol ``knn``: cosine, temperature 0.1, the 200 nearest, or a fiftieth of train where it is small.

    Nothing is chosen.
    """
    k = max(5, min(200, len(features) // 50))
    return knn_predict(features, labels, test_features, k, 0.1), {"k": k, "temperature": 0.1, "similarity": "cosine"}


PROTOCOLS: dict[str, Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, dict]]] = {
    "linear-features": read_out_linear,
    "knn": read_out_knn,
}


def evaluate(
    embedder: Embedder | None,
    train: ImageSet,
    test: ImageSet,
    encoder: str = "backbone",
    targets: Sequence[str] = ("label",),
    protocols: Sequence[str] = tuple(PROTOCOLS),
    seed: int = 0,
) -> list[Result]:
    """Read a frozen encoder out by every protocol, for every target. Raises UserError, NotFrozen.

    embedder: None stands for raw pixels. encoder: what the results call it.
    """
    for target in targets:  # before any work
        train.targets(target), test.targets(target)
    if embedder is None:
        features = raw_pixels(train), raw_pixels(test)
    else:
        features = extract(embedder, train), extract(embedder, test)
    device = "cpu" if embedder is None else str(embedder.mean.device)
    return read_out(*features, train, test, encoder, targets, protocols, seed, device)


def read_out(
    features: Tensor,
    test_features: Tensor,
    train: ImageSet,
    test: ImageSet,
    encoder: str,
    targets: Sequence[str],
    protocols: Sequence[str],
    seed: int = 0,
    device: str = "cpu",
) -> list[Result]:
    """As ``evaluate``, from features that are there already: (N, F) of train, (n, F) of test."""
    results = []
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
        for target in targets:
            labels, wanted = train.targets(target), test.targets(target)
            classes, labels = np.unique(labels, return_inverse=True)
            predicted, settings = PROTOCOLS[protocol](features, torch.as_tensor(labels), test_features, seed)
            accuracy = float((classes[predicted.numpy()] == wanted).mean())
            sizes = {"train_images": len(train), "test_images": len(test), "classes": len(classes)}
            results.append(
                Result(
                    protocol,
                    encoder,
                    target,
                    accuracy,
                    train.name,
                    test.split,
                    **sizes,
                    seed=seed,
                    device=device,
                    settings=settings,
                )
            )
    return results
