"""The effect of rounding on a table: one of its differences trained again with the same seed and other rounding.

On a CPU another number of threads adds in another order. On a GPU threads change nothing, so the encoder uses the other
dtype.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mixviz.build import dtype_name, find_device
from mixviz.experiments.arms import Experiment, Sets
from mixviz.experiments.reproduced import JUDGED
from mixviz.experiments.running import tasks_of
from mixviz.experiments.tasks import Task

OTHER_DTYPE = {"float32": "bfloat16", "bfloat16": "float32"}


def check_rounding(
    experiment: Experiment, seeds: Sequence[int], root: Path, sets: Sets, deadline: float = math.inf
) -> None:
    """Train the first method of a table and its base with the first seed again, with other rounding, in other folders.

    Nothing is done if the pair itself is not finished. If the time is over during a training, the next call resumes it.
    """
    pair = _pair(tasks_of(experiment, seeds, root, deadline))
    if all(task.is_done for task in pair):
        for task in pair:
            with _threads(_other_threads(task)):
                _again(task).carry_out(sets)


def rounding(experiment: Experiment, seeds: Sequence[int], root: Path) -> dict[str, Any] | None:
    """The difference and the original one; None if it was not trained again. Accuracies in %."""
    pair = _pair(tasks_of(experiment, seeds, root))
    again = [_again(task) for task in pair]
    if not pair or not all(task.is_done for task in (*pair, *again)):
        return None
    was, now = ([_value(task) for task in of] for of in (pair, again))
    threads = again[0].run.read_json("environment.json")["threads"]
    return {
        "arm": pair[0].arm.name,
        "against": pair[1].arm.name,
        "seed": pair[0].seed,
        "threads": threads,
        "changed": again[0].config.train.dtype if _on_gpu(pair[0]) else f"{threads} thread{'s' if threads > 1 else ''}",
        "value": now[0],
        "base_value": now[1],
        "difference": now[0] - now[1],
        "was": was[0] - was[1],
    }


def _pair(tasks: list[Task]) -> list[Task]:
    """The first task of a method with a base, and that of its base; empty if there is none."""
    first = next((task for task in tasks if task.arm.against and task.config.method.mixing), None)
    if first is None:
        return []
    base = next(task for task in tasks if (task.arm.name, task.seed) == (first.arm.against, first.seed))
    return [first, base]


def _again(task: Task) -> Task:
    changes = {"dtype": OTHER_DTYPE[dtype_name(task.config)]} if _on_gpu(task) else {}
    arm = replace(task.arm, settings={**task.arm.settings, **changes})
    return replace(task, arm=arm, root=task.root / "rounding")


def _other_threads(task: Task) -> int:
    return 2 if task.run.read_json("environment.json")["threads"] == 1 else 1


def _on_gpu(task: Task) -> bool:
    return find_device(task.config.train.device).type == "cuda"


def _value(task: Task) -> float:
    protocol, _, target = JUDGED.partition(": ")
    return 100 * task.run.own_results(target)[protocol].accuracy


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
