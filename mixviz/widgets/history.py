"""The runs below a folder, for a panel that compares them: their growing logs, and which is unfinished."""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.labels import unique_labels
from mixviz.runs import Run, list_runs, split_readable


class History:
    """Runs below a root, the oldest first; unreadable ones are left out."""

    def __init__(self, root: Path):
        self.runs: list[Run] = []
        self.configs: dict[Path, RunConfig] = {}
        for run in split_readable(list_runs(root))[0]:
            self.add(run, run.config)

    def add(self, run: Run, config: RunConfig) -> None:
        """Add a new or resumed run as the newest."""
        self.runs = [one for one in self.runs if one.path != run.path] + [run]
        self.configs[run.path] = config

    def newest(self, data: str, count: int) -> dict[str, Run]:
        """At most ``count`` runs on these data with at least an epoch, the newest last, by unique labels."""
        runs = [run for run in self.runs if self.configs[run.path].data.data == data and len(log_of(run))][-count:]
        return dict(zip(unique_labels([self.configs[run.path] for run in runs]), runs, strict=True))

    def unfinished(self) -> Run | None:
        """The newest unfinished run."""
        newest = reversed(self.runs)
        return next((run for run in newest if len(log_of(run)) < self.configs[run.path].train.epochs), None)


def log_of(run: Run) -> pd.DataFrame:
    """The run's log, one row per epoch; reread if it has grown; empty if it is missing or damaged."""
    try:
        written = (run.path / "metrics.csv").stat()
        return _read(run.path, written.st_size, written.st_mtime_ns)
    except (OSError, UserError):
        return pd.DataFrame()


@lru_cache(maxsize=4096)  # more than the runs in a folder, since each update reads all of them
def _read(path: Path, size: int, written: int) -> pd.DataFrame:
    return Run(path).metrics
