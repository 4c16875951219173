"""The study: verdicts by hand, the committed results, and a short version that is really trained."""

import json
from pathlib import Path

import numpy as np
import pytest

from mixviz.errors import UserError
from mixviz.experiments.readme import claim_rows
from mixviz.experiments.running import run_experiment
from mixviz.experiments.study import ARMS, CLAIMS, SHORT_ARMS, Claim, judge, study
from mixviz.experiments.tasks import load_data

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "glyphs-study" / "study.json"
HIGHER = Claim(name="a is higher", paper="some", measure=("a", "x"), against=("b", "x"), sign=1, margin=0.5)
LOWER = Claim(name="a is lower", paper="some", measure=("a", "x"), against=("b", "x"), sign=-1)


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
    assert (
        judge(rows_of([1.0], [1.0]), [Claim(name="?", paper="some", measure=("a", "y"), against=("b", "x"), sign=1)])
        == []
    )
    rows = rows_of([1.0, 2.0, 9.0], [0.0, 1.0])
    assert judge(rows, [HIGHER])[0]["seeds"] == 2


def test_claims_are_shown_in_their_units():
    header, rows = claim_rows(
        judge(
            rows_of([50.0, 60.0], [25.0, 25.0]),
            [Claim(name="c", paper="p", measure=("a", "x"), against=("b", "x"), sign=1, unit="points")],
        )
    )
    assert header[-1] == "verdict"
    assert rows[0][:3] == ["c", "55.0", "25.0"]
    assert rows[0][3].startswith("+30.0 [")
    assert rows[0][3].endswith("points")


def test_arms_of_a_seed_differ_in_the_method_only():
    of = {arm.name: arm.config(1).flat() for arm in ARMS}
    for arm in ARMS:
        if arm.against:
            mixings = ("mixing", "rotation", *(f"{name}_" for name in of[arm.name]["mixing"]))
            different = [name for name, value in of[arm.name].items() if value != of[arm.against][name]]
            assert different
            assert all(name.startswith(mixings) for name in different), arm.name
    turned, plain = of["n-pair (turned)"], of["n-pair (not turned)"]
    assert {name for name in turned if turned[name] != plain[name]} == {"rotation"}


def test_arms_are_chosen_by_name_and_changed_alike():
    made = study(SHORT_ARMS, epochs=2)
    assert [arm.name for arm in made.arms] == list(SHORT_ARMS)
    assert {arm.config(1).train.epochs for arm in made.arms} == {2}
    with pytest.raises(UserError, match="unknown arm 'n-pair'"):
        study(["n-pair"])


def test_the_committed_study_has_three_seeds_and_shows_that_heads_follow_their_augmentation():
    table = json.loads(RESULTS.read_text(encoding="utf-8"))
    arms = [arm.name for arm in ARMS if arm.name.startswith("n-pair")]  # LooC's; the others are tested on photographs
    assert {(row["arm"], row["seed"]) for row in table["rows"]} == {(arm, seed) for arm in arms for seed in (1, 2, 3)}
    claims = judge(table["rows"])
    assert len(claims) == sum(claim.paper == "LooC" for claim in CLAIMS)
    verdicts = {claim["claim"]: claim["verdict"] for claim in claims}
    for head in ("rotation", "colour"):
        name = next(name for name in verdicts if f"LooC's {head} head moves" in name)
        assert verdicts[name] == "shown"


@pytest.mark.slow
def test_a_short_study_shows_that_each_head_follows_its_own_augmentation(tmp_path):
    made = study(SHORT_ARMS[1:], epochs=3, train_images=4000)
    table = run_experiment(made, [1], tmp_path, load_data(made.config.data), tmp_path / "study.json")
    found = {row["measure"]: row["value"] for row in table["rows"]}
    for augmentation, head in (("rotation", "rotation"), ("hue", "color")):
        own, others = found[f"fall-off {augmentation}: {head}"], found[f"fall-off {augmentation}: others"]
        assert own > others + 0.2
    assert found["hue: color"] > found["hue: rotation"] + 20
