"""Changes of rows against loops over rows and features, and what is drawn."""

from dataclasses import replace

import pytest
import torch

from mixviz.augment.tabular import FeatureCorruption, FeatureDropout, FeatureNoise
from mixviz.errors import UserError

N, F = 64, 10
OPERATIONS = [FeatureDropout(0.3, p=0.5), FeatureNoise(0.2, p=0.5), FeatureCorruption(0.4, p=0.5)]


@pytest.fixture
def rows() -> torch.Tensor:
    return torch.randn(N, F, generator=torch.Generator().manual_seed(3))


def slow(operation, rows, drawn) -> torch.Tensor:
    """One value after the other."""
    result = rows.clone()
    for i in range(len(rows)):
        for j in range(rows.shape[1]):
            if not drawn.applied[i]:
                continue
            if isinstance(operation, FeatureDropout) and drawn.dropped[i, j]:
                result[i, j] = 0
            if isinstance(operation, FeatureNoise):
                result[i, j] = rows[i, j] + operation.sigma * drawn.noise[i, j]
            if isinstance(operation, FeatureCorruption) and drawn.replaced[i, j]:
                result[i, j] = rows[int(drawn.donor[i, j] * len(rows)), j]
    return result


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_rows_are_changed_by_their_own_parameters(operation, rows, generator):
    drawn, before = operation.sample(N, (F,), generator), rows.clone()
    assert 0 < drawn.applied.sum() < N
    torch.testing.assert_close(operation.apply(rows, drawn), slow(operation, rows, drawn), rtol=0, atol=0)
    assert torch.equal(rows, before)
    all_rows = replace(drawn, applied=torch.ones(N, dtype=torch.bool))
    torch.testing.assert_close(operation.apply(rows, all_rows), slow(operation, rows, all_rows), rtol=0, atol=0)


def test_features_are_dropped_at_their_rate_and_not_scaled(generator):
    operation = FeatureDropout(0.2)
    changed = operation.apply(torch.ones(4000, F), operation.sample(4000, (F,), generator))
    assert set(changed.unique().tolist()) == {0.0, 1.0}
    assert changed.mean().item() == pytest.approx(0.8, abs=0.01)


def test_noise_has_its_deviation(generator):
    operation = FeatureNoise(0.3)
    changed = operation.apply(torch.zeros(4000, F), operation.sample(4000, (F,), generator))
    assert changed.std().item() == pytest.approx(0.3, abs=0.01)


def test_corruption_replaces_as_many_features_of_each_row_from_all_rows(generator):
    operation = FeatureCorruption(0.35)
    rows = torch.arange(N).float()[:, None] + torch.arange(F) / 100  # a value says whose it is
    drawn = [operation.sample(N, (F,), generator) for _ in range(40)]
    assert all((one.replaced.sum(dim=1) == 3).all() for one in drawn)
    changed = torch.stack([operation.apply(rows, one) for one in drawn])
    assert torch.equal(changed.frac().mul(100).round(), torch.arange(F).expand_as(changed).float())  # its own column
    assert len(changed.floor().unique()) == N
    assert torch.stack([one.replaced for one in drawn]).float().mean(dim=(0, 1)).sub(0.3).abs().max() < 0.05


def test_what_is_out_of_range_is_refused():
    for make in (lambda: FeatureDropout(1.2), lambda: FeatureCorruption(-0.1), lambda: FeatureNoise(-1.0)):
        with pytest.raises(UserError, match="must"):
            make()
    with pytest.raises(UserError, match="probability of feature dropout"):
        FeatureDropout(p=2.0)
