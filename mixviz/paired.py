"""Statistics over seeds: paired differences with an interval, and what they settle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

FEWEST_SEEDS = 3  # with fewer no sign counts as settled
MOST_SEEDS = 10_000  # more than this is unrealistic
VERDICTS = {1: "higher", -1: "lower", 0: "not settled"}


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Method minus base over the seeds that both have."""

    method: str
    base: str
    seeds: tuple[int, ...]
    differences: tuple[float, ...]  # of accuracy, one a seed
    mean: float
    low: float  # 95 % interval of the mean, Student's t; NaN below two seeds
    high: float

    @property
    def verdict(self) -> str:
        """higher, lower or not settled: the sign of method minus base."""
        return VERDICTS[settled_sign(self.low, self.high, len(self.seeds))]


def paired_differences(table: pd.DataFrame, base: str, confidence: float = 0.95) -> list[PairedDifference]:
    """Each method of the table against the base, seed by seed.

    table: rows of one protocol and one target, with columns method, seed and accuracy, as from ``results_table``.

    >>> accuracies = {"base": [0.70, 0.72, 0.71], "method": [0.74, 0.75, 0.76]}
    >>> rows = [(name, seed, value) for name, values in accuracies.items() for seed, value in enumerate(values)]
    >>> (found,) = paired_differences(pd.DataFrame(rows, columns=["method", "seed", "accuracy"]), "base")
    >>> f"{found.mean:.2f} [{found.low:.3f}, {found.high:.3f}]: {found.verdict}"
    '0.04 [0.015, 0.065]: higher'
    """
    by_seed = table.pivot_table(index="seed", columns="method", values="accuracy", aggfunc="mean")
    found = []
    for method in [name for name in dict.fromkeys(table["method"]) if name != base]:
        differences = (by_seed[method] - by_seed[base]).dropna()
        seeds, values = tuple(map(int, differences.index)), tuple(map(float, differences))
        mean, low, high = mean_interval(values, confidence)
        found.append(
            PairedDifference(method=method, base=base, seeds=seeds, differences=values, mean=mean, low=low, high=high)
        )
    return found


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of values and its interval by Student's t: mean, low, high; NaN if there are too few."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else np.nan), np.nan, np.nan
    mean = float(np.mean(values))
    error = max(float(np.std(values, ddof=1)) / math.sqrt(len(values)), 1e-12)
    half = float(special.stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return mean, mean - half, mean + half


def settled_sign(low: float, high: float, seeds: int) -> int:
    """1 or -1 if the interval of a mean difference is on one side of 0; else, or with too few seeds, 0."""
    if seeds < FEWEST_SEEDS:
        return 0
    return int(low > 0) - int(high < 0)


def seeds_to_settle(differences: Sequence[float], confidence: float = 0.95, power: float = 0.8) -> int | None:
    """How many paired seeds would settle the sign, if mean and deviation of the differences were the true ones.

    The fewest, at least three, with which a two-sided t-test at this confidence finds the mean's sign with this
    probability: n with P(T > t) >= power, where t is the quantile of Student's t with n - 1 degrees of freedom and T
    is noncentral with noncentrality sqrt(n) mean / deviation. None if no realistic number would do, or with fewer than
    two differences.
    """
    if len(differences) < 2:
        return None
    mean, deviation = abs(float(np.mean(differences))), float(np.std(differences, ddof=1))
    if deviation <= 1e-9 * mean:
        return FEWEST_SEEDS if mean > 0 else None
    enough, effect = MOST_SEEDS, mean / deviation
    if chance_to_settle(enough, effect, confidence) < power:
        return None
    short = FEWEST_SEEDS - 1
    while enough - short > 1:
        middle = (enough + short) // 2
        short, enough = (short, middle) if chance_to_settle(middle, effect, confidence) >= power else (middle, enough)
    return enough


def chance_to_settle(n: int, effect: float, confidence: float = 0.95) -> float:
    """Probability that n differences have an interval above 0. effect: their true mean, in standard deviations."""
    noncentrality = math.sqrt(n) * effect
    quantile = special.stdtrit(n - 1, (1 + confidence) / 2)
    if noncentrality - quantile > 30:  # beyond the range of the noncentral distribution
        return 1.0
    return float(stats.nct.sf(quantile, n - 1, noncentrality))
