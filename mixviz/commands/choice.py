"""Which runs a command is about: flags that filter and sort them, and tables of them that are written to a file."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mixviz.errors import UserError, unknown
from mixviz.files import write_whole
from mixviz.paths import check_writable, runs_root
from mixviz.runs import Run, list_runs

SUFFIXES = (".csv", ".json")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Flags that filter runs, ``--sort``, ``--reverse`` and ``--out``."""
    parser.add_argument(
        "--below", default="", metavar="FOLDER", help="only runs in this sub-folder of the runs' folder, such as sweep"
    )
    parser.add_argument("--data", metavar="TEXT", help="only runs whose data have this in their name")
    parser.add_argument(
        "--method", metavar="NAME", help="only runs with this framework, mixing, or both, as in moco-v2+mixco"
    )
    parser.add_argument("--tag", nargs="+", default=[], help="only runs with all of these tags; see the command tag")
    parser.add_argument("--sort", metavar="COLUMN", help="of the table, by name [default: the oldest first]")
    parser.add_argument("--reverse", action="store_true", help="reverse the order")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"also write the table: {' or '.join(SUFFIXES)}")


def chosen_runs(arguments: argparse.Namespace) -> list[Run]:
    """All runs, the oldest first; ``keeps`` filters them. Raises UserError."""
    if arguments.out is not None:
        if arguments.out.suffix not in SUFFIXES:
            raise unknown("kind of file", arguments.out.suffix or arguments.out.name, SUFFIXES)
        check_writable(arguments.out)
    root = runs_root() / arguments.below
    if arguments.below and not root.is_dir():
        raise UserError(f"--below {arguments.below}: there is no folder {root}")
    return list_runs(root)


def keeps(arguments: argparse.Namespace, run: Run) -> bool:
    """Whether the filters keep a run. Raises UserError if its config cannot be read."""
    data, method = run.config.data, run.config.method
    names = {method.framework, *method.mixing, method.name.replace(" ", "")}
    return (
        (arguments.data or "").casefold() in f"{data.data_name or ''}\n{data.data}".casefold()
        and (arguments.method is None or arguments.method.replace(" ", "") in names)
        and set(arguments.tag) <= set(run.tags)
    )


def in_order(arguments: argparse.Namespace, table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of ``--sort`` and ``--reverse``, missing values last. Raises UserError."""
    if arguments.sort is not None:
        if arguments.sort not in table:
            raise unknown("column", arguments.sort, table.columns)
        return table.sort_values(arguments.sort, ascending=not arguments.reverse, kind="stable")
    return table[::-1] if arguments.reverse else table


def write_rows(path: Path, table: pd.DataFrame, **more: Sequence[dict]) -> None:
    """As csv, or as json: the rows, or an object of ``runs`` and what else there is. Raises UserError."""
    if path.suffix == ".csv":
        write_whole(path, lambda part: table.to_csv(part, index=False))
        return
    rows = json.loads(table.to_json(orient="records"))  # NaN is null
    text = json.dumps({"runs": rows, **more} if more else rows, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))
