"""``list``: the runs, one per line."""

import math

from mixviz.commands.choice import Row, add_choice, chosen_runs, in_order, keeps, write_rows
from mixviz.commands.parser import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.paths import runs_root
from mixviz.run_folder import RunFolder

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
    rows = in_order(arguments, rows, COLUMNS)
    lines = [_line(row) for row in rows] + [[*row, *[""] * 6] for row in damaged]
    print_table(["run", "method", "data", "epochs", "loss", "kNN monitor", "linear probe", "tags"], lines)
    if arguments.out:
        write_rows(arguments.out, rows, COLUMNS)
        print(f"written: {arguments.out}")


def _row(run: RunFolder) -> Row:
    """The values of ``COLUMNS``. Raises UserError."""
    about, log = run.about, run.log_rows
    probe = run.own_results().get("linear-features")
    return {
        "run": run.name,
        "method": about.method,
        "data": about.shown,
        "seed": about.seed,
        "epochs": len(log),
        "of": about.epochs,
        "loss": _last(log, "loss"),
        "knn": _last(log, "knn_accuracy"),
        "linear": probe.accuracy if probe else math.nan,
        "tags": " ".join(run.tags),
    }


def _last(log: list[dict[str, float]], name: str) -> float:
    """The last value of a column; NaN if there is none."""
    return next((row[name] for row in reversed(log) if not math.isnan(row.get(name, math.nan))), math.nan)


def _line(row: Row) -> list[str]:
    accuracies = ["–" if math.isnan(row[name]) else f"{row[name]:.1%}" for name in ("knn", "linear")]
    loss = "–" if math.isnan(row["loss"]) else f"{row['loss']:.3f}"
    return [row["run"], row["method"], row["data"], f"{row['epochs']} of {row['of']}", loss, *accuracies, row["tags"]]
