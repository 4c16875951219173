"""``results``: fill the README's tables from the result files in ``data/results``."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.errors import UserError
from mixviz.experiments.readme import render_all

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str]) -> int:
    parser = Parser("results", "Fill the README's tables from the result files in data/results.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where a table is not up to date"
    )
    arguments = parser.parse_args(argv)
    readme = ROOT / "README.md"
    try:
        before = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {readme} ({error.strerror}): run this from a clone of the project") from error
    after = render_all(before, ROOT / "data" / "results")
    if before == after:
        print("the README's tables are up to date")
        return 0
    if arguments.check:
        print("the README's tables are not up to date: python -m mixviz results")
        return 1
    readme.write_text(after, encoding="utf-8")
    print("the README's tables were filled anew")
    return 0
