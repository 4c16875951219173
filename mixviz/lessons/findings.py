"""What the papers say and what we measured, side by side: the table that grows from notebook to notebook."""

from pathlib import Path

import pandas as pd

from mixviz.errors import unknown
from mixviz.experiments.claims import ledger
from mixviz.experiments.claims.tables import others_tried

PAPERS = ("MoCHi", "MixCo", "i-Mix", "LooC")


def claims_table(*papers: str, every: bool = False, path: Path = ledger.PATH) -> pd.DataFrame:
    """The headline claims of these papers: what each says, what was measured, on what, and the verdict.

    papers: in the order of the rows. every: also all other claims that were tried, after the headline claims of their
    paper. Differences come with their 95 % interval over paired seeds. Raises UserError.
    """
    for paper in papers:
        if paper not in PAPERS:
            raise unknown("paper", paper, PAPERS)
    claims = ledger.read(path)
    shown = ledger.headlines(claims) + (others_tried(claims) if every else [])
    rows = [row for row in shown if row["paper"] in papers]
    rows.sort(key=lambda row: (papers.index(row["paper"]), not row["headline"]))
    return pd.DataFrame(
        {
            "paper": [row["paper"] for row in rows],
            "it says": [_said(row) for row in rows],
            "found here": [_found(row) for row in rows],
            "on": [_on(row) for row in rows],
            "verdict": [row["verdict"] for row in rows],
        }
    )


def _said(row: ledger.Row) -> str:
    gain = row["paper_difference"]
    return f"{row['claim']} ({float(gain):+g} points)" if gain else row["claim"]


def _found(row: ledger.Row) -> str:
    if not row["difference"]:
        return "–"
    found = f"{float(row['difference']):+.3g}"
    if row["low"]:
        found += f" [{float(row['low']):+.3g}, {float(row['high']):+.3g}]"
    return f"{found}, {row['seeds']} seed{'s' * (row['seeds'] != '1')}"


def _on(row: ledger.Row) -> str:
    """Data, network and epochs, or what a test would need."""
    return f"{row['on']}, {row['found_network']}, {row['found_epochs']} epochs" if row["file"] else row["reason"]
