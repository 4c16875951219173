"""The full linear evaluation of recorded encoders, base against method, live and on images that everybody has.

The handwritten digits that come with scikit-learn are none of the images that the encoders were trained on, so this is
a transfer: the same frozen encoders, other images. Beside it stands what they were read out at on the test images of
their own data set when they were recorded.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.errors import UserError
from mixviz.evaluate import DEFAULTS, Source, evaluate
from mixviz.paired import VERDICTS, mean_interval, settled_sign
from mixviz.pretrained import available
from mixviz.runs import Run


def pairs_of(base: str, method: str) -> list[tuple[Run, Run]]:
    """Recordings of base and method with the same seed, by the names that they have before ``-seed``.

    Raises UserError where there is none.
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
