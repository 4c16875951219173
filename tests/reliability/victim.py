"""Small trainings in processes that are killed; everything here is sent to them by name."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.runs import Run
from mixviz.train import resume, train

NAME = "victim"
METHODS = {
    "moco-v2": {"mixing": ["mochi", "mixco"], "mochi_hardest": 8, "mochi_pairs": 4, "mochi_towards_query": 2},
    "simclr": {"framework": "simclr", "mixing": ["imix"]},
    "byol": {"framework": "byol"},
}
CHANGES = ("fsync", "replace", "unlink", "mkdir")  # of os; all that is done to files goes through them, or open
TIMES = ("seconds", "images_per_second", "film_seconds")  # columns of the log that differ from run to run


def config_of(method: str = "moco-v2", **settings) -> RunConfig:
    few = {"batch_size": 16, "queue_length": 32, "bn_splits": 1, "dim": 8, "hidden": 16, "holdout": 8, "knn_every": 1}
    shape = {"epochs": 3, "backbone": "convnet-narrow", "dtype": "float32", "device": "cpu"}
    return RunConfig.of(
        **{**few, **shape, **(METHODS[method] if settings.get("framework") is None else {}), **settings}
    )


def pictures(seed: int = 0, count: int = 56) -> Dataset:
    shown = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return Dataset(name="noise", split="train", stored=shown, labels=np.arange(count) % 4, class_names=tuple("abcd"))


def train_or_resume(root: Path, config: RunConfig) -> Run:
    """To the last epoch, from wherever it is."""
    torch.set_num_threads(1)
    if (root / NAME / "config.json").exists():
        return resume(Run.open(NAME, root), pictures(), progress=False)
    return train(config, NAME, pictures(), root, progress=False)


def killed_at(root: Path, config: RunConfig, change: int) -> None:
    """Train; SIGKILL comes before the change to a file that has this number."""
    done = 0

    def counted(call: Callable) -> Callable:
        def changed(*arguments, **named):
            nonlocal done
            if done == change:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return call(*arguments, **named)

        return changed

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    train_or_resume(root, config)


def killed_after(root: Path, config: RunConfig, seconds: float) -> None:
    """Train; SIGKILL comes from another thread, wherever the training is then."""

    def kill() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    train_or_resume(root, config)


def exit_code(work: Callable, *arguments, longest: float = 60) -> int:
    """Of a process of its own, forked from one in which torch and mixviz are imported: that takes milliseconds.

    longest: seconds that it may take.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(["mixviz.train", "torch._dynamo"])  # torch imports the latter at a first step
    process = context.Process(target=work, args=arguments)
    process.start()
    process.join(longest)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def moments(count: int, longest: float) -> list[float]:
    """Random seconds, the same in each run of the tests."""
    generator = random.Random(7)
    return [generator.uniform(0, longest) for _ in range(count)]
