"""``tour``: every paper's method on the built-in glyphs, trained, read out and reported in minutes, offline."""

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import load
from mixviz.errors import UserError
from mixviz.experiments.tour import describe, summary, tour_of_one_seed, write_report
from mixviz.paths import check_writable, runs_root
from mixviz.runs import Run


def main(argv: list[str]) -> None:
    parser = Parser("tour", "Train and evaluate every method on the built-in glyphs, and write a report.")
    parser.add_argument("--quick", action="store_true", help="fewer runs and epochs: under 3 minutes on 2 cores")
    parser.add_argument("--seeds", type=int, default=1, metavar="INT", help="runs of each method [>= 1; default: 1]")
    parser.add_argument("--report", type=Path, help="where to write the report [default: beside the runs]")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    root = runs_root() / ("tour-quick" if arguments.quick else "tour")
    page = check_writable(arguments.report or root / "report.html")
    began = time.perf_counter()
    sets = load("glyphs", "train"), load("glyphs", "test")
    rows: list[dict[str, Any]] = []
    runs: list[tuple[str, Run]] = []
    for seed in range(arguments.seeds):
        tour_of_one_seed(seed, sets, root, arguments.quick, rows, runs)
    table = pd.DataFrame(rows)
    caption = describe([run for _, run in runs], sets, arguments.seeds, minutes=(time.perf_counter() - began) / 60)
    header, lines = summary(table)
    print(f"\n{caption}")
    print_table(header, lines)
    shown = {"caption": caption, "header": header, "rows": lines, "results": rows}
    (root / "tour.json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_report(page, caption, table, runs, sets)
    print(f"\nreport: {page}\nnotebooks: jupyter lab notebooks")
