"""``ledger``: what the papers claim, and what was found of it."""

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.ledger import PATH, VERDICTS, fill, read, read_findings, write
from mixviz.results import count_rows, ledger_rows


def main(argv: list[str]) -> None:
    parser = Parser("ledger", "Show the ledger of claims, or fill it anew from the project's result files.")
    parser.add_argument("--fill", action="store_true", help="fill data/ledger.csv from the result files first")
    parser.add_argument("--verdict", metavar="WORDS", help=f"rows of this verdict: {', '.join(VERDICTS)}")
    arguments = parser.parse_args(argv)
    rows = read()
    if arguments.fill:
        rows = fill(rows, read_findings(PATH.parent))
        write(rows)
    if arguments.verdict and arguments.verdict not in VERDICTS:
        raise UserError(f"--verdict {arguments.verdict}: take one of {', '.join(VERDICTS)}")
    shown = [row for row in rows if row["verdict"] == (arguments.verdict or row["verdict"])]
    if not arguments.verdict:
        shown = [row for row in shown if row["verdict"] != "not tried"]
    print_table(*count_rows(rows))
    print()
    print_table(*ledger_rows(shown))
    print(f"\nall rows: {PATH}")
