"""Tables of the ledger: the headline claims of each paper, and all others that were tried."""

from collections import Counter
from collections.abc import Sequence

from mixviz.experiments.claims.ledger import VERDICTS, Row, counts, headlines

Cells = tuple[list[str], list[list[str]]]  # header and rows
NONE = "–"


def headline_tables(rows: Sequence[Row]) -> dict[str, tuple[str, Cells]]:
    """Paper -> one line on the verdicts of its headline claims, and the claims in their order."""
    found = {}
    for paper in dict.fromkeys(row["paper"] for row in rows):
        ranked = [row for row in headlines(rows) if row["paper"] == paper]
        if ranked:
            found[paper] = summed_up(ranked), ledger_rows(ranked, named=False)
    return found


def summed_up(rows: Sequence[Row]) -> str:
    """``8 headline claims: 1 direction only, 5 not settled, 2 not tried``."""
    found = Counter(row["verdict"] for row in rows)
    parts = [f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]]
    return f"{len(rows)} headline claim{'s' if len(rows) > 1 else ''}: {', '.join(parts)}"


def others_tried(rows: Sequence[Row]) -> list[Row]:
    """Other claims that were tried."""
    return [row for row in rows if not row["headline"] and row["verdict"] != "not tried"]


def count_rows(rows: Sequence[Row]) -> Cells:
    """The claims of each paper by verdict."""
    found = counts(rows, "verdict")
    lines = [[paper, *(str(number[verdict]) for verdict in VERDICTS)] for paper, number in found.items()]
    return ["claims of", *VERDICTS], lines


def ledger_rows(rows: Sequence[Row], named: bool = True) -> Cells:
    """The claim, the paper's figure and its evidence, ours, the setting, the verdict and its reason.

    named: whether the claim's cell names its paper.
    """
    places = ("paper", "where", "data") if named else ("where", "data")
    lines = []
    for row in rows:
        where = ", ".join(row[name] for name in places if row[name])
        said = f"{_said(row)} ({row['evidence']})".strip()
        lines.append([f"{where}: {row['claim']}", said, _found(row), _on(row), row["verdict"], row["reason"]])
    return ["claim", "paper", "here", "on", "verdict", "because"], lines


def _said(row: Row) -> str:
    """The paper's difference or, if unknown, its direction."""
    return f"{float(row['paper_difference']):+g}" if row["paper_difference"] else row["expects"] or row["paper_value"]


def _found(row: Row) -> str:
    """The difference with its interval, with a sensible number of digits."""
    if not row["difference"]:
        return NONE
    found = f"{float(row['difference']):+.3g}"
    return f"{found} [{float(row['low']):+.3g}, {float(row['high']):+.3g}]" if row["low"] else found


def _on(row: Row) -> str:
    """Data, training examples, network, epochs, seeds and device."""
    if not row["file"]:
        return NONE
    numbers = " and ".join(f"{int(number):,}" for number in row["found_images"].split(" and ") if number)
    examples = f"{numbers} {row['found_examples']}" if numbers else ""
    parts = [row["on"], examples, row["found_network"], f"{row['found_epochs']} epochs"]
    parts += [f"{row['seeds']} seed{'s' * (row['seeds'] != '1')}", row["device"]]
    return ", ".join(part for part in parts if part)
