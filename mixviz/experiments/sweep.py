"""A grid of settings and seeds as an experiment: every combination is an arm, compared seed by seed with its base."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from typing import Any

from mixviz.config import RunConfig, flags
from mixviz.errors import UserError
from mixviz.evaluate import DEFAULTS, read_out
from mixviz.evaluate.source import Sets
from mixviz.experiments.arms import Arm, Experiment
from mixviz.labels import unique_labels
from mixviz.runs import Run

FIRST = ("mixing", "framework")  # settings in which arms are compared first


@dataclass(frozen=True, kw_only=True)
class Sweep(Experiment):
    """Evaluated by linear probe and kNN."""

    def folder(self, arm: Arm, seed: int) -> str:
        """Named by the method and a digest of all settings: the same run in any sweep that contains it."""
        config = arm.config(seed=0)
        digest = blake2b(config.model_dump_json().encode(), digest_size=4).hexdigest()
        return f"{config.method.name.replace(' ', '')}-{digest}-seed{seed}"

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        return {f"{result.label}: label": 100 * result.accuracy for result in read_out(run, sets, protocols=DEFAULTS)}

    def is_measured(self, run: Run) -> bool:
        return run.own_results().keys() >= set(DEFAULTS)


def sweep(grid: Mapping[str, Sequence[Any]]) -> Sweep:
    """The sweep over every combination of values by flat name; a single value applies to all arms.

    An arm's base differs from it in one setting, which has its first value there: the mixing, or the framework, or the
    first other setting in which the arm does not have the first value. Settings of mixings or frameworks that an arm
    does not use are left out. Raises UserError, also if a setting has no effect in any arm or arms have different data.
    """
    names = sorted(grid, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    combinations = [dict(zip(names, values, strict=True)) for values in product(*(grid[name] for name in names))]
    kept: dict[str, dict[str, Any]] = {}  # by the config: arms that differ only in unused settings are one
    used: set[str] = set()
    for values in combinations:
        config, settings = _without_idle(values)
        used |= settings.keys()
        kept.setdefault(config.model_dump_json(), settings)
    for name in names:
        if name not in used:
            why = RunConfig.of(**combinations[0]).idle(name)
            raise UserError(f"--{name.replace('_', '-')} would have no effect: {why}")
    configs = [RunConfig.of(**settings) for settings in kept.values()]
    if len({config.data for config in configs}) > 1:
        raise UserError("the runs of a sweep share their data: give --data and what goes with it one value each")
    labels = dict(zip(kept, unique_labels(configs), strict=True))
    arms = []
    for key, settings in kept.items():
        base = _without_idle(_base(settings, grid, names))[0].model_dump_json()
        arms.append(Arm(labels[key], settings, None if base == key else labels.get(base)))
    return Sweep(name="sweep", title="A sweep", arms=tuple(arms))


def _without_idle(values: Mapping[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    """The config of these values without those that have no effect in it, and the remaining values."""
    config = RunConfig.of(**values)
    settings = {name: value for name, value in values.items() if not config.idle(name)}
    return RunConfig.of(**settings), settings


def _base(settings: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], names: Iterable[str]) -> dict[str, Any]:
    """The settings of an arm's base; of the first arm its own."""
    whole = {name: values[0] for name, values in grid.items()} | dict(settings)
    for name in names:
        if whole[name] != grid[name][0]:
            return whole | {name: grid[name][0]}
    return whole


def values_of(name: str, words: Sequence[str]) -> list[Any]:
    """The values of a flag from its words; for settings that are lists, ``+`` joins values and ``none`` is empty."""
    (flag,) = (flag for flag in flags() if flag.name == name)
    if not isinstance(flag.default, tuple):
        return list(dict.fromkeys(words))
    return [() if word == "none" else tuple(word.split("+")) for word in dict.fromkeys(words)]
