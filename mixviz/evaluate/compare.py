"""Runs side by side: one tidy table of results, and paired differences with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from mixviz.config import RunConfig
from mixviz.runs import Run


def results_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each result: run, method, data, epochs, seed, encoder, protocol, target, accuracy."""
    rows = []
    for run in runs:
        config = run.config
        method = method_label(config)
        for result in run.results:
            keep = ("data", "seed", "encoder", "protocol", "target", "accuracy", "train_images", "test_images")
            row = {"run": run.name, "method": method, "epochs": config.train.epochs}
            rows.append(row | {key: result[key] for key in keep})
    columns = ["run", "method", "epochs", "data", "seed", "encoder", "protocol", "target", "accuracy"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def method_label(config: RunConfig) -> str:
    """Framework and mixings, and in brackets the settings of the mixings that are not the defaults."""
    name = config.method.name
    values, defaults = config.flat(), RunConfig.of(framework=config.method.framework).flat()
    own = tuple(f"{mixing}_" for mixing in config.method.mixing)
    changed = [f"{key} {value}" for key, value in values.items() if key.startswith(own) and value != defaults[key]]
    return f"{name} ({', '.join(changed)})" if own and changed else name


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
    low, high = stats.t.interval(confidence, len(values) - 1, np.mean(values), max(stats.sem(values), 1e-12))
    return float(np.mean(values)), float(low), float(high)


def differing_settings(runs: Sequence[Run]) -> list[str]:
    """Settings other than method and seed in which runs differ: then a comparison is not only of methods."""
    ignored = ("framework", "mixing", "seed", "device", "mixco_", "imix_", "mochi_", "looc_")
    settings = [
        {name: value for name, value in run.config.flat().items() if not name.startswith(ignored)} for run in runs
    ]
    return [name for name in settings[0] if len({repr(flat[name]) for flat in settings}) > 1] if settings else []
