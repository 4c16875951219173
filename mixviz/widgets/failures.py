"""Which of the two runs is broken, and why? Pairs of the failure cases, first without names."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from mixviz.errors import UserError
from mixviz.experiments.failures import CASES, CaseResult, RunEvidence, failure_case, load_case
from mixviz.experiments.failures.evidence import TRAINING_LOSS
from mixviz.plots.failures import LABELS, plot_gain, plot_twins
from mixviz.plots.invariance import plot_fingerprint
from mixviz.pretrained import ROOT
from mixviz.widgets.base import Drive, Widget
from mixviz.widgets.controls import choice, toggle

CURVES = {  # what is shown -> the curve; the first of those that the runs have
    TRAINING_LOSS: (TRAINING_LOSS,),
    "loss on held-out images": ("loss",),
    "key ranks first, in training": ("proxy_accuracy_clean", "proxy_accuracy_mixed"),
    "key ranks first, held out": ("proxy_accuracy",),
    "new keys nearer than the queue": ("queue_gap",),
    "kNN": ("knn_accuracy",),
    "alignment": ("alignment/all",),
    "uniformity": ("uniformity/all",),
    "effective rank": ("effective_rank/all",),
}
GAIN, HEADS = "what a probe gains", "what moves which head"
PICTURES = (*CURVES, GAIN, HEADS)
NOT_YET = "not yet"
BROKEN = "BAABABBAB"  # which run of each pair


class FailureCases(Widget):
    """Two runs, A and B, that differ in one thing: look at what was measured, say what is wrong, then reveal it.

    root: the folder of runs that the command ``failures`` has trained, ``runs_root() / "failure-cases"``; by default
    recordings.
    """

    size = (9.0, 3.6)

    def __init__(self, root: Path | str | None = None, **values: Any):
        self.root = Path(root) if root else ROOT / "failure-cases"
        pairs = {f"pair {place}": found.name for place, found in enumerate(CASES, 1)}
        causes = {NOT_YET: NOT_YET, **dict(sorted((found.title, found.name) for found in CASES))}
        controls = {
            "pair": choice("pair", pairs, CASES[0].name, "two runs that differ in one thing"),
            "left": choice("left", PICTURES, TRAINING_LOSS, "what is shown of both runs"),
            "right": choice("right", PICTURES, "kNN", "what is shown of both runs"),
            "guess": choice("broken is", [NOT_YET, "A", "B"], NOT_YET, "what you think"),
            "cause": choice("because of", causes, NOT_YET, "what you think"),
            "reveal": toggle("reveal", about="which run is broken, and why"),
        }
        self.visits: dict[str, CaseResult] = {}
        self.guesses: dict[str, bool] = {}  # pair that was revealed after a guess -> whether run and cause were right
        super().__init__(controls, values)

    def compute(self, pair: str, guess: str, cause: str, reveal: bool, **_: Any) -> CaseResult:
        if pair not in self.visits:
            self.visits[pair] = load_case(failure_case(pair), self.root)
        if reveal and NOT_YET not in (guess, cause):
            self.guesses.setdefault(pair, guess == BROKEN[CASES.index(failure_case(pair))] and cause == pair)
        return self.visits[pair]

    @property
    def runs(self) -> dict[str, RunEvidence]:
        """Both runs by their displayed names: A first, or the healthy one first once it is revealed."""
        if self.values["reveal"]:
            return {"healthy": self.result.healthy, "broken": self.result.broken}
        pair = [self.result.healthy, self.result.broken]
        return dict(zip(("run A", "run B"), pair if self.broken == "B" else pair[::-1], strict=True))

    @property
    def broken(self) -> str:
        """The broken run: A or B."""
        return BROKEN[CASES.index(self.result.case)]

    def unused(self, reveal: bool, guess: str, cause: str, **_: Any) -> Mapping[str, str]:
        if reveal:
            return dict.fromkeys(("guess", "cause"), "it is revealed already")
        return {"reveal": "say first which run is broken, and because of what"} if NOT_YET in (guess, cause) else {}

    def drive(self) -> Drive:
        """As every widget's; a guess is made first, without which nothing is revealed."""
        before = {name: self.values[name] for name in ("guess", "cause")}
        self.set(guess="A", cause=CASES[0].name)
        lines = super().drive()
        self.guesses.clear()
        self.set(**before)
        return lines

    def numbers(self) -> dict[str, Any]:
        found: dict[str, Any] = {"shown": list(self.runs)}
        for side in ("left", "right"):
            found[self.values[side]] = self._ends(self.values[side])
        if self.values["reveal"]:
            reading, story = self.result.reading, self.result.case
            found |= {"case": story.name, "broken": self.broken, "signature": [reading.healthy, reading.broken]}
            found |= {"margin": story.signature.margin, "shows": str(reading.shows)}
        return found

    def draw(self, figure: Figure) -> None:
        figure.suptitle(self._title(), x=0.01, ha="left", fontsize=11)
        grid = figure.add_gridspec(1, 2)
        for side, place in (("left", grid[0]), ("right", grid[1])):
            self._draw(figure, place, self.values[side])

    def caption(self) -> str:
        said = " ".join(f"{side.capitalize()}, {self._said(self.values[side])}" for side in ("left", "right"))
        if not self.values["reveal"]:
            return f"{said} Which of the two is broken, and why? Say it, then reveal it."
        story, reading = self.result.case, self.result.reading
        signature = story.signature
        values = f"{signature.written(reading.healthy)} healthy, {signature.written(reading.broken)} broken"
        shows = "It shows." if reading.shows else "It does not show in runs this short."
        return (
            f"Run {self.broken} is the broken one{self._judged()}. {story.broken} Its signature: {signature.quantity}, "
            f"{signature.direction} than in the control run: {values}. {shows} {story.explanation}"
            f"{self._score()}"
        )

    def _moved(self, change: Mapping[str, Any]) -> None:
        """After one pair was revealed, the next begins without a guess."""
        if change["owner"] is self.controls["pair"] and self.values["reveal"]:
            with self._hold():
                for name in ("guess", "cause", "reveal"):
                    self.controls[name].value = self.defaults[name]
        super()._moved(change)

    def _title(self) -> str:
        """What is known; before it is revealed, what you think."""
        if self.values["reveal"]:
            return self.result.case.title
        guess, cause = self.values["guess"], self.values["cause"]
        parts = [] if guess == NOT_YET else [f"run {guess} is broken"]
        parts += [] if cause == NOT_YET else [failure_case(cause).title.lower()]
        return f"You think: {': '.join(parts)}" if parts else "Two runs that differ in one thing"

    def _ends(self, picture: str) -> list[float] | str:
        """The last values of both runs, if measured."""
        try:
            return [self._end(picture, run) for run in self.runs.values()]
        except UserError as error:
            return str(error)

    def _end(self, picture: str, run: RunEvidence) -> float:
        if picture in CURVES:
            return float(self._curve(picture, run)[1][-1])
        if picture == HEADS and run.invariance.empty:
            raise UserError("heads are compared only if there are several: in LooC's pair")
        return failure_case({GAIN: "unfrozen-probe", HEADS: "inverted-views"}[picture]).signature.measure(run)

    def _curve(self, picture: str, run: RunEvidence) -> tuple[np.ndarray, np.ndarray]:
        return run.curve(self._name(picture))

    def _name(self, picture: str) -> str:
        """The curve's own name, the first that the healthy run has. Raises UserError if it has none."""
        there = {TRAINING_LOSS, *self.result.healthy.film.curves, *self.result.healthy.metrics}
        found = next((name for name in CURVES[picture] if name in there), None)
        if found is None:
            raise UserError("these runs have no queue: only MoCo-v2's pairs have one")
        return found

    def _draw(self, figure: Figure, place: SubplotSpec, picture: str) -> None:
        ends = self._ends(picture)
        if isinstance(ends, str):
            ax = figure.add_subplot(place)
            ax.text(0.5, 0.5, "\n".join(wrap(ends, 36)), ha="center", va="center")
            ax.set_axis_off()
        elif picture in CURVES:
            curves = {name: self._curve(picture, run) for name, run in self.runs.items()}
            plot_twins(figure.add_subplot(place), curves, self._name(picture))
        elif picture == GAIN:
            gains = {name: (run.accuracy("random"), run.accuracy()) for name, run in self.runs.items()}
            plot_gain(figure.add_subplot(place), gains)
        else:
            grid = place.subgridspec(1, 2)
            for part, (name, run) in zip((grid[0], grid[1]), self.runs.items(), strict=True):
                ax = plot_fingerprint(figure.add_subplot(part), run.invariance)
                ax.set_title(name)
                ax.tick_params(labelsize=8, labelleft=part.colspan.start == 0)

    def _said(self, picture: str) -> str:
        ends = self._ends(picture)
        if isinstance(ends, str):
            return f"{picture}: {ends}."
        share = picture == GAIN or (picture in CURVES and LABELS.get(self._name(picture), ("", False))[1])
        written = [f"{end:.1%}" if share else f"{end:.3g}" for end in ends]
        ends = " and ".join(f"{end} for {name}" for name, end in zip(self.runs, written, strict=True))
        return f"{picture}: {ends}{' at the end' if picture in CURVES else ''}."

    def _score(self) -> str:
        """Of the pairs that were revealed after a guess, how many were right."""
        guessed = len(self.guesses)
        pairs = "pair" if guessed == 1 else "pairs"
        return f" Your score: {sum(self.guesses.values())} of {guessed} {pairs} right." if guessed else ""

    def _judged(self) -> str:
        guess, cause = self.values["guess"], self.values["cause"]
        if NOT_YET in (guess, cause):
            return ""
        right = [guess == self.broken, cause == self.result.case.name]
        verdicts = {(True, True): "both right", (True, False): "the run is right, the cause is not"}
        verdicts |= {(False, True): "the cause is right, the run is not", (False, False): "neither is right"}
        return f" (you said {guess} and {failure_case(cause).title.lower()}: {verdicts[tuple(right)]})"
