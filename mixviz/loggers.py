"""Loggers for the numbers of a training, besides ``metrics.csv``: any object with two methods, and TensorBoard's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mixviz.errors import UserError


class Logger(Protocol):
    """What ``train`` and ``resume`` take as one of their loggers."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """After each epoch, counted from 1, with its row of the log: loss, lr, knn_accuracy if it is due, ..."""

    def close(self) -> None:
        """When the training has ended, even by an error."""


class TensorBoard:
    """Scalars for TensorBoard, by name. Older entries of later epochs, as after a crash, are hidden.

    Raises UserError if the package is missing; nothing is written before the first epoch.
    """

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError("tensorboard is missing: pip install 'mixviz[tensorboard]'") from error
        self._new, self._folder = SummaryWriter, folder
        self._writer: Any = None

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = self._new(str(self._folder), purge_step=epoch)
        for name, value in values.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


LOGGERS = {"tensorboard": TensorBoard}  # made from a folder of the run
