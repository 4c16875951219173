"""Is a gain real? Paired differences over seeds, the interval of their mean, and how many seeds would settle it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from mixviz.errors import UserError
from mixviz.paired import (
    FEWEST_SEEDS,
    VERDICTS,
    chance_to_settle,
    mean_interval,
    paired_differences,
    seeds_to_settle,
    settled_sign,
)

MOST = 40  # seeds up to which chances are computed


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What some paired differences of a method to its base say; all in points."""

    differences: tuple[float, ...]  # one a seed
    mean: float
    low: float  # interval of the mean at this confidence; NaN below two seeds
    high: float
    sign: int  # 1, -1, or 0: not settled, as always below three seeds
    needed: int | None  # seeds that would settle the sign with the wanted probability; None: unrealistically many
    chances: pd.DataFrame  # seeds, and the probability that this number settles the sign, with this mean and deviation
    confidence: float
    wanted: float  # chance wanted
    span: tuple[float, float]  # range of such differences, including 0
    truth: float | None = None  # the true effect, if it is known

    @property
    def word(self) -> str:
        return VERDICTS[self.sign]


def verdict(
    differences: Sequence[float],
    confidence: float = 0.95,
    wanted: float = 0.8,
    truth: tuple[float, float] | None = None,
    span: tuple[float, float] | None = None,
) -> Verdict:
    """The verdict of paired differences in points, one a seed. Raises UserError if there is none.

    truth: mean and deviation that the differences were drawn with; the number of seeds is computed from these, else
    from the differences' own mean and deviation. span: by default that of ``span_of`` these differences.
    """
    if not len(differences):
        raise UserError("no paired differences: run method and base with the same seeds")
    mean, low, high = mean_interval(differences, confidence)
    known = differences if truth is None else [truth[0] + truth[1] * sign for sign in (-1.0, 0.0, 1.0)]
    sign = settled_sign(low, high, len(differences))
    needed = seeds_to_settle(known, confidence, wanted)
    chances = pd.DataFrame(_chances(*_moments(known), confidence), columns=["seeds", "chance"])
    effect = None if truth is None else truth[0]
    reach = span or span_of(known)
    return Verdict(
        differences=tuple(differences),
        mean=mean,
        low=low,
        high=high,
        sign=sign,
        needed=needed,
        chances=chances,
        confidence=confidence,
        wanted=wanted,
        span=reach,
        truth=effect,
    )


def span_of(values: Sequence[float]) -> tuple[float, float]:
    """The range of such differences: three standard deviations to either side of their mean, and 0."""
    mean, deviation = _moments(values)
    reach = 3 * deviation if deviation > 0 else 1.0
    return min(mean - reach, -0.1 * reach), max(mean + reach, 0.1 * reach)


def _moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation, NaN of one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


@lru_cache(maxsize=64)
def _chances(mean: float, deviation: float, confidence: float) -> list[tuple[int, float]]:
    effect = abs(mean) / deviation if deviation > 0 else np.nan
    return [(n, chance_to_settle(n, effect, confidence)) for n in range(FEWEST_SEEDS, MOST + 1)]


def drawn(effect: float, deviation: float, seeds: int, draw: int) -> np.ndarray:
    """Simulated paired differences (seeds,): normal around a true effect. draw: number of the simulation."""
    return effect + deviation * np.random.default_rng(draw).standard_normal(seeds)


def measured(table: Mapping[str, Any], measure: str = "linear-features: label") -> dict[str, tuple[float, ...]]:
    """Every arm's differences to its base in a table of ``reproduce``: "arm, against base" -> points, one per seed."""
    rows = pd.DataFrame(table["rows"]).rename(columns={"arm": "method", "value": "accuracy"})
    rows = rows[rows["measure"] == measure]
    found = {}
    for arm, base in table["against"].items():
        both = rows[rows["method"].isin([arm, base])]
        if base is not None and both["method"].nunique() == 2:
            (pair,) = paired_differences(both, base)
            found[f"{arm}, against {base}"] = pair.differences
    return found
