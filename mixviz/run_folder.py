"""The files of a run that need no network to be understood: its settings in short, log, results and tags.

Nothing here imports torch or pandas, so that hundreds of runs are listed at once.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixviz.errors import UserError, reason, unknown
from mixviz.files import damaged, read_json, read_text, results_locked, write_csv, write_json, write_whole
from mixviz.paths import runs_root
from mixviz.result import Result

CONFIG, LOG, RESULTS, TAGS = "config.json", "metrics.csv", "evaluation.json", "tags.txt"
EXACT = 2**53  # integers up to this are exact as floats


@dataclass(frozen=True, kw_only=True)
class About:
    """The settings that tell runs apart."""

    framework: str
    mixing: tuple[str, ...]
    data: str  # as it was given to ``--data``
    data_name: str | None
    seed: int
    epochs: int  # to be trained

    @property
    def method(self) -> str:
        """Framework and mixings, such as ``moco-v2 + mixco``."""
        return method_name(self.framework, self.mixing)

    @property
    def shown(self) -> str:
        """What results call the data."""
        return data_name(self.data, self.data_name)


class RunFolder:
    """The folder of a run. ``runs.Run`` knows its networks as well."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def about(self) -> About:
        """From ``config.json``, of which nothing else is checked. Raises UserError."""
        nested = self.read_json(CONFIG)
        try:
            method, data, train = (nested[section] for section in ("method", "data", "train"))
            found = About(
                framework=method["framework"],
                mixing=tuple(method["mixing"]),
                data=data["data"],
                data_name=data.get("data_name"),
                seed=train["seed"],
                epochs=train["epochs"],
            )
            texts = (found.framework, *found.mixing, found.data, found.data_name or "")
            if not all(isinstance(text, str) for text in texts):
                raise TypeError("a name in it is no text")
            if not (type(found.seed) is type(found.epochs) is int):
                raise TypeError("its seed or its epochs are no integer")
        except KeyError as error:
            raise damaged(self.path / CONFIG, f"it lacks {error}") from error
        except (TypeError, AttributeError) as error:
            raise damaged(self.path / CONFIG, reason(error)) from error
        return found

    @property
    def log_rows(self) -> list[dict[str, float]]:
        """One row per epoch, NaN for missing values; empty before the first. Raises UserError."""
        path = self.path / LOG
        if not path.exists():
            return []
        try:
            lines = csv.DictReader(io.StringIO(read_text(path)))
            rows = [{name: _number(text) for name, text in line.items()} for line in lines]
            if "epoch" not in (lines.fieldnames or ()):
                raise ValueError("it has no column epoch")
            epochs = [row["epoch"] for row in rows]
            if not all(before < after for before, after in zip([0, *epochs], epochs, strict=False)):
                raise ValueError("its epochs are not in order")
        except UserError:
            raise
        except (ValueError, csv.Error) as error:
            raise damaged(path, reason(error)) from error
        return rows

    @property
    def epoch(self) -> int:
        """The last one in the log; 0 before the first. Raises UserError."""
        rows = self.log_rows
        return int(rows[-1]["epoch"]) if rows else 0

    def log(self, row: Mapping[str, float]) -> None:
        """Add the row of an epoch; rows of the same or a later epoch are replaced."""
        self.write_log([*self.log_before(row["epoch"]), dict(row)])

    def log_before(self, epoch: float) -> list[dict[str, float]]:
        """The rows of earlier epochs. Raises UserError."""
        return [row for row in self.log_rows if row["epoch"] < epoch]

    def write_log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace all rows. Raises UserError."""
        columns = dict.fromkeys(["epoch", *(name for row in rows for name in row)])
        known = ({name: None if math.isnan(v) else v for name, v in row.items()} for row in rows)
        write_csv(self.path / LOG, known, columns)

    def add_results(self, results: Sequence[Result]) -> None:
        """Add results of this run; each takes the place of one with the same identity. Other rows stay as they are."""
        own = [replace(result, run=self.name) for result in results]
        new = {result.identity for result in own}
        with results_locked(self.path / RESULTS):
            kept = [row for row, old in zip(self._rows(), self.results, strict=True) if old.identity not in new]
            self.write_json(RESULTS, kept + [result.to_dict() for result in own])

    @property
    def results(self) -> list[Result]:
        """All results so far, also those from under an older name of the run. Raises UserError."""
        return [self._result(row) for row in self._rows()]

    def _result(self, row: Mapping[str, Any]) -> Result:
        try:
            return replace(Result.from_dict(row), run=self.name)
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(self.path / RESULTS, reason(error)) from error

    def own_results(self, target: str = "label", encoder: str = "backbone") -> dict[str, Result]:
        """Results on the data set that the run was trained on, by the label of their protocol. Raises UserError."""
        found = [result for result in self.results if (result.target, result.encoder) == (target, encoder)]
        return {result.label: result for result in found if not result.is_transfer}

    def _rows(self) -> list[dict[str, Any]]:
        path = self.path / RESULTS
        return read_json(path, list) if path.exists() else []

    @property
    def tags(self) -> tuple[str, ...]:
        """The user's tags for the run, sorted. Raises UserError."""
        path = self.path / TAGS
        return tuple(sorted(set(read_text(path).split()))) if path.exists() else ()

    def set_tags(self, tags: Iterable[str]) -> None:
        """Replace the tags. Raises UserError."""
        text = "".join(f"{check_tag(tag)}\n" for tag in sorted(set(tags)))
        write_whole(self.path / TAGS, lambda part: part.write_text(text, encoding="utf-8"))

    def read_json(self, name: str) -> dict[str, Any]:
        """The object in a file of the folder. Raises UserError."""
        return read_json(self.path / name)

    def write_json(self, name: str, content: Any) -> None:
        """Put a file of the folder there, whole. Raises UserError."""
        write_json(self.path / name, content)


def run_folders(root: Path | None = None) -> list[RunFolder]:
    """All runs below the runs' folder, the oldest first."""
    found = [path for path in (root or runs_root()).glob(f"*/{CONFIG}") if _is_file(path)]
    return [RunFolder(path.parent) for path in sorted(found, key=lambda path: (path.stat().st_mtime, path))]


def find_run(name: str | Path, root: Path | None = None) -> RunFolder:
    """An existing run, by path or by its name below the runs' folder. Raises UserError."""
    root = root or runs_root()
    for path in (root / name, Path(name)):
        if _is_file(path / CONFIG):
            return RunFolder(path)
    raise unknown("run", str(name), [run.name for run in run_folders(root)] or ["(there are none yet)"])


def _is_file(path: Path) -> bool:
    """Also False for what the system does not accept as a path, such as a name that is too long."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def method_name(framework: str, mixing: Iterable[str]) -> str:
    """Framework and mixings, such as ``moco-v2 + mixco``."""
    return " + ".join([framework, *mixing])


def data_name(data: str, given: str | None = None) -> str:
    """What results call the data: the given name, or the source, of a path its last part."""
    kind, _, path = data.partition(":")
    return given or (f"{kind}:{Path(path).resolve().name}" if path else kind)


def check_tag(tag: str) -> str:
    """The tag, if it is one. Raises UserError."""
    if not re.fullmatch(r"\w[\w.+=-]{0,49}", tag):
        raise UserError(f"{tag[:50]!r} is no tag: use up to 50 letters, digits and . + = - _")
    return tag


def _number(text: str | list[str] | None) -> float:
    """An entry of the log. Raises ValueError; of a row that is longer or shorter than the header, too."""
    if not isinstance(text, str):
        raise ValueError("a row of it is cut off, or too long")
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError("there is text among its numbers") from error
    return int(value) if abs(value) < EXACT and text.lstrip("-").isdecimal() else value
