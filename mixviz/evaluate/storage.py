"""Results in a run's folder: evaluated once and stored, with their confusions and tables.

evaluation.json    the results                       corruptions.json, few-shot.json      a row a prediction
classes.json       how often each class was taken for each
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixviz.confusion import Confusion
from mixviz.errors import UserError
from mixviz.evaluate.base import Protocol
from mixviz.evaluate.evaluation import evaluate
from mixviz.evaluate.protocols import DEFAULTS, as_protocol
from mixviz.evaluate.source import Sets, Source
from mixviz.files import damaged, read_json, results_locked, write_whole
from mixviz.result import IDENTITY, Result
from mixviz.runs import Run

CLASSES = "classes.json"
KEYS = IDENTITY[:-1]  # left out of an entry, since a folder holds only its own run's


def read_out(
    run: Run,
    sets: Sets,
    targets: Sequence[str] = ("label",),
    protocols: Sequence[str | Protocol] = DEFAULTS,
    trained: bool = True,
) -> list[Result]:
    """The run's results for these targets and protocols: from its folder; missing ones are evaluated and stored.

    trained: False for the encoder before training. Raises UserError, NotFrozen.
    """
    chosen, encoder = [as_protocol(given) for given in protocols], "backbone" if trained else "random"
    found = {target: run.own_results(target, encoder) for target in targets}
    missing = [target for target in targets if any(one.label not in found[target] for one in chosen)]
    if missing:
        results = evaluate(Source.of_run(run, sets, trained), missing, chosen)
        keep(run, results)
        for result in results:
            found[result.target][result.label] = result
    return [found[target][one.label] for one in chosen for target in targets]


def keep(run: Run, results: Sequence[Result], classes: bool = False) -> list[Result]:
    """Store results in the run's folder with their tables and, for ``classes``, their confusions; returns those stored.

    Results that were selected by test labels are left out.
    """
    kept = [result for result in results if result.comparable]
    run.add_results(kept)
    keep_tables(run.path, kept)
    if classes:
        keep_confusions(run.path, kept)
    return kept


def keep_tables(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Tables of results that have one, each in the file of its protocol's name. Returns the files."""
    by_file: dict[Path, list[dict[str, Any]]] = {}
    for result in results:
        if result.table is not None:
            entries = by_file.setdefault(folder / f"{result.protocol}.json", [])
            entries.append(_about(result) | {"rows": result.table.to_dict("records")})
    for path, entries in by_file.items():
        _add(path, entries)
    return list(by_file)


def keep_confusions(folder: Path, results: Sequence[Result]) -> Path:
    """Confusions of results that have one, in classes.json."""
    path = folder / CLASSES
    found = [(result, result.confusion) for result in results if result.confusion is not None]
    _add(path, [_about(result) | {"names": c.names, "counts": c.counts.tolist()} for result, c in found])
    return path


def with_tables(folder: Path, results: Sequence[Result], protocol: str) -> list[Result]:
    """Those results of a protocol whose tables are in the folder, each with its table. Raises UserError."""
    return _with(folder / f"{protocol}.json", results, lambda entry: {"table": pd.DataFrame(entry["rows"])})


def with_confusions(folder: Path, results: Sequence[Result]) -> list[Result]:
    """Those results whose confusions are in the folder, each with its confusion. Raises UserError."""

    def confusion(entry: dict[str, Any]) -> dict[str, Any]:
        return {"confusion": Confusion(np.array(entry["counts"]), tuple(entry["names"]))}

    return _with(folder / CLASSES, results, confusion)


def _with(path: Path, results: Sequence[Result], part: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Result]:
    parts = {_key(entry): entry for entry in _read(path)}
    return [replace(one, **part(parts[key])) for one in results if (key := one.identity[:-1]) in parts]


def _about(result: Result) -> dict[str, Any]:
    return dict(zip(KEYS, result.identity, strict=False))


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entry[key] for key in KEYS)


def _add(path: Path, entries: list[dict[str, Any]]) -> None:
    """Add entries, one per line; each replaces an older one of the same result. The file is complete at any time."""
    new = {_key(entry) for entry in entries}
    with results_locked(path):
        kept = [entry for entry in _read(path) if _key(entry) not in new]
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept + entries)
        write_whole(path, lambda part: part.write_text(f"[\n{lines}\n]\n", encoding="utf-8"))


def _read(path: Path) -> list[dict[str, Any]]:
    """Raises UserError if it is damaged."""
    try:
        entries = read_json(path, list) if path.exists() else []
        if any(not set(KEYS) <= entry.keys() for entry in entries):
            raise damaged(path, "an entry does not say of which result it is")
    except UserError as error:
        raise UserError(f"{error}: delete it, and evaluate the run again") from error
    return entries
