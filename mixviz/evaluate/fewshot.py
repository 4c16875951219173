"""Few labels: 5 or 10 a class, redrawn in each trial, or 1 % and 10 % of all."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from mixviz.errors import UserError
from mixviz.evaluate.base import Count, MultiTrialProtocol, Protocol, Readout
from mixviz.evaluate.linear import linear_probe, standardised, with_bias
from mixviz.paired import mean_interval

LR, ITERATIONS = 0.03, 250  # LooC (arXiv:2008.05659): Adam, all labelled images in each step


@dataclass(frozen=True)
class FewShot:
    """Predictions of T classifiers, each trained on its own labels."""

    shots: int  # labels a class
    chosen: Tensor  # (T, C * shots) rows of train whose labels were used, class by class
    predicted: Tensor  # (T, n) classes of the test features


def few_shot(
    features: Tensor, labels: Tensor, test_features: Tensor, shots: int = 5, trials: int = 10, seed: int = 0
) -> FewShot:
    """Linear classifiers from a few labels a class, over several trials (LooC's protocol on Flowers-102).

    Softmax regression by Adam with lr 0.03 and 250 steps on all labelled images, from zero; no weight decay, nothing
    is chosen. All trials are trained at once. Features are standardised by the mean and standard deviation of all
    training features, which does not need their labels. Test labels are not passed in.

    features: (N, F); labels: (N,) from 0; test_features: (n, F). The images of a seed's first trials do not depend
    on the number of trials, and those of 5 shots are among those of 10. Raises UserError if a class has fewer
    images than shots.
    """
    chosen = draw_shots(labels, shots, trials, seed)
    features, test_features = (with_bias(part) for part in standardised(features, test_features))
    weights = fit_trials(features[chosen], labels[chosen].to(features.device))
    predicted = torch.stack([(test_features @ weight).argmax(dim=1) for weight in weights])
    return FewShot(shots, chosen, predicted)


def draw_shots(labels: Tensor, shots: int, trials: int, seed: int = 0) -> Tensor:
    """(T, C * shots) rows of labels (N,) from 0: in each trial ``shots`` images of each class, without repeats.

    Raises UserError if a class has fewer images, or there is nothing to draw.
    """
    if min(shots, trials) < 1:
        raise UserError(f"{shots} labels a class in {trials} trials: take at least 1 of each")
    counts = labels.bincount()
    if counts.min() < shots:
        rarest = int(counts.argmin())
        raise UserError(
            f"{shots} labels per class were requested, but class {rarest} has {counts[rarest]} images: request fewer"
        )
    generator = Generator().manual_seed(seed)
    first = (counts.cumsum(dim=0) - counts)[:, None] + torch.arange(shots)  # (C, shots) places once sorted by class
    trials_rows = []
    for _ in range(trials):
        order = torch.randperm(len(labels), generator=generator)
        by_class = order[labels[order].argsort(stable=True)]
        trials_rows.append(by_class[first.flatten()])
    return torch.stack(trials_rows)


def fit_trials(features: Tensor, labels: Tensor, lr: float = LR, iterations: int = ITERATIONS) -> Tensor:
    """Weights (T, F + 1, C) of one softmax regression a trial; the loss is convex: they start at zero.

    features: (T, M, F + 1), a column of ones the last; labels: (T, M) from 0. Adam keeps the trials apart, as it
    scales each weight by its own gradients, and the summed loss has for each trial the gradient of its own mean loss.
    """
    classes = int(labels.max()) + 1
    weights = features.new_zeros(len(features), features.shape[2], classes, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=lr)
    for _ in range(iterations):
        optimiser.zero_grad()
        loss = F.cross_entropy((features @ weights).flatten(0, 1), labels.flatten(), reduction="sum")
        (loss / labels.shape[1]).backward()
        optimiser.step()
    return weights.detach()


@dataclass(frozen=True, kw_only=True)
class LabelFraction:
    """Predictions of a linear probe trained on a part of the labels."""

    fraction: float
    chosen: Tensor  # (M,) rows of train whose labels were used
    predicted: Tensor  # (n,) classes of the test features
    lr: float  # chosen on a fifth of the labelled images
    weight_decay: float
    validation_accuracy: float


def label_fraction(
    features: Tensor, labels: Tensor, test_features: Tensor, fraction: float = 0.01, seed: int = 0
) -> LabelFraction:
    """A linear probe from 1 % or 10 % of the labels: the same part of each class, and at least one image of each.

    The settings are chosen on a fifth of the labelled images. features: (N, F); labels: (N,) from 0;
    test_features: (n, F). Raises UserError if the fraction is not in (0, 1] or leaves too few images to choose on.
    """
    chosen = share_of_labels(labels, fraction, seed)
    if len(chosen) < 10:
        raise UserError(f"{len(chosen)} labelled images are too few to choose settings on: take a larger fraction")
    probe = linear_probe(features[chosen], labels[chosen], test_features, seed)
    return LabelFraction(
        fraction=fraction,
        chosen=chosen,
        predicted=probe.predicted,
        lr=probe.lr,
        weight_decay=probe.weight_decay,
        validation_accuracy=probe.validation_accuracy,
    )


def share_of_labels(labels: Tensor, fraction: float, seed: int = 0) -> Tensor:
    """(M,) rows of the same part of each class, at least one; labels: (N,). Raises UserError if not in (0, 1]."""
    if not 0 < fraction <= 1:
        raise UserError(f"a fraction {fraction} of the labels: take one above 0 and at most 1, such as 0.01")
    order = torch.randperm(len(labels), generator=Generator().manual_seed(seed))
    parts = [order[labels[order] == label] for label in labels.unique()]
    return torch.cat([part[: max(1, int(np.rint(fraction * len(part))))] for part in parts])


@dataclass(frozen=True)
class LinearFewShot(MultiTrialProtocol):
    """``few_shot`` as a protocol: the mean accuracy over trials, and its 95 % interval by Student's t.

    The interval covers the choice of labelled images, for this one encoder and test set, not trainings.
    """

    name: ClassVar[str] = "few-shot"

    shots: Count = 5  # labels a class
    trials: Annotated[int, Field(ge=2)] = 10

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        return few_shot(features, labels, test_features, self.shots, self.trials, seed).predicted.cpu(), {}

    def table(self, accuracies: np.ndarray) -> pd.DataFrame:
        """One row a trial: trial, from 1, and accuracy."""
        return pd.DataFrame({"trial": np.arange(len(accuracies)) + 1, "accuracy": accuracies})

    def more_settings(self, table: pd.DataFrame) -> dict[str, Any]:
        """``low`` and ``high`` of the mean's interval."""
        _, low, high = mean_interval(table["accuracy"].tolist())
        return {"low": low, "high": high}


@dataclass(frozen=True)
class LinearFewLabels(Protocol):
    """``label_fraction`` as a protocol: a linear probe from 1 % or 10 % of the labels."""

    name: ClassVar[str] = "few-labels"

    share: Annotated[float, Field(gt=0, le=1)] = 0.01  # of the labels of each class

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        found = label_fraction(features, labels, test_features, self.share, seed)
        about = {"labels": len(found.chosen), "lr": found.lr, "weight_decay": found.weight_decay}
        return found.predicted.cpu(), about | {"validation_accuracy": found.validation_accuracy}
