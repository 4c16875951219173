"""The losses against closed forms, slow loops and finite differences."""

import math

import pytest
import torch
from torch import Tensor

from mixviz.losses import cosine_regression, info_nce

N, P, M = 5, 4, 7
TIGHT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture
def similarities(generator) -> tuple[Tensor, Tensor]:
    """Cosines to P columns that may carry target mass and to M that never do."""
    cosines = 2 * torch.rand(N, P + M, generator=generator, dtype=torch.float64) - 1
    return cosines[:, :P], cosines[:, P:]


@pytest.fixture
def targets(generator) -> Tensor:
    return torch.rand(N, P, generator=generator, dtype=torch.float64).softmax(dim=1)


def one_hot(columns: list[int]) -> Tensor:
    return torch.eye(P, dtype=torch.float64)[columns]


def contrast(positives: Tensor, negatives: Tensor, targets: Tensor, temperature: float) -> Tensor:
    return info_nce(torch.cat([positives, negatives], dim=1), targets, temperature)


def slow_info_nce(positives: Tensor, negatives: Tensor, targets: Tensor, temperature: float) -> list[float]:
    losses = []
    for row in range(len(positives)):
        scores = [math.exp(s / temperature) for s in [*positives[row].tolist(), *negatives[row].tolist()]]
        losses.append(-sum(t * math.log(scores[j] / sum(scores)) for j, t in enumerate(targets[row].tolist())))
    return losses


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_info_nce_is_the_sum_over_candidates_written_out(similarities, targets, temperature):
    expected = slow_info_nce(*similarities, targets, temperature)
    assert contrast(*similarities, targets, temperature).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("positives", "negatives"), [(1, 0), (1, 4096), (8, 0), (8, 20)])
def test_identical_embeddings_cost_the_log_of_the_number_of_candidates(positives, negatives):
    targets = torch.full((3, positives), 1 / positives, dtype=torch.float64)
    loss = contrast(torch.ones(3, positives), torch.ones(3, negatives), targets, 0.2)
    torch.testing.assert_close(loss, torch.full_like(loss, math.log(positives + negatives)), rtol=0, atol=1e-6)


def test_soft_targets_cost_the_average_of_the_hard_losses(similarities, targets):
    hard = torch.stack([contrast(*similarities, one_hot([j] * N), 0.2) for j in range(P)], dim=1)
    torch.testing.assert_close(contrast(*similarities, targets, 0.2), (targets * hard).sum(dim=1), **TIGHT)


def test_order_of_candidates_and_queries_does_not_matter(similarities, targets, generator):
    positives, negatives = similarities
    loss = contrast(positives, negatives, targets, 0.2)
    columns, others, rows = (torch.randperm(n, generator=generator) for n in (P, M, N))
    shuffled = contrast(positives[:, columns], negatives[:, others], targets[:, columns], 0.2)
    torch.testing.assert_close(shuffled, loss, **TIGHT)
    torch.testing.assert_close(contrast(positives[rows], negatives[rows], targets[rows], 0.2), loss[rows], **TIGHT)


def test_gradients_are_those_of_finite_differences(similarities, targets):
    positives, negatives = (part.clone().requires_grad_() for part in similarities)
    targets.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, n, t: contrast(p, n, t, 0.3), (positives, negatives, targets))
    assert torch.autograd.gradcheck(cosine_regression, (positives, targets))


def test_a_column_at_minus_infinity_is_no_candidate(similarities, targets):
    """Loss and gradient are those without the column, and its own gradient is zero, not nan."""
    positives, negatives = (part.clone().requires_grad_() for part in similarities)
    masked = negatives.masked_fill(torch.arange(M) == 2, -torch.inf)
    kept = negatives[:, torch.arange(M) != 2]
    with_mask, without = contrast(positives, masked, targets, 0.2), contrast(positives, kept, targets, 0.2)
    torch.testing.assert_close(with_mask, without, **TIGHT)

    gradients = torch.autograd.grad(with_mask.sum(), [positives, negatives])
    expected = torch.autograd.grad(without.sum(), [positives, negatives])
    torch.testing.assert_close(gradients, expected, **TIGHT)
    assert gradients[1][:, 2].tolist() == [0.0] * N


def test_a_positive_column_without_mass_may_be_left_out_too(similarities):
    positives = similarities[0].masked_fill(torch.arange(P) > 0, -torch.inf)
    loss = contrast(positives, similarities[1], one_hot([0] * N), 0.2)
    expected = contrast(positives[:, :1], similarities[1], torch.ones(N, 1, dtype=torch.float64), 0.2)
    torch.testing.assert_close(loss, expected, **TIGHT)


@pytest.mark.parametrize("wanted", [1.0, -1.0])
def test_the_largest_logits_of_single_precision_cosines_stay_finite(wanted):
    """At temperature 0.01 the logits are ±100: exp overflows, the loss is 0 or 200 + log(number of negatives)."""
    positives = torch.full((2, 1), wanted, requires_grad=True)
    loss = contrast(positives, torch.full((2, 3), -wanted), torch.ones(2, 1), 0.01)
    expected = 0.0 if wanted == 1 else 200 + math.log(3)
    torch.testing.assert_close(loss, torch.full((2,), expected), rtol=0, atol=1e-4)
    assert torch.autograd.grad(loss.sum(), positives)[0].isfinite().all()


def test_info_nce_is_at_least_the_entropy_of_the_targets(targets):
    entropy = -(targets * targets.log()).sum(dim=1)
    torch.testing.assert_close(info_nce(targets.log(), targets, 1.0), entropy, **TIGHT)
    assert (info_nce(targets.log() + targets, targets, 1.0) > entropy).all()


@pytest.mark.parametrize(("cosine", "expected"), [(1.0, 0.0), (0.0, 2.0), (-1.0, 4.0)])
def test_cosine_regression_runs_from_0_for_equal_to_4_for_opposite(cosine, expected, targets):
    loss = cosine_regression(torch.full((N, P), cosine, dtype=torch.float64), targets)
    torch.testing.assert_close(loss, torch.full((N,), expected, dtype=torch.float64), **TIGHT)


def test_cosine_regression_of_one_key_is_the_squared_distance(generator):
    prediction, key = torch.nn.functional.normalize(torch.randn(2, N, 6, generator=generator).double(), dim=2)
    loss = cosine_regression((prediction * key).sum(dim=1, keepdim=True), torch.ones(N, 1, dtype=torch.float64))
    torch.testing.assert_close(loss, (prediction - key).square().sum(dim=1), **TIGHT)
