"""Protocols that read stored features of clean images: linear probe, logistic regression, nearest neighbours."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from mixviz.errors import UserError
from mixviz.evaluate.base import ON_TRAIN, Choice, Count, Decays, Epoch, Positive, Protocol, Rates, Readout, ranked_of
from mixviz.evaluate.knn import Metric, knn_votes
from mixviz.evaluate.linear import (
    LEARNING_RATES,
    WEIGHT_DECAYS,
    best_of,
    fit,
    fit_lbfgs,
    grid,
    linear_probe,
    predict,
    split,
    standardised,
)
from mixviz.result import BEST_ON_TEST


@dataclass(frozen=True, kw_only=True)
class LinearFeatures(Protocol):
    """Softmax regression on stored, standardised features, without augmentation.

    Stored features as in one of the evaluations of dkobak/simclr-cifar10. sgd: momentum 0.9, cosine schedule, every
    learning rate with every weight decay. lbfgs: each weight decay to convergence, bias not decayed.
    """

    name: ClassVar[str] = "linear-features"

    solver: Literal["sgd", "lbfgs"] = "sgd"
    lrs: Rates = LEARNING_RATES
    weight_decays: Decays = WEIGHT_DECAYS
    epochs: Count = 50
    batch_size: Count = 1024
    choose: Choice = "on-train"  # learning rate and weight decay
    epoch: Epoch = "last"

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        if self.solver == "lbfgs":
            return self._lbfgs(features, labels, test_features, seed)
        settings, about = grid(self.lrs, self.weight_decays), {"epochs": self.epochs, "batch_size": self.batch_size}
        if self.choose == "on-train":
            probe = linear_probe(features, labels, test_features, seed, self.epochs, self.batch_size, settings)
            settings = [(probe.lr, probe.weight_decay)]
            found = {"lr": probe.lr, "weight_decay": probe.weight_decay}
            about |= {"chosen_on": ON_TRAIN, **found, "validation_accuracy": probe.validation_accuracy}
            if not self.selects_on_test:
                return probe.predicted.cpu(), about | ranked_of(probe.logits)
        candidates: list[Tensor] = []
        features, test_features = standardised(features, test_features)
        generator = Generator().manual_seed(seed)
        shape = (self.epochs, self.batch_size)
        fit(features, labels, settings, generator, *shape, lambda w: candidates.append(predict(w, test_features)))
        return torch.cat(candidates[-1:] if self.epoch == "last" else candidates).cpu(), about

    def _lbfgs(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int) -> Readout:
        if self.epoch != "last":
            raise UserError("lbfgs has no epochs to choose from: take epoch=last, or solver=sgd")
        features, test_features = standardised(features, test_features)
        if self.choose == BEST_ON_TEST:
            return predict(fit_lbfgs(features, labels, self.weight_decays), test_features).cpu(), {}
        training, validation = split(len(features), Generator().manual_seed(seed))
        weights = fit_lbfgs(features[training], labels[training], self.weight_decays)
        best, accuracy = best_of(weights, features[validation], labels[validation])
        decay = self.weight_decays[best]
        predicted = predict(fit_lbfgs(features, labels, [decay]), test_features)[0].cpu()
        return predicted, {"chosen_on": ON_TRAIN, "weight_decay": decay, "validation_accuracy": accuracy}


@dataclass(frozen=True)
class Logistic(Protocol):
    """scikit-learn's LogisticRegression on stored, standardised features, C chosen on a fifth of train.

    Large C is a weak penalty. ``converged`` says whether the selected one converged before ``iterations``.
    """

    name: ClassVar[str] = "logistic"

    penalties: Rates = (0.001, 0.01, 0.1, 1.0, 10.0)  # C
    iterations: Count = 1000

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        x, test_x = (part.cpu().numpy() for part in standardised(features, test_features))
        wanted = labels.cpu().numpy()
        training, validation = (rows.numpy() for rows in split(len(x), Generator().manual_seed(seed)))
        scores = [
            self._fit(penalty, x[training], wanted[training]).score(x[validation], wanted[validation])
            for penalty in self.penalties
        ]
        best = max(range(len(scores)), key=scores.__getitem__)
        model = self._fit(self.penalties[best], x, wanted)
        found = {"chosen_on": ON_TRAIN, "C": self.penalties[best], "validation_accuracy": float(scores[best])}
        converged = int(model.n_iter_.max()) < self.iterations
        return torch.as_tensor(model.predict(test_x)), found | {"converged": converged}

    def _fit(self, penalty: float, features: Any, labels: Any) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression  # slow to import

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the result says it
            return LogisticRegression(C=penalty, max_iter=self.iterations).fit(features, labels)


@dataclass(frozen=True, kw_only=True)
class Knn(Protocol):
    """Weighted vote of the nearest training images (Wu et al. 2018, arXiv:1805.01978); nothing is chosen.

    k: None is 200, or a fiftieth of train if that is less (at least 5). temperature: votes have weight exp(similarity /
    temperature); None: weight 1. metric: see ``knn_predict``.
    """

    name: ClassVar[str] = "knn"

    k: Count | None = None
    temperature: Positive | None = 0.1
    metric: Metric = "cosine"

    def __call__(self, features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0) -> Readout:
        k = self.k or max(5, min(200, len(features) // 50))
        votes = knn_votes(features, labels, test_features, k, self.temperature, metric=self.metric)
        about = {"k": k, "temperature": self.temperature, "metric": self.metric}
        return votes.argmax(dim=1).cpu(), about | ranked_of(votes)
