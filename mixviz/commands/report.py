"""``report``: all analyses of one run, or of several side by side, in one HTML file."""

from collections.abc import Sequence
from pathlib import Path

from mixviz.commands.flags import Parser, add_run_flags, how_opened
from mixviz.errors import UserError
from mixviz.paths import check_writable
from mixviz.pretrained import ROOT, find
from mixviz.report.overview import Overview, overview
from mixviz.report.sections import write_report
from mixviz.runs import Run, short_names


def main(argv: list[str]) -> None:
    parser = Parser("report", "Write all analyses of one or several runs into one HTML file.")
    parser.add_argument("run", nargs="+", help="name or folder of a run, or name of a bundled run")
    parser.add_argument(
        "--out",
        type=Path,
        help="the file [default: report.html in the folder of the first run; for a bundled run, in the current folder]",
    )
    parser.add_argument("--images", type=int, default=10_000, metavar="INT", help="at most, per split [default: 10000]")
    parser.add_argument("--umap", action="store_true", help="project with UMAP instead of PCA (slower)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    add_run_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.images < 100:
        raise UserError(f"--images {arguments.images}: take 100 or more")
    runs = [find(name, **how_opened(arguments)) for name in arguments.run]
    check_same_data(runs)
    folder = Path.cwd() if ROOT in runs[0].path.resolve().parents else runs[0].path
    page = check_writable(arguments.out or folder / "report.html")
    found: dict[str, Overview] = {}
    for name, run in zip(short_names(runs), runs, strict=True):
        print(f"analysing {run.name}", flush=True)
        found[name] = overview(run, arguments.images, "umap" if arguments.umap else "pca", arguments.device)
    print(f"report: {write_report(page, found)}")


def check_same_data(runs: Sequence[Run]) -> None:
    """Raises UserError if the runs are of different data sets, since they cannot be compared."""
    data = {run.name: run.config.data.data_name or run.config.data.absolute.data for run in runs}
    if len(set(data.values())) > 1:
        found = ", ".join(f"{name} of {source}" for name, source in data.items())
        raise UserError(f"the runs of a report must share a data set, but here are {found}: write one report for each")
