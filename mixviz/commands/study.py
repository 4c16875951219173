"""``study``: the papers' claims on hardness, calibration and invariance, tested on glyphs over several seeds."""

from pathlib import Path

from mixviz.commands.flags import Parser, add_jobs, jobs_from
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.experiments.readme import claim_rows
from mixviz.experiments.reproduced import setting_of
from mixviz.experiments.running import run_experiment
from mixviz.experiments.study import SHORT, SHORT_ARMS, judge, study
from mixviz.experiments.tasks import load_data
from mixviz.paths import check_writable, runs_root


def main(argv: list[str]) -> None:
    parser = Parser("study", "Test LooC's claims on glyphs over several seeds. Resumes after an interruption.")
    parser.add_argument("--seeds", type=int, default=3, metavar="INT", help="number of seeds per arm [default: 3]")
    parser.add_argument("--short", action="store_true", help="two arms and few images: a first look in a minute or two")
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms, and the claims that they can test")
    parser.add_argument("--out", type=Path, help="path of study.json [default: next to the runs]")
    add_jobs(parser)
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: take 1 or more")
    names, changes = (SHORT_ARMS, SHORT) if arguments.short else ((), {})
    made = study(arguments.arms or names, **changes)
    root = runs_root() / ("study-short" if arguments.short else "study")
    out = check_writable(arguments.out or root / "study.json")
    sets = load_data(made.config.data)
    table = run_experiment(made, range(1, arguments.seeds + 1), root, sets, out, jobs=jobs_from(arguments))
    assert table is not None  # without a deadline all runs are done
    print(f"\n{setting_of(table)}")
    print_table(*claim_rows(judge(table["rows"])))
    print(f"\nwritten: {out}")
