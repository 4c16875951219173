"""Execute notebooks and bring them into one form, so that running them once more changes nothing in their files.

Cells that drive a widget are for tests: what they say lies beside the tests, in driven/NAME.json, and not in what a
reader sees. A cell that is tagged drive is moved there; ``with_drives`` puts all of them back.

python tests/notebooks/normalise.py [NOTEBOOK ...]           executes and writes; all of notebooks/ by default
python tests/notebooks/normalise.py --check [NOTEBOOK ...]   executes nothing, and exits 1 if the form is another
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from configparser import ConfigParser
from copy import deepcopy
from functools import cache
from itertools import count
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
TIMEOUT = 600  # seconds a cell may take
VIEW = "application/vnd.jupyter.widget-view+json"  # names a live widget of the run, so it differs in every run
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
HIDDEN = {"outputs_hidden": True, "source_hidden": True}
DRIVEN = Path(__file__).with_name("driven")
MASKS = Path(__file__).with_name("sanitize.cfg")


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with its outputs, run from top to bottom in a fresh kernel. Raises CellExecutionError.

    folder: what the kernel takes for its working folder.
    """
    executed = deepcopy(notebook)
    client = NotebookClient(
        executed,
        timeout=TIMEOUT,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=kernel_environment())
    return executed


def drives_of(path: Path) -> dict[str, list[dict]]:
    """Name of each widget that is driven -> what its drive says; none for a notebook that is not of notebooks/."""
    kept = DRIVEN / f"{path.stem}.json"
    is_ours = path.resolve().parent == FOLDER and kept.exists()
    return json.loads(kept.read_text(encoding="utf-8")) if is_ours else {}


def with_drives(path: Path) -> NotebookNode:
    """The notebook of this file, each widget followed by the cell that drives it."""
    notebook, kept = nbformat.read(path, as_version=4), drives_of(path)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        shown = cell.source.rpartition("\n")[2].strip()
        if cell.cell_type == "code" and shown in kept:
            outputs = nbformat.from_dict(kept[shown])
            cells.append(
                new_code_cell(f"{shown}.drive()", metadata={"tags": ["drive"]}, execution_count=1, outputs=outputs)
            )
    notebook.cells = cells
    return notebook


def write_parts(notebook: NotebookNode, path: Path) -> None:
    """A normal notebook into its file; of one of notebooks/ what drives say into theirs."""
    if path.resolve().parent == FOLDER:
        drives = {cell.source.partition(".")[0]: cell.outputs for cell in notebook.cells if _is_drive(cell)}
        cells = [cell for cell in notebook.cells if not _is_drive(cell)]
        notebook = normalise(nbformat.from_dict({**notebook, "cells": cells}))
        DRIVEN.mkdir(exist_ok=True)
        if drives:
            text = json.dumps(drives, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            (DRIVEN / f"{path.stem}.json").write_text(text, encoding="utf-8")
    path.write_text(text_of(notebook), encoding="utf-8")


def _is_drive(cell: NotebookNode) -> bool:
    return "drive" in cell.metadata.get("tags", [])


def kernel_environment() -> dict[str, str]:
    """The environment that a reader's kernel has: figures go where the notebook puts them."""
    return {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}


def normalise(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs from run to run, its cells numbered and its drive cells folded."""
    normal = deepcopy(notebook)
    normal.metadata = nbformat.from_dict(METADATA)
    normal.nbformat, normal.nbformat_minor = 4, 5
    turns = count(1)
    for place, cell in enumerate(normal.cells):
        cell.id = f"cell-{place}"
        cell.metadata = nbformat.from_dict(_cell_metadata(cell))
        if cell.cell_type == "code":
            turn = next(turns)
            cell.execution_count = turn if cell.execution_count else None
            cell.outputs = [_output(output, turn) for output in _joined(cell.outputs)]
    return normal


def text_of(notebook: NotebookNode) -> str:
    """What a notebook's file says."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n"


def is_normal(path: Path) -> bool:
    """Whether the file says what it would say after normalising."""
    return path.read_text(encoding="utf-8") == text_of(normalise(nbformat.read(path, as_version=4)))


def _cell_metadata(cell: NotebookNode) -> dict:
    """Tags, and what is folded away. Drive cells always are."""
    tags = cell.metadata.get("tags", [])
    folded = HIDDEN if "drive" in tags else {name: on for name, on in cell.metadata.get("jupyter", {}).items() if on}
    kept = {name: folded[name] for name in sorted(HIDDEN.keys() & folded.keys())}
    return ({"jupyter": kept} if kept else {}) | ({"tags": tags} if tags else {})


def _joined(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Outputs in which what is printed is one text for each stream."""
    joined: dict[object, NotebookNode] = {}
    for place, output in enumerate(outputs):
        if output.output_type != "stream":
            joined[place] = output
        elif output.name in joined:
            joined[output.name].text += output.text
        else:
            joined[output.name] = deepcopy(output)
    return list(joined.values())


def _output(output: NotebookNode, turn: int) -> NotebookNode:
    """One output without the name of the live widget, and with masks over what differs from run to run."""
    output = deepcopy(output)
    if output.output_type == "execute_result":
        output.execution_count = turn
    if "text" in output:
        output.text = _masked(output.text)
    data = output.get("data", {})
    data.pop(VIEW, None)
    for kind in data.keys() & {"text/plain", "text/html"}:
        data[kind] = _masked(data[kind])
    return output


def _masked(text: str) -> str:
    for pattern, mask in _masks():
        text = pattern.sub(mask, text)
    return text


@cache
def _masks() -> list[tuple[re.Pattern[str], str]]:
    config = ConfigParser(interpolation=None)
    config.read(MASKS, encoding="utf-8")
    masks = [part for part in map(config.__getitem__, config.sections()) if not part.getboolean("kept", fallback=False)]
    return [(re.compile(mask["regex"]), mask["replace"]) for mask in masks]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    parser.add_argument("--check", action="store_true", help="execute nothing and write nothing")
    chosen = parser.parse_args(arguments)
    work = _check if chosen.check else _renew
    return max([work(path) for path in chosen.notebooks], default=0)


def _check(path: Path) -> int:
    if is_normal(path):
        return 0
    print(f"{path}: not in its normal form: run `python tests/notebooks/normalise.py {path}`")
    return 1


def _renew(path: Path) -> int:
    try:
        executed = normalise(execute(with_drives(path), path.resolve().parent))
    except CellExecutionError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    before = path.read_text(encoding="utf-8"), drives_of(path)
    write_parts(executed, path)
    print(f"{path}: {'unchanged' if before == (path.read_text(encoding='utf-8'), drives_of(path)) else 'written'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
