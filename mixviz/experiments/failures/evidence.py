"""The evidence that a finished run leaves, and the signature that tells a broken run from its control."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from mixviz.errors import UserError, unknown
from mixviz.film import Film
from mixviz.result import Result
from mixviz.runs import Run

TRAINING_LOSS = "loss in training"  # the log's loss, the mean over LooC's spaces; "loss" is of the film's images
INVARIANCE = "invariance.csv"  # among a LooC run's files; see ``analysis.invariance``


@dataclass(frozen=True, kw_only=True, eq=False)
class RunEvidence:
    """Everything that a signature may use; no weights and no images."""

    film: Film
    metrics: pd.DataFrame  # one row an epoch
    results: Sequence[Result] = ()  # on the run's own data
    invariance: pd.DataFrame = field(default_factory=pd.DataFrame)  # head x augmentation, with fall_off; only of LooC
    probe: str = "linear-features"  # the protocol that ``accuracy`` reads

    @classmethod
    def of(cls, run: Run) -> "RunEvidence":
        """Raises UserError if the run has no film."""
        table = run.path / INVARIANCE
        own = [result for result in run.results if not result.is_transfer]
        moved = pd.read_csv(table) if table.exists() else pd.DataFrame()
        return cls(film=run.film, metrics=run.metrics, results=own, invariance=moved)

    def accuracy(self, encoder: str = "backbone", protocol: str | None = None) -> float:
        """Of the class on test, in [0, 1]; protocol: None for ``probe``. Raises UserError if it was not measured."""
        protocol = protocol or self.probe
        for result in self.results:
            if (result.encoder, result.label, result.target) == (encoder, protocol, "label"):
                return result.accuracy
        raise UserError(f"there is no result of {encoder} by {protocol}: evaluate the run first")

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Epochs and values, (E,) each, of a film's scalar curve or of a column of the log. Raises UserError."""
        if name == TRAINING_LOSS:
            epochs, values = self.metrics["epoch"].to_numpy(), self.metrics["loss"].to_numpy()
        elif name in self.film.curves:
            epochs, values = self.film.epochs, self.film.curve(name)
        elif name in self.metrics:
            epochs, values = self.metrics["epoch"].to_numpy(), self.metrics[name].to_numpy()
        else:
            raise unknown("curve", name, [*self.film.curves, *map(str, self.metrics)])
        there = np.isfinite(values)
        return epochs[there], values[there]

    def last(self, name: str) -> float:
        """The last value of a curve. Raises UserError."""
        return float(self.curve(name)[1][-1])

    def by_protocol(self, probe: str) -> "RunEvidence":
        """The same run, with accuracies of another protocol."""
        return replace(self, probe=probe)


@dataclass(frozen=True)
class Reading:
    """A signature's quantity in both runs."""

    healthy: float
    broken: float
    shows: bool  # it differs in the signature's direction by more than its margin


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The measured quantity that exposes the broken run, and its direction."""

    quantity: str  # in words
    sign: int  # 1: higher than in the control run, -1: lower
    margin: float  # smallest difference that counts, in the quantity's unit
    measure: Callable[[RunEvidence], float]
    share: bool = True  # printed in per cent

    @property
    def direction(self) -> str:
        return "higher" if self.sign > 0 else "lower"

    def read(self, healthy: RunEvidence, broken: RunEvidence) -> Reading:
        """Raises UserError if the quantity was not measured."""
        return self.compare(self.measure(healthy), self.measure(broken))

    def compare(self, healthy: float, broken: float) -> Reading:
        """Whether the two values expose the broken run."""
        return Reading(healthy, broken, shows=self.sign * (broken - healthy) > self.margin)

    def written(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.share else f"{value:.2f}"
