"""A prediction keeps its answer until there is a guess, then says how near it was; all of them are summed up."""

import json
from typing import Any

import pandas as pd
import pytest

from mixviz.errors import UserError
from mixviz.lessons.question import Question
from mixviz.widgets import Prediction, Predictions
from mixviz.widgets.prediction import GUESSES
from mixviz.widgets.still import SWITCH

WORDS = Question(text="Which way?", why="Since it *must*.", options=("up", "down"))
BARS = Question(text="How many?", why="Because.", unit="%", given="untrained")
CURVE = Question(text="How fast?", why="Because.", across="epoch", high=512)
SECRET = 61.25


@pytest.fixture(autouse=True)
def no_guesses(monkeypatch):
    monkeypatch.setattr("mixviz.widgets.prediction.GUESSES", {})


@pytest.fixture
def bars() -> Prediction:
    return Prediction(BARS, {"shape": SECRET, "hue": 20}, given=[30, 40], shown=pd.DataFrame({"of": [SECRET]}))


def page_of(prediction: Prediction) -> str:
    """Everything that the page has of a prediction, and its file."""
    box = [child.get_state() for child in prediction.box.children]
    texts = {name: value for name, value in prediction._repr_mimebundle_().items() if name != "image/png"}
    return json.dumps([box, texts], default=str)


def test_nothing_of_the_answer_is_in_the_page_before_the_guess(bars):
    assert str(SECRET) not in page_of(bars)
    assert "Because" not in page_of(bars)
    bars.commit([50, 30])
    assert str(SECRET) in page_of(bars)
    assert "Because" in page_of(bars)
    bars.take_back()
    assert str(SECRET) not in page_of(bars)


def test_the_saved_picture_does_not_depend_on_the_answer(bars):
    other = Prediction(BARS, {"shape": 1, "hue": 2}, given=[30, 40])
    assert bars.picture() == other.picture()
    bars.commit([50, 30])
    assert bars.picture() != other.picture()


@pytest.mark.parametrize(
    ("question", "measured", "guess", "near"),
    [
        (WORDS, "down", "down", "right"),
        (WORDS, "down", "up", "not what was measured"),
        (BARS, {"shape": 60, "hue": 20}, [50, 30], "10 points away on average"),
        (BARS, {"": 8.4}, [10], "1.6 points away"),
        (CURVE, {0: 300, 20: 100}, [300, 110], "5 away on average"),
    ],
)
def test_a_guess_is_compared_with_what_was_measured(question, measured, guess, near):
    prediction = Prediction(question, measured)
    assert prediction.nearness() == "–"
    prediction.commit(guess)
    assert prediction.nearness() == near
    assert near in prediction.picture_widget.said
    assert prediction.picture().startswith(b"\x89PNG")


def test_the_page_commits_a_guess(bars):
    bars.picture_widget.set_state({"guess": [50.0, 30.0], "committed": True})
    assert bars.guess == [50, 30]
    assert bars.picture_widget.measured == [SECRET, 20]


def test_why_is_emphasised_and_escaped():
    prediction = Prediction(Question(text="?", why="a < b, *so* it is", options=("x",)), "x")
    prediction.commit("x")
    assert "a &lt; b, <em>so</em> it is" in prediction.caption_widget.value


def test_a_cell_that_is_run_again_shows_the_guess(bars):
    bars.commit([50, 30])
    assert Prediction(BARS, {"shape": 0, "hue": 0}).guess == [50, 30]
    assert Prediction(WORDS, "up").guess == []


def test_a_drive_says_what_was_measured_and_leaves_all_as_it_was(bars):
    assert bars.drive()[:2] == ["as it is: committed nothing", "committed: measured shape: 61.2; hue: 20 %"]
    assert str(SECRET) in bars.drive()[2]
    assert bars.guess == []
    bars.commit([50, 30])
    bars.drive()
    assert bars.guess == [50, 30]


def test_numbers_of_this_session_are_not_compared():
    prediction = Prediction(BARS, {"shape": SECRET}, live=True)
    assert prediction.drive()[1] == "committed: measured numbers of this session"
    assert Prediction(WORDS, "up", live=True).drive()[1] == "committed: measured up"


def test_what_does_not_fit_the_question_is_refused(bars):
    for measured in ("left", {"up": 1}):
        with pytest.raises(UserError):
            Prediction(WORDS, measured)
    with pytest.raises(UserError, match="2 numbers are asked for, not 1"):
        bars.commit([1])
    with pytest.raises(UserError, match="left"):
        Prediction(WORDS, "up").commit("left")


def test_the_table_follows_the_guesses(bars):
    words = Prediction(WORDS, "up")
    predictions = Predictions(bars, words)
    assert predictions.numbers() == {"predictions": 2, "guessed": 0}
    assert str(SECRET) not in predictions.picture_widget.value
    words.commit("down")
    assert predictions.numbers() == {"predictions": 2, "guessed": 1}
    row: dict[str, Any] = predictions.result.iloc[1].to_dict()
    assert row | {"how near": ""} == {"question": "Which way?", "you guessed": "down", "measured": "up", "how near": ""}
    assert "image/png" not in predictions._repr_mimebundle_()


def test_in_an_export_the_answer_is_folded_away(bars, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    html = bars._repr_mimebundle_()["text/html"]
    asked, answer = html.split("<details>")
    assert "shape: 61.2; hue: 20 %" in answer
    assert "61.2" not in asked
    assert GUESSES == {}
