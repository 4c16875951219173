"""``tour``: every paper's method on the built-in glyphs, trained, evaluated and reported in minutes, offline."""

import time
from pathlib import Path

from mixviz.commands.flags import Parser, add_jobs, jobs_from
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.experiments.running import run_experiment
from mixviz.experiments.tasks import load_data
from mixviz.experiments.tour import ONE_SEED, caption_of, references, summary, tour, write_report
from mixviz.paired import FEWEST_SEEDS
from mixviz.paths import check_writable, runs_root


def main(argv: list[str]) -> None:
    parser = Parser("tour", "Train and evaluate every method on the built-in glyphs, and write a report.")
    parser.add_argument("--quick", action="store_true", help="fewer epochs and images: under 3 minutes on 2 cores")
    parser.add_argument("--seeds", type=int, default=1, metavar="INT", help="seeds per method [>= 1; default: 1]")
    parser.add_argument("--report", type=Path, help="path of the report [default: next to the runs]")
    add_jobs(parser)
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    root, seeds = runs_root() / ("tour-quick" if arguments.quick else "tour"), range(arguments.seeds)
    page = check_writable(arguments.report or root / "report.html")
    out = check_writable(root / "tour.json")
    jobs, made = jobs_from(arguments), tour(arguments.quick)
    began, sets = time.perf_counter(), load_data(made.config.data)
    table = run_experiment(made, seeds, root, sets, out, also=references(made, seeds, root), jobs=jobs)
    assert table is not None  # without a deadline every run is done
    print(f"\n{caption_of(table)} {(time.perf_counter() - began) / 60:.1f} minutes in all.")
    print_table(*summary(table))
    print(f"\n{ONE_SEED}" if arguments.seeds < FEWEST_SEEDS else "")
    print(f"report: {write_report(page, table, root, sets)}\nnotebooks: jupyter lab notebooks")
