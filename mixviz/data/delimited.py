"""Tables as text: separator, encoding and header are detected; an unreadable file is refused in one line."""

import csv
import gzip
import re
from io import StringIO
from pathlib import Path

import pandas as pd

from mixviz.errors import UserError, reason

SEPARATORS = ",;\t|"
GZIP = b"\x1f\x8b"  # how a compressed file begins
SAMPLE = 2**16  # characters from which the separator is detected
MISSING = ("?", "-", "--")  # besides what pandas reads as missing: an empty cell, NA, NaN, null, None


def read_delimited(path: Path) -> pd.DataFrame:
    """A table of comma-separated values, or of those with semicolons, tabs or bars; compressed by gzip or not.

    Without a header the columns are called 1, 2, 3 and so on. Raises UserError.
    """
    text = _text(path)
    separator = _separator(text[:SAMPLE])
    lines = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    first, second = next(lines), next(lines, None)
    headed = _is_header(first)
    if second is None and headed:
        raise UserError(f"{path} has a header and no rows: add some")
    if second is not None and len(second) != len(first):
        raise UserError(f"{path} has {len(first)} values in its first line and {len(second)} in the next: fix it")
    names = [name.strip() for name in first] if headed else [str(i + 1) for i in range(len(first))]
    check_names(names, path)
    comma = separator == ";" and re.search(r"\d,\d", text[:SAMPLE]) and not re.search(r"\d\.\d", text[:SAMPLE])
    try:
        return pd.read_csv(
            StringIO(text, newline=""),
            sep=separator,
            names=names,
            skiprows=int(headed),
            index_col=False,
            skipinitialspace=True,
            na_values=list(MISSING),
            decimal="," if comma else ".",
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a table ({reason(error)}): fix it") from error


def _text(path: Path) -> str:
    """The text of the file, from its first line that is not empty. Raises UserError."""
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content.startswith(GZIP) else content
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be decompressed ({reason(error)}): fetch it again") from error
    if b"\0" in content[:SAMPLE]:
        raise UserError(f"{path} is no text: give a table of comma-separated values")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if not text.strip():
        raise UserError(f"{path} is empty: give a table with a header and rows")
    return text.lstrip("\r\n")


def _separator(sample: str) -> str:
    """The most frequent one in the first line, outside quotes."""
    line = re.sub(r'"[^"]*"', "", sample.splitlines()[0])
    return max(SEPARATORS, key=line.count)


def _is_header(cells: list[str]) -> bool:
    """Whether a line holds names: less than half of it are numbers, or it counts 0, 1, 2 or 1, 2, 3."""
    numbers = [cell for cell in cells if _is_number(cell)]
    if 2 * len(numbers) < len(cells):
        return True
    counted = [cell.strip() for cell in cells if cell.strip()]
    return len(counted) > 1 and any(counted == [str(i + start) for i in range(len(counted))] for start in (0, 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def check_names(names: list[str], path: Path) -> None:
    """Raises UserError for a name that two columns have."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{path} has two columns called {name!r}: rename one")
        seen.add(name)
