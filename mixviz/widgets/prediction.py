"""Predict, then see: a question whose answer is drawn over the reader's guess, and a table of all guesses."""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from textwrap import wrap
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib.figure import Figure

from mixviz.errors import UserError, unknown
from mixviz.lessons.question import Question
from mixviz.plots.prediction import plot_bars, plot_curve, plot_statements
from mixviz.widgets.base import SENTENCE, Drive, Widget
from mixviz.widgets.screen import FOLDER
from mixviz.widgets.still import SWITCH

GUESSES: dict[Question, list[float]] = {}  # that were committed in this kernel: a cell that is run again shows them


class GuessForm(anywidget.AnyWidget):
    """The page's part of a prediction. What was measured is empty before a guess is committed."""

    _esm = FOLDER / "prediction.js"
    _css = FOLDER / "prediction.css"
    question = traitlets.Dict().tag(sync=True)
    guess = traitlets.List().tag(sync=True)
    measured = traitlets.List().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)  # what was measured, and how near the guess was
    committed = traitlets.Bool().tag(sync=True)


class Prediction(Widget):
    """A question, the reader's guess, and what was measured: not before the reader has committed to the guess.

    measured: one of the question's options, or name -> number; the names are those of the bars, or the points of the
    curve, and a single bar may have an empty name. given: numbers that are marked from the beginning. shown: a PNG or
    a table that appears with the answer. live: the numbers come from a training of this session, so they differ
    slightly between machines: ``drive`` leaves them out, though not the table.

    Raises UserError if what was measured does not fit the question.
    """

    saved = "Run this cell to guess, and to see what was measured."
    picture_widget: GuessForm

    def __init__(
        self,
        question: Question,
        measured: str | Mapping[Any, float],
        given: Sequence[float] = (),
        shown: bytes | pd.DataFrame | None = None,
        live: bool = False,
    ):
        self.question, self.shown, self.live = question, shown, live
        if isinstance(measured, str):
            if measured not in question.options:
                raise unknown("statement", measured, question.options)
            self.names, self.measured = [], [question.options.index(measured)]
        elif question.options:
            raise UserError(f"{question.text} asks for one of its options, not for numbers")
        else:
            self.names, self.measured = [str(name) for name in measured], [float(value) for value in measured.values()]
        self.given = [float(value) for value in given]
        self.shown_widget = ipywidgets.HTML()
        super().__init__({}, {})
        self.box.children = [self.picture_widget, self.caption_widget, self.shown_widget]
        self.picture_widget.observe(self._committed, "committed")
        if question in GUESSES:
            self.commit(GUESSES[question])

    @property
    def guess(self) -> list[float]:
        """What was committed: the place of an option, or a number for each name. Empty before."""
        return list(self.picture_widget.guess) if self.picture_widget.committed else []

    def commit(self, guess: str | Sequence[float]) -> None:
        """Guess from code: an option, or a number for each name. Raises UserError."""
        if isinstance(guess, str):
            if guess not in self.question.options:
                raise unknown("statement", guess, self.question.options)
            guess = [self.question.options.index(guess)]
        if len(guess) != len(self.measured):
            raise UserError(f"{len(self.measured)} numbers are asked for, not {len(guess)}")
        with self.picture_widget.hold_sync():
            self.picture_widget.guess = [float(value) for value in guess] if self.names else list(guess)
            self.picture_widget.committed = True

    def take_back(self) -> None:
        """Ask again, as if there had been no guess."""
        GUESSES.pop(self.question, None)
        with self.picture_widget.hold_sync():
            self.picture_widget.guess, self.picture_widget.committed = [], False

    @property
    def distance(self) -> float:
        """How far the numbers are from what was measured, on average; of statements, 0 if the right one was chosen."""
        return float(np.abs(np.subtract(self.guess, self.measured)).mean())

    def compute(self, **_: Any) -> None:
        """Nothing is computed: what was measured is given."""

    def numbers(self) -> dict[str, Any]:
        if not self.guess:
            return {"committed": "nothing"}
        return {"measured": "numbers of this session" if self.live and self.names else self.said(self.measured)}

    def said(self, values: Sequence[float]) -> str:
        """A guess, or what was measured, in words."""
        if not self.names:
            return self.question.options[round(values[0])]
        pairs = zip(self.names, values, strict=True)
        numbers = "; ".join(f"{name}: {value:.3g}" if name else f"{value:.3g}" for name, value in pairs)
        return f"{numbers} {self.question.unit}".strip()

    def nearness(self) -> str:
        """How near the guess was, in words."""
        if not self.guess:
            return "–"
        if not self.names:
            return "right" if self.distance == 0 else "not what was measured"
        unit = "points" if self.question.unit == "%" else self.question.unit
        average = " on average" if len(self.names) > 1 else ""
        return f"{f'{self.distance:.2g} {unit}'.strip()} away{average}"

    def draw(self, figure: Figure) -> None:
        question = self.question
        figure.suptitle("\n".join(wrap(question.text, 95)), x=0.01, ha="left", fontsize=10)
        ax, limits = figure.add_subplot(), (question.low, question.high)
        marks = {"guess": self.guess, "measured": self.measured if self.guess else []}
        if not self.names:
            words = {mark: self.said(values) if values else None for mark, values in marks.items()}
            plot_statements(ax, question.options, **words)
        elif question.across:
            plot_curve(ax, self.names, limits, (question.across, question.unit), **marks)
        else:
            plot_bars(ax, self.names, limits, question.unit, given=(question.given, self.given), **marks)

    def drive(self) -> Drive:
        """Commit a guess, and say what is measured then; afterwards all is as it was."""
        before, lines = self.guess, [f"as it is: {self._line()}"]
        self.commit([0] if not self.names else [self.question.low] * len(self.names))
        lines.append(f"committed: {self._line()}")
        if isinstance(self.shown, pd.DataFrame):
            lines.append(self.shown.to_string())
        self.take_back()
        if before:
            self.commit(before)
        return Drive(lines)

    def __repr__(self) -> str:
        return f"Prediction({self.question.text!r})"

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        if not os.environ.get(SWITCH):
            return super()._repr_mimebundle_(**more)
        answer = f"<p>Measured: {escape(self.said(self.measured))}.</p><p>{emphasised(self.question.why)}</p>"
        summary = "Guess first. Then open this: what was measured"
        html = f"{_html(self.picture())}<details><summary>{summary}</summary>{answer}{_html(self.shown)}</details>"
        return {"text/plain": repr(self), "text/html": html}

    def _screen(self) -> GuessForm:
        asked = asdict(self.question) | {"given_name": self.question.given, "given": self.given, "names": self.names}
        del asked["why"]  # it tells the answer
        return GuessForm(question=asked, layout={"width": "100%"})

    def _show(self) -> None:
        with self.picture_widget.hold_sync():
            self.picture_widget.measured = self.measured if self.guess else []
            said = f"Measured: {self.said(self.measured)}. Your guess: {self.nearness()}."
            self.picture_widget.said = said if self.guess else ""
        self.shown_widget.value = _html(self.shown) if self.guess else ""

    def _committed(self, _: Any) -> None:
        if self.guess:
            GUESSES[self.question] = self.guess
        self.refresh()
        self.caption_widget.value = SENTENCE.format(emphasised(self.question.why)) if self.guess else ""


class Predictions(Widget):
    """All predictions of a notebook: what was guessed, what was measured, and how near that was; it follows them."""

    picture_widget: ipywidgets.HTML

    def __init__(self, *predictions: Prediction):
        self.predictions = predictions
        super().__init__({}, {})
        for prediction in predictions:
            prediction.picture_widget.observe(lambda _: self.refresh(), "measured")

    def compute(self, **_: Any) -> pd.DataFrame:
        """A row for each prediction; nothing of a measurement before its guess."""
        return pd.DataFrame(
            [
                {
                    "question": one.question.text,
                    "you guessed": one.said(one.guess) if one.guess else "not yet",
                    "measured": one.said(one.measured) if one.guess else "–",
                    "how near": one.nearness(),
                }
                for one in self.predictions
            ]
        )

    def numbers(self) -> dict[str, Any]:
        return {"predictions": len(self.predictions), "guessed": sum(bool(one.guess) for one in self.predictions)}

    def caption(self) -> str:
        counts = self.numbers()
        return f"{counts['guessed']} of {counts['predictions']} predictions made."

    def __repr__(self) -> str:
        return f"Predictions({len(self.predictions)})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**(self.box._repr_mimebundle_() or {}), "text/plain": repr(self)}

    def _screen(self) -> ipywidgets.HTML:
        return ipywidgets.HTML(layout={"max_width": "60em"})

    def _show(self) -> None:
        self.picture_widget.value = self.result.to_html(index=False)


def emphasised(text: str) -> str:
    """Words as HTML: ``*word*`` is emphasised."""
    return re.sub(r"\*(.+?)\*", r"<em>\1</em>", escape(text))


def _html(shown: bytes | pd.DataFrame | None) -> str:
    """What appears with the answer."""
    if shown is None:
        return ""
    if isinstance(shown, pd.DataFrame):
        return shown.to_html()
    return f'<img alt="" style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(shown).decode()}">'
