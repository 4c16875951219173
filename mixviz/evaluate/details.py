"""What results are made of, kept beside them in the run folder: confusions of classes, tables of repeated protocols.

classes.json       how often each class was taken for each      corruptions.json, few-shot.json      a row a prediction
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixviz.errors import UserError
from mixviz.evaluate import Result
from mixviz.evaluate.classes import Confusion

CLASSES = "classes.json"
KEYS = ("protocol", "encoder", "target", "data", "split", "seed", "run")  # of the result that a detail belongs to


@dataclass(frozen=True)
class Detail:
    """The confusion or the table of one result."""

    about: dict[str, Any]  # KEYS
    content: Confusion | pd.DataFrame


def keep_tables(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Tables of results that have one, each in the file of its protocol's name. Gives the files."""
    by_file: dict[Path, list[dict[str, Any]]] = {}
    for result in results:
        if result.table is not None:
            path = folder / f"{result.protocol.partition(' ')[0]}.json"
            by_file.setdefault(path, []).append(_about(result) | {"rows": result.table.to_dict("records")})
    for path, entries in by_file.items():
        _add(path, entries)
    return list(by_file)


def keep_confusions(folder: Path, results: Sequence[Result]) -> Path:
    """Confusions of results that have one, in classes.json."""
    path = folder / CLASSES
    found = [(result, result.confusion) for result in results if result.confusion is not None]
    _add(path, [_about(result) | {"names": c.names, "counts": c.counts.tolist()} for result, c in found])
    return path


def read_details(path: Path) -> list[Detail]:
    """All that a file of details holds; nothing where it is not there. Raises UserError where it is damaged."""
    details = []
    for entry in _read(path):
        about = {key: entry[key] for key in KEYS}
        if "rows" in entry:
            details.append(Detail(about, pd.DataFrame(entry["rows"])))
        else:
            details.append(Detail(about, Confusion(np.array(entry["counts"]), tuple(entry["names"]))))
    return details


def _about(result: Result) -> dict[str, Any]:
    return {key: getattr(result, key) for key in KEYS}


def _add(path: Path, entries: list[dict[str, Any]]) -> None:
    """Add entries, one a line; one of the same result takes the old one's place. The file is whole at any time."""
    new = [[entry[key] for key in KEYS] for entry in entries]
    kept = [entry for entry in _read(path) if [entry[key] for key in KEYS] not in new]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept + entries)
    part = path.with_name(f".{path.name}.part")
    part.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    os.replace(part, path)


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): delete it, and evaluate the run again") from error
