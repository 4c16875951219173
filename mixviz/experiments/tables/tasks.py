"""One run of a table as a piece of work: trained as far as the time allows, and read out."""

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixviz.config import RunConfig
from mixviz.experiments.tables.recipes import Arm, Recipe, run_name
from mixviz.experiments.tables.running import Sets, is_read_out, load_data, measure, sets_for
from mixviz.runs import Run
from mixviz.train import resume

Rows = list[dict[str, Any]]


class OutOfTime(Exception):
    """The time is over; what is trained so far is kept."""


@dataclass(frozen=True)
class Task:
    """One run of a table, to be trained and read out."""

    recipe: Recipe
    arm: Arm
    seed: int
    root: Path  # of the run folders
    deadline: float = math.inf  # as of ``time.time()``

    @property
    def config(self) -> RunConfig:
        return self.arm.config(self.seed)

    @property
    def run(self) -> Run:
        """Its folder, which may not be there yet."""
        return Run(self.root / run_name(self.config))

    @property
    def is_begun(self) -> bool:
        return (self.run.path / "config.json").exists() and self.run.config == self.config

    @property
    def is_done(self) -> bool:
        return self.is_begun and len(self.run.metrics) == self.config.train.epochs and is_read_out(self.run)


class Clock:
    """Watches a training and ends it with the epoch whose end lies nearest to the deadline; one epoch at least."""

    def __init__(self, deadline: float, epochs: int):
        self.deadline, self.epochs = deadline, epochs
        self.epoch: int | None = None
        self.began = 0.0  # when that epoch did

    def __call__(self, seen: int, total: int) -> None:
        """After each step. Raises OutOfTime in the first step of an epoch, when the one before is in the checkpoint."""
        epoch, now = (seen - 1) * self.epochs // total, time.time()
        if epoch == self.epoch:
            return
        if self.epoch is not None and now + (now - self.began) / 2 > self.deadline:
            raise OutOfTime
        self.epoch, self.began = epoch, now


def carry_out(task: Task, sets: Sets, progress: bool = True) -> Rows | None:
    """Train, or go on with training, and read out: a row a measure; None where the time was over before."""
    images = sets_for(task.config, task.recipe, sets)
    try:
        run = task.run if task.is_done else resume(_begun(task), images[0], progress, _clock(task))
    except OutOfTime:
        return None
    return measure(run, task.recipe, images)


def carry_out_apart(task: Task) -> Rows | None:
    """As ``carry_out``, in a process of its own, which loads the images itself."""
    return carry_out(task, load_data(task.recipe.config.data), progress=False)


def _begun(task: Task) -> Run:
    """The run of this config; whatever else lay in its folder is removed."""
    if task.is_begun:
        return task.run
    shutil.rmtree(task.run.path, ignore_errors=True)
    return Run.create(task.config, task.run.name, task.root)


def _clock(task: Task) -> Clock:
    return Clock(task.deadline, task.config.train.epochs)
