"""What the papers say and what was found here, side by side: the table that grows from notebook to notebook."""

from pathlib import Path

import pandas as pd

from mixviz import ledger
from mixviz.errors import unknown

PAPERS = ("MoCHi", "MixCo", "i-Mix", "LooC")


def said_and_found(*papers: str, path: Path = ledger.PATH) -> pd.DataFrame:
    """Every claim of these papers that was tried: what it says, what was measured, on what, and the verdict.

    papers: in the order in which they were met. Differences come with their 95 % interval over paired seeds.
    Raises UserError.
    """
    for paper in papers:
        if paper not in PAPERS:
            raise unknown("paper", paper, PAPERS)
    rows = [row for row in ledger.read(path) if row["paper"] in papers and row["verdict"] != "not tried"]
    rows.sort(key=lambda row: papers.index(row["paper"]))
    table = pd.DataFrame(
        {
            "paper": [row["paper"] for row in rows],
            "it says": [_said(row) for row in rows],
            "found here": [_found(row) for row in rows],
            "on": [f"{row['on']}, {row['found_network']}, {row['found_epochs']} epochs" for row in rows],
            "verdict": [row["verdict"] for row in rows],
        }
    )
    return table


def _said(row: ledger.Row) -> str:
    gain = row["paper_difference"]
    return f"{row['claim']} ({float(gain):+g} points)" if gain else row["claim"]


def _found(row: ledger.Row) -> str:
    found = f"{float(row['difference']):+.3g}"
    if row["low"]:
        found += f" [{float(row['low']):+.3g}, {float(row['high']):+.3g}]"
    return f"{found}, {row['seeds']} seed{'s' * (row['seeds'] != '1')}"
