"""The full linear evaluation, base against method: of encoders that are trained here, and of recorded ones.

``train_and_read_out`` trains both with paired seeds, at a size for a laptop, next to the results of long runs.
``linear_evaluation`` evaluates recorded encoders live, on images that everybody has: the handwritten digits of
scikit-learn. The encoders were not trained on them, so this is a transfer. Next to it are the accuracies on the test
images of their own data set, measured when they were recorded.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from mixviz.build import load_sets
from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.errors import UserError
from mixviz.evaluate import DEFAULTS, Source, evaluate
from mixviz.evaluate.source import Sets
from mixviz.experiments.claims import ledger
from mixviz.experiments.study import NAMES
from mixviz.paired import VERDICTS, mean_interval, settled_sign
from mixviz.pretrained import available
from mixviz.runs import Run
from mixviz.train import train

RESULTS = ledger.PATH.parent / "results"
QUIET = {"knn_every": 0, "film_frames": 0, "dtype": "float32"}  # the same numbers with and without bfloat16
LIVE = "≈ "  # marks numbers that differ slightly between processors


def pairs_of(base: str, method: str) -> list[tuple[Run, Run]]:
    """Recordings of base and method with the same seed, by the names that they have before ``-seed``.

    Raises UserError if there is none.
    """
    by_name = {run.name: run for run in available()}
    seeds = [name.rpartition("-seed")[2] for name in by_name if name.rpartition("-seed")[0] == base]
    names = [(f"{base}-seed{seed}", f"{method}-seed{seed}") for seed in sorted(seeds)]
    found = [(by_name[one], by_name[other]) for one, other in names if other in by_name]
    if not found:
        raise UserError(f"no recordings of {base} and {method} share a seed: add them with `recordings add`")
    return found


def linear_evaluation(base: str, method: str, data: str = "optical-digits") -> pd.DataFrame:
    """Base and method by linear probe and by kNN, live on other images and as recorded: a row each, accuracies in %.

    base, method: as for ``pairs_of``. Columns: read out on, by, base and method (means over seeds), difference in
    points with its 95 % interval, seeds, verdict. Raises UserError, NotFrozen.
    """
    runs = pairs_of(base, method)
    size = recorded_size(runs[0][0].config)
    train, test = (load(data, split, image_size=size) for split in ("train", "test"))
    live = [{side: _read(run, train, test) for side, run in _sides(pair)} for pair in runs]
    kept = [{side: _kept(run) for side, run in _sides(pair)} for pair in runs]
    tables = {train.name: live, f"{runs[0][0].results[0].data}, as recorded": kept}
    return pd.DataFrame(
        [
            _row(name, protocol, [{side: one[side][protocol] for side in one} for one in table])
            for name, table in tables.items()
            for protocol in DEFAULTS
        ]
    )


def train_and_read_out(
    table: str, method: str, seeds: Sequence[int], targets: Sequence[str] = ("label",), **changes: Any
) -> pd.DataFrame:
    """Base and method trained and evaluated here, one row per evaluation; below, the results of long runs.

    table: a result file with the long runs, such as "reproduce/mixco-table-laptop-digits". method: an arm of it, which
    is trained as there, with its base. targets: what is predicted. changes: to the settings of both, such as fewer
    epochs; None: as by default. Prints a line after each run. Columns as of ``linear_evaluation``; numbers that were
    measured here begin with "≈". Raises UserError.
    """
    found = json.loads((RESULTS / f"{table}.json").read_text(encoding="utf-8"))
    arms = {"base": found["against"][method], "method": method}
    configs = {side: _config(found["settings"][arm] | QUIET | changes) for side, arm in arms.items()}
    sets = load_sets(configs["base"].data, progress=False).evaluated_on
    live: list[dict[str, dict[str, float]]] = []
    for seed in seeds:
        live.append({})
        for side, config in configs.items():
            live[-1][side] = _trained(config.but(seed=seed), sets, targets)
            print(f"seed {seed}: {arms[side]} is trained and read out", flush=True)
    here = f"{sets[0].name}, {configs['base'].train.epochs} epochs, here"
    there = f"{found['data']}, {found['epochs']} epochs, as recorded"
    rows, kept = [], []
    for protocol, target in [(protocol, target) for target in targets for protocol in DEFAULTS]:
        by = protocol if len(targets) == 1 else f"{NAMES.get(target, target)}, {protocol}"
        row = _row(here, by, [{side: one[side][f"{protocol}: {target}"] for side in one} for one in live])
        rows.append(row | {name: f"{LIVE}{row[name]}" for name in ("base", "method", "difference", "verdict")})
        recorded = _recorded(found["rows"], arms, protocol, target)
        kept += [_row(there, by, recorded)] if recorded else []
    return pd.DataFrame(rows + kept)


def _config(settings: Mapping[str, Any]) -> RunConfig:
    return RunConfig.of(**{name: value for name, value in settings.items() if value is not None})


def _trained(config: RunConfig, sets: Sets, targets: Sequence[str]) -> dict[str, float]:
    """Accuracies of a run that is trained now and not kept."""
    with TemporaryDirectory() as folder:
        run = train(config, images=sets[0], root=Path(folder), progress=False)
        results = evaluate(Source.of_run(run, sets), targets)
    return {f"{result.label}: {result.target}": 100 * result.accuracy for result in results}


def _recorded(
    rows: Sequence[Mapping[str, Any]], arms: Mapping[str, str], protocol: str, target: str
) -> list[dict[str, float]]:
    """Accuracies of both arms in a result file, for each seed that both have; none if it was not measured."""
    linear = "" if protocol == "knn" else ", linear"
    measures = {f"{protocol}: {target}", f"{NAMES.get(target, target)}{linear}: backbone"}  # of tables, of the study
    values = {(row["arm"], row["seed"]): row["value"] for row in rows if row["measure"] in measures}
    seeds = sorted({seed for _, seed in values})
    paired = [seed for seed in seeds if all((arm, seed) in values for arm in arms.values())]
    return [{side: values[arm, seed] for side, arm in arms.items()} for seed in paired]


def recorded_size(config: RunConfig) -> int | None:
    """The side of the images that a run was trained on, px; None: as its data set has them."""
    return config.data.image_size or (32 if config.data.data == "glyphs" else None)


def _sides(pair: tuple[Run, Run]) -> list[tuple[str, Run]]:
    return list(zip(("base", "method"), pair, strict=True))


def _read(run: Run, train: Dataset, test: Dataset) -> dict[str, float]:
    results = evaluate(Source.of_run(run, (train, test)))
    return {result.label: 100 * result.accuracy for result in results}


def _kept(run: Run) -> dict[str, float]:
    """The recording's own results for labels, in %."""
    return {label: 100 * result.accuracy for label, result in run.own_results().items()}


def _row(data: str, by: str, values: Sequence[Mapping[str, float]]) -> dict[str, object]:
    differences = [one["method"] - one["base"] for one in values]
    mean, low, high = mean_interval(differences)
    interval = f" [{low:+.1f}, {high:+.1f}]" if len(values) > 1 else ""  # one seed has none
    return {
        "read out on": data,
        "by": by,
        **{side: round(sum(one[side] for one in values) / len(values), 1) for side in ("base", "method")},
        "difference": f"{mean:+.1f}{interval}",
        "seeds": len(values),
        "verdict": VERDICTS[settled_sign(low, high, len(values))],
    }
