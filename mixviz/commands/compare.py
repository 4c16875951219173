"""``compare``: runs side by side, with paired seeds and an interval."""

import math
import sys
from itertools import groupby
from typing import Any

from mixviz.commands.choice import add_choice, chosen_runs, in_order, keeps, write_rows
from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError, printable, unknown
from mixviz.evaluate.compare import results_table
from mixviz.labels import differing_settings
from mixviz.paired import PairedDifference, paired_differences, seeds_to_settle
from mixviz.runs import Run, split_readable

ABOUT = (
    "Compare evaluated runs: methods against a base, seed by seed. --out writes the accuracies of the runs and, as "
    ".json, the paired differences as well. Columns to --sort by: run, data, epochs, seed, and the protocols."
)


def main(argv: list[str]) -> None:
    parser = Parser("compare", ABOUT)
    parser.add_argument("run", nargs="*", help="names or folders of runs [default: all]")
    parser.add_argument("--base", help="method to compare with, such as moco-v2 [default: that of the first run]")
    parser.add_argument("--target", default="label", help="label, or a factor of the data [default: label]")
    add_choice(parser)
    arguments = parser.parse_args(argv)
    found = chosen_runs(arguments)
    runs, damaged = split_readable([Run.open(name) for name in arguments.run] or [Run(one.path) for one in found])
    runs = [run for run in runs if keeps(arguments, run)]
    for message in damaged.values():
        print(f"mixviz: left out: {printable(message)}", file=sys.stderr)
    table = results_table(runs)
    table = table[(table["target"] == arguments.target) & (table["encoder"] == "backbone")]
    if table.empty:
        raise UserError(
            f"no run has been evaluated for {arguments.target}: "
            f"python -m mixviz evaluate RUN --target {arguments.target}"
        )
    base = arguments.base or table["method"].iloc[0]
    if base not in set(table["method"]):
        raise unknown("method", base, dict.fromkeys(table["method"]))
    wide = table.pivot_table(
        index=["run", "data", "epochs", "seed"], columns="protocol", values="accuracy", sort=False
    ).reset_index()
    protocols = [name for name in wide.columns if name not in ("run", "data", "epochs", "seed")]
    rows = in_order(arguments, wide.to_dict("records"), list(wide))
    print(f"test accuracy of {arguments.target}, frozen backbone")
    print_table(
        list(wide),
        [[str(row[name]) if name not in protocols else f"{row[name]:.1%}" for name in wide] for row in rows],
    )
    differing = differing_settings([run.config for run in runs if run.name in set(table["run"])])
    if differing:
        print(f"\nnote: these runs do not only differ in the method: {', '.join(differing)}")
    differences = [
        (str(data), str(protocol), difference)
        for (data, protocol), rows in table.groupby(["data", "protocol"], sort=False)
        if base in set(rows["method"])
        for difference in paired_differences(rows, base)
    ]
    for (data, protocol), same in groupby(differences, key=lambda found: found[:2]):
        print(f"\npaired differences to {base}: {data}, {protocol}, points, 95 % interval over seeds")
        header = ["method", "mean", "interval", "seeds", "verdict", "would settle"]
        print_table(header, [_row(difference) for *_, difference in same])
    if arguments.out:
        write_rows(arguments.out, rows, list(wide), differences=[_as_json(*found) for found in differences])
        print(f"\nwritten: {arguments.out}")


def _as_json(data: str, protocol: str, found: PairedDifference) -> dict[str, Any]:
    """For a file: accuracies as shares; null if there are too few seeds."""
    values = {name: getattr(found, name) for name in ("method", "base", "seeds", "differences", "verdict")}
    numbers = {name: getattr(found, name) for name in ("mean", "low", "high")}
    finite = {name: None if math.isnan(value) else value for name, value in numbers.items()}
    return {"data": data, "protocol": protocol, **values, **finite}


def _row(difference: PairedDifference) -> list[str]:
    """Method, mean, interval, seeds, verdict, and how many seeds would settle the sign with probability 0.8."""
    seeds = str(len(difference.seeds))
    if not difference.seeds:
        return [difference.method, "–", "no seed in common", seeds, difference.verdict, "–"]
    interval, mean = "needs two seeds", f"{100 * difference.mean:+.1f}"
    if not math.isnan(difference.low):
        interval = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"
    needed = seeds_to_settle(difference.differences)
    would = "–" if needed is None else f"{needed} seeds"
    return [difference.method, mean, interval, seeds, difference.verdict, would]
