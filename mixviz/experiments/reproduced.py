"""A table of ``reproduce`` for readers: caption, header and rows from its result file, which may be incomplete."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixviz.paired import (
    VERDICTS,
    PairedDifference,
    mean_interval,
    paired_differences,
    seeds_to_settle,
    settled_sign,
)

JUDGED = "linear-features: label"  # the measure in which arms are compared
SHOWN = (JUDGED, "knn: label", "linear-features: rotation", "knn: rotation", "few-shot: label", "Fréchet distance")
ABOUT = {"network": "network", "train_images": "training {}", "epochs": "epochs", "batch_size": "batch"}
NONE = "–"

Table = Mapping[str, Any]  # as in the file


def reproduced_rows(table: Table) -> tuple[str, list[str], list[list[str]]]:
    """Caption, header and rows: an arm's accuracies, its difference to its base, its spread, the verdict.

    Other settings in which arms differ have their own columns; a dash marks what is not done yet. Measures other than
    accuracies are in ``further_rows``.
    """
    rows = _rows(table)
    measures, differing = [name for name in SHOWN if name in set(rows["measure"])], _differing(table)
    lines = []
    for arm, against in table["against"].items():
        own = rows[rows.method == arm]
        cells = [_text(table["arms"][arm][name]) for name in differing]
        cells += [_spread(own.loc[own.measure == measure, "accuracy"], measure) for measure in measures]
        lines.append([arm, *cells, *_compared(rows[rows.measure == JUDGED], arm, against)])
    header = ["arm", *(ABOUT[name].format(examples_of(table)) for name in differing), *measures]
    return _caption(table, differing), [*header, "against", "difference", "spread over seeds", "verdict"], lines


def further_rows(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the other measures: each arm next to its base, and the paired difference."""
    rows, lines = _rows(table), []
    for measure in dict.fromkeys(rows.loc[~rows.measure.isin(SHOWN), "measure"]):
        for arm, against in table["against"].items():
            both = rows[(rows.measure == measure) & rows.method.isin([arm, against])]
            if against is None or both["method"].nunique() < 2:
                continue
            (found,) = paired_differences(both, against)
            means = [f"{both.loc[both.method == name, 'accuracy'].mean():.3g}" for name in (arm, against)]
            interval = "" if found.low != found.low else f" [{found.low:+.2g}, {found.high:+.2g}]"
            lines.append([measure, arm, means[0], against, means[1], f"{found.mean:+.2g}{interval}", found.verdict])
    return ["measure", "arm", "here", "against", "there", "difference", "verdict"], lines


def examples_of(table: Table) -> str:
    """The word for examples of its data; older files have images."""
    return table.get("examples", "images")


def _rows(table: Table) -> pd.DataFrame:
    return pd.DataFrame(table["rows"]).rename(columns={"arm": "method", "value": "accuracy"})


def _compared(rows: pd.DataFrame, arm: str, against: str | None) -> list[str]:
    """The base, the mean difference with its interval, its standard deviation over seeds, and what it settles."""
    if against is None:
        return ["", "", "", ""]
    both = rows[rows.method.isin([arm, against])]
    if both["method"].nunique() < 2:
        return [against, NONE, NONE, NONE]
    (found,) = paired_differences(both, against)
    if not found.seeds:
        return [against, NONE, NONE, NONE]
    several = len(found.seeds) > 1
    interval = f" [{found.low:+.1f}, {found.high:+.1f}]" if several else ""
    spread = f"{pd.Series(found.differences).std():.1f}" if several else NONE
    return [against, f"{found.mean:+.1f}{interval}", spread, _verdict(found)]


def _verdict(found: PairedDifference) -> str:
    needed = seeds_to_settle(found.differences) if found.verdict == "not settled" else None
    return f"{found.verdict}; about {needed:,} seeds would" if needed else found.verdict


def setting_of(table: Table, columns: Sequence[str] = ()) -> str:
    """The setting of a result file in words: data, network, epochs, batch, seeds, device.

    columns: those of ``ABOUT`` to leave out, since the table shows them for each arm.
    """
    values = {name: _values(table, name) for name in ABOUT}
    training = "" if "train_images" in columns else f"{_join(values['train_images'])} training and "
    about = {
        "network": " or ".join(f"`{name}`" for name in values["network"]),
        "epochs": f"{_join(values['epochs'])} epochs",
        "batch_size": f"batches of {_join(values['batch_size'])}",
    }
    shared = [text for name, text in about.items() if name not in columns]
    seeds = _rows(table).groupby("method")["seed"].nunique().reindex(list(table["against"]), fill_value=0)
    counted = f"{seeds.max()} seed{'s' if seeds.max() > 1 else ''}"
    shared.append(counted if seeds.min() == seeds.max() else f"up to {counted}")
    images = f"{training}{table['test_images']:,} test {examples_of(table)}"
    return f"{table['data']} ({images}), {', '.join(shared)}, {_device(table)}"


def _caption(table: Table, columns: Sequence[str]) -> str:
    return (
        f"**{table['title']}** ({table['source']}): {setting_of(table, columns)}. "
        "Test accuracy in %, frozen backbone; difference of the linear probe "
        "of labels with its 95 % interval, and its standard deviation over seeds; from both follows how many seeds "
        f"would settle its sign.{_rounding(table)}"
    )


def _device(table: Table) -> str:
    """The device, and in brackets its details and the training time."""
    runs = table.get("runs", [])
    notes = [table[name] for name in ("processor", "dtype") if table.get(name) not in (None, "", table["device"])]
    threads = sorted({run["threads"] for run in runs if run["threads"]})
    if threads:
        notes.append(f"{_join(threads)} thread{'' if threads == [1] else 's'} a run")
    minutes = [run["minutes"] for run in runs if run["minutes"] is not None]
    if minutes:
        low, high = (f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in (min(minutes), max(minutes)))
        notes.append(f"{low if low == high else f'{low} to {high}'} minutes of training a run")
    if table.get("commit"):
        notes.append(f"commit {table['commit']}")
    return f"{table['device']} ({', '.join(notes)})" if notes else table["device"]


def _rounding(table: Table) -> str:
    """The effect of other rounding on one difference and, of several seeds, on its verdict; empty if not tried."""
    found = table.get("rounding")
    if not found:
        return ""
    once = (
        f" {found['arm']} minus {found['against']}, seed {found['seed']}, is {found['was']:+.1f}; trained again with "
        f"{found['changed']}, so that only rounding differs, {found['difference']:+.1f}."
    )
    rows = _rows(table)
    rows = rows[(rows.measure == JUDGED) & rows.method.isin([found["arm"], found["against"]])]
    (first,) = paired_differences(rows, found["against"])
    values = dict(zip(first.seeds, first.differences, strict=True)) | {found["seed"]: found["difference"]}
    if len(values) == 1:
        return once
    mean, low, high = mean_interval(list(values.values()))
    verdict = VERDICTS[settled_sign(low, high, len(values))]
    kept = f"{verdict}, as before" if verdict == first.verdict else f"{verdict}, no longer {first.verdict}"
    return (
        f"{once} With the latter, the difference over {len(values)} seeds is {mean:+.1f} [{low:+.1f}, {high:+.1f}]: "
        f"{kept}."
    )


def _differing(table: Table) -> list[str]:
    """Those of ``ABOUT`` in which the arms differ."""
    return [name for name in ABOUT if len(_values(table, name)) > 1]


def _values(table: Table, name: str) -> list[Any]:
    """For one of ``ABOUT``: the values that the arms have."""
    arms = table.get("arms", {}).values()
    return list(dict.fromkeys(arm[name] for arm in arms)) or [table[name]]


def _spread(values: pd.Series, measure: str) -> str:
    """Mean and standard deviation over seeds; accuracies to a tenth of a point, distances to 1e-4."""
    digits = 1 if ":" in measure else 4
    deviation = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}" if len(values) else NONE


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _join(values: Sequence[Any]) -> str:
    return " or ".join(map(_text, values))
