"""Runs side by side: one tidy table of results."""

from collections.abc import Sequence

import pandas as pd

from mixviz.labels import method_label
from mixviz.runs import Run


def results_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row for each result: run, method, data, epochs, seed, encoder, protocol, target, accuracy."""
    rows = []
    for run in runs:
        config = run.config
        method = method_label(config)
        for result in run.results:
            keep = ("data", "seed", "encoder", "target", "accuracy", "train_images", "test_images")
            row = {"run": run.name, "method": method, "epochs": config.train.epochs, "protocol": result.label}
            rows.append(row | {key: getattr(result, key) for key in keep})
    columns = ["run", "method", "epochs", "data", "seed", "encoder", "protocol", "target", "accuracy"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)
