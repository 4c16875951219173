"""The result file of a table: its rows, and of every run what it was trained with and how long it took."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.environment import environment
from mixviz.experiments.tables.recipes import Recipe
from mixviz.runs import Run

KNOWN = ("device", "processor", "dtype", "threads", "commit")  # of a run's environment; older runs lack some


def describe(
    recipe: Recipe, root: Path, rows: Sequence[dict[str, Any]], sets: tuple[Dataset, Dataset]
) -> dict[str, Any]:
    """The result file of a table from the rows of the runs that are done: one at least.

    root: of the run folders.
    """
    config, runs = recipe.config, [about_run(root, *key) for key in _keys(rows)]
    arms = {arm.name: _about_arm(arm.config(seed=0), recipe, len(sets[0])) for arm in recipe.arms}
    for run in runs:
        arms[run["arm"]]["train_images"] = run["train_images"]
    return {
        "table": recipe.name,
        "title": recipe.title,
        "scale": recipe.scale,
        "source": recipe.source,
        "data": sets[0].name,
        "train_images": len(sets[0]),
        "test_images": len(sets[1]),
        "network": config.encoder.backbone,
        "epochs": config.train.epochs,
        "batch_size": config.train.batch_size,
        **{name: _one(run[name] for run in runs) for name in ("device", "processor", "dtype")},
        "commit": _one(commit for run in runs for commit in (run["commit"], run["read_out_by"])),
        "packages": environment()["packages"],
        "against": {arm.name: arm.against for arm in recipe.arms},
        "arms": arms,
        "settings": {arm.name: dict(arm.settings) for arm in recipe.arms},
        "runs": runs,
        "rows": list(rows),
    }


def about_run(root: Path, arm: str, seed: int, name: str) -> dict[str, Any]:
    """What a run that is done was trained with, and its minutes of training."""
    run = Run(root / name)
    made = run.read_json("environment.json")
    read_out = next(result for result in run.results if is_of(result, "label"))
    return {
        "arm": arm,
        "seed": seed,
        "run": name,
        "minutes": round(float(run.metrics["seconds"].sum()) / 60, 3),
        "train_images": read_out["train_images"],
        **{key: made.get(key, "") for key in KNOWN},
        "read_out_by": read_out.get("commit", ""),
    }


def is_of(result: dict[str, Any], target: str) -> bool:
    """Whether a result is of the trained backbone, read out for this target."""
    return result["encoder"] == "backbone" and result["target"] == target


def _about_arm(config: RunConfig, recipe: Recipe, images: int) -> dict[str, Any]:
    """In what arms of one table may differ besides their method. images: of the recipe's training set."""
    own = config.data.train_images
    return {
        "network": config.encoder.backbone,
        "train_images": images if own in (None, recipe.config.data.train_images) else own,
        "epochs": config.train.epochs,
        "batch_size": config.train.batch_size,
    }


def _keys(rows: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Arm, seed and name of each run, once, in the order of the rows."""
    return list(dict.fromkeys((row["arm"], row["seed"], row["run"]) for row in rows))


def _one(values: Iterable[str]) -> str:
    """The values that there are, once each: most often one."""
    return " or ".join(dict.fromkeys(value for value in values if value))
