"""Protocols compared: one checkpoint under the protocols that papers and libraries report, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.errors import UserError
from mixviz.evaluate.augmented import LinearAugmented, LinearOnline, read_together
from mixviz.evaluate.base import Protocol, Readout
from mixviz.evaluate.features import Inputs, frozen
from mixviz.evaluate.knn import Metric
from mixviz.evaluate.labels import SealedLabels
from mixviz.evaluate.overlap import images_in_both
from mixviz.evaluate.source import Source
from mixviz.evaluate.stored import Knn, LinearFeatures, Logistic
from mixviz.result import BEST_ON_TEST

LENGTHS = "either way: lengths of features weigh in"


@dataclass(frozen=True, kw_only=True)
class NamedProtocol:
    """One way to evaluate a checkpoint, who uses it, and its effect on the number.

    protocols: one, or several of which the best on test is reported; the name then has to say so.
    """

    name: str
    protocols: tuple[Protocol, ...]
    reported_by: str
    effect: str

    def __post_init__(self) -> None:
        if self.selects_on_test and BEST_ON_TEST not in self.name:
            raise UserError(f"the reading {self.name!r} selects on test: put {BEST_ON_TEST} into its name")

    @property
    def selects_on_test(self) -> bool:
        """Whether test labels select: such a number is optimistic, and is left out of comparisons."""
        first, *others = self.protocols
        return bool(others) or first.selects_on_test


def _knn(k: int, metric: Metric = "cosine") -> Knn:
    return Knn(k=k, temperature=None, metric=metric)


NEIGHBOURS = tuple(_knn(k, metric) for metric in get_args(Metric) for k in (1, 5, 20))
MIXCO, IMIX = LinearAugmented(recipe="mixco"), LinearAugmented(recipe="imix")

ROWS: tuple[tuple[str, tuple[Protocol, ...], str, str], ...] = (  # as the fields of NamedProtocol
    ("linear, stored features", (LinearFeatures(),), "mixviz", "the reference: settings chosen on train"),
    (
        "linear, stored features, best-on-test epoch", (LinearFeatures(epoch=BEST_ON_TEST),), "UvA tutorial 17",
        "inflates: the luckiest epoch of the probe",
    ),
    (
        "linear, stored features, best-on-test of all",
        (LinearFeatures(choose=BEST_ON_TEST, epoch=BEST_ON_TEST),), "stable-pretraining (of a run)",
        "inflates: the luckiest of all probes",
    ),
    ("linear, stored features of the head", (LinearFeatures(layer="head"),), "none of the peers",
     "costs: the head drops what augmentation changes"),
    ("logistic regression", (Logistic(),), "users of scikit-learn",
     "none: the same model, another solver"),
    ("linear, online views", (LinearOnline(),), "solo-learn (beside pre-training)",
     "costs on a frozen checkpoint: strong views, few passes"),
    ("linear, augmented, lr 30", (LinearAugmented(),), "MoCo (LooC, longer)",
     "either way: nothing chosen, made for ImageNet"),
    ("linear, augmented, lr 3", (MIXCO,), "MixCo's, but the last epoch", "none: nothing chosen"),
    ("linear, augmented, lr 3, best-on-test epoch", (replace(MIXCO, epoch=BEST_ON_TEST),), "MixCo",
     "inflates: the luckiest epoch of the probe"),
    ("linear, augmented, lr 1 to 70", (IMIX,), "i-Mix's, but chosen on train", "none"),
    ("linear, augmented, best-on-test lr", (replace(IMIX, choose=BEST_ON_TEST),), "i-Mix",
     "inflates: seven tries on test"),
    ("kNN 200, τ 0.1, head", (Knn(k=200, layer="head"),), "MoCo demo",
     "costs: the head, not the backbone"),
    ("kNN 200, τ 0.1", (Knn(k=200),), "lightly (best of a run on test)", "costs: no weights learned"),
    ("kNN 10, cosine", (_knn(10),), "dkobak/simclr-cifar10", "costs: no weights learned"),
    ("kNN 1, cosine", (_knn(1),), "none of the peers", "costs: one vote is noisy"),
    ("kNN 5, cosine", (_knn(5),), "none of the peers", "costs: few votes are noisy"),
    ("kNN 20, cosine", (_knn(20),), "stable-pretraining", "costs: no weights learned"),
    ("kNN 1, Euclidean", (_knn(1, "euclidean"),), "none of the peers", LENGTHS),
    ("kNN 5, Euclidean", (_knn(5, "euclidean"),), "none of the peers", LENGTHS),
    ("kNN 20, Euclidean", (_knn(20, "euclidean"),), "dkobak, beside the cosine", LENGTHS),
    ("kNN, best-on-test k and metric", NEIGHBOURS, "none of the peers says so",
     "inflates: six tries on test"),
)  # fmt: skip
NAMED_PROTOCOLS = tuple(
    NamedProtocol(name=name, protocols=protocols, reported_by=reported_by, effect=effect)
    for name, protocols, reported_by, effect in ROWS
)


def compare_protocols(
    source: Source, target: str = "label", readings: Sequence[NamedProtocol] = NAMED_PROTOCOLS, scale: float = 0.1
) -> pd.DataFrame:
    """One checkpoint under every reading, one row each, in their order. Raises UserError, NotFrozen.

    Columns: reading, protocol, reported_by, effect, accuracy (on test, in [0, 1]), points (percentage points above
    the first reading), comparable (False if test labels selected), reads (of the test labels, one each), and what
    all share: data, split, target, scale, seed.

    scale: of the epochs of the augmented probes (100 in most papers), since each needs a pass of the encoder; those
    that differ only in learning rates are trained together. Readings of the head are left out for raw pixels.
    """
    if not scale > 0:
        raise UserError(f"--scale {scale:g}: give a number greater than 0")
    train, test, seed, inputs = source.train, source.test, source.seed, source.inputs()
    classes, labels = np.unique(train.targets(target), return_inverse=True)
    sealed_by = test.targets(target)
    images_in_both(train, test)
    readings = [r for r in readings if source.embedder is not None or all(p.layer == "backbone" for p in r.protocols)]
    every = [_scaled(p, scale) for r in readings for p in r.protocols]
    for one in every:
        one.check_domain(train.domain)
    with frozen(source.embedder):
        found = _read_all(every, inputs, torch.as_tensor(labels), seed)
    rows = []
    for reading in readings:
        protocols = [_scaled(one, scale) for one in reading.protocols]
        candidates = [found[one][0] for one in protocols]
        sealed = SealedLabels(sealed_by, classes, best_on_test=reading.selects_on_test)
        accuracy = _judge(candidates, sealed, reading.selects_on_test)
        label = protocols[0].label if len(protocols) == 1 else " | ".join(one.label for one in protocols)
        about = {"reported_by": reading.reported_by, "effect": reading.effect, "accuracy": accuracy}
        row = {"reading": sealed.named(reading.name), "protocol": label, **about, "comparable": not sealed.chose}
        rows.append(row | {"reads": sealed.reads})
    table = pd.DataFrame(rows)
    table.insert(5, "points", 100 * (table["accuracy"] - table["accuracy"].iloc[0]))
    return table.assign(data=train.name, split=test.split, target=target, scale=scale, seed=seed)


def _judge(candidates: Sequence[Tensor], sealed: SealedLabels, selects_on_test: bool) -> float:
    if not selects_on_test:
        return sealed.accuracy(candidates[0])
    every = [one[None] if one.dim() == 1 else one for one in candidates]
    return sealed.best_accuracy(torch.cat(every))[0]


def _scaled(one: Protocol, scale: float) -> Protocol:
    return replace(one, scale=scale) if isinstance(one, LinearAugmented) else one


def _read_all(protocols: Sequence[Protocol], inputs: Inputs, labels: Tensor, seed: int) -> dict[Protocol, Readout]:
    """Every protocol once; the augmented ones of the same passes together."""
    unique = list(dict.fromkeys(protocols))
    augmented = [one for one in unique if isinstance(one, LinearAugmented)]
    found = {one: one.read(inputs, labels, seed) for one in unique if one not in augmented}
    for schedule in dict.fromkeys(one.schedule for one in augmented):
        together = [one for one in augmented if one.schedule == schedule]
        found |= dict(zip(together, read_together(together, inputs, labels, seed), strict=True))
    return found
