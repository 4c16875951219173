"""Exercises of the notebooks: a stub to fill in, and a check that recognises the usual wrong answers.

A right answer is accepted in any natural form: numbers as arrays, tensors, ``"50%"`` or ``"1/2"``; booleans of NumPy
and PyTorch; names as a list, tuple or set, in British or American spelling, with or without capitals.
"""

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

NOTHING = (None, ...)
AMERICAN = {"colour": "color", "grey": "gray", "centre": "center", "neighbour": "neighbor"}  # of the British words
Answer = Any  # a value, or a function of the cases' arguments


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A task whose answer is a value or a function; ``check`` tells right from wrong, and says what is wrong.

    solution: the right answer. wrong: hint -> the wrong answer it is for: an answer with the same results on all cases
    gets the hint. cases: arguments to try a function with; a value has none. why: shown after a right answer.
    """

    name: str
    solution: Answer
    wrong: Mapping[str, Answer]
    cases: Sequence[tuple[Any, ...]] = ()
    why: str = ""
    tolerance: float = 1e-3  # of each number, absolute

    def check(self, answer: Answer) -> None:
        """Print whether the answer is right, and a hint if it is not. No answer raises an error."""
        print(self.verdict(answer))

    def verdict(self, answer: Answer) -> str:
        """One line: "Right." and why, or "Not yet:" and a hint."""
        try:
            return self._verdict(answer)
        except Exception as error:  # of an answer that fails when it is called, compared or printed
            return f"Not yet: it stops with {type(error).__name__}: {_written(error)}"

    def is_right(self, answer: Answer) -> bool:
        return self.verdict(answer).startswith("Right.")

    def show(self) -> None:
        """Print the solution as it may be pasted into the cell."""
        print(_source(self.solution, self.name) if callable(self.solution) else f"{self.name} = {self.solution!r}")

    def _verdict(self, answer: Answer) -> str:
        if not _is_nothing(answer) and callable(answer) != callable(self.solution):
            return f"Not yet: a {'function' if callable(self.solution) else 'value'} is expected."
        given = self._outputs(answer)
        if any(_is_nothing(output) for output in given):
            return "Not yet: give an answer in place of the dots."
        wanted = self._outputs(self.solution)
        if self._same(given, wanted):
            return f"Right. {self.why}".rstrip()
        for hint, wrong in self.wrong.items():
            if self._same(given, self._outputs(wrong)):
                return f"Not yet: {hint}"
        return f"Not yet{self._first_difference(given, wanted)}"

    def _outputs(self, answer: Answer) -> list[Any]:
        """What a function gives for each case; of a value, the value itself, or the number that a text means."""
        if callable(answer):
            return [_listed(answer(*copy.deepcopy(case))) for case in self.cases]
        is_number = isinstance(self.solution, int | float)
        return [_number_of(answer) if is_number and isinstance(answer, str) else _listed(answer)]

    def _same(self, given: Sequence[Any], wanted: Sequence[Any]) -> bool:
        return all(_equal(a, b, self.tolerance) for a, b in zip(given, wanted, strict=True))

    def _first_difference(self, given: Sequence[Any], wanted: Sequence[Any]) -> str:
        if not callable(self.solution):
            return ": that is not right. Read the question again."
        pairs = zip(self.cases, given, wanted, strict=True)
        case, got, right = next(trio for trio in pairs if not _equal(trio[1], trio[2], self.tolerance))
        written = ", ".join(map(_written, case))
        return f": for ({written}) it gives {_written(got)}, and {_written(right)} is right."


def stub(*_: Any) -> None:
    """What every exercise starts with."""


def _is_nothing(output: Any) -> bool:
    return any(output is nothing for nothing in NOTHING)


def _listed(value: Any) -> Any:
    """Sets in sorted order, iterators and views as lists, tensors as arrays; anything else as it is."""
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    is_lazy = isinstance(value, Iterable) and not isinstance(value, str | Mapping) and not hasattr(value, "__getitem__")
    return list(value) if is_lazy else value


def _number_of(text: str) -> float | str:
    """The number that a text means, such as "0.5", "1/2", "50%" or "50 %"; the text itself if it is none."""
    written = text.strip().replace("−", "-")
    share = written.removesuffix("%").rstrip()
    try:
        number = float(Fraction(share))
    except (ValueError, ZeroDivisionError):
        return text
    return number / 100 if written.endswith("%") else number


def _equal(given: Any, wanted: Any, tolerance: float) -> bool:
    if _has_text(wanted) or _has_text(given):
        return _has_text(wanted) and _has_text(given) and _names(given) == _names(wanted)
    if _is_bool(wanted) or _is_bool(given):
        return _is_bool(wanted) and _is_bool(given) and bool(given) == bool(wanted)
    try:
        left, right = np.asarray(given, dtype=float), np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return False
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=0, atol=tolerance, equal_nan=True))


def _is_bool(value: Any) -> bool:
    """Whether it is a single boolean: of Python, NumPy or PyTorch."""
    return isinstance(value, bool | np.bool_) or (
        isinstance(value, np.ndarray) and value.shape == () and value.dtype == bool
    )


def _has_text(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "UO" and _has_text(value.tolist())
    return isinstance(value, str) or (isinstance(value, list | tuple) and any(isinstance(part, str) for part in value))


def _names(value: Any) -> list[str]:
    """A word, or a list of words, in small letters and American spelling, without punctuation around them."""
    words = [value] if isinstance(value, str) else map(str, value)
    words = [re.sub(r"^\W+|\W+$", "", word.casefold()) for word in words]
    for british, american in AMERICAN.items():
        words = [word.replace(british, american) for word in words]
    return words


def _written(value: Any) -> str:
    """A value in a hint."""
    try:
        if isinstance(value, float):
            return f"{value:.4g}"
        if _has_text(value) or isinstance(value, dict) or not hasattr(value, "__len__"):
            return str(value)
        return np.array2string(np.asarray(value, dtype=float), precision=3, separator=", ", threshold=12)
    except Exception:  # no numbers, or no text
        return f"a {type(value).__name__}"


def _source(function: Any, name: str) -> str:
    """A function's source under another name, without annotations, below the imports that it needs."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    if not isinstance(definition, ast.FunctionDef):
        return inspect.getsource(function).strip()
    definition.name, definition.returns = name, None
    for argument in definition.args.args:
        argument.annotation = None
    used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)} & function.__globals__.keys()
    imports = [_import_of(function.__globals__[name], name) for name in sorted(used)]
    return "\n\n".join(["\n".join(imports), ast.unparse(definition)]).strip()


def _import_of(thing: Any, name: str) -> str:
    if isinstance(thing, ModuleType):
        return f"import {thing.__name__}" + (f" as {name}" if name != thing.__name__ else "")
    return f"from {thing.__module__} import {name}"
