"""The linear probe on stored features: a sweep of settings, all trained at once, chosen on a split of train."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

LEARNING_RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
WEIGHT_DECAYS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)

Setting = tuple[float, float]  # learning rate, weight decay


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A linear classifier for further predictions: (n, F) features -> (n,) classes from 0."""

    mean: Tensor  # (F,) of the training features
    std: Tensor  # (F,)
    weights: Tensor  # (F + 1, 1, C), the last row is the bias
    lr: float  # chosen on validation
    weight_decay: float
    validation_accuracy: float

    def __call__(self, features: Tensor) -> Tensor:
        return self.logits(features).argmax(dim=1)

    def logits(self, features: Tensor) -> Tensor:
        """(n, F) features -> (n, C)."""
        return with_bias((features - self.mean) / self.std) @ self.weights[:, 0]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The result of a linear probe."""

    predicted: Tensor  # (n,) classes of the test features
    logits: Tensor  # (n, C)
    lr: float  # chosen on validation
    weight_decay: float
    validation_accuracy: float


def linear_probe(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    seed: int = 0,
    epochs: int = 50,
    batch_size: int = 1024,
    settings: Sequence[Setting] | None = None,
) -> Probe:
    """The predictions of ``linear_classifier`` for test features (n, F); test labels are not passed in."""
    classifier = linear_classifier(features, labels, seed, epochs, batch_size, settings)
    logits = classifier.logits(test_features)
    return Probe(
        predicted=logits.argmax(dim=1),
        logits=logits,
        lr=classifier.lr,
        weight_decay=classifier.weight_decay,
        validation_accuracy=classifier.validation_accuracy,
    )


def linear_classifier(
    features: Tensor,
    labels: Tensor,
    seed: int = 0,
    epochs: int = 50,
    batch_size: int = 1024,
    settings: Sequence[Setting] | None = None,
) -> Classifier:
    """Softmax regression on frozen features, by SGD with momentum 0.9, cosine schedule, no augmentation.

    Features are standardised by the training features' mean and standard deviation. Learning rate and weight decay
    are chosen on a fifth of train, the classifier is then trained on all of it.

    features: (N, F); labels: (N,) from 0. settings: to choose from; None: every one of LEARNING_RATES with every one
    of WEIGHT_DECAYS.
    """
    mean, std = moments(features)
    features = (features - mean) / std
    settings = settings or grid(LEARNING_RATES, WEIGHT_DECAYS)
    generator = Generator().manual_seed(seed)
    training, validation = split(len(features), generator)
    weights = fit(features[training], labels[training], settings, generator, epochs, batch_size)
    best, accuracy = best_of(weights, features[validation], labels[validation])
    final = fit(features, labels, [settings[best]], generator, epochs, batch_size)
    lr, weight_decay = settings[best]
    return Classifier(mean=mean, std=std, weights=final, lr=lr, weight_decay=weight_decay, validation_accuracy=accuracy)


def grid(lrs: Sequence[float], weight_decays: Sequence[float]) -> list[Setting]:
    """Every learning rate with every weight decay."""
    return [(lr, decay) for lr in lrs for decay in weight_decays]


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (F,) of the columns of (N, F), the latter never zero."""
    return features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)


def standardised(features: Tensor, *others: Tensor) -> list[Tensor]:
    """All by the mean and standard deviation of the columns of the first, (N, F)."""
    mean, std = moments(features)
    return [(part - mean) / std for part in (features, *others)]


def split(n: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Rows of n training images to train on, and the fifth of them, drawn at random, to choose settings on.

    At least one is for selection.
    """
    order, fifth = torch.randperm(n, generator=generator), max(1, n // 5)
    return order[fifth:], order[:fifth]


def best_of(weights: Tensor, features: Tensor, labels: Tensor) -> tuple[int, float]:
    """The best of S settings on (n, F) held-out training features, and its accuracy."""
    accuracies = (predict(weights, features) == labels.to(features.device)).cpu().double().mean(dim=1)
    return int(accuracies.argmax()), float(accuracies.max())


def fit(
    features: Tensor,
    labels: Tensor,
    settings: Sequence[Setting],
    generator: Generator,
    epochs: int,
    batch_size: int,
    watch: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Weights of one softmax regression for each (learning rate, weight decay), (F + 1, S, C); the last row is bias.

    All settings see the same batches, are independent of one another, and share each matrix product. The loss is
    convex: they start at zero. watch: called with the weights after every epoch.
    """
    features, classes = with_bias(features), int(labels.max()) + 1
    one_hot = F.one_hot(labels.to(features.device), classes).to(features)  # (N, C)
    rates, decays = (features.new_tensor(column)[:, None] for column in zip(*settings, strict=True))
    weights = features.new_zeros(features.shape[1], len(settings), classes)
    velocity = torch.zeros_like(weights)
    batch_size = min(batch_size, len(features))
    batches = len(features) // batch_size
    for epoch in range(epochs):
        order = torch.randperm(len(features), generator=generator)[: batches * batch_size].to(features.device)
        for i, index in enumerate(order.view(batches, batch_size)):
            batch, wanted = features.index_select(0, index), one_hot.index_select(0, index)
            velocity.mul_(0.9).add_(gradient(batch, wanted, weights)).add_(decays * weights)
            cosine = 0.5 * (1 + math.cos(math.pi * (epoch + i / batches) / epochs))
            weights -= cosine * rates * velocity
        if watch:
            watch(weights)
    return weights


def gradient(batch: Tensor, one_hot: Tensor, weights: Tensor, train_mask: Tensor | None = None) -> Tensor:
    """Of the mean cross entropy of S softmax regressions by their weights, (F + 1, S, C).

    batch: (B, F + 1); one_hot: (B, C). train_mask: (B, S), which rows each regression learns from; None: all.
    The batch comes last in between: on a CPU, the softmax over classes is ten times as fast as over the last axis.
    """
    logits = (weights.flatten(1).T @ batch.T).unflatten(0, weights.shape[1:])  # (S, C, B)
    errors = logits.softmax(dim=1).sub_(one_hot.T)  # the cross entropy's gradient by the logits
    if train_mask is None:
        errors /= len(batch)
    else:
        errors *= (train_mask / train_mask.sum(dim=0).clamp(min=1)).T[:, None]
    return (errors.flatten(0, 1) @ batch).T.unflatten(1, weights.shape[1:])


def fit_lbfgs(features: Tensor, labels: Tensor, weight_decays: Sequence[float], iterations: int = 200) -> Tensor:
    """As ``fit``, to the minimum of each weight decay by L-BFGS: (F + 1, S, C). No learning rate, no random choice.

    Minimises the mean cross entropy + decay / 2 times the squared weights, bias left out: scikit-learn's
    LogisticRegression with C = 1 / (N decay). A regularisation path: the strongest decay starts at zero, each next one
    where the last ended.
    """
    features, labels, classes = with_bias(features), labels.to(features.device), int(labels.max()) + 1
    weights = features.new_zeros(features.shape[1], classes)
    found: dict[float, Tensor] = {}
    for decay in sorted(weight_decays, reverse=True):
        weights = weights.detach().clone().requires_grad_()
        settings = {"max_iter": iterations, "tolerance_grad": 1e-6, "line_search_fn": "strong_wolfe"}
        optimizer = torch.optim.LBFGS([weights], **settings)

        def loss(weights: Tensor = weights, optimizer: torch.optim.LBFGS = optimizer, decay: float = decay) -> Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(features @ weights, labels) + 0.5 * decay * weights[:-1].square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(loss)
        found[decay] = weights.detach()
    return torch.stack([found[decay] for decay in weight_decays], dim=1)


def predict(weights: Tensor, features: Tensor) -> Tensor:
    """(F + 1, S, C) weights, (n, F) features -> (S, n) classes."""
    return (with_bias(features) @ weights.flatten(1)).unflatten(1, weights.shape[1:]).argmax(dim=2).T


def with_bias(features: Tensor) -> Tensor:
    """(n, F) -> (n, F + 1), a column of ones added."""
    return F.pad(features, (0, 1), value=1.0)
