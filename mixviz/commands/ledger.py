"""``ledger``: what the papers claim and what we measured; the headline claims first."""

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.experiments.claims import PATH, VERDICTS, Row, fill, read, read_findings, write
from mixviz.experiments.claims.tables import count_rows, headline_tables, ledger_rows, others_tried
from mixviz.paths import clone


def main(argv: list[str]) -> None:
    parser = Parser("ledger", "Show what the papers claim and what we measured.")
    parser.add_argument("--fill", action="store_true", help="first update data/ledger.csv from the result files")
    parser.add_argument("--verdict", metavar="WORDS", help=f"only claims with this verdict: {', '.join(VERDICTS)}")
    arguments = parser.parse_args(argv)
    rows = read()
    if arguments.fill:
        clone("ledger --fill")
        rows = fill(rows, read_findings(PATH.parent))
        write(rows)
    if arguments.verdict and arguments.verdict not in VERDICTS:
        raise UserError(f"--verdict {arguments.verdict}: take one of {', '.join(VERDICTS)}")
    if arguments.verdict:
        print_table(*ledger_rows([row for row in rows if row["verdict"] == arguments.verdict]))
    else:
        show(rows)
    print(f"\nall rows: {PATH}")


def show(rows: list[Row]) -> None:
    """The headline claims of each paper, then the counts of all claims, and the other claims that were tried."""
    for paper, (line, table) in headline_tables(rows).items():
        print(f"{paper}, {line}")
        print_table(*table)
        print()
    print_table(*count_rows(rows))
    print()
    print_table(*ledger_rows(others_tried(rows)))
