"""From columns of a table to rows of numbers, fitted on train only: medians, means, deviations and categories."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api import types

from mixviz.errors import UserError

MOST_CATEGORIES = 64  # of a column of text; with more of them it is left out


@dataclass(frozen=True, kw_only=True)
class Numeric:
    """A column of numbers, standardised; a column of only 0 and 1 stays as it is."""

    name: str
    median: float  # stands for missing values
    mean: float
    std: float

    @property
    def outputs(self) -> tuple[str, ...]:
        return (self.name,)

    def encode(self, values: pd.Series) -> np.ndarray:
        """(N,) -> (N, 1)."""
        numbers = to_numbers(values)
        numbers = np.where(np.isnan(numbers), self.median, numbers)
        return ((numbers - self.mean) / self.std)[:, None]


@dataclass(frozen=True)
class Categorical:
    """A column of categories, one-hot; missing values are a category if train has some."""

    name: str
    categories: tuple[str, ...]
    has_missing: bool

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={value}" for value in [*self.categories, *(["missing"] if self.has_missing else [])])

    def encode(self, values: pd.Series) -> np.ndarray:
        """(N,) -> (N, categories); a category that train does not have is a row of zeros."""
        found = pd.Index(self.categories).get_indexer(pd.Index(_as_text(values)))  # -1: none of them
        found[values.isna()] = len(self.categories)
        return (found[:, None] == np.arange(len(self.outputs))).astype(float)


@dataclass(frozen=True)
class Columns:
    """How a table becomes rows of numbers."""

    kept: tuple[Numeric | Categorical, ...]  # numbers first
    left_out: tuple[str, ...] = ()  # columns without information, as messages name them

    @property
    def names(self) -> tuple[str, ...]:
        """(F,), such as ``age`` and ``colour=red``."""
        return tuple(name for column in self.kept for name in column.outputs)

    def encode(self, frame: pd.DataFrame, what: str) -> np.ndarray:
        """(N, F) float32. Raises UserError if a column is missing, or contains text instead of numbers."""
        for column in self.kept:
            if column.name not in frame:
                raise UserError(f"{what} lacks the column {column.name!r}, which train has: add it")
            if isinstance(column, Numeric):
                check_numbers(frame[column.name], what)
        return np.hstack([column.encode(frame[column.name]) for column in self.kept]).astype(np.float32)

    def missing(self, frame: pd.DataFrame) -> int:
        """How many values of the table are missing."""
        return sum(
            int(np.isnan(to_numbers(values)).sum()) if isinstance(column, Numeric) else int(values.isna().sum())
            for column in self.kept
            for values in [frame[column.name]]
        )


def fit_columns(train: pd.DataFrame, what: str) -> Columns:
    """How train's columns become numbers. Raises UserError if all rows are the same in them."""
    kept: list[Numeric | Categorical] = []
    left_out = []
    for name in train:
        column = _fit(train[name])
        if isinstance(column, str):
            left_out.append(f"{name} ({column})")
        else:
            kept.append(column)
    if not kept:
        raise UserError(f"{what} has no column that tells rows apart: it needs numbers, or text of few values")
    return Columns(tuple(sorted(kept, key=lambda column: isinstance(column, Categorical))), tuple(left_out))


def _fit(values: pd.Series) -> Numeric | Categorical | str:
    """A column, or the reason why it is left out."""
    present = values.dropna()
    if not len(present):
        return "empty"
    if present.nunique() == 1 and len(present) == len(values):
        return "constant"
    if types.is_numeric_dtype(values):
        return _fit_numbers(values)
    if not _is_text(values):
        return str(values.dtype)
    if pd.to_numeric(present, errors="coerce").notna().all():  # numbers in quotes
        return _fit_numbers(values)
    categories = sorted(set(_as_text(present)))
    if len(categories) > MOST_CATEGORIES:
        return f"text of {len(categories):,} values"
    return Categorical(str(values.name), tuple(categories), len(present) < len(values))


def _fit_numbers(values: pd.Series) -> Numeric | str:
    numbers = to_numbers(values)
    median = float(np.nanmedian(numbers)) if not np.isnan(numbers).all() else 0.0
    filled = np.where(np.isnan(numbers), median, numbers)
    if (filled == filled[0]).all():
        return "constant"
    if np.isin(filled, (0, 1)).all():
        return Numeric(name=str(values.name), median=median, mean=0.0, std=1.0)
    return Numeric(name=str(values.name), median=median, mean=float(filled.mean()), std=float(filled.std()))


def _is_text(values: pd.Series) -> bool:
    return (
        isinstance(values.dtype, pd.CategoricalDtype) or types.is_object_dtype(values) or types.is_string_dtype(values)
    )


def _as_text(values: pd.Series) -> list[str]:
    return [str(value) for value in values.astype(object)]


def to_numbers(values: pd.Series) -> np.ndarray:
    """(N,) float64; NaN if a value is missing or infinite."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def check_no_stray_text(values: pd.Series, what: str) -> None:
    """Raises UserError if most values are numbers and some are not: a unit, or a sign for missing ones."""
    if types.is_numeric_dtype(values) or not _is_text(values):
        return
    if pd.to_numeric(values.dropna(), errors="coerce").notna().mean() > 0.5:
        check_numbers(values, what)


def check_numbers(values: pd.Series, what: str) -> None:
    """Raises UserError for the first value that is no number."""
    bad = pd.to_numeric(values, errors="coerce").isna() & values.notna()
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise UserError(
            f"{what}: column {values.name!r} holds numbers and {values.iloc[row]!r} in row {row + 1}: "
            "leave such cells empty, or make it a number"
        )


def one_line(parts: Iterable[str], most: int = 5) -> str:
    """The first of them, with commas."""
    parts = list(parts)
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")
