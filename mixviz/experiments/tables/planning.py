"""How long recipes will take, from finished epochs or from a few steps on this machine."""

import heapq
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path

from mixviz import build
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import inputs_of
from mixviz.evaluate import Source, evaluate
from mixviz.experiments.arms import Arm, Sets
from mixviz.experiments.tables.measures import PROTOCOLS, is_read_out
from mixviz.experiments.tables.recipes import Recipe, run_name
from mixviz.experiments.tasks import sets_for
from mixviz.runs import Run
from mixviz.train import train

PROBED = 1000  # images on which an evaluation is timed


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The time that one arm of a plan will take."""

    arm: str
    table: str  # the first that contains it
    left: tuple[tuple[int, int], ...]  # for each seed: epochs to train, evaluations to do
    seconds_an_epoch: float
    seconds_a_readout: float
    known_from: str  # "finished epochs", or "a few steps"

    @property
    def epochs(self) -> int:
        return sum(epochs for epochs, _ in self.left)

    @property
    def readouts(self) -> int:
        return sum(readouts for _, readouts in self.left)

    @property
    def minutes(self) -> float:
        return sum(self.minutes_of(seed) for seed in range(len(self.left)))

    def minutes_of(self, seed: int) -> float:
        """Of one seed, by its place."""
        epochs, readouts = self.left[seed]
        return (epochs * self.seconds_an_epoch + readouts * self.seconds_a_readout) / 60


def runs_of(recipes: Sequence[Recipe], seeds: Sequence[int]) -> Iterator[tuple[Recipe, Arm, list[RunConfig]]]:
    """Every arm with its configs, one per seed; an arm that several tables share appears once."""
    seen = set()
    for recipe in recipes:
        for arm in recipe.arms:
            configs = [arm.config(seed) for seed in seeds]
            if run_name(configs[0]) not in seen:
                seen.add(run_name(configs[0]))
                yield recipe, arm, configs


def plan(recipes: Sequence[Recipe], seeds: Sequence[int], root: Path, sets: Sets) -> list[Estimate]:
    """The time that each arm still takes, from its finished epochs, or else from a few steps on this machine.

    Evaluation is timed on a part of the images and scaled in proportion. Recipes share one data set.
    """
    found, readout = [], 0.0
    for recipe, arm, configs in runs_of(recipes, seeds):
        runs = [Run(root / run_name(config)) for config in configs]
        left = [(c.train.epochs - len(r.metrics), int(not is_read_out(r))) for c, r in zip(configs, runs, strict=True)]
        known = [seconds for run in runs if len(run.metrics) for seconds in run.metrics["seconds"]]
        images = sets_for(configs[0], recipe, sets)
        epoch = statistics.median(known) if known else time_epoch(configs[0], images[0])
        missing = any(readouts for _, readouts in left)
        readout = readout or (time_readout(configs[0], images) if missing else 0.0)
        source = "finished epochs" if known else "a few steps"
        found.append(
            Estimate(
                arm=arm.name,
                table=recipe.name,
                left=tuple(left),
                seconds_an_epoch=epoch,
                seconds_a_readout=readout,
                known_from=source,
            )
        )
    return found


def fitting(plan: Sequence[Estimate], minutes: float, jobs: int = 1) -> list[int]:
    """How many runs of each arm will be done after this time: tables in turn, seed by seed, arms in their order.

    jobs: how many run at once.
    """
    free, done = [0.0] * jobs, [0] * len(plan)  # time at which each of them is free
    for _, arms in groupby(range(len(plan)), key=lambda i: plan[i].table):
        for seed, i in product(range(len(plan[0].left)), list(arms)):
            needed = plan[i].minutes_of(seed)
            done[i] += not needed or free[0] + needed <= minutes
            if needed:
                heapq.heapreplace(free, free[0] + needed)
    return done


def time_epoch(config: RunConfig, images: Dataset) -> float:
    """Seconds of an epoch with its mixing active, from the last steps of a very short run on a few of the images."""
    batch = config.train.batch_size
    few = images.sample(2 * batch * 10 // 9 + 2)  # two steps, besides the held-out images
    warmup = config.method.mochi.warmup_epochs if "mochi" in config.method.mixing else 0
    short = config.but(epochs=max(2, warmup + 1), knn_every=0, film_frames=0)
    with tempfile.TemporaryDirectory() as folder:
        rate = train(short, "timed", few, Path(folder), progress=False).metrics["images_per_second"].iloc[-1]
    return len(images) * (1 - min(config.data.holdout / len(images), 0.1)) / rate


def time_readout(config: RunConfig, sets: Sets) -> float:
    """Seconds of an evaluation, scaled from that of an untrained encoder on a few of the images."""
    train_few, test_few = (images.sample(PROBED) for images in sets)
    embedder = build.build_embedder(config, *inputs_of(train_few)).eval()
    began = time.perf_counter()
    evaluate(Source(embedder=embedder, train=train_few, test=test_few), protocols=PROTOCOLS)
    return (time.perf_counter() - began) * len(sets[0]) / len(train_few)
