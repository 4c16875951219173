"""The linear probe on stored features: a sweep of settings, all trained at once, chosen on a split of train."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

LEARNING_RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
WEIGHT_DECAYS = (0.0, 1e-4, 1e-3)


@dataclass(frozen=True)
class Probe:
    """What a linear probe found."""

    predicted: Tensor  # (n,) classes of the test features
    lr: float  # chosen on validation
    weight_decay: float
    validation_accuracy: float


def linear_probe(
    features: Tensor, labels: Tensor, test_features: Tensor, seed: int = 0, epochs: int = 50, batch_size: int = 1024
) -> Probe:
    """Softmax regression on frozen features, by SGD with momentum 0.9, cosine schedule, no augmentation.

    Features are standardised by the training features' mean and standard deviation. Learning rate and weight decay
    are chosen on a fifth of train, the probe is then trained on all of it; test labels are not even handed in.

    features: (N, F); labels: (N,) from 0; test_features: (n, F).
    """
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    features, test_features = (features - mean) / std, (test_features - mean) / std
    generator = Generator().manual_seed(seed)
    order = torch.randperm(len(features), generator=generator)
    validation, training = order[: len(order) // 5], order[len(order) // 5 :]
    settings = [(lr, decay) for lr in LEARNING_RATES for decay in WEIGHT_DECAYS]
    weights = fit(features[training], labels[training], settings, generator, epochs, batch_size)
    hits = predict(weights, features[validation]) == labels[validation]
    accuracies = hits.double().mean(dim=1)
    best = int(accuracies.argmax())
    final = fit(features, labels, [settings[best]], generator, epochs, batch_size)
    return Probe(predict(final, test_features)[0], *settings[best], float(accuracies[best]))


def fit(
    features: Tensor,
    labels: Tensor,
    settings: list[tuple[float, float]],
    generator: Generator,
    epochs: int,
    batch_size: int,
) -> Tensor:
    """Weights of one softmax regression for each (learning rate, weight decay), (F + 1, S, C); the last row is bias.

    All settings see the same batches, are independent of one another, and share each matrix product. The loss is
    convex: they start at zero.
    """
    features, classes = with_bias(features), int(labels.max()) + 1
    one_hot = F.one_hot(labels, classes).to(features)[:, None]  # (N, 1, C)
    rates = torch.tensor([lr for lr, _ in settings])[:, None]
    decays = torch.tensor([decay for _, decay in settings])[:, None]
    weights = torch.zeros(features.shape[1], len(settings), classes)
    velocity = torch.zeros_like(weights)
    batch_size = min(batch_size, len(features))
    batches = len(features) // batch_size
    for epoch in range(epochs):
        order = torch.randperm(len(features), generator=generator)[: batches * batch_size]
        for i, index in enumerate(order.view(batches, batch_size)):
            batch = features[index]
            logits = (batch @ weights.flatten(1)).unflatten(1, weights.shape[1:])  # (B, S, C)
            errors = logits.softmax(dim=2) - one_hot[index]  # the cross entropy's gradient by the logits
            gradient = (batch.T @ errors.flatten(1)).view_as(weights) / batch_size
            velocity.mul_(0.9).add_(gradient + decays * weights)
            cosine = 0.5 * (1 + math.cos(math.pi * (epoch + i / batches) / epochs))
            weights -= cosine * rates * velocity
    return weights


def predict(weights: Tensor, features: Tensor) -> Tensor:
    """(F + 1, S, C) weights, (n, F) features -> (S, n) classes."""
    return (with_bias(features) @ weights.flatten(1)).unflatten(1, weights.shape[1:]).argmax(dim=2).T


def with_bias(features: Tensor) -> Tensor:
    """(n, F) -> (n, F + 1), a column of ones added."""
    return F.pad(features, (0, 1), value=1.0)
