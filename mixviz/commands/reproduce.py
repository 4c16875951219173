"""``reproduce``: a table of a paper made anew, from training to the ledger, after saying how long it will take."""

from argparse import Namespace
from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError, unknown
from mixviz.ledger import PATH, fill, read, read_findings, write
from mixviz.paths import check_writable, runs_root
from mixviz.recipes import SCALES, TABLES, Recipe, recipe, slug
from mixviz.recipes.running import Estimate, load_sets, plan, run_recipe
from mixviz.reproduced import reproduced_rows
from mixviz.results import ledger_rows


def main(argv: list[str]) -> None:
    parser = Parser("reproduce", "Make tables of the papers anew: train, read out, compare. Goes on where it was cut.")
    parser.add_argument("table", nargs="+", help=f"{' '.join(TABLES)}, or all")
    parser.add_argument("--scale", default="laptop", help=f"{' | '.join(SCALES)} [default: laptop]")
    parser.add_argument("--seeds", type=int, default=3, metavar="INT", help="of each arm, from 1 on [default: 3]")
    parser.add_argument("--data", help="as for train [default: glyphs; on gpu CIFAR-10, for MixCo Tiny ImageNet]")
    parser.add_argument("--data-name", help="how results call the data set, e.g. 'CIFAR-10 (JPEG)'")
    parser.add_argument("--epochs", type=int, metavar="INT", help="other than the recipe's")
    parser.add_argument("--train-images", type=int, metavar="INT", help="use only so many")
    parser.add_argument("--plan", action="store_true", help="say how long it will take, and stop")
    parser.add_argument("--out", type=Path, help="folder of the result files [default: beside the runs]")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    root, seeds = runs_root() / "reproduce", range(1, arguments.seeds + 1)
    out, recipes = arguments.out or root, recipes_from(arguments)
    files = [check_writable(out / f"{one.name}-{one.scale}-{slug(one.config)}.json") for one in recipes]
    groups: dict[str, list[Recipe]] = {}
    for one in recipes:
        groups.setdefault(one.config.data.model_dump_json(), []).append(one)
    sets = {key: load_sets(group[0]) for key, group in groups.items()}
    show_plan([estimate for key, group in groups.items() for estimate in plan(group, seeds, root, sets[key])])
    if arguments.plan:
        return
    for one, file in zip(recipes, files, strict=True):
        images = sets[one.config.data.model_dump_json()]
        table = run_recipe(one, seeds, root, images, file, lambda arm, seed: print(f"{arm}, seed {seed}", flush=True))
        caption, header, rows = reproduced_rows(table)
        print(f"\n{caption}")
        print_table(header, rows)
        print(f"written: {file}\n", flush=True)
    update_ledger(out, files)


def recipes_from(arguments: Namespace) -> list[Recipe]:
    """The recipes that the flags name. Raises UserError."""
    names = list(TABLES) if arguments.table == ["all"] else arguments.table
    for name in names:
        if name not in TABLES:
            raise unknown("table", name, [*TABLES, "all"])
    changes = {"epochs": arguments.epochs, "train_images": arguments.train_images}
    changes = {name: value for name, value in changes.items() if value is not None}
    recipes = [recipe(name, arguments.scale, arguments.data, arguments.data_name, **changes) for name in names]
    for one in recipes:
        for arm in one.arms:
            arm.config(seed=0)  # a setting that is no good is refused before anything is loaded
    return recipes


def show_plan(estimates: list[Estimate]) -> None:
    """A line an arm, and the sum."""
    rows = []
    for e in estimates:
        work = [str(e.epochs), f"{e.seconds_an_epoch:.1f}", str(e.readouts), f"{e.seconds_a_readout:.0f}"]
        rows.append([e.arm, *work, f"{e.minutes:.1f}", e.known_from])
    print_table(["arm", "epochs to go", "s an epoch", "read-outs", "s each", "minutes", "known from"], rows)
    minutes = sum(e.minutes for e in estimates)
    print(
        f"plan: about {minutes:.0f} minutes, or {minutes / 60:.1f} hours, at the speed that this machine has now\n",
        flush=True,
    )


def update_ledger(out: Path, files: list[Path]) -> None:
    """Fill the ledger with the new tables: the project's own where they lie among its results, else a copy."""
    if not PATH.exists():
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
