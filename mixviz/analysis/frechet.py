"""How far test embeddings are from training embeddings: i-Mix's Fréchet embedding distance, with its noise floor."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.analysis.geometry import gram
from mixviz.errors import UserError
from mixviz.evaluate import linear_probe


@dataclass(frozen=True, kw_only=True)
class Regularisation:
    """How much better an encoder knows its training images than new ones (i-Mix, arXiv:2010.08887, section 5)."""

    distance: Tensor  # (draws,) Fréchet distance of train to test; lower: test looks like train
    floor: Tensor  # (draws,) of train to other images of train: what the same number of images gives by chance
    images: int  # on each side
    train_accuracy: float  # of a linear probe on what it was fitted to, in [0, 1]; NaN without labels
    test_accuracy: float  # of the same probe; the gap between the two is its overfitting

    @property
    def excess(self) -> float:
        """Mean distance over the noise floor, of the same draws; about 0 if train and test cannot be told apart."""
        return float((self.distance - self.floor).mean())


@torch.no_grad()
def frechet_distance(x: Tensor, y: Tensor) -> float:
    """||μ_x - μ_y||² + Tr(Σ_x + Σ_y - 2 (Σ_x Σ_y)^½) of two sets of points; 0 is alike, lower is nearer.

    The squared Wasserstein distance of the Gaussians with their means and covariances (Dowson & Landau 1982; i-Mix,
    section 5, on unit-length features). Biased upwards by a term that falls as 1 / N: compare sets of equal sizes only.
    x: (N, D); y: (n, D), two or more each; in float64. Raises UserError.
    """
    if min(len(x), len(y)) < 2:
        raise UserError(f"a covariance needs at least two embeddings, not {len(x)} and {len(y)}: give more images")
    moved = x.mean(dim=0, dtype=torch.float64) - y.mean(dim=0, dtype=torch.float64)
    cov_x, cov_y = (gram(points, centred=True) / (len(points) - 1) for points in (x, y))
    # Tr (Σ_x Σ_y)^½ is the sum of the singular values of Σ_x^½ Σ_y^½.
    overlap = torch.linalg.svdvals(_square_root(cov_x) @ _square_root(cov_y)).sum()
    distance = moved.square().sum() + cov_x.trace() + cov_y.trace() - 2 * overlap
    return max(float(distance), 0.0)


@torch.no_grad()
def regularisation(
    train_features: Tensor,
    test_features: Tensor,
    train_labels: Tensor | None = None,
    test_labels: Tensor | None = None,
    *,
    generator: Generator,
    draws: int = 5,
    seed: int = 0,
) -> Regularisation:
    """Distance of train to test next to its noise floor, and the accuracies of a linear probe on both.

    Each draw takes two parts of train, which share no image, and one of test, all of the same size: as many as test
    has, half of train at most. The first part of train is compared with test, and with the second for the floor.
    train_features: (N, F), test_features: (n, F), normalised to unit length for the distance; labels: (N,), (n,) from
    0, both or none. seed: of the probe, which trains on all of train. Raises UserError.
    """
    if (train_labels is None) != (test_labels is None):
        raise UserError("the probe needs labels of train and of test: give both or none")
    train, test = F.normalize(train_features.float(), dim=1), F.normalize(test_features.float(), dim=1)
    size = min(len(test), len(train) // 2)
    distances, floors = [], []
    for _ in range(draws):
        order = torch.randperm(len(train), generator=generator)
        part, other = train[order[:size]], train[order[size : 2 * size]]
        unseen = test[torch.randperm(len(test), generator=generator)[:size]]
        distances.append(frechet_distance(part, unseen))
        floors.append(frechet_distance(part, other))
    on_train = on_test = torch.nan
    if train_labels is not None and test_labels is not None:
        on_train, on_test = probe_accuracies(train_features, train_labels, test_features, test_labels, seed)
    return Regularisation(
        distance=torch.tensor(distances),
        floor=torch.tensor(floors),
        images=size,
        train_accuracy=on_train,
        test_accuracy=on_test,
    )


def probe_accuracies(
    train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor, seed: int = 0
) -> tuple[float, float]:
    """Accuracy on train and on test of one linear probe (protocol ``linear-features``), each in [0, 1]."""
    probe = linear_probe(train_features, train_labels, torch.cat([train_features, test_features]), seed)
    on_train, on_test = probe.predicted.split([len(train_features), len(test_features)])
    return float((on_train == train_labels).double().mean()), float((on_test == test_labels).double().mean())


def _square_root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
