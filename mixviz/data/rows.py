"""Selections of arrays that are too large to be copied, memory-mapped or not: their rows are gathered when needed."""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

LARGE = 2**28  # bytes, from which data stay where they are: selections are not copied, and files are memory-mapped
PART = 2**25  # bytes that are worked on at a time


class Rows:
    """Some rows of an array, which behave like an array of them; what is indexed is copied.

    base: (N, ...). index: (n,) rows of it.
    """

    def __init__(self, base: np.ndarray, index: np.ndarray):
        self.base, self.index = base, index

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.index), *self.base.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    @property
    def ndim(self) -> int:
        return self.base.ndim

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.base[self.index[rows]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.base[self.index], dtype)


Stored = np.ndarray | Rows


def select(stored: Stored, index: np.ndarray) -> np.ndarray:
    """The rows (n, ...) of an array (N, ...): a copy, or ``Rows`` in its place if it had LARGE bytes or more.

    index: (n,) integers, or a mask (N,).
    """
    if index.dtype == bool:
        index = np.flatnonzero(index)
    base = stored
    if isinstance(stored, Rows):
        base, index = stored.base, stored.index[index]
    assert isinstance(base, np.ndarray)
    found = Rows(base, index)
    return cast(np.ndarray, found) if found.nbytes >= LARGE else base[index]


def parts(stored: Stored, step: int = 1) -> Iterator[np.ndarray]:
    """Every ``step``-th row, in order, in arrays of PART bytes or a little more."""
    of_row = max(1, math.prod(stored.shape[1:]) * stored.dtype.itemsize)
    rows = step * -(-PART // of_row)
    for start in range(0, len(stored), rows):
        yield stored[start : start + rows : step]


class Ahead:
    """Rows that a thread gathers a batch ahead of their use; indexed as a tensor (N, ...) on the device is."""

    def __init__(self, stored: Stored, device: torch.device):
        self.stored, self.device = stored, device
        self._thread = ThreadPoolExecutor(1)
        self._due: tuple[Tensor, Future[Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Tensor) -> Tensor:
        """(n, ...) on the device, of rows (n,)."""
        is_due = self._due is not None and self._due[0] is index
        found = self._due[1].result() if self._due is not None and is_due else self._gather(index)
        return found.to(self.device, non_blocking=True)

    def batches(self, order: Iterable[Tensor]) -> Iterator[Tensor]:
        """The same indices, (n,) each; while the rows of one are used, those of the next are gathered."""
        before = None
        for index in order:
            following = index, self._thread.submit(self._gather, index)
            if before is not None:
                self._due = before
                yield before[0]
            before = following
        if before is not None:
            self._due = before
            yield before[0]

    def _gather(self, index: Tensor) -> Tensor:
        found = torch.from_numpy(self.stored[index.cpu().numpy()])
        return found.pin_memory() if self.device.type == "cuda" else found
