"""Paired differences against a formula, coverage and power by simulation."""

import math

import numpy as np
import pandas as pd
import pytest

from mixviz.paired import (
    FEWEST_SEEDS,
    chance_to_settle,
    mean_interval,
    paired_differences,
    seeds_to_settle,
    settled_sign,
)


def rows(**accuracies):
    return pd.DataFrame(
        [
            {"method": method, "seed": seed, "accuracy": value}
            for method, values in accuracies.items()
            for seed, value in values.items()
        ]
    )


def test_interval_is_students():
    table = rows(base={0: 0.50, 1: 0.60, 2: 0.55}, mixed={0: 0.53, 1: 0.65, 2: 0.56})
    (found,) = paired_differences(table, "base")
    differences = np.array([0.03, 0.05, 0.01])
    half = 4.302652729911275 * differences.std(ddof=1) / math.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert found.differences == pytest.approx(tuple(differences))
    assert (found.mean, found.low, found.high) == pytest.approx((0.03, 0.03 - half, 0.03 + half))


def test_only_seeds_in_common_are_paired():
    (found,) = paired_differences(rows(base={0: 0.5, 1: 0.6}, mixed={1: 0.7, 2: 0.9}), "base")
    assert found.seeds == (1,)
    assert found.mean == pytest.approx(0.1)
    assert math.isnan(found.low)


def test_no_seed_in_common():
    (found,) = paired_differences(rows(base={0: 0.5}, mixed={1: 0.7}), "base")
    assert found.seeds == ()
    assert math.isnan(found.mean)


def test_interval_covers_the_truth_at_its_nominal_rate():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        base, gain = random.normal(0.5, 0.1, 5), random.normal(0.02, 0.01, 5)
        table = rows(base=dict(enumerate(base)), mixed=dict(enumerate(base + gain)))
        (found,) = paired_differences(table, "base")
        covered += found.low <= 0.02 <= found.high
    assert 0.92 < covered / 400 < 0.98


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_intervals_cover_the_truth_at_any_nominal_rate(n, confidence):
    draws = np.random.default_rng(n).normal(1.0, 2.0, (1500, n))
    covered = sum(low <= 1.0 <= high for _, low, high in (mean_interval(row, confidence) for row in draws))
    spread = math.sqrt(confidence * (1 - confidence) / len(draws))
    assert abs(covered / len(draws) - confidence) < 3.5 * spread


def test_the_sign_is_settled_by_an_interval_without_0_over_three_seeds():
    assert [settled_sign(0.1, 0.2, n) for n in (2, 3)] == [0, 1]
    assert settled_sign(-0.2, -0.1, 5) == -1
    assert settled_sign(-0.1, 0.2, 50) == 0
    assert settled_sign(math.nan, math.nan, 3) == 0


def test_verdicts_of_paired_differences():
    table = rows(
        base={0: 0.50, 1: 0.60, 2: 0.55},
        up={0: 0.53, 1: 0.635, 2: 0.58},
        down={0: 0.47, 1: 0.565, 2: 0.52},
        unclear={0: 0.53, 1: 0.59, 2: 0.56},
        once={0: 0.9},
    )
    verdicts = {found.method: found.verdict for found in paired_differences(table, "base")}
    assert verdicts == {"up": "higher", "down": "lower", "unclear": "not settled", "once": "not settled"}


@pytest.mark.parametrize(("mean", "deviation"), [(1.0, 1.0), (-0.5, 1.0), (1.0, 0.6)])
def test_as_many_seeds_settle_the_sign_with_the_power_that_was_requested(mean, deviation):
    known = mean + deviation * np.array([-1.0, 0.0, 1.0])  # of exactly this mean and deviation
    needed = seeds_to_settle(known, confidence=0.95, power=0.8)
    random = np.random.default_rng(0)

    def share_settled(n: int) -> float:
        draws = random.normal(mean, deviation, (2000, n))
        signs = [settled_sign(*mean_interval(row)[1:], n) for row in draws]
        return float(np.mean(np.array(signs) == np.sign(mean)))

    spread = math.sqrt(0.8 * 0.2 / 2000)
    assert share_settled(needed) > 0.8 - 3.5 * spread
    if needed > FEWEST_SEEDS:
        assert share_settled(needed - 1) < 0.8 + 3.5 * spread


def test_seeds_to_settle_known_cases():
    known = np.array([-1.0, 0.0, 1.0])
    assert seeds_to_settle(0.5 + known) == 34  # the textbook's paired t-test: d 0.5, alpha 0.05, power 0.8
    assert seeds_to_settle(0.8 + known, power=0.9) == 19
    assert seeds_to_settle(0.8 + known, confidence=0.99) == 22
    assert seeds_to_settle([0.1, 0.1]) == FEWEST_SEEDS
    assert seeds_to_settle([1e4, 1e4 + 1]) == FEWEST_SEEDS
    assert seeds_to_settle([0.1]) is None
    assert seeds_to_settle([0.1, -0.1]) is None
    assert seeds_to_settle([0.0, 0.0]) is None


@pytest.mark.parametrize(("n", "effect", "chance"), [(34, 0.5, 0.8078), (33, 0.5, 0.7953), (5, 0.0, 0.025)])
def test_the_chance_to_settle_is_the_textbooks_power(n, effect, chance):
    assert chance_to_settle(n, effect) == pytest.approx(chance, abs=2e-4)
