"""The result file of an experiment: its rows and, for every run, its settings and training time."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mixviz.config import RunConfig
from mixviz.domains import domain_of
from mixviz.environment import environment
from mixviz.experiments.arms import Experiment, Sets
from mixviz.files import write_json
from mixviz.runs import Run

MEASURES = "measures.json"  # in a run's folder: measures besides its results
KNOWN = ("device", "processor", "dtype", "threads", "commit")  # of a run's environment; older runs lack some


def describe(experiment: Experiment, root: Path, rows: Sequence[dict[str, Any]], sets: Sets) -> dict[str, Any]:
    """The result file from the rows of finished runs, at least one.

    root: of the run folders. Rows without a run, such as of raw pixels, are baselines.
    """
    config, runs = experiment.config, [about_run(root, *key) for key in _keys(rows)]
    arms = {arm.name: _about_arm(arm.config(seed=0), experiment, len(sets[0])) for arm in experiment.arms}
    for run in runs:
        arms[run["arm"]]["train_images"] = run["train_images"] or len(sets[0])
    return {
        "table": experiment.name,
        "title": experiment.title,
        "source": experiment.source,
        "data": sets[0].name,
        "examples": domain_of(sets[0]).examples,
        "train_images": len(sets[0]),
        "test_images": len(sets[1]),
        "network": config.encoder.backbone,
        "epochs": config.train.epochs,
        "batch_size": config.train.batch_size,
        **{name: _one(run[name] for run in runs) for name in ("device", "processor", "dtype")},
        "commit": _one(commit for run in runs for commit in (run["commit"], run["read_out_by"])),
        "packages": environment()["packages"],
        "against": {arm.name: arm.against for arm in experiment.arms},
        "arms": arms,
        "settings": {arm.name: dict(arm.settings) for arm in experiment.arms},
        "runs": runs,
        "rows": list(rows),
    }


def about_run(root: Path, arm: str, seed: int, name: str) -> dict[str, Any]:
    """The settings of a finished run, and its minutes of training."""
    run = Run(root / name)
    made = run.read_json("environment.json")
    read_out = next(iter(run.own_results().values()), None)
    return {
        "arm": arm,
        "seed": seed,
        "run": name,
        "minutes": round(float(run.metrics["seconds"].sum()) / 60, 3),
        "train_images": read_out.train_images if read_out else None,
        **{key: made.get(key, "") for key in KNOWN},
        "read_out_by": read_out.commit if read_out else "",
    }


def kept_measures(run: Run, name: str, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The values of a measure: from the run's folder, or computed and added to it."""
    kept = _kept(run)
    if name not in kept:
        kept[name] = compute()
        write_json(run.path / MEASURES, kept)
    return kept[name]


def has_measures(run: Run, name: str) -> bool:
    """Whether ``kept_measures`` would compute nothing."""
    return name in _kept(run)


def _kept(run: Run) -> dict[str, dict[str, float]]:
    return run.read_json(MEASURES) if (run.path / MEASURES).exists() else {}


def _about_arm(config: RunConfig, experiment: Experiment, images: int) -> dict[str, Any]:
    """Settings besides the method in which arms of one table may differ. images: of the experiment's training set."""
    own = config.data.train_images
    return {
        "network": config.encoder.backbone,
        "train_images": images if own in (None, experiment.config.data.train_images) else own,
        "epochs": config.train.epochs,
        "batch_size": config.train.batch_size,
    }


def _keys(rows: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Arm, seed and name of each run, once, in the order of the rows."""
    return list(dict.fromkeys((row["arm"], row["seed"], row["run"]) for row in rows if row["run"]))


def _one(values: Iterable[str]) -> str:
    """The distinct values, most often one."""
    return " or ".join(dict.fromkeys(value for value in values if value))
