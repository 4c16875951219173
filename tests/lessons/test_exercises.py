"""Every exercise refuses its stub, takes its solution, and meets each usual wrong answer with a hint of its own."""

import pytest

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
    assert double.verdict(lambda x: 6.0) == "Not yet: for (2) it gives 6, and 4 is wanted."


def test_errors_of_an_answer_are_told_and_not_raised(double, capsys):
    double.check(lambda x: 1 / 0)
    assert capsys.readouterr().out == "Not yet: it stops with ZeroDivisionError: division by zero\n"


def test_a_value_in_place_of_a_function_is_wrong(double):
    assert double.verdict(6.0) == "Not yet: a function is asked for."


def test_numbers_may_come_as_any_array(double):
    import torch

    assert double.is_right(lambda x: torch.tensor(2 * x))


def test_shapes_and_kinds_count(double):
    assert not double.is_right(lambda x: [2 * x])
    assert not double.is_right(lambda x: str(2 * x))


def test_values_are_checked_too():
    quiz = Exercise(name="quiz", solution="b", wrong={"look again.": "a"})
    assert quiz.is_right("b")
    assert quiz.verdict("a") == "Not yet: look again."
    assert quiz.verdict("c").startswith("Not yet: that is not it")


def test_show_prints_the_solution(double, capsys):
    double.show()
    assert "2 * x" in capsys.readouterr().out
