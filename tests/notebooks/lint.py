"""Rules of the notebooks: thin, driven, complete and in their normal form.

python tests/notebooks/lint.py [NOTEBOOK ...]   prints what is wrong, one line each, and exits 1 if there is anything
"""

import argparse
import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from normalise import FOLDER, is_normal, with_drives

LONGEST = 25  # lines of a code cell
INTERACTIVE = {"Output", "interact", "interact_manual", "interactive", "interactive_output"}
WIDGETS = ("ipywidgets", "mixviz.widgets")
ABSOLUTE = re.compile(r"(?<![\w./:<~-])/[A-Za-z_][\w.+-]*/[\w.+-]+|\b[A-Za-z]:\\\w")
INSTALLS = re.compile(r"^\s*[%!].*\b(pip|conda|mamba|uv)\b", re.MULTILINE)
BLIND = re.compile(r"nbval|raises-exception", re.IGNORECASE)

Cells = Sequence[NotebookNode]


def no_output_widgets(cells: Cells) -> Iterator[str]:
    """What is drawn inside of an Output widget no test can see, errors included."""
    for cell in cells:
        for node in ast.walk(tree(cell)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [_name(node)]
            for name in INTERACTIVE.intersection(names):
                yield f"{cell.id}: {name}: use a widget of mixviz.widgets"


def definitions_in_exercises(cells: Cells) -> Iterator[str]:
    """Code that needs a function belongs in the package, where it is tested."""
    for cell in cells:
        if "exercise" not in tags(cell):
            for node in ast.walk(tree(cell)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    yield f"{cell.id}: defines {node.name}: only cells tagged exercise may define"


def widgets_are_driven(cells: Cells) -> Iterator[str]:
    """A widget is shown under a name, and the next code cell moves its controls."""
    makers, bound = set(), set()
    for cell, following in pairwise([*cells, None]):
        makers |= widget_names(tree(cell))
        made = {name for node in ast.walk(tree(cell)) for name in _assigned(node, makers)}
        bound |= made
        shown = last_expression(cell)
        if shown is not None and _makes(shown, makers):
            yield f"{cell.id}: shows a widget without a name: bind it, then show the name"
        elif made and _name(shown) not in made:
            yield f"{cell.id}: makes the widget {', '.join(sorted(made))}, but does not show it last"
        elif _name(shown) in bound and not drives(following, _name(shown)):
            yield f"{cell.id}: the next code cell is not tagged drive with the source {_name(shown)}.drive()"


def drive_cells_drive(cells: Cells) -> Iterator[str]:
    """A drive cell follows the widget that it moves, and says its numbers."""
    for before, cell in pairwise([None, *cells]):
        if "drive" in tags(cell):
            if before is None or not drives(cell, _name(last_expression(before))):
                yield f"{cell.id}: is tagged drive, but drives no widget of the cell before it"
            elif cell.execution_count and not any(texts(cell)):
                yield f"{cell.id}: drives its widget, but says no numbers"


def cells_were_run(cells: Cells) -> Iterator[str]:
    """The outputs of a cell without a count are not compared with anything."""
    yield from (f"{cell.id}: has no count: it was not run" for cell in cells if cell.execution_count is None)


def cells_are_short(cells: Cells) -> Iterator[str]:
    for cell in cells:
        lines = len(cell.source.splitlines())
        if lines > LONGEST:
            yield f"{cell.id}: has {lines} lines, more than {LONGEST}"


def outputs_name_no_place(cells: Cells) -> Iterator[str]:
    """Absolute paths say where the notebook was run, and differ on the next machine."""
    for cell in cells:
        for text in texts(cell):
            yield from (f"{cell.id}: absolute path in an output: {found[0]}" for found in ABSOLUTE.finditer(text))


def no_stored_errors(cells: Cells) -> Iterator[str]:
    for cell in cells:
        yield from (f"{cell.id}: stored error {out.ename}" for out in cell.outputs if out.output_type == "error")


def nothing_is_installed(cells: Cells) -> Iterator[str]:
    for cell in cells:
        yield from (f"{cell.id}: installs: {found[0].strip()}" for found in INSTALLS.finditer(cell.source))


def no_semicolons(cells: Cells) -> Iterator[str]:
    """A trailing semicolon hides a value from the reader, but not from the comparison of outputs."""
    for cell in cells:
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if lines and lines[-1].partition("#")[0].rstrip().endswith(";"):
            yield f"{cell.id}: ends with a semicolon: write `_ = ...`"


def nothing_is_left_out(cells: Cells) -> Iterator[str]:
    """Marks by which a cell's outputs or errors escape the comparison."""
    for cell in cells:
        marks = [*tags(cell), *re.findall(r"#.*", cell.source)]
        yield from (f"{cell.id}: escapes the comparison of outputs: {mark}" for mark in marks if BLIND.search(mark))


RULES: tuple[Callable[[Cells], Iterator[str]], ...] = (
    no_output_widgets,
    definitions_in_exercises,
    widgets_are_driven,
    drive_cells_drive,
    cells_were_run,
    cells_are_short,
    outputs_name_no_place,
    no_stored_errors,
    nothing_is_installed,
    no_semicolons,
    nothing_is_left_out,
)


def lint(path: Path) -> list[str]:
    """What is wrong with a notebook, each in a line that names the cell."""
    cells = [cell for cell in with_drives(path).cells if cell.cell_type == "code"]
    found = [problem for rule in RULES for problem in rule(cells)]
    return found if is_normal(path) else [*found, "is not in its normal form: run tests/notebooks/normalise.py"]


def tree(cell: NotebookNode) -> ast.Module:
    """The cell's code, its magics as the calls that they stand for."""
    return ast.parse(TransformerManager().transform_cell(cell.source))


def tags(cell: NotebookNode | None) -> list[str]:
    return [] if cell is None else cell.metadata.get("tags", [])


def last_expression(cell: NotebookNode) -> ast.expr | None:
    body = tree(cell).body
    return body[-1].value if body and isinstance(body[-1], ast.Expr) else None


def drives(cell: NotebookNode | None, name: str) -> bool:
    """Whether it is the drive cell of the widget of that name."""
    return "drive" in tags(cell) and cell.source.strip() == f"{name}.drive()"


def widget_names(module: ast.Module) -> set[str]:
    """Names under which a cell imports classes of widgets, or a module of them."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(WIDGETS):
            found |= {alias.asname or alias.name for alias in node.names if alias.name[0].isupper()}
        if isinstance(node, ast.Import | ast.ImportFrom):
            inside = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            found |= {alias.asname or alias.name for alias in node.names if f"{inside}{alias.name}" in WIDGETS}
    return found


def texts(cell: NotebookNode) -> Iterator[str]:
    """What the cell's outputs say in words."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (output.get("data", {}).get(kind, "") for kind in ("text/plain", "text/html"))


def _name(node: ast.AST | None) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _makes(node: ast.AST, makers: set[str]) -> bool:
    """Whether it calls a widget's class, or something of it, such as from_state."""
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    return bool(re.search(r"\b[A-Z]", called)) and any(re.match(rf"{re.escape(maker)}\b", called) for maker in makers)


def _assigned(node: ast.AST, makers: set[str]) -> Iterator[str]:
    if isinstance(node, ast.Assign) and _makes(node.value, makers):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    found = [f"{path}: {problem}" for path in parser.parse_args(arguments).notebooks for problem in lint(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
