"""The runs below a folder, for a panel that compares them: their logs as they grow, and which was not finished."""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.labels import unique_labels
from mixviz.runs import Run, list_runs, split_readable


class History:
    """Runs below a root, the oldest first; those that cannot be read are left out."""

    def __init__(self, root: Path):
        self.runs: list[Run] = []
        self.configs: dict[Path, RunConfig] = {}
        for run in split_readable(list_runs(root))[0]:
            self.add(run, run.config)

    def add(self, run: Run, config: RunConfig) -> None:
        """A run that is new, or goes on: the newest from now on."""
        self.runs = [one for one in self.runs if one.path != run.path] + [run]
        self.configs[run.path] = config

    def newest(self, data: str, count: int) -> dict[str, Run]:
        """So many runs on these data that have an epoch, the newest last, by labels that tell them apart."""
        runs = [run for run in self.runs if self.configs[run.path].data.data == data and len(log_of(run))][-count:]
        return dict(zip(unique_labels([self.configs[run.path] for run in runs]), runs, strict=True))

    def unfinished(self) -> Run | None:
        """The newest that has epochs to go."""
        newest = reversed(self.runs)
        return next((run for run in newest if len(log_of(run)) < self.configs[run.path].train.epochs), None)


def log_of(run: Run) -> pd.DataFrame:
    """The run's log, one row an epoch; read again if it has grown; empty if it is gone or damaged by now."""
    try:
        return _read(run.path, (run.path / "metrics.csv").stat().st_mtime_ns)
    except (OSError, UserError):
        return pd.DataFrame()


@lru_cache(maxsize=4096)  # more than there are runs in a folder: each look for news reads all of them
def _read(path: Path, written: int) -> pd.DataFrame:
    return Run(path).metrics
