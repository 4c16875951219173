"""``reproduce``: reproduces a table of a paper, from training to the ledger, and says first how long it will take."""

import math
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mixviz.commands.flags import Parser, add_jobs, jobs_from
from mixviz.commands.tables import print_table
from mixviz.config import DataConfig
from mixviz.errors import UserError, unknown
from mixviz.experiments.arms import Sets
from mixviz.experiments.claims import PATH, fill, read, read_findings, write
from mixviz.experiments.claims.tables import ledger_rows
from mixviz.experiments.reproduced import reproduced_rows
from mixviz.experiments.running import run_experiment
from mixviz.experiments.tables import SCALES, TABLES, Recipe, recipe, slug, tables_of
from mixviz.experiments.tables.planning import Estimate, fitting, plan
from mixviz.experiments.tables.rounding import check_rounding
from mixviz.experiments.tasks import load_data
from mixviz.paths import check_writable, runs_root


def main(argv: list[str]) -> None:
    arguments = arguments_of(argv)
    root, seeds = runs_root() / "reproduce", range(1, arguments.seeds + 1)
    out, recipes = arguments.out or root, recipes_from(arguments)
    files = [check_writable(out / f"{one.name}-{one.scale}-{slug(one.config)}.json") for one in recipes]
    jobs = jobs_from(arguments)
    if jobs > 1:
        torch.set_num_threads(1)  # the plan is timed with as many threads as the workers have
    sets = {one.config.data: load_data(one.config.data) for one in recipes}
    show_plan(planned(recipes, seeds, root, sets), jobs, arguments.minutes)
    if arguments.plan:
        return
    deadline = time.monotonic() + 60 * (arguments.minutes or math.inf)
    written = []
    for one, file in zip(recipes, files, strict=True):
        images = sets[one.config.data]
        table = run_experiment(one, seeds, root, images, file, jobs=jobs, deadline=deadline)
        if table is None:
            print(f"{one.name}: no run is finished yet; run the command again to continue\n", flush=True)
            continue
        if arguments.check_rounding and time.monotonic() < deadline:
            check_rounding(one, seeds, root, images, deadline)
            table = run_experiment(one, seeds, root, images, file)  # written again, with what was found
            assert table is not None
        written.append(file)
        caption, header, rows = reproduced_rows(table)
        print(f"\n{caption}")
        print_table(header, rows)
        missing = len(seeds) * len(one.arms) - len(table["runs"])
        are = "runs are" if missing > 1 else "run is"
        rest = f"; {missing} {are} left: run the command again to continue" if missing else ""
        print(f"written: {file}{rest}\n", flush=True)
    update_ledger(out, written)


def arguments_of(argv: list[str]) -> Namespace:
    """The flags, checked. Raises UserError."""
    parser = Parser(
        "reproduce", "Reproduce tables of the papers: train, evaluate, compare. Resumes after an interruption."
    )
    parser.add_argument("table", nargs="+", help=f"{' '.join(TABLES)}, or all")
    parser.add_argument("--scale", default="laptop", help=f"{' | '.join(SCALES)} [default: laptop]")
    parser.add_argument("--seeds", type=int, default=3, metavar="INT", help="number of seeds per arm [default: 3]")
    parser.add_argument("--data", help="as for train [default: glyphs; on gpu CIFAR-10, for MixCo Tiny ImageNet]")
    parser.add_argument("--data-name", help="name of the data set in the results, e.g. 'CIFAR-10 (JPEG)'")
    parser.add_argument("--epochs", type=int, metavar="INT", help="instead of the recipe's")
    parser.add_argument("--train-images", type=int, metavar="INT", help="use only this number of training images")
    parser.add_argument("--plan", action="store_true", help="estimate the time, then stop")
    parser.add_argument("--minutes", type=float, metavar="NUMBER", help="stop after about this time")
    add_jobs(parser)
    parser.add_argument(
        "--check-rounding",
        action="store_true",
        help="train one pair again with other rounding (another order of additions), and report both differences",
    )
    parser.add_argument("--out", type=Path, help="folder of the result files [default: next to the runs]")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    jobs_from(arguments)
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise UserError(f"--minutes {arguments.minutes:g}: give a number greater than 0")
    return arguments


def planned(recipes: list[Recipe], seeds: Sequence[int], root: Path, sets: Mapping[DataConfig, Sets]) -> list[Estimate]:
    """The plan of all recipes, in their order."""
    found = []
    for data, images in sets.items():
        found += plan([one for one in recipes if one.config.data == data], seeds, root, images)
    names = [one.name for one in recipes]
    return sorted(found, key=lambda estimate: names.index(estimate.table))


def recipes_from(arguments: Namespace) -> list[Recipe]:
    """The recipes that the flags name. Raises UserError."""
    names = tables_of(arguments.scale, arguments.data) if arguments.table == ["all"] else arguments.table
    for name in names:
        if name not in TABLES:
            raise unknown("table", name, [*TABLES, "all"])
    changes = {"epochs": arguments.epochs, "train_images": arguments.train_images}
    changes = {name: value for name, value in changes.items() if value is not None}
    recipes = [recipe(name, arguments.scale, arguments.data, arguments.data_name, **changes) for name in names]
    for one in recipes:
        for arm in one.arms:
            arm.config(seed=0)  # an invalid setting is refused before anything is loaded
    return recipes


def show_plan(estimates: list[Estimate], jobs: int = 1, minutes: float | None = None) -> None:
    """One line per arm, and the sum; given a time, how many runs of each arm will be done by then."""
    header = ["arm", "epochs to go", "s an epoch", "read-outs", "s each", "minutes", "known from"]
    rows = []
    for e in estimates:
        work = [str(e.epochs), f"{e.seconds_an_epoch:.1f}", str(e.readouts), f"{e.seconds_a_readout:.0f}"]
        rows.append([e.arm, *work, f"{e.minutes:.1f}", e.known_from])
    if minutes:
        header.append(f"done after {minutes:g} minutes")
        done = fitting(estimates, minutes, jobs)
        rows = [[*row, f"{n} of {len(e.left)} seeds"] for row, n, e in zip(rows, done, estimates, strict=True)]
    print_table(header, rows)
    needed = sum(e.minutes for e in estimates) / jobs
    how = f", {jobs} runs at once" if jobs > 1 else ""
    print(
        f"plan: about {needed:.0f} minutes, or {needed / 60:.1f} hours{how}, at this machine's current speed\n",
        flush=True,
    )


def update_ledger(out: Path, files: list[Path]) -> None:
    """Fill the ledger with the new tables: the project's own if they are among its results, else a copy."""
    if not PATH.exists() or not files:
        return
    own = out.resolve().is_relative_to(PATH.parent.resolve() / "results")
    path = PATH if own else out / "ledger.csv"
    rows = fill(read(), read_findings(PATH.parent, files))
    write(rows, path)
    names = {file.name for file in files}
    shown = [row for row in rows if row["file"].rpartition("/")[2] in names]
    if shown:
        print_table(*ledger_rows(shown))
    print(f"\nledger: {path}")
