"""``recordings``: the bundled runs: list them, check them, add one."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data.published import NAMES
from mixviz.errors import UserError
from mixviz.paths import clone
from mixviz.pretrained import LARGEST, ROOT, Check, add, add_thumbnails, available, find, total_size, verify
from mixviz.runs import Run


def main(argv: list[str]) -> int:
    parser = Parser("recordings", "List, check or add bundled runs.")
    parser.add_argument("action", choices=("list", "verify", "add", "thumbnails"), help="what to do")
    parser.add_argument("run", nargs="*", help="verify: names of bundled runs [default: all]; else runs")
    parser.add_argument("--root", type=Path, default=ROOT, help="their folder [default: data/recordings]")
    parser.add_argument("--no-weights", action="store_true", help="add: the film only")
    parser.add_argument("--no-heads", action="store_true", help="add: of the weights, the backbone alone")
    parser.add_argument("--name", help="add: name of the bundled run [default: as the run]")
    parser.add_argument(
        "--dims", type=int, metavar="INT", help="add: number of principal directions of the film to keep [default: all]"
    )
    parser.add_argument(
        "--published",
        choices=NAMES,
        help="thumbnails: the set in which the run's training images are found by those that are kept",
    )
    arguments = parser.parse_args(argv)
    root: Path = arguments.root
    if arguments.action == "thumbnails":
        if len(arguments.run) != 1 or not arguments.published:
            raise UserError("recordings thumbnails RUN --published NAME: give one run and the published set")
        print(f"kept {add_thumbnails(find(arguments.run[0]), arguments.published, root)}")
        return 0
    if arguments.action == "add":
        if not arguments.run:
            raise UserError("no runs given: recordings add RUN [RUN ...]")
        if root == ROOT:
            clone("recordings add")
        if arguments.name and len(arguments.run) > 1:
            raise UserError(f"--name {arguments.name} is one name for {len(arguments.run)} runs: add them one by one")
        kept = {
            "weights": not arguments.no_weights,
            "heads": not arguments.no_heads,
            "name": arguments.name,
            "dims": arguments.dims,
        }
        for run in [Run.open(name) for name in arguments.run]:
            print(f"kept {add(run, root, **kept).path}")
        return 0
    if arguments.action == "list":
        print_table(["recording", "method", "epochs", "frames", "weights"], [_row(run) for run in available(root)])
        return 0
    return check(root, arguments.run)


def check(root: Path, names: list[str]) -> int:
    """Print what is wrong; 0 if nothing is."""
    checks = verify(root, names)
    rows = []
    for found in checks:
        rows.append([found.recording, "; ".join(found.wrong) or "well", _agreement(found, root)])
    print_table(["recording", "files and film", "weights against the film"], rows)
    size = total_size(root)
    print(f"{len(checks)} recordings, {size / 1e6:.1f} of at most {LARGEST / 1e6:.0f} MB")
    return 0 if size <= LARGEST and not any(found.wrong for found in checks) else 1


def _agreement(found: Check, root: Path) -> str:
    if not (root / found.recording / "weights.npz").exists():
        return "film only"
    return "not checked: no images here" if found.difference is None else f"cosines within {found.difference:.4f}"


def _row(run: Run) -> list[str]:
    try:
        config, frames = run.config, len(run.film)
        weights = _weights(run)
    except UserError as error:
        return [run.name, str(error), "", "", ""]
    return [run.name, config.method.name, f"{config.train.epochs}", f"{frames}", weights]


def _weights(run: Run) -> str:
    """What was kept of the encoder. Raises UserError."""
    if not (run.path / "weights.npz").exists():
        return "none"
    return "backbone and heads" if run.has_heads else "backbone"
