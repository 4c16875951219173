"""The study: verdicts by hand, the committed results, and a short version that is really trained."""

import json
from pathlib import Path

import numpy as np
import pytest

from mixviz.commands.study import SHORT_ARMS
from mixviz.data import load
from mixviz.experiments.readme import claim_rows
from mixviz.experiments.study import ARMS, CLAIMS, Claim, config_of, judge, run_study

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "glyphs-study" / "study.json"
HIGHER = Claim("a is higher", "some", ("a", "x"), ("b", "x"), 1, margin=0.5)
LOWER = Claim("a is lower", "some", ("a", "x"), ("b", "x"), -1)


def rows_of(a: list[float], b: list[float]) -> list[dict]:
    return [
        {"arm": arm, "seed": seed, "measure": "x", "value": value}
        for arm, values in (("a", a), ("b", b))
        for seed, value in enumerate(values)
    ]


def verdict(claim: Claim, a: list[float], b: list[float]) -> str:
    (found,) = judge(rows_of(a, b), [claim])
    return found["verdict"]


def test_verdicts():
    assert verdict(HIGHER, [2.0, 2.1, 1.9], [1.0, 1.0, 1.0]) == "shown"
    assert verdict(HIGHER, [1.2, 1.21, 1.19], [1.0, 1.0, 1.0]) == "not settled"  # above 0, but within the margin
    assert verdict(HIGHER, [0.5, 0.6, 0.4], [1.0, 1.0, 1.0]) == "refuted"
    assert verdict(HIGHER, [3.0, 1.0, 2.0], [1.0, 1.0, 1.5]) == "not settled"  # the interval holds 0
    assert verdict(LOWER, [0.5, 0.6, 0.4], [1.0, 1.0, 1.0]) == "shown"
    assert verdict(LOWER, [2.0, 2.1, 1.9], [1.0, 1.0, 1.0]) == "refuted"
    assert verdict(LOWER, [0.0], [1.0]) == "not settled"  # one seed settles nothing
    assert verdict(LOWER, [0.0, 0.0], [1.0, 1.0]) == "not settled"  # nor do two, however alike


def test_differences_are_paired_and_their_interval_is_student_s():
    (found,) = judge(rows_of([1.0, 2.0, 3.0], [0.5, 1.0, 2.5]), [HIGHER])
    differences = np.array([0.5, 1.0, 0.5])
    half = 4.302652729911275 * differences.std(ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert found["difference"] == pytest.approx(differences.mean())
    assert (found["low"], found["high"]) == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert (found["value"], found["against"]) == pytest.approx((2.0, 4 / 3))


def test_a_claim_without_its_arms_is_left_out_and_seeds_are_matched():
    assert judge(rows_of([1.0], [1.0]), [Claim("?", "some", ("a", "y"), ("b", "x"), 1)]) == []
    rows = rows_of([1.0, 2.0, 9.0], [0.0, 1.0])
    assert judge(rows, [HIGHER])[0]["seeds"] == 2


def test_claims_are_shown_in_their_units():
    header, rows = claim_rows(
        judge(rows_of([0.5, 0.6], [0.25, 0.25]), [Claim("c", "p", ("a", "x"), ("b", "x"), 1, "points")])
    )
    assert header[-1] == "verdict"
    assert rows[0][:3] == ["c", "55.0", "25.0"]
    assert rows[0][3].startswith("+30.0 [")
    assert rows[0][3].endswith("points")


def test_arms_of_a_seed_differ_in_the_method_alone():
    base = config_of("moco-v2", 1).flat()
    for arm in ("moco-v2 + mochi", "moco-v2 + mixco", "moco-v2 + imix"):
        other = config_of(arm, 1).flat()
        assert {name for name in base if base[name] != other[name]} == {"mixing"}
    turned, plain = (config_of(arm, 1).flat() for arm in ("n-pair (turned)", "n-pair (not turned)"))
    assert {name for name in turned if turned[name] != plain[name]} == {"rotation"}


def test_the_committed_study_has_three_seeds_and_its_verdicts_follow_from_its_rows():
    study = json.loads(RESULTS.read_text(encoding="utf-8"))
    arms = [arm for arm in ARMS if arm.startswith("n-pair")]  # LooC's; the others are tested on photographs
    assert {(row["arm"], row["seed"]) for row in study["rows"]} == {(arm, seed) for arm in arms for seed in (1, 2, 3)}
    assert judge(study["rows"]) == study["claims"]
    assert len(study["claims"]) == sum(claim.paper == "LooC" for claim in CLAIMS)
    verdicts = {claim["claim"]: claim["verdict"] for claim in study["claims"]}
    for head in ("rotation", "colour"):
        name = next(name for name in verdicts if f"LooC's {head} head moves" in name)
        assert verdicts[name] == "shown"


@pytest.mark.slow
def test_a_short_study_shows_that_each_head_follows_its_own_augmentation(tmp_path):
    sets = load("glyphs", "train").select(range(4000)), load("glyphs", "test").select(range(1000))
    rows = run_study([1], tmp_path, sets, SHORT_ARMS[1:], epochs=3)
    found = {row["measure"]: row["value"] for row in rows}
    for augmentation, head in (("rotation", "rotation"), ("hue", "color")):
        own, others = found[f"fall-off {augmentation}: {head}"], found[f"fall-off {augmentation}: others"]
        assert own > others + 0.2
    assert found["hue: color"] > found["hue: rotation"] + 0.2
