"""``sweep``: a grid of settings over several seeds, trained, evaluated, and compared seed by seed."""

import math
import time
from argparse import Namespace
from pathlib import Path

from mixviz.commands.flags import Parser, add_config_flags, add_jobs, jobs_from
from mixviz.commands.tables import print_table
from mixviz.config import flags
from mixviz.errors import UserError
from mixviz.experiments.arms import Sets
from mixviz.experiments.reproduced import reproduced_rows, setting_of
from mixviz.experiments.running import run_experiment
from mixviz.experiments.sweep import Sweep, sweep, values_of
from mixviz.experiments.tasks import load_data
from mixviz.paths import check_writable, runs_root

ABOUT = (
    "Train every combination of settings with every seed, evaluate each by linear probe and kNN, and compare them seed "
    "by seed. Every flag takes several values; + joins those of one run, as in --mixing none imix imix+mochi. Settings "
    "of a mixing or framework that a run does not use are left out of it. The command resumes what was interrupted, "
    "and runs that are done are kept when values or seeds are added. "
    "Example: sweep --data digits --framework n-pair --mixing none imix --seed 1 2 3 --lr 0.03 0.1"
)


def main(argv: list[str]) -> None:
    arguments = arguments_of(argv)
    seeds, made = seeds_of(arguments), sweep(grid_of(arguments))
    root = runs_root() / "sweep"
    out = check_writable(arguments.out or root / "sweep.json")
    jobs, sets = jobs_from(arguments), load_data(made.config.data)
    check_labels(made, sets)
    print(f"{len(made.arms)} arms x {len(seeds)} seeds in {root}, {jobs} at once", flush=True)
    deadline = time.monotonic() + 60 * (arguments.minutes or math.inf)
    table = run_experiment(made, seeds, root, sets, out, jobs=jobs, deadline=deadline)
    if table is None:
        print("no run is finished yet; run the command again to continue")
        return
    _, header, rows = reproduced_rows(table)
    print(f"\n{setting_of(table)}. Test accuracy in %, and the difference to the base with its 95 % interval.")
    print_table(header, rows)
    left = len(made.arms) * len(seeds) - len(table["runs"])
    print(f"written: {out}" + (f"; {left} runs are left: run the command again to continue" if left else ""))


def arguments_of(argv: list[str]) -> Namespace:
    """The flags. Raises UserError."""
    parser = Parser("sweep", ABOUT)
    add_jobs(parser)
    parser.add_argument("--minutes", type=float, metavar="NUMBER", help="stop after about this time")
    parser.add_argument("--out", type=Path, help="path of the result file [default: sweep.json, next to the runs]")
    add_config_flags(parser, several=True)
    arguments = parser.parse_args(argv)
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise UserError(f"--minutes {arguments.minutes:g}: give a number greater than 0")
    return arguments


def grid_of(arguments: Namespace) -> dict[str, list]:
    """The values of each flag of the config that is given, but for the seed. Raises UserError."""
    given = {flag.name: getattr(arguments, flag.name) for flag in flags() if flag.name != "seed"}
    return {
        name: values_of(name, value) if isinstance(value, list) else [value]
        for name, value in given.items()
        if value is not None
    }


def seeds_of(arguments: Namespace) -> list[int]:
    """Raises UserError."""
    words = arguments.seed or ["1", "2", "3"]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"--seed {' '.join(words)}: give whole numbers, such as 1 2 3")
    return [int(word) for word in dict.fromkeys(words)]


def check_labels(made: Sweep, sets: Sets) -> None:
    """Raises UserError if there is nothing to compare by."""
    if any(part.labels is None for part in sets):
        raise UserError(
            f"{made.config.data.data} has no labels, and a sweep compares accuracies: train runs one by one"
        )
