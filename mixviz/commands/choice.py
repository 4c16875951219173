"""Which runs a command is about: flags that filter and sort them, and tables of them that are written to a file."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixviz.errors import UserError, unknown
from mixviz.files import write_csv, write_json
from mixviz.paths import check_writable, runs_root
from mixviz.run_folder import RunFolder, run_folders

SUFFIXES = (".csv", ".json")

Row = dict[str, Any]  # of a table, by column; NaN for what is missing


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


def chosen_runs(arguments: argparse.Namespace) -> list[RunFolder]:
    """All runs, the oldest first; ``keeps`` filters them. Raises UserError."""
    if arguments.out is not None:
        if arguments.out.suffix not in SUFFIXES:
            raise unknown("kind of file", arguments.out.suffix or arguments.out.name, SUFFIXES)
        check_writable(arguments.out)
    root = runs_root() / arguments.below
    if arguments.below and not root.is_dir():
        raise UserError(f"--below {arguments.below}: there is no folder {root}")
    return run_folders(root)


def keeps(arguments: argparse.Namespace, run: RunFolder) -> bool:
    """Whether the filters keep a run. Raises UserError if its config cannot be read."""
    about = run.about
    names = {about.framework, *about.mixing, about.method.replace(" ", "")}
    return (
        (arguments.data or "").casefold() in f"{about.data_name or ''}\n{about.data}".casefold()
        and (arguments.method is None or arguments.method.replace(" ", "") in names)
        and set(arguments.tag) <= set(run.tags)
    )


def in_order(arguments: argparse.Namespace, rows: Sequence[Row], columns: Sequence[str]) -> list[Row]:
    """The rows in the order of ``--sort`` and ``--reverse``, missing values last. Raises UserError."""
    column = arguments.sort
    if column is None:
        return list(rows[::-1] if arguments.reverse else rows)
    if column not in columns:
        raise unknown("column", column, columns)
    there = [row for row in rows if not _is_missing(row[column])]
    there.sort(key=lambda row: row[column], reverse=arguments.reverse)
    return there + [row for row in rows if _is_missing(row[column])]


def write_rows(path: Path, rows: Sequence[Row], columns: Sequence[str], **more: Sequence[dict]) -> None:
    """As csv, or as json: the rows, or an object of ``runs`` and what else there is. Raises UserError."""
    known = [{name: None if _is_missing(row[name]) else row[name] for name in columns} for row in rows]
    if path.suffix == ".csv":
        write_csv(path, known, columns)
    else:
        write_json(path, {"runs": known, **more} if more else known)


def _is_missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
