"""Verdicts against Student's formula and against what happens when seeds are drawn many times."""

import math

import numpy as np
import pytest

from mixviz.analysis.verdict import MOST, drawn, measured, span_of, verdict
from mixviz.errors import UserError

T_OF_2 = 4.302652729911275  # 97.5 % of Student's t with 2 degrees of freedom


def test_interval_and_sign_are_those_of_student():
    found = verdict([1.0, 2.0, 3.0])
    half = T_OF_2 / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert (found.sign, found.word) == (0, "not settled")
    assert verdict([1.9, 2.0, 2.1]).word == "higher"
    assert verdict([-1.9, -2.0, -2.1]).word == "lower"


def test_a_lower_confidence_is_a_narrower_interval():
    widths = [verdict([1.0, 2.0, 3.0], confidence).high - 2.0 for confidence in (0.8, 0.9, 0.95, 0.99)]
    assert widths == sorted(widths)


def test_needed_is_of_the_truth_where_it_is_known():
    lucky = [1.0, 1.01, 0.99]
    assert verdict(lucky).needed == 3
    assert verdict(lucky, truth=(0.5, 1.0)).needed == 34  # the textbook's paired t-test: d 0.5, alpha 0.05, power 0.8
    assert verdict(lucky, truth=(0.0, 1.0)).needed is None
    assert verdict(lucky, truth=(-0.5, 1.0)).needed == 34


@pytest.mark.parametrize(("effect", "deviation", "seeds"), [(1.0, 1.5, 10), (-2.0, 2.0, 6)])
def test_the_chance_is_how_often_drawn_seeds_settle_the_sign(effect, deviation, seeds):
    draws = [verdict(drawn(effect, deviation, seeds, draw), truth=(effect, deviation)) for draw in range(600)]
    settled = np.mean([found.sign == np.sign(effect) for found in draws])
    chance = draws[0].chances.set_index("seeds")["chance"][seeds]
    assert abs(settled - chance) < 3.5 * math.sqrt(chance * (1 - chance) / len(draws))


def test_needed_is_the_first_number_of_seeds_with_the_chance_wanted():
    found = verdict(drawn(1.0, 1.5, 5, 0), wanted=0.9, truth=(1.0, 1.5))
    enough = found.chances[found.chances["chance"] >= 0.9]["seeds"]
    assert found.needed == enough.iloc[0]
    assert found.chances["seeds"].tolist() == list(range(3, MOST + 1))
    assert found.chances["chance"].is_monotonic_increasing


def test_one_seed_settles_nothing():
    found = verdict([5.0])
    assert (found.mean, found.sign, found.needed) == (5.0, 0, None)
    assert math.isnan(found.low)
    assert found.chances["chance"].isna().all()


def test_the_span_holds_0_and_three_deviations():
    assert span_of([3.0, 4.0, 5.0]) == pytest.approx((-0.3, 7.0))
    assert span_of([-3.0, -4.0, -5.0]) == pytest.approx((-7.0, 0.3))
    assert span_of([2.0]) == pytest.approx((-0.1, 3.0))
    assert verdict([3.0, 4.0, 5.0]).span == span_of([3.0, 4.0, 5.0])
    assert verdict([1.0, 2.0], truth=(-10.0, 1.0)).span == pytest.approx((-13.0, 0.3))
    assert verdict([1.0, 2.0], span=(-6.0, 6.0)).span == (-6.0, 6.0)


def test_draws_are_the_same_again_and_grow_by_seeds():
    assert drawn(1.0, 2.0, 5, 3).tolist() == drawn(1.0, 2.0, 5, 3).tolist()
    assert drawn(1.0, 2.0, 5, 3)[:3].tolist() == drawn(1.0, 2.0, 3, 3).tolist()
    assert drawn(1.0, 2.0, 5, 3).tolist() != drawn(1.0, 2.0, 5, 4).tolist()
    many = drawn(1.0, 2.0, 4000, 0)
    assert many.mean() == pytest.approx(1.0, abs=0.15)
    assert many.std() == pytest.approx(2.0, abs=0.1)


def test_differences_of_a_table_are_paired_by_seed_and_by_base():
    rows = [
        {"arm": arm, "seed": seed, "measure": measure, "value": value}
        for arm, measure, values in [
            ("base", "linear-features: label", {1: 80.0, 2: 81.0}),
            ("base", "knn: label", {1: 40.0, 2: 41.0}),
            ("mixed", "linear-features: label", {2: 83.0, 1: 81.5}),
            ("mixed", "knn: label", {1: 50.0, 2: 51.0}),
            ("other", "knn: label", {1: 50.0}),
        ]
        for seed, value in values.items()
    ]
    table = {"rows": rows, "against": {"base": None, "mixed": "base", "other": "base"}}
    assert measured(table) == {"mixed, against base": pytest.approx((1.5, 2.0))}
    assert measured(table, "knn: label")["mixed, against base"] == pytest.approx((10.0, 10.0))


def test_no_differences_are_a_line():
    with pytest.raises(UserError, match="same seeds"):
        verdict([])
