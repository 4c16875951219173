"""What an exercise says of the failure cases' recordings is so."""

from mixviz.experiments.failures import CASES, load_case
from mixviz.lessons import failures
from mixviz.pretrained import ROOT


def test_the_loss_does_not_tell_that_many():
    visits = [load_case(found, ROOT / "failure-cases") for found in CASES]
    losses = [(float(v.healthy.metrics["loss"].iloc[-1]), float(v.broken.metrics["loss"].iloc[-1])) for v in visits]
    assert sum(broken <= healthy for healthy, broken in losses) == failures.not_seen_in_the_loss.solution
    assert sum(broken < healthy for healthy, broken in losses) == failures.not_seen_in_the_loss.solution - 1


def test_a_signature_shows_as_the_exercise_has_it():
    for found in CASES:
        reading = load_case(found, ROOT / "failure-cases").reading
        sign, margin = found.signature.sign, found.signature.margin
        assert failures.shows.solution(reading.healthy, reading.broken, sign, margin) == reading.shows
