"""Plain text tables."""

from collections.abc import Sequence

from mixviz.errors import printable


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns by two spaces; the first column flush left, numbers flush right."""
    print(format_table(header, rows))


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As ``print_table``, as text; control characters are escaped."""
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    left = [not any(line[i][:1].isdigit() or line[i][:1] in "+-−" for line in lines[1:]) for i in range(len(header))]
    cells = [
        "  ".join(c.ljust(w) if flush else c.rjust(w) for c, w, flush in zip(line, widths, left, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([cells[0], "-" * len(cells[0]), *cells[1:]])
