"""A table made: its runs trained and read out, in turn or side by side, within a time where one is given."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mixviz.experiments.tables.describing import describe
from mixviz.experiments.tables.recipes import Recipe
from mixviz.experiments.tables.rounding import rounding, train_again
from mixviz.experiments.tables.running import Sets
from mixviz.experiments.tables.tasks import Rows, Task, carry_out, carry_out_apart
from mixviz.experiments.tables.workers import side_by_side

OnRun = Callable[[str, int], None]  # told the arm and the seed of each run that is begun or gone on with


def run_recipe(
    recipe: Recipe,
    seeds: Sequence[int],
    root: Path,
    sets: Sets,
    out: Path,
    on_run: OnRun = lambda arm, seed: None,
    jobs: int = 1,
    deadline: float = math.inf,
    check_rounding: bool = False,
) -> dict[str, Any] | None:
    """Train and read out what is not done yet, seed by seed; the table, which is written to ``out`` after each run.

    root: of the run folders. jobs: processes side by side, of one thread each; 1: this process alone. deadline: of
    ``time.time()``; training stops at the end of an epoch near to it. check_rounding: train one difference of the
    table again with other rounding. Cut short and called again, it goes on where it was. None, and nothing is
    written, where no run is done.
    """
    tasks = [Task(recipe, arm, seed, root, deadline) for seed in seeds for arm in recipe.arms]
    done = {task.run.name: carry_out(task, sets) for task in tasks if task.is_done}
    todo: dict[str, Task] = {}  # by the run's name: arms of the same settings are one run
    for task in tasks:
        if task.run.name not in done:
            todo.setdefault(task.run.name, task)
    table = _write(tasks, done, sets, out)
    with closing(_carried_out(list(todo.values()), sets, jobs, on_run)) as results:
        for task, rows in results:
            if rows is not None:
                done[task.run.name] = rows
                table = _write(tasks, done, sets, out)
    if check_rounding and time.time() < deadline:
        train_again(tasks, sets)
        table = _write(tasks, done, sets, out)
    return table


def _carried_out(tasks: Sequence[Task], sets: Sets, jobs: int, on_run: OnRun) -> Iterator[tuple[Task, Rows | None]]:
    """Each task that is begun before its deadline, and its rows."""

    def begun() -> Iterator[Task]:
        for task in tasks:
            if time.time() < task.deadline:
                on_run(task.arm.name, task.seed)
                yield task

    if jobs == 1:
        yield from ((task, carry_out(task, sets)) for task in begun())
    else:
        yield from side_by_side(carry_out_apart, begun(), jobs)


def _write(tasks: list[Task], done: Mapping[str, Rows], sets: Sets, out: Path) -> dict[str, Any] | None:
    """Put the table of all runs that are done in place of the old one."""
    rows = [{"arm": task.arm.name, "seed": task.seed, **row} for task in tasks for row in done.get(task.run.name, [])]
    if not rows:
        return None
    table = describe(tasks[0].recipe, tasks[0].root, rows, sets)
    if found := rounding(tasks):
        table["rounding"] = found
    part = out.with_name(f".{out.name}.part")
    part.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, out)
    return table
