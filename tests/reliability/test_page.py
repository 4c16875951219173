"""The page "What it survives" counts what the tests try."""

from pathlib import Path

from test_damage import DAMAGES
from test_downloads import CUTS
from test_faults import FAULTS
from test_inputs import CHOSEN, VALUES

from mixviz.config import flags

PAGE = Path(__file__).parents[2] / "data" / "results" / "reliability.md"


def test_counts():
    page = PAGE.read_text(encoding="utf-8")
    assert f"other content | {len(DAMAGES)} |" in page
    assert f"| {len(list(flags()))} flags × {len(VALUES)} values |" in page
    assert f"command lines that are wrong | {len(CHOSEN)} |" in page
    assert f"or is killed | {len(CUTS) + 1} |" in page
    assert len(FAULTS) == 3
