"""The Fréchet embedding distance: closed forms, scipy's matrix root, and what a memorising encoder shows."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.linalg import sqrtm

from mixviz.analysis.frechet import frechet_distance, probe_accuracies, regularisation
from mixviz.errors import UserError


def with_moments(mean, covariance, n, generator):
    """(n, D) points whose sample mean and covariance are exactly these."""
    points = torch.randn(n, len(mean), generator=generator, dtype=torch.float64)
    points = points - points.mean(dim=0)
    whitened = points @ torch.linalg.inv(torch.linalg.cholesky(points.T.cov())).T
    return whitened @ torch.linalg.cholesky(covariance).T + mean


def test_commuting_covariances_have_a_closed_form(generator):
    variances = torch.tensor([[1.0, 4.0, 9.0], [4.0, 4.0, 0.25]], dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    means = torch.tensor([[1.0, 0, 0], [0, 2.0, 0]], dtype=torch.float64)
    x, y = (with_moments(m, turn @ v.diag() @ turn.T, 40, generator) for m, v in zip(means, variances, strict=True))
    expected = 5 + (variances[0].sqrt() - variances[1].sqrt()).square().sum().item()  # 5 + 1 + 0 + 6.25
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert expected == pytest.approx(12.25)


def test_any_covariances_agree_with_scipys_matrix_root(generator):
    mix = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    x = torch.randn(60, 8, generator=generator, dtype=torch.float64) @ mix
    y = torch.randn(90, 8, generator=generator, dtype=torch.float64) + 0.3
    cov_x, cov_y = np.cov(x.numpy().T), np.cov(y.numpy().T)
    moved = (x.mean(dim=0) - y.mean(dim=0)).square().sum().item()
    expected = moved + np.trace(cov_x + cov_y - 2 * sqrtm(cov_x @ cov_y).real)
    assert frechet_distance(x, y) == pytest.approx(expected)
    assert frechet_distance(y, x) == pytest.approx(expected)


def test_equal_and_moved_sets(generator):
    x = F.normalize(torch.randn(50, 30, generator=generator), dim=1)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-7)
    assert frechet_distance(x, x + 0.1) == pytest.approx(30 * 0.01, rel=1e-4)
    assert frechet_distance(x[:3], x[:3] + 0.1) == pytest.approx(0.3, rel=1e-4)  # covariances of rank 2


def test_few_images_look_farther_apart_than_many(generator):
    def floor(n):
        halves = torch.randn(2, n, 10, generator=generator)
        return frechet_distance(*halves)

    assert floor(100) > 5 * floor(2000) > 0


def test_one_image_has_no_covariance():
    with pytest.raises(UserError, match="at least two embeddings, not 1 and 3"):
        frechet_distance(torch.eye(3)[:1], torch.eye(3))


def test_test_images_like_train_lie_at_the_noise_floor_and_others_above(generator):
    train, test = torch.randn(1000, 6, generator=generator), torch.randn(300, 6, generator=generator)
    alike = regularisation(train, 7 * test, generator=generator)
    assert alike.images == 300
    assert len(alike.distance) == len(alike.floor) == 5
    assert abs(alike.excess) < alike.floor.mean()
    shifted = regularisation(train, test + 0.5, generator=generator)
    assert shifted.distance.min() > 3 * shifted.floor.max()
    assert shifted.excess == pytest.approx((shifted.distance - shifted.floor).mean().item())
    assert math.isnan(alike.train_accuracy)
    assert math.isnan(alike.test_accuracy)


def test_sizes_are_equal_where_train_is_the_smaller(generator):
    train, test = torch.randn(101, 4, generator=generator), torch.randn(300, 4, generator=generator)
    found = regularisation(train, test, generator=generator, draws=2)
    assert found.images == 50
    assert len(found.distance) == 2


def test_equal_generators_give_equal_draws():
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(1))
    first, second = (regularisation(x, x, generator=torch.Generator().manual_seed(s)).distance for s in (5, 5))
    assert first.tolist() == second.tolist()
    assert regularisation(x, x, generator=torch.Generator().manual_seed(6)).distance.tolist() != first.tolist()


def test_a_probe_that_memorises_has_a_gap_and_one_that_sees_the_class_has_none(generator):
    labels, unseen = torch.arange(60) % 3, torch.arange(300) % 3
    noise, other = torch.randn(60, 80, generator=generator), torch.randn(300, 80, generator=generator)
    on_train, on_test = probe_accuracies(noise, labels, other, unseen)
    assert on_train > 0.8
    assert on_test == pytest.approx(1 / 3, abs=0.12)
    seen = regularisation(torch.eye(3)[labels], torch.eye(3)[unseen], labels, unseen, generator=generator, draws=1)
    assert (seen.train_accuracy, seen.test_accuracy) == (1, 1)


def test_labels_of_one_side_only_are_refused(generator):
    with pytest.raises(UserError, match="labels of train and of test"):
        regularisation(torch.eye(4), torch.eye(4), torch.arange(4), generator=generator)
