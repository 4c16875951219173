"""``embed``: the features of any data, from a run's encoder, as a table."""

from pathlib import Path

from mixviz.commands.flags import Parser, add_run_flags, how_opened
from mixviz.data.sources import ALL, SPLITS
from mixviz.domains import domain_of
from mixviz.embedding import SUFFIXES, examples_for, features, tabulated, write_table
from mixviz.errors import UserError, unknown
from mixviz.paths import check_writable
from mixviz.pretrained import find

EXAMPLE = "Example: embed photos folder:my/new-photos --out features.parquet"


def main(argv: list[str]) -> None:
    parser = Parser("embed", f"Write the features of any data, from a run's frozen encoder. {EXAMPLE}")
    parser.add_argument("run", help="name or folder of a run, or name of a bundled run")
    parser.add_argument("source", help="data as for train --data; images of any size are resized as the run's were")
    parser.add_argument("--out", type=Path, required=True, help=f"the file: one of {', '.join(SUFFIXES)}")
    parser.add_argument(
        "--of", default="backbone", help="backbone, head, or an embedding space of LooC [default: backbone]"
    )
    parser.add_argument("--split", default=ALL, choices=(*SPLITS, ALL), help="[default: all]")
    parser.add_argument("--skip-bad", action="store_true", help="skip what cannot be decoded, and count it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_run_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.out.suffix not in SUFFIXES:
        raise unknown("kind of file", arguments.out.suffix or arguments.out.name, SUFFIXES)
    out, run = check_writable(arguments.out), find(arguments.run, **how_opened(arguments))
    shown = not arguments.quiet
    if (arguments.data or arguments.changed_data) and not run.config.data.data.startswith("csv:"):
        raise UserError("--data and --changed-data are of runs on csv:PATH, for its columns and units: leave them out")
    data = examples_for(run, arguments.source, split=arguments.split, skip_bad=arguments.skip_bad, progress=shown)
    found = features(run, data, arguments.of, device=arguments.device, progress=shown)
    write_table(out, tabulated(data, found))
    skipped = f", {data.skipped:,} skipped" if data.skipped else ""
    print(f"{out}: {found.shape[1]} features of {len(data):,} {domain_of(data).examples}{skipped}")
