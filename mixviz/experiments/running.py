"""The runs of an experiment, trained and measured one by one or side by side, within a time limit if given."""

import math
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from mixviz.experiments.arms import Experiment, Sets
from mixviz.experiments.result_file import describe
from mixviz.experiments.tasks import Rows, Task, carry_out_apart
from mixviz.experiments.workers import side_by_side
from mixviz.files import write_json


def run_experiment(
    experiment: Experiment,
    seeds: Sequence[int],
    root: Path,
    sets: Sets,
    out: Path,
    *,
    also: Sequence[Task] = (),
    jobs: int = 1,
    deadline: float = math.inf,
    progress: bool = True,
) -> dict[str, Any] | None:
    """Train and measure the missing runs, seed by seed; returns the table, which is written to ``out`` after each run.

    root: of the run folders. also: tasks that are no arms, done first. jobs: processes side by side, of one
    thread each; 1: this process alone. deadline: of ``time.monotonic()``; training stops at the end of an epoch near
    it. If it is interrupted, the next call resumes it. None, and nothing is written, if no run is done.
    """
    tasks = [*also, *tasks_of(experiment, seeds, root, deadline)]
    done = {task.name: task.carry_out(sets) or [] for task in tasks if task.is_done}
    todo: dict[str, Task] = {}  # by the run's name: arms of the same settings are one run
    for task in tasks:
        if task.name not in done:
            todo.setdefault(task.name, task)
    table = write_table(tasks, done, sets, out)
    with Progress(tasks, progress and bool(todo)) as line, closing(_carried_out(todo, sets, jobs, line)) as results:
        for task, rows in results:
            if rows is not None:
                done[task.name] = rows
                table = write_table(tasks, done, sets, out)
            line.finish(task)
    return table


def tasks_of(experiment: Experiment, seeds: Sequence[int], root: Path, deadline: float = math.inf) -> list[Task]:
    """Every run of an experiment, seed by seed and the arms in their order."""
    return [
        Task(experiment=experiment, arm=arm, seed=seed, root=root, deadline=deadline)
        for seed in seeds
        for arm in experiment.arms
    ]


def write_table(tasks: Sequence[Task], done: Mapping[str, Rows], sets: Sets, out: Path) -> dict[str, Any] | None:
    """Replace the table by that of all finished runs."""
    rows = [{"arm": task.arm.name, "seed": task.seed, **row} for task in tasks for row in done.get(task.name, [])]
    if not rows:
        return None
    experiment, root = tasks[0].experiment, tasks[0].root
    table = describe(experiment, root, rows, sets)
    table |= experiment.further(root, list(dict.fromkeys(task.seed for task in tasks)))
    write_json(out, table)
    return table


def _carried_out(
    todo: Mapping[str, Task], sets: Sets, jobs: int, line: "Progress"
) -> Generator[tuple[Task, Rows | None], None, None]:
    """Each task begun before its deadline, and its rows."""

    def begun() -> Iterator[Task]:
        for task in todo.values():
            if time.monotonic() < task.deadline:
                line.begin(task)
                yield task

    if jobs == 1:
        yield from ((task, task.carry_out(sets, line.update)) for task in begun())
    else:
        yield from side_by_side(carry_out_apart, begun(), jobs, line.update)


class Progress:
    """One line for all runs of an experiment: how many are done, epochs trained of all, and the active runs."""

    def __init__(self, tasks: Sequence[Task], show: bool = True):
        self.tasks = {task.name: task for task in tasks}
        self.epochs = {name: task.epochs_done for name, task in self.tasks.items()}
        self.done = {name for name, task in self.tasks.items() if task.is_done}
        self.at_work: list[Task] = []
        every = 0.5 if sys.stderr.isatty() else 30.0  # enough for a log file
        self.bar = tqdm(
            total=sum(task.epochs for task in self.tasks.values()),
            initial=sum(self.epochs.values()),
            unit=" epochs",
            mininterval=every,
            miniters=0,
            disable=not show,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.close()

    def begin(self, task: Task) -> None:
        self.at_work.append(task)
        self.update()
        self.bar.refresh()

    def finish(self, task: Task) -> None:
        self.at_work.remove(task)
        self.done |= {task.name} if task.is_done else set()
        self.epochs[task.name] = task.epochs_done
        self.update()

    def update(self) -> None:
        """Show the progress of the active runs, from their folders."""
        self.epochs |= {task.name: task.epochs_done for task in self.at_work}
        self.bar.set_description(f"{len(self.done)}/{len(self.tasks)} runs", refresh=False)
        self.bar.set_postfix_str("; ".join(task.label for task in self.at_work), refresh=False)
        self.bar.update(sum(self.epochs.values()) - self.bar.n)
