"""Every exercise refuses its stub, takes its solution, and meets each usual wrong answer with a hint of its own."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from mixviz.lessons.exercise import Exercise, stub


@pytest.fixture
def double() -> Exercise:
    return Exercise(
        name="double",
        solution=lambda x: 2 * x,
        wrong={"that is the square.": lambda x: x * x},
        cases=[(3.0,), (2.0,)],
        why="Twice.",
    )


def test_stub_fails_solution_passes_and_each_wrong_answer_meets_its_own_hint(exercise):
    assert exercise.verdict(...) == "Not yet: give an answer in place of the dots."
    assert exercise.verdict(stub).startswith("Not yet")
    assert exercise.is_right(exercise.solution)
    assert len(exercise.wrong) >= 3
    for hint, wrong in exercise.wrong.items():
        assert exercise.verdict(wrong) == f"Not yet: {hint}"


def test_other_wrong_answers_are_shown_the_first_case_that_differs(double):
    assert double.verdict(lambda x: 6.0) == "Not yet: for (2) it gives 6, and 4 is right."


def test_errors_of_an_answer_are_reported_and_not_raised(double, capsys):
    double.check(lambda x: 1 / 0)
    assert capsys.readouterr().out == "Not yet: it stops with ZeroDivisionError: division by zero\n"


def test_a_value_in_place_of_a_function_is_wrong(double):
    assert double.verdict(6.0) == "Not yet: a function is expected."


def test_numbers_may_come_as_any_array(double):
    assert double.is_right(lambda x: torch.tensor(2 * x))
    assert double.is_right(lambda x: torch.tensor(2 * x, requires_grad=True))
    assert double.is_right(lambda x: Fraction(x) * 2)


def test_shapes_and_kinds_count(double):
    assert not double.is_right(lambda x: [2 * x])
    assert not double.is_right(lambda x: str(2 * x))


def test_values_are_checked_too():
    quiz = Exercise(name="quiz", solution="b", wrong={"look again.": "a"})
    assert quiz.is_right("b")
    assert quiz.verdict("a") == "Not yet: look again."
    assert quiz.verdict("c").startswith("Not yet: that is not right")


def test_words_may_be_british_or_american_in_any_case():
    quiz = Exercise(name="quiz", solution="color", wrong={"that is a shape.": "grey box"})
    assert all(map(quiz.is_right, ("color", "colour", " Colour ", "COLOR.")))
    assert quiz.verdict("Gray box") == "Not yet: that is a shape."
    assert not quiz.is_right(0.5)


@pytest.mark.parametrize("answer", ["50%", "50 %", "1/2", "0.5", np.float32(0.5)])
def test_a_share_may_be_written_in_any_way(answer):
    assert Exercise(name="share", solution=0.5, wrong={}).is_right(answer)


def test_names_may_be_a_set_or_any_list():
    names = Exercise(name="names", solution=lambda: ["hue", "shape"], wrong={}, cases=((),))
    for answer in ({"shape", "hue"}, ("hue", "shape"), np.array(["hue", "shape"]), {"hue": 1, "shape": 2}.keys()):
        assert names.is_right(lambda answer=answer: answer)
    assert names.is_right(lambda: (name for name in ("hue", "shape")))
    assert not names.is_right(lambda: ["shape", "hue"])
    assert names.verdict(lambda: {1, 2}).startswith("Not yet: for () it gives [1., 2.]")


def test_truth_may_be_of_any_library():
    positive = Exercise(name="positive", solution=lambda x: x > 0, wrong={}, cases=((1.0,), (-1.0,)))
    assert positive.is_right(lambda x: np.float64(x) > 0)
    assert positive.is_right(lambda x: torch.tensor(x) > 0)
    assert not positive.is_right(lambda x: np.float64(x) < 0)
    assert not positive.is_right(lambda x: float(x > 0))


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("answer", [{1, "a"}, {}, [], object(), Unprintable(), b"a", 1j, [[1], [1, 2]], float("nan")])
def test_no_answer_is_raised_at(exercise, answer):
    assert exercise.verdict(answer).startswith("Not yet")
    assert exercise.verdict(lambda *case: answer).startswith("Not yet")


def test_an_answer_may_change_its_arguments():
    def popped(numbers):
        total = 0
        while numbers:
            total += numbers.pop()
        return total

    assert Exercise(name="total", solution=sum, wrong={}, cases=(([1, 2, 3],),)).is_right(popped)


def test_show_prints_the_solution(double, capsys):
    double.show()
    assert "2 * x" in capsys.readouterr().out


def test_what_is_shown_is_the_answer_when_it_is_pasted(exercise, capsys):
    exercise.show()
    answers: dict = {}
    exec(capsys.readouterr().out, answers)
    assert exercise.is_right(answers[exercise.name])
