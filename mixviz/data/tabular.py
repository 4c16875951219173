"""Tables: one's own as text or parquet, the small ones that scikit-learn ships, and CovType.

Rows are of float32: missing values are train's median or a category of their own, numbers are standardised by train's
mean and deviation, categories are one-hot. What is left out or filled in is said in one line.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mixviz.data.checks import reason
from mixviz.data.columns import check_no_stray_text, fit_columns, one_line, to_numbers
from mixviz.data.delimited import read_delimited
from mixviz.errors import UserError, unknown
from mixviz.paths import datasets_root

SPLITS = ("train", "test")
TARGETS = ("label", "target", "class", "y")  # what the column of classes is called, where nothing else is said
SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".data.gz")
EMBEDDED = {"digits": "handwritten digits", "breast-cancer": "breast cancer", "wine": "wine"}
COVTYPE_ROWS = {"train": slice(0, 11_340), "test": slice(11_340, 15_120)}  # the publisher's balanced subsets
COVTYPE_CLASSES = (
    "spruce/fir", "lodgepole pine", "ponderosa pine", "cottonwood/willow", "aspen", "douglas-fir", "krummholz",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Table:
    """One split of a table."""

    name: str
    split: str
    rows: np.ndarray  # (N, F) float32
    columns: tuple[str, ...]  # (F,), such as ``age`` and ``colour=red``
    labels: np.ndarray | None  # (N,) int64
    class_names: tuple[str, ...] = ()
    skipped: int = 0  # rows that were left out
    origins: np.ndarray  # (N,) number of the row in its table, from 0


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of a table as they were read, and their classes."""

    frame: pd.DataFrame  # without the target
    classes: pd.Series | None
    origins: np.ndarray
    what: str  # as messages call it
    skipped: int = 0

    def select(self, index: np.ndarray) -> "_Part":
        classes = None if self.classes is None else self.classes.iloc[index]
        return replace(self, frame=self.frame.iloc[index], classes=classes, origins=self.origins[index])


def read_table(path: Path, split: str, target: str | None = None, skip_bad: bool = False, quiet: bool = False) -> Table:
    """A table of one's own: a file of text or of parquet, or a folder with one for train and one for test.

    target: the column of classes; None is the first that is called so (TARGETS), or no labels. Of a single table a
    fixed fifth of the rows is test, each class with its share. skip_bad: leave out rows without a class or without
    any value, and count them. Raises UserError.
    """
    files = _files(path)
    parts = {name: _part(file, target, skip_bad) for name, file in files.items()}
    if len(parts) == 1:
        everything = parts["train"]
        if everything.classes is None:
            if split == "test":
                raise UserError(f"{path} has neither a test split nor a column of classes: name one with --target")
        else:
            train, test = split_rows(everything.classes.to_numpy(), 5)
            parts = {"train": everything.select(train), "test": everything.select(test)}
    return _encode(f"table:{path.resolve().name}", parts, split, quiet)


def read_embedded(source: str, split: str) -> Table:
    """A table that scikit-learn ships; a fixed third of its rows is test, each class with its share."""
    from sklearn import datasets  # slow to import

    load = {"digits": datasets.load_digits, "breast-cancer": datasets.load_breast_cancer, "wine": datasets.load_wine}
    if source not in load:
        raise unknown("table", source, load)
    found = load[source]()
    names = [str(name) for name in found.target_names]
    frame = pd.DataFrame(found.data, columns=[str(name) for name in found.feature_names])
    everything = _Part(frame=frame, classes=pd.Series(found.target), origins=np.arange(len(frame)), what=source)
    train, test = split_rows(found.target, 3)
    parts = {"train": everything.select(train), "test": everything.select(test)}
    return replace(_encode(EMBEDDED[source], parts, split, quiet=True), class_names=tuple(names))


def read_covtype(split: str) -> Table:
    """CovType (Blackard and Dean 1999): its balanced subsets, 11,340 rows of train and 3,780 of test, 7 classes.

    From ``covtype/*.data.gz`` below the folder of data sets, or else downloaded and checked by scikit-learn.
    """
    values = _covtype_values()
    if values.shape[1] != 55 or len(values) < COVTYPE_ROWS["test"].stop:
        raise UserError(f"covtype is of shape {values.shape}: fetch its 55 columns and 581,012 rows again")
    frame = pd.DataFrame(values[:, :-1], columns=[str(i + 1) for i in range(54)])
    rows = np.arange(len(frame))
    everything = _Part(frame=frame, classes=pd.Series(values[:, -1].astype(int)), origins=rows, what="covtype")
    parts = {name: everything.select(rows[part]) for name, part in COVTYPE_ROWS.items()}
    return replace(_encode("CovType", parts, split, quiet=True), class_names=COVTYPE_CLASSES)


def _covtype_values() -> np.ndarray:
    """(N, 55), the class last."""
    folder = datasets_root() / "covtype"
    local = next(iter(sorted(folder.glob("*.data.gz"))), None)
    if local is not None:
        return read_delimited(local).to_numpy()
    from sklearn.datasets import fetch_covtype  # slow to import

    try:
        rows, classes = fetch_covtype(data_home=datasets_root(), return_X_y=True, n_retries=1)
    except OSError as error:
        raise UserError(
            f"covtype is not in {folder} and cannot be downloaded ({reason(error)}): put covtype.data.gz there"
        ) from error
    return np.column_stack([rows, classes])


def split_rows(classes: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of train and of test, in order: one of so many parts of each class is test, drawn from a fixed seed.

    A class of a row or two is train's alone. Raises UserError where nothing is left for test.
    """
    random = np.random.default_rng(0)
    test = np.zeros(len(classes), bool)
    for rows in pd.Series(range(len(classes))).groupby(pd.Series(classes)).groups.values():
        chosen = random.permutation(np.asarray(rows))
        test[chosen[: round(len(rows) / parts)]] = True
    if not test.any():
        raise UserError(f"{len(classes)} rows are too few to keep some as test: add rows")
    return np.flatnonzero(~test), np.flatnonzero(test)


def _files(path: Path) -> dict[str, Path]:
    """The file of each split; of a single one, train's. Raises UserError."""
    if path.is_file():
        return {"train": path}
    tables = [file for file in sorted(path.iterdir()) if file.name.lower().endswith((*SUFFIXES, ".parquet"))]
    named = {
        split: [file for file in tables if file.stem.lower().split(".")[0] == split] for split in ("train", "test")
    }
    for split, files in named.items():
        if len(files) != 1:
            raise UserError(f"{path} has {len(files) or 'no'} tables called {split}, as in {split}.csv: make it one")
    return {split: files[0] for split, files in named.items()}


def _part(file: Path, target: str | None, skip_bad: bool) -> _Part:
    """The rows of a file that can be used."""
    frame = _read_parquet(file) if file.suffix == ".parquet" else read_delimited(file)
    numbered = frame.columns[0] in ("", "Unnamed: 0", "__index_level_0__")
    if numbered and to_numbers(frame.iloc[:, 0]).tolist() in [[*range(start, start + len(frame))] for start in (0, 1)]:
        frame = frame.iloc[:, 1:]  # how pandas writes its index
    target = _target(frame, target, file)
    rows = frame.drop(columns=target) if target else frame
    for name in rows:
        check_no_stray_text(rows[name], str(file))
    good = rows.notna().any(axis=1)
    _check_rows(good, skip_bad, f"{file}: row {{}} has no value at all")
    if target:
        labelled = frame[target].notna()
        _check_rows(labelled, skip_bad, f"{file}: {target!r} is missing in row {{}}")
        good &= labelled
    index = np.flatnonzero(good)
    if not len(index):
        raise UserError(f"{file} has no rows that can be used: add some")
    classes = _classes(frame[target].iloc[index], str(file)) if target else None
    return _Part(
        frame=rows.iloc[index], classes=classes, origins=index, what=str(file), skipped=len(frame) - len(index)
    )


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(file)
        nested = next((field.name for field in table.schema if pa.types.is_nested(field.type)), None)
        if nested is not None:
            raise UserError(f"{file}: column {nested!r} has several values a row: give each a column of its own")
        return table.to_pandas().rename(columns=str)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as parquet ({reason(error)}): fetch it again") from error


def _target(frame: pd.DataFrame, target: str | None, file: Path) -> str | None:
    """The column of classes; None where none is named and none is called so. Raises UserError."""
    if target is None:
        return next((name for wanted in TARGETS for name in frame if name.lower() == wanted), None)
    if target not in frame:
        raise unknown(f"column of {file.name} as --target", target, [str(name) for name in frame])
    return target


def _check_rows(good: pd.Series, skip_bad: bool, message: str) -> None:
    """Raises UserError for the first row that is not, unless such rows are to be left out."""
    if not skip_bad and not good.all():
        row = int(good.to_numpy().argmin()) + 1
        raise UserError(f"{message.format(row)}: fix it, or skip it with --skip-bad")


def _classes(values: pd.Series, what: str) -> pd.Series:
    """The classes as whole numbers or as text. Raises UserError where they are none."""
    if pd.api.types.is_float_dtype(values):
        if not (values == values.round()).all():
            raise UserError(f"{what}: {values.name!r} has fractions, and classes are told apart here: put it in bins")
        values = values.astype(int)
    elif not pd.api.types.is_integer_dtype(values):
        values = values.map(str)
    count = values.nunique()
    if count > max(2, len(values) / 2):
        raise UserError(
            f"{what}: {values.name!r} has {count:,} different values in {len(values):,} rows: give a column of classes"
        )
    return values


def _encode(name: str, parts: dict[str, _Part], split: str, quiet: bool) -> Table:
    """The rows of a split, as train's columns are."""
    train, part = parts["train"], parts[split]
    columns = fit_columns(train.frame, train.what)
    labels, classes = None, ()
    if part.classes is not None:
        known = sorted((train if train.classes is not None else part).classes.unique())
        unseen = [value for value in part.classes.unique() if value not in known]
        if unseen:
            raise UserError(f"{part.what} has the class {unseen[0]!r}, and {train.what} has no row of it")
        labels, classes = pd.Index(known).get_indexer(part.classes).astype(np.int64), tuple(map(str, known))
    rows = columns.encode(part.frame, part.what)
    if not quiet:
        _say(name, split, columns.left_out, columns.missing(part.frame))
    return Table(
        name=name,
        split=split,
        rows=rows,
        columns=columns.names,
        labels=labels,
        class_names=classes,
        skipped=part.skipped,
        origins=part.origins,
    )


def _say(name: str, split: str, left_out: Sequence[str], missing: int) -> None:
    """One line on what was changed, where something was."""
    said = [f"left out {one_line(left_out)}"] if left_out else []
    said += [f"filled in {missing:,} missing values (train's median, or a category of their own)"] if missing else []
    if said:
        print(f"mixviz: {name}, {split}: {'; '.join(said)}", file=sys.stderr)
