"""Notebooks that tests make: cells as if they were run, and files in the normal form."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from normalise import execute, normalise, text_of


def code(source: str, *tags: str, count: int | None = 1, outputs: list[NotebookNode] | None = None) -> NotebookNode:
    """A code cell that was run, unless its count is None."""
    metadata = {"tags": list(tags)} if tags else {}
    return new_code_cell(source, metadata=metadata, execution_count=count, outputs=outputs or [])


def printed(text: str, stream: str = "stdout") -> NotebookNode:
    """What a cell prints."""
    return new_output("stream", name=stream, text=text)


def result(**data: str) -> NotebookNode:
    """What the last expression of a cell shows; text_plain stands for text/plain."""
    return new_output("execute_result", data={kind.replace("_", "/"): shown for kind, shown in data.items()})


def write(folder: Path, *cells: NotebookNode | str, run: bool = False, name: str = "notebook") -> Path:
    """Code cells, or their sources, as a notebook in its normal form, executed or as they are."""
    notebook = new_notebook(cells=[code(cell) if isinstance(cell, str) else cell for cell in cells])
    path = folder / f"{name}.ipynb"
    path.write_text(text_of(normalise(execute(notebook, folder) if run else notebook)), encoding="utf-8")
    return path


def replace(path: Path, before: str, after: str) -> None:
    """Put one text in place of another in a notebook's sources and outputs; it must be there."""
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    parts = [*notebook.cells, *outputs, *(output.get("data", {}) for output in outputs)]
    found = [(part, key) for part in parts for key, text in part.items() if isinstance(text, str) and before in text]
    assert found, f"{before!r} is not in {path.name}"
    for part, key in found:
        part[key] = part[key].replace(before, after)
    path.write_text(text_of(notebook), encoding="utf-8")
