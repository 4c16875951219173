"""What was measured in the browser, as a table and as a JSON file."""

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

HEADER = ("notebook", "widget", "control", "what", "median", "most", "n")


@dataclass(frozen=True)
class Measured:
    """Times in ms; none where a control changed no picture.

    what: slider, choice, burst (from its last key to the last changed frame), first picture (from opening the page).
    """

    notebook: str
    widget: str
    control: str
    what: str
    times: tuple[float, ...]

    @property
    def row(self) -> tuple[str, ...]:
        times = (f"{median(self.times):.0f}", f"{max(self.times):.0f}") if self.times else ("-", "-")
        return (self.notebook, self.widget, self.control, self.what, *times, str(len(self.times)))


def table(measured: Iterable[Measured]) -> list[str]:
    """Lines of a table, numbers to the right."""
    rows = [HEADER, *(one.row for one in measured)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[4:], widths[4:], strict=True)]
        lines.append("  ".join(cells))
    return lines


def write(measured: Iterable[Measured], path: Path) -> None:
    """The JSON file, and beside it the table as text."""
    measured = list(measured)
    about = {
        "device": f"{os.cpu_count()} CPU cores, {platform.machine()}",
        "measured": [asdict(one) for one in measured],
    }
    path.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".txt").write_text("\n".join(table(measured)) + "\n", encoding="utf-8")
