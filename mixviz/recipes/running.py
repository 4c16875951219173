"""Recipes put to work: how long it will take, the runs, their read-outs, and one result file for each table."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F

from mixviz.analysis.frechet import frechet_distance
from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import ImageSet, load
from mixviz.encoders import Embedder
from mixviz.environment import commit
from mixviz.evaluate import evaluate, extract
from mixviz.recipes import PROTOCOLS, Arm, Recipe, run_name
from mixviz.recipes.describing import describe, is_of
from mixviz.runs import Run
from mixviz.train import hold_out, load_training_images, train, trained
from mixviz.train import statistics as statistics_of

PROBED = 1000  # images on which a read-out is timed
FRECHET_IMAGES = 2000  # of train and of test, at most

Sets = tuple[ImageSet, ImageSet]


@dataclass(frozen=True)
class Estimate:
    """What one arm of a plan will take."""

    arm: str
    epochs: int  # to train, over all seeds
    readouts: int  # to do, over all seeds
    seconds_an_epoch: float
    seconds_a_readout: float
    known_from: str  # "finished epochs", or "a few steps"

    @property
    def minutes(self) -> float:
        return (self.epochs * self.seconds_an_epoch + self.readouts * self.seconds_a_readout) / 60


def load_sets(recipe: Recipe) -> Sets:
    """Training images, cut to ``train_images``, and test images. Raises UserError."""
    data = recipe.config.data
    return load_training_images(recipe.config), load(data.data, "test", name=data.data_name, image_size=data.image_size)


def runs_of(recipes: Sequence[Recipe], seeds: Sequence[int]) -> Iterator[tuple[Arm, list[RunConfig]]]:
    """Every arm with its configs, one a seed; an arm that several tables share comes once."""
    seen = set()
    for recipe in recipes:
        for arm in recipe.arms:
            configs = [arm.config(seed) for seed in seeds]
            if run_name(configs[0]) not in seen:
                seen.add(run_name(configs[0]))
                yield arm, configs


def plan(recipes: Sequence[Recipe], seeds: Sequence[int], root: Path, sets: Sets) -> list[Estimate]:
    """How long each arm will take from where it stands, by its finished epochs, or else by a few steps on this machine.

    Reading out is timed on a part of the images and counted in proportion. Recipes share one data set.
    """
    found, readout = [], 0.0
    for arm, configs in runs_of(recipes, seeds):
        runs = [Run(root / run_name(config)) for config in configs]
        missing = sum(not _is_read_out(run) for run in runs)
        epochs = sum(config.train.epochs - len(run.metrics) for config, run in zip(configs, runs, strict=True))
        known = [seconds for run in runs if len(run.metrics) for seconds in run.metrics["seconds"]]
        epoch = statistics.median(known) if known else time_epoch(configs[0], sets[0])
        readout = readout or (time_readout(configs[0], sets) if missing else 0.0)
        source = "finished epochs" if known else "a few steps"
        found.append(Estimate(arm.name, epochs, missing, epoch, readout, source))
    return found


def time_epoch(config: RunConfig, images: ImageSet) -> float:
    """Seconds of an epoch with its mixing at work, by the last steps of a very short run on a few of the images."""
    batch = config.train.batch_size
    few = images.sample(2 * batch * 10 // 9 + 2)  # two steps, beside what is held out
    warmup = config.method.mochi.warmup_epochs if "mochi" in config.method.mixing else 0
    short = config.but(epochs=max(2, warmup + 1), knn_every=0, film_frames=0)
    with tempfile.TemporaryDirectory() as folder:
        rate = train(short, "timed", few, Path(folder), progress=False).metrics["images_per_second"].iloc[-1]
    return len(images) * (1 - min(config.data.holdout / len(images), 0.1)) / rate


def time_readout(config: RunConfig, sets: Sets) -> float:
    """Seconds of a read-out, by that of an untrained encoder on a few of the images, in proportion."""
    train_few, test_few = (images.sample(PROBED) for images in sets)
    embedder = build_embedder(config, train_few.images.shape[1], *statistics_of(train_few.tensor())).eval()
    began = time.perf_counter()
    evaluate(embedder, train_few, test_few, protocols=PROTOCOLS)
    return (time.perf_counter() - began) * len(sets[0]) / len(train_few)


def run_recipe(
    recipe: Recipe,
    seeds: Sequence[int],
    root: Path,
    sets: Sets,
    out: Path,
    on_run: Callable[[str, int], None] = lambda arm, seed: None,
) -> dict[str, Any]:
    """Train and read out what is not there yet, seed by seed; the table, which is written to ``out`` after each seed.

    root: of the run folders. on_run is called before each run. Cut short and called again, it goes on where it was.
    """
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for arm in recipe.arms:
            on_run(arm.name, seed)
            config = arm.config(seed)
            run = trained(config, run_name(config), root, sets[0])
            rows += [{"arm": arm.name, "seed": seed, **row} for row in measure(run, recipe, sets)]
        table = describe(recipe, root, rows, sets)
        out.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return table


def measure(run: Run, recipe: Recipe, sets: Sets) -> list[dict[str, Any]]:
    """Every measure of a run: measure, value, run. Accuracies in %, each read out once and kept in the run's folder."""
    embedder: Embedder | None = None
    seed, found = run.config.train.seed, {}
    for target in recipe.targets:
        kept = {result["protocol"]: result for result in run.results if is_of(result, target)}
        if not kept.keys() >= set(PROTOCOLS):
            embedder = embedder or run.encoder()
            turned = target == "rotation" and "rotation" not in sets[0].factors
            used = tuple(turn(images) for images in sets) if turned else sets
            new = [
                r.to_dict() | {"commit": commit()}
                for r in evaluate(embedder, *used, targets=[target], protocols=PROTOCOLS, seed=seed, run=run.name)
            ]
            run.add_results(new)
            kept = {result["protocol"]: result for result in new}
        found |= {f"{protocol}: {target}": 100 * kept[protocol]["accuracy"] for protocol in PROTOCOLS}
    if recipe.frechet:
        found["Fréchet distance"] = train_to_test(embedder or run.encoder(), sets, run.config.data.holdout)
    return [{"measure": name, "value": value, "run": run.name} for name, value in found.items()]


def turn(images: ImageSet) -> ImageSet:
    """The images, each turned by 0 to 3 quarters, which become its factor ``rotation`` (LooC, Table 1)."""
    quarters = np.random.default_rng(0).integers(0, 4, len(images))
    turned = np.array(images.images)
    for quarter in (1, 2, 3):
        turned[quarters == quarter] = np.rot90(turned[quarters == quarter], quarter, axes=(1, 2))
    return replace(images, images=turned, factors={**images.factors, "rotation": quarters})


def train_to_test(embedder: Embedder, sets: Sets, holdout: int) -> float:
    """Fréchet distance between unit-length features of as many training as test images; lower is nearer.

    Both are drawn at random, the former without the ``holdout`` images that were held out of training.
    """
    trained_on = sets[0].select(hold_out(len(sets[0]), holdout)[1])
    n = min(FRECHET_IMAGES, len(trained_on), len(sets[1]))
    drawn = [images.sample(n) for images in (trained_on, sets[1])]
    parts = [F.normalize(extract(embedder, images).float(), dim=1) for images in drawn]
    return frechet_distance(*parts)


def _is_read_out(run: Run) -> bool:
    return {result["protocol"] for result in run.results if is_of(result, "label")} >= set(PROTOCOLS)
