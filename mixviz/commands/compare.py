"""``compare``: runs side by side, with paired seeds and an interval."""

import math
import sys

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError, printable, unknown
from mixviz.evaluate.compare import results_table
from mixviz.labels import differing_settings
from mixviz.paired import PairedDifference, paired_differences, seeds_to_settle
from mixviz.runs import Run, list_runs, split_readable


def main(argv: list[str]) -> None:
    parser = Parser("compare", "Compare evaluated runs: methods against a base, seed by seed.")
    parser.add_argument("run", nargs="*", help="names or folders of runs [default: all]")
    parser.add_argument("--base", help="method to compare with, such as moco-v2 [default: that of the first run]")
    parser.add_argument("--target", default="label", help="label, or a factor of the data [default: label]")
    arguments = parser.parse_args(argv)
    runs, damaged = split_readable([Run.open(name) for name in arguments.run] or list_runs())
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
    print(f"test accuracy of {arguments.target}, frozen backbone")
    print_table(
        list(wide.columns),
        [[str(row[c]) if c not in protocols else f"{row[c]:.1%}" for c in wide.columns] for _, row in wide.iterrows()],
    )
    differing = differing_settings([run.config for run in runs if run.name in set(table["run"])])
    if differing:
        print(f"\nnote: these runs do not only differ in the method: {', '.join(differing)}")
    for (data, protocol), rows in table.groupby(["data", "protocol"], sort=False):
        differences = paired_differences(rows, base) if base in set(rows["method"]) else []
        if differences:
            print(f"\npaired differences to {base}: {data}, {protocol}, points, 95 % interval over seeds")
            header = ["method", "mean", "interval", "seeds", "verdict", "would settle"]
            print_table(header, [_row(difference) for difference in differences])


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
