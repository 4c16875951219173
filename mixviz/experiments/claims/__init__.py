"""The claim ledger: what the papers say, what we measured, and the verdict."""

from mixviz.experiments.claims.findings import read_findings
from mixviz.experiments.claims.ledger import (
    CLAIM,
    FOUND,
    PATH,
    VERDICTS,
    Row,
    choose,
    counts,
    departures,
    fill,
    headlines,
    judge,
    mistakes,
    read,
    ways,
    write,
)

__all__ = [
    "CLAIM",
    "FOUND",
    "PATH",
    "VERDICTS",
    "Row",
    "choose",
    "counts",
    "departures",
    "fill",
    "headlines",
    "judge",
    "mistakes",
    "read",
    "read_findings",
    "ways",
    "write",
]
