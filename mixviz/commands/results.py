"""``results``: render the tables of the README and of its pages from the result files in ``data``."""

from pathlib import Path

from mixviz.commands.flags import Parser
from mixviz.errors import UserError
from mixviz.experiments.readme import pages, render_all
from mixviz.paths import clone, shipped

ROOT = shipped()


def main(argv: list[str]) -> int:
    parser = Parser("results", "Render the tables of the README and of data/results/*.md from the result files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is out of date")
    arguments = parser.parse_args(argv)
    clone("results")
    outdated = []
    for page in pages(ROOT):
        before = read(page)
        after = render_all(before, ROOT / "data")
        if before != after:
            outdated.append(str(page.relative_to(ROOT)))
            if not arguments.check:
                page.write_text(after, encoding="utf-8")
    if not outdated:
        print("all pages are up to date")
    elif arguments.check:
        print(f"out of date: {', '.join(outdated)}; to render them: python -m mixviz results")
    else:
        print(f"rendered: {', '.join(outdated)}")
    return 1 if outdated and arguments.check else 0


def read(page: Path) -> str:
    """The text of a page. Raises UserError."""
    try:
        return page.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {page} ({error.strerror}): run this from a clone of the project") from error
