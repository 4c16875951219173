"""A notebook as one static HTML file: run from top to bottom, its widgets drawn in advance for their controls."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

from mixviz.errors import UserError
from mixviz.widgets.still import SWITCH

TIMEOUT = 900  # seconds a cell may take


def export(notebook: Path, out: Path) -> Path:
    """Run the notebook and write its page, which loads nothing from anywhere. Raises UserError.

    A copy is run; the notebook's file stays as it is. Cells tagged ``drive`` are left out.
    """
    try:
        copy = nbformat.read(notebook, as_version=4)
    except Exception as error:
        raise UserError(f"cannot read the notebook {notebook} ({type(error).__name__}): give an .ipynb file") from error
    copy.cells = [cell for cell in copy.cells if "drive" not in cell.metadata.get("tags", [])]
    where = {"metadata": {"path": str(notebook.parent)}}
    client = NotebookClient(copy, timeout=TIMEOUT, kernel_name="python3", store_widget_state=False, resources=where)
    try:
        client.execute(env={**os.environ, SWITCH: "1"})
    except CellExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise UserError(f"{notebook.name} stops with {reason}: run it in JupyterLab to see where") from error
    page, _ = HTMLExporter(template_name="lab", mathjax_url="", require_js_url="").from_notebook_node(copy)
    out.write_text(page, encoding="utf-8")
    return out
