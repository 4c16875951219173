"""Tables: your own as text or parquet, the small ones that come with scikit-learn, and CovType.

Rows are of float32: missing values are train's median or a category of their own, numbers are standardised by train's
mean and deviation, categories are one-hot. One line says what was left out or filled in.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mixviz.data.columns import check_no_stray_text, fit_columns, one_line, to_numbers
from mixviz.data.dataset import Dataset
from mixviz.data.decode import Reading
from mixviz.data.delimited import check_names, read_delimited
from mixviz.errors import MissingData, NoTestSplit, UserError, reason, unknown
from mixviz.paths import datasets_root

SPLITS = ("train", "test")
TARGETS = ("label", "target", "class", "y")  # default names of the column of classes
PARQUET = b"PAR1"  # how a file of parquet begins
SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".data.gz")
EMBEDDED = {"digits": "handwritten digits", "breast-cancer": "breast cancer", "wine": "wine"}
COVTYPE_ROWS = {"train": slice(0, 11_340), "test": slice(11_340, 15_120)}  # the publisher's balanced subsets
COVTYPE_CLASSES = (
    "spruce/fir", "lodgepole pine", "ponderosa pine", "cottonwood/willow", "aspen", "douglas-fir", "krummholz",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of a table as read, and their classes."""

    frame: pd.DataFrame  # without the target
    classes: pd.Series | None
    origins: np.ndarray
    what: str  # as messages call it
    skipped: int = 0

    def select(self, index: np.ndarray) -> "_Part":
        classes = None if self.classes is None else self.classes.iloc[index]
        return replace(self, frame=self.frame.iloc[index], classes=classes, origins=self.origins[index])


def read_table(path: Path, split: str, reading: Reading) -> Dataset:
    """Your own table: a file of text or of parquet, or a folder with one for train and one for test.

    The target is the column of classes; if none is named, it is the first of TARGETS that exists; without one there are
    no labels. Of a single table a fixed fifth of the rows is test, each class with its share. Rows without a class or
    without any value are refused, or left out and counted. Raises UserError.
    """
    parts = _parts(path, reading)
    if split not in parts:
        raise NoTestSplit(f"{path} has neither a test split nor a column of classes: name one with --target")
    return _encode(f"csv:{path.resolve().name}", parts, split, quiet=not reading.progress)


def read_rows_like(path: Path, known: Path, reading: Reading) -> Dataset:
    """All rows of your own table as split ``all``, in the columns and units of the train split of another.

    known: the table that an encoder was trained on. Labels are what the new table has in the known column of classes,
    -1 if it is empty. Raises UserError if a column is missing, or holds text in place of numbers.
    """
    train = _parts(known, reading)["train"]
    frames = {file: _frame(file) for file in dict.fromkeys(_files(path).values())}
    frame = pd.concat(frames.values(), ignore_index=True)
    labels, classes = None, ()
    if train.classes is not None and train.classes.name in frame:
        labels, classes = pd.factorize(frame[train.classes.name].map(str, na_action="ignore"), sort=True)
    origins = [row if len(frames) == 1 else f"{file.name} {row}" for file in frames for row in range(len(frames[file]))]
    return Dataset(
        name=f"csv:{path.resolve().name}",
        split="all",
        domain="tabular",
        stored=fit_columns(train.frame, train.what).encode(frame, str(path)),
        labels=labels,
        class_names=tuple(classes),
        origins=np.array(origins),
    )


def read_embedded(source: str, split: str, reading: Reading) -> Dataset:
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


def read_covtype(split: str, reading: Reading) -> Dataset:
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
        raise MissingData(
            f"covtype is not in {folder} and cannot be downloaded ({reason(error)}): put covtype.data.gz there"
        ) from error
    return np.column_stack([rows, classes])


def split_rows(classes: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of train and of test, in order: one of ``parts`` parts of each class is test, drawn from a fixed seed.

    A class of one or two rows is only in train. Raises UserError if nothing is left for test.
    """
    random = np.random.default_rng(0)
    test = np.zeros(len(classes), bool)
    for rows in pd.Series(range(len(classes))).groupby(pd.Series(classes)).groups.values():
        chosen = random.permutation(np.asarray(rows))
        test[chosen[: round(len(rows) / parts)]] = True
    if not test.any():
        raise UserError(f"{len(classes)} rows are too few to keep some as test: add rows")
    return np.flatnonzero(~test), np.flatnonzero(test)


def _parts(path: Path, reading: Reading) -> dict[str, _Part]:
    """The splits of a table; without classes there is only train."""
    parts = {name: _part(file, reading) for name, file in _files(path).items()}
    everything = parts["train"]
    if len(parts) == 1 and everything.classes is not None and not reading.unlabelled:
        train, test = split_rows(everything.classes.to_numpy(), 5)
        parts = {"train": everything.select(train), "test": everything.select(test)}
    return parts


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


def _part(file: Path, reading: Reading) -> _Part:
    """The rows of a file that can be used."""
    frame = _frame(file)
    target = _target(frame, reading.target, file)
    rows = frame.drop(columns=target) if target else frame
    for name in rows:
        check_no_stray_text(rows[name], str(file))
    good = rows.notna().any(axis=1)
    _check_rows(good, reading.skip_bad, f"{file}: row {{}} has no value at all")
    if target:
        labelled = frame[target].notna()
        _check_rows(labelled, reading.skip_bad, f"{file}: {target!r} is missing in row {{}}")
        good &= labelled
    index = np.flatnonzero(good)
    if not len(index):
        raise UserError(f"{file} has no rows that can be used: add some")
    classes = _classes(frame[target].iloc[index], str(file)) if target else None
    return _Part(
        frame=rows.iloc[index], classes=classes, origins=index, what=str(file), skipped=len(frame) - len(index)
    )


def _frame(file: Path) -> pd.DataFrame:
    """A table as in the file, without the index that pandas writes."""
    frame = _read_parquet(file) if _is_parquet(file) else read_delimited(file)
    numbered = frame.columns[0] in ("", "Unnamed: 0", "__index_level_0__")
    if numbered and to_numbers(frame.iloc[:, 0]).tolist() in [[*range(start, start + len(frame))] for start in (0, 1)]:
        return frame.iloc[:, 1:]
    return frame


def _is_parquet(file: Path) -> bool:
    """By its name. Raises UserError if it begins as something else."""
    named = file.suffix.lower() == ".parquet"
    with file.open("rb") as opened:
        begins = opened.read(len(PARQUET)) == PARQUET
    if begins and not named:
        raise UserError(f"{file} is parquet, not text: call it {file.stem}.parquet")
    if named and not begins:
        raise UserError(f"{file} is not parquet: call it {file.stem}.csv if it is text, or else fetch it again")
    return named


def _read_parquet(file: Path) -> pd.DataFrame:
    try:
        check_names(pq.read_schema(file).names, file)
        table = pq.read_table(file)
        nested = next((field.name for field in table.schema if pa.types.is_nested(field.type)), None)
        if nested is not None:
            raise UserError(f"{file}: column {nested!r} has several values a row: give each a column of its own")
        return table.to_pandas().rename(columns=str)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as parquet ({reason(error)}): fetch it again") from error


def _target(frame: pd.DataFrame, target: str | None, file: Path) -> str | None:
    """The column of classes; None if none is named and no default name occurs. Raises UserError."""
    if target is None:
        return next((name for wanted in TARGETS for name in map(str, frame) if name.lower() == wanted), None)
    if target not in frame:
        raise unknown(f"column of {file.name} as --target", target, [str(name) for name in frame])
    return target


def _check_rows(good: pd.Series, skip_bad: bool, message: str) -> None:
    """Raises UserError for the first bad row, unless such rows are to be skipped."""
    if not skip_bad and not good.all():
        row = int(good.to_numpy().argmin()) + 1
        raise UserError(f"{message.format(row)}: fix it, or skip it with --skip-bad")


def _classes(values: pd.Series, what: str) -> pd.Series:
    """The classes as integers or as text. Raises UserError if they cannot be classes."""
    if pd.api.types.is_float_dtype(values):
        if not (values == values.round()).all():
            raise UserError(f"{what}: {values.name!r} has fractions, but classes are expected: bin the values first")
        values = values.astype(int)
    elif not pd.api.types.is_integer_dtype(values):
        values = values.map(str)
    count = values.nunique()
    if count > max(2, len(values) / 2):
        raise UserError(
            f"{what}: {values.name!r} has {count:,} different values in {len(values):,} rows: give a column of classes"
        )
    return values


def _encode(name: str, parts: dict[str, _Part], split: str, quiet: bool) -> Dataset:
    """The rows of a split, in the form of train's columns."""
    train, part = parts["train"], parts[split]
    columns = fit_columns(train.frame, train.what)
    labels, classes = None, ()
    if part.classes is not None:
        known = sorted((part.classes if train.classes is None else train.classes).unique())
        unseen = [value for value in part.classes.unique() if value not in known]
        if unseen:
            raise UserError(f"{part.what} has the class {unseen[0]!r}, and {train.what} has no row of it")
        labels = pd.Index(known).get_indexer(pd.Index(part.classes)).astype(np.int64)
        classes = tuple(map(str, known))
    rows = columns.encode(part.frame, part.what)
    if not quiet:
        _say(name, split, columns.left_out, columns.missing(part.frame))
    return Dataset(
        name=name,
        split=split,
        domain="tabular",
        stored=rows,
        labels=labels,
        class_names=classes,
        skipped=part.skipped,
        origins=part.origins,
    )


def _say(name: str, split: str, left_out: Sequence[str], missing: int) -> None:
    """One line on what was changed, if anything."""
    said = [f"left out {one_line(left_out)}"] if left_out else []
    said += [f"filled in {missing:,} missing values (train's median, or a category of their own)"] if missing else []
    if said:
        print(f"mixviz: {name}, {split}: {'; '.join(said)}", file=sys.stderr)
