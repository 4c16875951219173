"""Training in a background thread, so that a notebook stays responsive: one run at a time, stopped cleanly.

It is a thread, not a process: PyTorch releases Python's lock, so the notebook responds as fast (on two busy cores its
event loop woke up 9 ms late in the median with either), encoders and mixings defined in the notebook can be trained,
nothing is imported or decoded twice, and it cannot outlive the kernel.
"""

import atexit
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch

from mixviz.build import load_sets
from mixviz.config import DataConfig, RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.runs import Run
from mixviz.train import resume, train

LONGEST_WAIT = 20.0  # seconds for the last step, when the program ends

State = Literal["preparing", "training", "finished", "stopped", "failed"]


class _Stopped(Exception):
    """Ends a training from within."""


class Training:
    """A run trained in a background thread, started by ``begin`` or ``resume``; ``stop`` ends it after a step.

    The last complete epoch is kept, and training can be resumed from it.
    """

    latest: ClassVar["Training | None"] = None

    def __init__(self, run: Run, config: RunConfig):
        self.run, self.config = run, config
        self.state: State = "preparing"
        self.failure: Exception | None = None
        self.done = self.total = 0  # images
        self._began: tuple[float, int] | None = None  # when, and how many images were done
        self._rate = 0.0
        self._halt = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(torch.get_num_threads(),), name=f"training {run.name}", daemon=True
        )

    @classmethod
    def begin(cls, config: RunConfig, name: str, root: Path) -> Self:
        """Train a new run. Raises UserError if its name is taken, or while another one is trained."""
        return cls(Run.check_new(config, name, root), config)._start()

    @classmethod
    def resume(cls, run: Run) -> Self:
        """Resume a run that was stopped. Raises UserError while another one is trained."""
        return cls(run, run.config)._start()

    @property
    def is_on(self) -> bool:
        return self._thread.is_alive()

    @property
    def images_per_second(self) -> float:
        """Since it began or was resumed, including pauses for monitor and film; 0 if not known yet."""
        return self._rate

    @property
    def seconds_left(self) -> float | None:
        """None if not known yet."""
        return (self.total - self.done) / self._rate if self._rate else None

    @property
    def status(self) -> str:
        """The progress in one line."""
        name, epochs = self.run.name, self.config.train.epochs
        if self.state == "failed":
            return f"{name} failed: {self.failure}"
        if self.state == "preparing":
            return f"{name}: preparing the images"
        done = f"{name}: {self.state}, {epochs * self.done / max(self.total, 1):.1f} of {epochs} epochs"
        if not self.is_on or self.seconds_left is None:
            return done
        minutes, seconds = divmod(round(self.seconds_left), 60)
        return f"{done}, {self.images_per_second:,.0f} images/s, {minutes}:{seconds:02d} left"

    def stop(self) -> None:
        """End it after the step that it is in. Returns when it has ended."""
        self._halt.set()
        self._thread.join()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until it ends, for at most this number of seconds."""
        self._thread.join(seconds)

    def _start(self) -> Self:
        other = Training.latest
        if other is not None and other.is_on:
            raise UserError(f"{other.run.name} is being trained: stop it, or wait until it is done")
        Training.latest = self
        self._thread.start()
        return self

    def _work(self, threads: int) -> None:
        torch.set_num_threads(threads)  # set per thread
        try:
            images = _images(self.config.data)
            if (self.run.path / "config.json").exists():
                resume(self.run, images, progress=False, watch=self._watch)
            else:
                train(self.config, self.run.name, images, self.run.path.parent, progress=False, watch=self._watch)
            self.state = "finished"
        except _Stopped:
            self.state = "stopped"
        except Exception as error:  # raised by ``wait``, since a thread's exceptions are lost
            self.failure, self.state = error, "failed"

    def _watch(self, done: int, total: int) -> None:
        if self._halt.is_set():
            raise _Stopped
        self.done, self.total, self.state = done, total, "training"
        now = time.monotonic()
        if self._began is None:
            self._began = now, done
        elif now > self._began[0]:
            self._rate = (done - self._began[1]) / (now - self._began[0])


@lru_cache(maxsize=1)
def _images(config: DataConfig) -> Dataset:
    """Training images; cached, since the next run usually has the same."""
    return load_sets(config, progress=False).all_train


@atexit.register
def _end() -> None:
    """Let the last step end before the interpreter exits."""
    if Training.latest is not None and Training.latest.is_on:
        Training.latest._halt.set()
        Training.latest.wait(LONGEST_WAIT)
