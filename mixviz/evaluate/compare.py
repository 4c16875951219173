"""Runs side by side: one tidy table of results, paired differences with an interval, and what they settle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special, stats

from mixviz.config import RunConfig
from mixviz.mixing import MIXINGS
from mixviz.runs import Run

FEWEST_SEEDS = 3  # below these no sign counts as settled
MOST_SEEDS = 10_000  # more would be needed than anybody trains


def results_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each result: run, method, data, epochs, seed, encoder, protocol, target, accuracy."""
    rows = []
    for run in runs:
        config = run.config
        method = method_label(config)
        for result in run.results:
            keep = ("data", "seed", "encoder", "target", "accuracy", "train_images", "test_images")
            row = {"run": run.name, "method": method, "epochs": config.train.epochs, "protocol": result.label}
            rows.append(row | {key: getattr(result, key) for key in keep})
    columns = ["run", "method", "epochs", "data", "seed", "encoder", "protocol", "target", "accuracy"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def method_label(config: RunConfig) -> str:
    """Framework and mixings, and in brackets the settings of the mixings that are not the defaults."""
    name = config.method.name
    own = tuple(f"{mixing}_" for mixing in config.method.mixing)
    changed = [f"{key} {value}" for key, value in config.changed().items() if key.startswith(own)]
    return f"{name} ({', '.join(changed)})" if own and changed else name


def told_apart(configs: Sequence[RunConfig]) -> list[str]:
    """A label for each: its method, and in brackets the settings in which these configs differ from one another.

    Settings that are the framework's own, or of mixings that are off, are left out; what has the same label still is
    numbered.
    """
    flat = [config.flat() for config in configs]
    names = [name for name in flat[0] if len({repr(values[name]) for values in flat}) > 1] if flat else []
    labels: list[str] = []
    for config, values in zip(configs, flat, strict=True):
        changed = config.changed()
        off = ("framework", "mixing", *(f"{name}_" for name in MIXINGS if name not in config.method.mixing))
        own = [name for name in names if not name.startswith(off) and name in changed]
        notes = [f"{name.replace('_', ' ')} {_as_text(values[name])}" for name in own]
        label = f"{config.method.name} ({', '.join(notes)})" if notes else config.method.name
        count = sum(one.partition(" #")[0] == label for one in labels)
        labels.append(f"{label} #{count + 1}" if count else label)
    return labels


@dataclass(frozen=True)
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
        return {1: "higher", -1: "lower", 0: "not settled"}[settled_sign(self.low, self.high, len(self.seeds))]


def paired_differences(table: pd.DataFrame, base: str, confidence: float = 0.95) -> list[PairedDifference]:
    """Each method of the table against the base, seed by seed.

    table: rows of one protocol and one target, with columns method, seed and accuracy, as from ``results_table``.
    """
    by_seed = table.pivot_table(index="seed", columns="method", values="accuracy", aggfunc="mean")
    found = []
    for method in [name for name in dict.fromkeys(table["method"]) if name != base]:
        differences = (by_seed[method] - by_seed[base]).dropna()
        seeds, values = tuple(map(int, differences.index)), tuple(map(float, differences))
        found.append(PairedDifference(method, base, seeds, values, *mean_interval(values, confidence)))
    return found


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of values and its interval by Student's t: mean, low, high; NaN where there are too few."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else np.nan), np.nan, np.nan
    mean = float(np.mean(values))
    error = max(float(np.std(values, ddof=1)) / math.sqrt(len(values)), 1e-12)
    half = float(special.stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return mean, mean - half, mean + half


def settled_sign(low: float, high: float, seeds: int) -> int:
    """1 or -1 where the interval of a mean difference lies on one side of 0; 0 where it does not, or of few seeds."""
    if seeds < FEWEST_SEEDS:
        return 0
    return int(low > 0) - int(high < 0)


def seeds_to_settle(differences: Sequence[float], confidence: float = 0.95, power: float = 0.8) -> int | None:
    """How many paired seeds would settle the sign, were mean and deviation of the differences the true ones.

    The fewest, at least three, with which a two-sided t-test at this confidence finds the mean's sign with this
    probability: n with P(T > t) >= power, where t is the quantile of Student's t with n - 1 degrees of freedom and T
    is noncentral with noncentrality sqrt(n) mean / deviation. None where no number that can be trained would do, or
    where fewer than two differences give no deviation.
    """
    if len(differences) < 2:
        return None
    mean, deviation = abs(np.mean(differences)), np.std(differences, ddof=1)
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
    if noncentrality - quantile > 30:  # beyond what the noncentral distribution can be evaluated for
        return 1.0
    return float(stats.nct.sf(quantile, n - 1, noncentrality))


def _as_text(value: object) -> str:
    return (
        " ".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Settings other than method and seed in which runs differ: then a comparison is not only of methods."""
    ignored = ("framework", "mixing", "seed", "device", "mixco_", "imix_", "mochi_", "looc_")
    settings = [
        {name: value for name, value in run.config.flat().items() if not name.startswith(ignored)} for run in runs
    ]
    return [name for name in settings[0] if len({repr(flat[name]) for flat in settings}) > 1] if settings else []
