"""The guide shows two runs as they were recorded, without names until they are asked for, and judges fairly."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mixviz.errors import UserError
from mixviz.experiments.failures import CASES
from mixviz.film import Film
from mixviz.pretrained import ROOT
from mixviz.widgets import FailureCases
from mixviz.widgets.controls import stops
from mixviz.widgets.failures import BROKEN, CURVES, GAIN, HEADS, PICTURES

NAMES = [found.name for found in CASES]
HEALTHY = {"n-pair": "healthy-n-pair", "moco-v2": "healthy-moco-v2", "n-pair + imix": "healthy-n-pair+imix"}
HEALTHY["n-pair + looc"] = "healthy-n-pair+looc"


@pytest.fixture(scope="module")
def shared() -> FailureCases:
    return FailureCases()


@pytest.fixture
def guide(shared) -> FailureCases:
    return shared.set(**shared.defaults)


@pytest.fixture
def undrawn(guide, monkeypatch) -> FailureCases:
    """The guide without its picture, which takes most of the time."""
    monkeypatch.setattr(FailureCases, "_show", lambda guide: None)
    return guide


def folders(name: str) -> tuple[Path, Path]:
    """Of the healthy and of the broken run."""
    found = next(found for found in CASES if found.name == name)
    healthy = ROOT / "failure-cases" / HEALTHY[found.control]
    return healthy, ROOT / "failure-cases" / name if found.trains else healthy


def last_of_log(folder: Path, column: str) -> float:
    return float(pd.read_csv(folder / "metrics.csv")[column].dropna().iloc[-1])


def axes_of(guide: FailureCases):
    figure = Figure()
    guide.draw(figure)
    return figure.axes


@pytest.mark.parametrize("name", NAMES)
def test_curves_are_those_of_the_two_runs(undrawn, name):
    undrawn.set(pair=name, left="kNN", right="uniformity")
    healthy, broken = folders(name)
    wanted = {"kNN": [last_of_log(folder, "knn_accuracy") for folder in (healthy, broken)]}
    wanted["uniformity"] = [float(Film.load(f / "film.npz").curves["uniformity/all"][-1]) for f in (healthy, broken)]
    order = 1 if undrawn.broken == "B" else -1
    for picture, ends in wanted.items():
        assert undrawn.numbers()[picture] == pytest.approx(ends[::order], rel=1e-5)
    assert undrawn.set(reveal=True).numbers()["kNN"] == pytest.approx(wanted["kNN"])


def test_the_loss_in_training_is_the_whole_loss_of_the_log(undrawn):
    for name in NAMES:
        undrawn.set(pair=name, left="loss in training")
        ends = [last_of_log(folder, "loss") for folder in folders(name)]
        assert sorted(undrawn.numbers()["loss in training"]) == pytest.approx(sorted(ends))


def test_nothing_tells_before_it_is_revealed(undrawn):
    for name in NAMES:
        for left, right in zip(PICTURES, PICTURES[1:] + PICTURES[:1], strict=True):
            undrawn.set(pair=name, left=left, right=right)
            told = " ".join([undrawn.caption(), json.dumps(undrawn.numbers())]).lower()
            found = next(found for found in CASES if found.name == name)
            assert "healthy" not in told
            assert name not in told
            assert found.title.lower() not in told
            texts = [text.get_text() for ax in axes_of(undrawn) for text in ax.texts]
            assert not {"healthy", "broken"} & set(texts)


def test_either_run_may_be_the_broken_one():
    assert len(BROKEN) == len(CASES)
    assert abs(BROKEN.count("A") - BROKEN.count("B")) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_reveal_reads_the_signature(undrawn, name):
    numbers = undrawn.set(pair=name, reveal=True).numbers()
    assert numbers["case"] == name
    healthy, broken = numbers["signature"]
    found = next(found for found in CASES if found.name == name)
    assert numbers["shows"] == str(found.signature.sign * (broken - healthy) > found.signature.margin)
    assert numbers["shows"] == str(name != "batchnorm-leak")
    assert ("It shows." in undrawn.caption()) == (name != "batchnorm-leak")


def test_signatures_equal_what_the_runs_left(undrawn):
    assert undrawn.set(pair="no-momentum", reveal=True).numbers()["signature"] == pytest.approx(
        [result_of(folder, "backbone", "knn") for folder in folders("no-momentum")]
    )
    frozen, learning = (
        [result_of(folders("unfrozen-probe")[0], encoder, protocol) for encoder in ("random", "backbone")]
        for protocol in ("linear-features", "unfrozen probe")
    )
    gains = undrawn.set(pair="unfrozen-probe", left=GAIN).set(reveal=True).numbers()[GAIN]
    assert gains == pytest.approx([frozen[1] - frozen[0], learning[1] - learning[0]])
    moved = [pd.read_csv(folder / "invariance.csv") for folder in folders("inverted-views")]
    margins = []
    for table in moved:
        own = table[table["head"] == table["group"]].set_index("augmentation")["fall_off"]
        others = table[(table["head"] != table["group"]) & (table["head"] != "backbone")]
        margins.append(float((own - others.groupby("augmentation")["fall_off"].mean()).mean()))
    guide = undrawn.set(pair="inverted-views", left=HEADS).set(reveal=True)
    assert guide.numbers()[HEADS] == pytest.approx(margins, abs=1e-6)


def result_of(folder: Path, encoder: str, protocol: str) -> float:
    results = json.loads((folder / "evaluation.json").read_text())
    (found,) = [
        r["accuracy"] for r in results if (r["encoder"], r["protocol"], r["target"]) == (encoder, protocol, "label")
    ]
    return found


@pytest.mark.parametrize(
    ("guess", "cause", "words"),
    [
        (0, "same-crop", "both right"),
        (1, "same-crop", "the cause is right, the run is not"),
        (0, "no-momentum", "the run is right, the cause is not"),
        (1, "no-momentum", "neither is right"),
    ],
)
def test_guesses_are_judged(undrawn, guess, cause, words):
    undrawn.set(pair="same-crop")
    letters = [undrawn.broken, "AB".replace(undrawn.broken, "")]
    undrawn.set(guess=letters[guess], cause=cause, reveal=True)
    assert words in undrawn.caption()
    assert f"Run {letters[0]} is the broken one" in undrawn.caption()


def test_no_guess_is_no_judgement(undrawn):
    assert "you said" not in undrawn.set(pair="same-crop", guess="A", reveal=True).caption()


def test_nothing_is_revealed_before_a_guess_and_the_score_counts_first_guesses(guide):
    assert set(guide.unused(**guide.values)) == {"reveal"}
    guide.set(pair="same-crop", guess="A")
    assert guide.controls["reveal"].disabled
    guide.set(guess=guide.broken, cause="same-crop")
    assert not guide.controls["reveal"].disabled
    assert "score" not in guide.caption()
    guide.set(reveal=True)
    assert guide.caption().endswith("Your score: 1 of 1 pair right.")
    guide.controls["pair"].value = "no-momentum"
    assert (guide.values["guess"], guide.values["cause"], guide.values["reveal"]) == ("not yet", "not yet", False)
    guide.set(guess=guide.broken, cause="same-crop", reveal=True)
    guide.set(cause="no-momentum")  # too late
    assert guide.caption().endswith("Your score: 1 of 2 pairs right.")


def test_a_drive_sees_all_and_scores_nothing(guide):
    said = [line for line in guide.drive() if line.startswith("reveal True")]
    assert len(said) == 1
    assert guide.guesses == {}
    assert guide.values == guide.defaults


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_is_drawn_of_every_pair_or_says_why_not(undrawn, picture):
    for name in NAMES:
        undrawn.set(pair=name, left=picture)
        assert undrawn.problem == ""
        ends = undrawn.numbers()[picture]
        if isinstance(ends, str):
            assert not axes_of(undrawn)[0].axison
        elif picture in CURVES:
            assert np.isfinite(ends).all()
            assert len(axes_of(undrawn)[0].lines) == 2


def test_curves_of_a_queue_are_shown_of_the_pairs_that_have_one(undrawn):
    picture = "new keys nearer than the queue"
    told = {name: isinstance(undrawn.set(pair=name, left=picture).numbers()[picture], str) for name in NAMES}
    assert {name for name, without in told.items() if not without} == {"no-momentum", "batchnorm-leak", "stale-queue"}


def test_every_control_moves_the_picture_or_is_unused(guide):
    before = bytes(guide.picture_widget.value)
    for name, control in guide.controls.items():
        stop = [stop for stop in stops(control) if stop != control.value][-1]
        guide.set(**guide.defaults | {name: stop})
        assert bytes(guide.picture_widget.value) != before, name
    assert set(guide.set(reveal=True).unused(**guide.values)) == {"guess", "cause"}


def test_runs_are_read_once(guide):
    assert guide.set(pair="same-crop").result is guide.set(pair="no-momentum").set(pair="same-crop").result


def test_a_state_goes_there_and_back(guide):
    guide.set(pair="wrong-partners", left=HEADS, guess="B", reveal=True)
    assert FailureCases.from_state(guide.state()).values == guide.values


def test_a_folder_without_the_runs_says_how_to_make_them(tmp_path):
    guide = FailureCases(tmp_path)
    assert guide.problem.endswith("train it with `python -m mixviz failures cold-temperature`")
    assert "\n" not in guide.problem
    with pytest.raises(UserError, match="did you mean 'pair'"):
        FailureCases(pairs="same-crop")
