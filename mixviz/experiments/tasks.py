"""One run of an experiment as a task: trained as far as the time allows, and measured."""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mixviz.build import load_sets
from mixviz.config import DataConfig, RunConfig
from mixviz.experiments.arms import Arm, Experiment, Sets
from mixviz.runs import Run

Rows = list[dict[str, Any]]  # a measure, its value and the run each


class OutOfTime(Exception):
    """The time is over; the training so far is kept."""


@lru_cache(maxsize=3)
def load_data(data: DataConfig) -> Sets:
    """Training images, cut to ``train_images``, and test images. Raises UserError."""
    return load_sets(data).evaluated_on


def sets_for(config: RunConfig, experiment: Experiment, sets: Sets) -> Sets:
    """The images of an arm: the experiment's, or its own if it uses others, such as fewer."""
    return sets if config.data == experiment.config.data else load_data(config.data)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of an experiment, to be trained and measured."""

    experiment: Experiment
    arm: Arm
    seed: int
    root: Path  # of the run folders
    deadline: float = math.inf  # as of ``time.monotonic()``

    @property
    def label(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def name(self) -> str:
        """The name of the run's folder: tasks of the same name are one."""
        return self.experiment.folder(self.arm, self.seed)

    @property
    def config(self) -> RunConfig:
        return self.arm.config(self.seed)

    @property
    def run(self) -> Run:
        """Its folder, which may not exist yet."""
        return Run(self.root / self.name)

    @property
    def epochs(self) -> int:
        """Epochs to train, including finished ones."""
        return self.config.train.epochs

    @property
    def epochs_done(self) -> int:
        return len(self.run.metrics) if self.is_begun else 0

    @property
    def is_begun(self) -> bool:
        return (self.run.path / "config.json").exists() and self.run.config == self.config

    @property
    def is_done(self) -> bool:
        return self.is_begun and self.epochs_done == self.epochs and self.experiment.is_measured(self.run)

    def carry_out(self, sets: Sets, on_epoch: Callable[[], None] = lambda: None) -> Rows | None:
        """Train, or resume training, and measure; None if the time was over first.

        on_epoch: called at the beginning of each epoch.
        """
        images = sets_for(self.config, self.experiment, sets)
        try:
            run = self.run if self.is_done else self._trained(images, Clock(self.deadline, self.epochs, on_epoch))
        except OutOfTime:
            return None
        found = self.experiment.measure(run, images)
        return [{"measure": name, "value": value, "run": run.name} for name, value in found.items()]

    def _trained(self, images: Sets, clock: "Clock") -> Run:
        """The trained run; a folder without a finished first epoch is removed first."""
        if not self.is_begun:
            shutil.rmtree(self.run.path, ignore_errors=True)
            Run.create(self.config, self.name, self.root)
        return self.experiment.train(self.arm, self.run, images[0], clock)


class Clock:
    """Watches a training and ends it with the epoch whose end is nearest to the deadline; at least one epoch."""

    def __init__(self, deadline: float, epochs: int, on_epoch: Callable[[], None] = lambda: None):
        self.deadline, self.epochs, self.on_epoch = deadline, epochs, on_epoch
        self.epoch: int | None = None
        self.began = 0.0  # when this epoch began

    def __call__(self, seen: int, total: int) -> None:
        """After each step. Raises OutOfTime in the first step of an epoch, when the checkpoint has the one before."""
        epoch, now = (seen - 1) * self.epochs // total, time.monotonic()
        if epoch == self.epoch:
            return
        if self.epoch is not None and now + (now - self.began) / 2 > self.deadline:
            raise OutOfTime
        self.epoch, self.began = epoch, now
        self.on_epoch()


def carry_out_apart(task: Task) -> Rows | None:
    """A task in its own process, which loads the images itself."""
    return task.carry_out(load_data(task.experiment.config.data))
