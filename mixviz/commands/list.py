"""``list``: the runs, one per line."""

import math

import pandas as pd

from mixviz.commands.choice import add_choice, chosen_runs, in_order, keeps, write_rows
from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.paths import runs_root
from mixviz.runs import Run

COLUMNS = ["run", "method", "data", "seed", "epochs", "of", "loss", "knn", "linear", "tags"]


def main(argv: list[str]) -> None:
    parser = Parser("list", f"List the runs, the oldest first. Columns to --sort by: {', '.join(COLUMNS)}.")
    add_choice(parser)
    arguments = parser.parse_args(argv)
    runs = chosen_runs(arguments)
    if not runs:
        print(f"no runs in {runs_root() / arguments.below} yet: python -m mixviz tour, or train")
        return
    rows, damaged = [], []
    for run in runs:
        try:
            if keeps(arguments, run):
                rows.append(_row(run))
        except UserError as error:
            damaged.append([run.name, str(error)])
    table = in_order(arguments, pd.DataFrame(rows, columns=COLUMNS))
    lines = [_line(row) for row in table.to_dict("records")] + [[*row, *[""] * 6] for row in damaged]
    print_table(["run", "method", "data", "epochs", "loss", "kNN monitor", "linear probe", "tags"], lines)
    if arguments.out:
        write_rows(arguments.out, table)
        print(f"written: {arguments.out}")


def _row(run: Run) -> list:
    """The values of ``COLUMNS``. Raises UserError."""
    config, metrics = run.config, run.metrics
    probe = run.own_results().get("linear-features")
    last = metrics.ffill().iloc[-1] if len(metrics) else {}
    about = [run.name, config.method.name, config.data.shown, config.train.seed]
    numbers = [float(last.get(name, math.nan)) for name in ("loss", "knn_accuracy")]
    linear = probe.accuracy if probe else math.nan
    return [*about, len(metrics), config.train.epochs, *numbers, linear, " ".join(run.tags)]


def _line(row: dict) -> list[str]:
    accuracies = ["–" if math.isnan(row[name]) else f"{row[name]:.1%}" for name in ("knn", "linear")]
    loss = "–" if math.isnan(row["loss"]) else f"{row['loss']:.3f}"
    return [row["run"], row["method"], row["data"], f"{row['epochs']} of {row['of']}", loss, *accuracies, row["tags"]]
