"""Frozen features under named protocols; test labels are read once all have predicted."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixviz.environment import commit, environment
from mixviz.errors import UserError
from mixviz.evaluate.base import RANKED, MultiTrialProtocol, Protocol, Readout, Scored
from mixviz.evaluate.features import frozen
from mixviz.evaluate.labels import SealedLabels
from mixviz.evaluate.overlap import images_in_both
from mixviz.evaluate.protocols import DEFAULTS, as_protocol
from mixviz.evaluate.source import Source
from mixviz.result import BEST_ON_TEST, Result


def evaluate(
    source: Source, targets: Sequence[str] = ("label",), protocols: Sequence[str | Protocol] = DEFAULTS
) -> list[Result]:
    """Evaluate a frozen encoder, or features of one, by every protocol for every target.

    Raises UserError, also if train and test share images, and NotFrozen if a protocol changed the encoder.

    protocols: names, names with options such as ``knn:k=20``, or protocols. Test labels stay sealed: see
    ``SealedLabels``.

    >>> from mixviz.data import load
    >>> pixels = Source(train=load("optical-digits", "train"), test=load("optical-digits", "test"), encoder="pixels")
    >>> (result,) = evaluate(pixels, protocols=["knn:k=5"])
    >>> result.label, result.accuracy > 0.9
    ('knn (k 5)', True)
    """
    chosen = [as_protocol(given) for given in protocols]  # before any work
    for one in chosen:
        one.check_domain(source.train.domain)
    source.check(targets)
    both, inputs = images_in_both(source.train, source.test), source.inputs()
    with frozen(source.embedder):
        readouts = [
            (one, target, one.read(inputs, _from_zero(source, target), source.seed))
            for one in chosen
            for target in targets
        ]
    about = dict(source.settings) | ({"images_in_both": both} if both else {})
    return [_judged(*each, source, str(inputs.device), about) for each in readouts]  # once all have predicted


def _from_zero(source: Source, target: str) -> Tensor:
    """(N,) the target's values in train, numbered in their order."""
    return torch.as_tensor(np.unique(source.train.targets(target), return_inverse=True)[1])


def _judged(
    protocol: Protocol, target: str, readout: Readout, source: Source, device: str, about: dict[str, Any]
) -> Result:
    """The result of predictions."""
    predicted, used = readout
    ranked, used = used.get(RANKED), {name: value for name, value in used.items() if name != RANKED}
    test, classes = source.test, np.unique(source.train.targets(target))
    repeated = isinstance(protocol, MultiTrialProtocol)
    sealed = SealedLabels(test.targets(target), classes, best_on_test=protocol.selects_on_test, repeated=repeated)
    names = test.class_names if target == "label" else ()
    verdict, more = _unsealed(protocol, predicted, sealed, names, ranked)
    return Result(
        protocol=protocol.name,
        options=protocol.changed,
        encoder=source.encoder,
        target=target,
        data=source.train.name,
        split=test.split,
        train_images=len(source.train),
        test_images=len(test),
        classes=len(classes),
        seed=source.seed,
        device=device,
        settings=protocol.options | used | more | about,
        chosen_on_test=sealed.chose,
        run=source.run,
        versions=_versions(),
        commit=commit(),
        **verdict,
    )


def _unsealed(
    protocol: Protocol, predicted: Tensor, sealed: SealedLabels, names: Sequence[str], ranked: Tensor | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The accuracy and its details as a result's fields, and more settings; only here are test labels read."""
    if protocol.selects_on_test:
        accuracy, place = sealed.best_accuracy(predicted)
        return {"accuracy": accuracy}, {"chosen_on": f"test: {BEST_ON_TEST}", "of": len(predicted), "place": place}
    if isinstance(protocol, MultiTrialProtocol):
        return _repeated(protocol, predicted, sealed)
    if isinstance(protocol, Scored):
        means = dict(zip(protocol.measures, sealed.mean_scores(predicted).tolist(), strict=True))
        return {"accuracy": means[protocol.measures[0]]}, means
    confusion, top = sealed.judged(predicted, names, ranked)
    more = {"balanced_accuracy": confusion.balanced_accuracy, "macro_f1": confusion.macro_f1}
    return {"accuracy": confusion.accuracy, "confusion": confusion}, more | ({} if top is None else {"top_5": top})


def _repeated(
    protocol: MultiTrialProtocol, predicted: Tensor, sealed: SealedLabels
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mean of the predictions that the protocol counts, known before the labels are read. Raises UserError."""
    counted = np.array(protocol.counted(len(predicted)), bool)
    accuracies = sealed.accuracies(predicted)
    accuracy, table = float(accuracies[counted].mean()), protocol.table(accuracies.copy())
    if not np.array_equal(table["accuracy"], accuracies):
        raise UserError(f"{protocol.name}: its table does not have the measured accuracies: give all, in their order")
    return {"accuracy": accuracy, "table": table}, protocol.more_settings(table)


@cache
def _versions() -> dict[str, str]:
    return environment()["packages"]
