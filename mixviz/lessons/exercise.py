"""Exercises of the notebooks: a stub to fill in, and a check that knows the usual wrong answers by name."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NOTHING = (None, ...)
Answer = Any  # a value, or a function of the cases' arguments


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A task whose answer is a value or a function; ``check`` tells right from wrong, and says what is wrong.

    solution: the right answer. wrong: hint -> the wrong answer that meets it: what gives the same on all cases gets
    the hint. cases: arguments to try a function with; a value has none. why: what a right answer is told.
    """

    name: str
    solution: Answer
    wrong: Mapping[str, Answer]
    cases: Sequence[tuple[Any, ...]] = ()
    why: str = ""
    tolerance: float = 1e-3  # of each number, absolute

    def check(self, answer: Answer) -> None:
        """Print whether the answer is right, and what to think of where it is not. Nothing is raised."""
        print(self.verdict(answer))

    def verdict(self, answer: Answer) -> str:
        """One line: "Right." and why, or "Not yet:" and a hint."""
        if not _is_nothing(answer) and callable(answer) != callable(self.solution):
            return f"Not yet: a {'function' if callable(self.solution) else 'value'} is asked for."
        try:
            given = self._outputs(answer)
        except Exception as error:
            return f"Not yet: it stops with {type(error).__name__}: {error}"
        if any(_is_nothing(output) for output in given):
            return "Not yet: give an answer in place of the dots."
        wanted = self._outputs(self.solution)
        if self._same(given, wanted):
            return f"Right. {self.why}".rstrip()
        for hint, wrong in self.wrong.items():
            if self._same(given, self._outputs(wrong)):
                return f"Not yet: {hint}"
        return f"Not yet{self._first_difference(given, wanted)}"

    def is_right(self, answer: Answer) -> bool:
        return self.verdict(answer).startswith("Right.")

    def show(self) -> None:
        """Print the solution."""
        if callable(self.solution):
            print(inspect.getsource(self.solution).strip())
        else:
            print(self.solution)

    def _outputs(self, answer: Answer) -> list[Any]:
        return [answer(*case) for case in self.cases] if callable(answer) else [answer]

    def _same(self, given: Sequence[Any], wanted: Sequence[Any]) -> bool:
        return all(_equal(a, b, self.tolerance) for a, b in zip(given, wanted, strict=True))

    def _first_difference(self, given: Sequence[Any], wanted: Sequence[Any]) -> str:
        if not callable(self.solution):
            return ": that is not it. Read the question once more, and look at the picture."
        pairs = zip(self.cases, given, wanted, strict=True)
        case, got, right = next(trio for trio in pairs if not _equal(trio[1], trio[2], self.tolerance))
        written = ", ".join(map(_written, case))
        return f": for ({written}) it gives {_written(got)}, and {_written(right)} is wanted."


def stub(*_: Any) -> None:
    """What every exercise starts with."""


def _is_nothing(output: Any) -> bool:
    return any(output is nothing for nothing in NOTHING)


def _equal(given: Any, wanted: Any, tolerance: float) -> bool:
    if _has_text(wanted) or _has_text(given) or isinstance(wanted, bool) or isinstance(given, bool):
        return type(given) is type(wanted) and given == wanted
    try:
        left, right = np.asarray(given, dtype=float), np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return False
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=0, atol=tolerance, equal_nan=True))


def _has_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and any(isinstance(part, str) for part in value))


def _written(value: Any) -> str:
    if _has_text(value) or isinstance(value, dict) or not hasattr(value, "__len__"):
        return f"{value:.4g}" if isinstance(value, float) else str(value)
    return np.array2string(np.asarray(value, dtype=float), precision=3, separator=", ", threshold=12)
