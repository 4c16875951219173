"""Every paper's method on the built-in glyphs, trained, read out and reported in minutes, offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from mixviz.augment import make_views
from mixviz.build import build_embedder, seeded_generator
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of, clean, inputs_of
from mixviz.evaluate import Result, evaluate
from mixviz.experiments.study import MOCO
from mixviz.experiments.supervised import train_supervised
from mixviz.plots.curves import plot_curves
from mixviz.plots.images import plot_sheet
from mixviz.plots.results import plot_accuracies
from mixviz.plots.style import figure
from mixviz.report.html import Report
from mixviz.runs import Run, folder_name
from mixviz.train import trained

# Chosen by trial on other glyphs: hue jitter as strong as it can be, or instances are told apart by their colour; on
# MoCo-v2 BatchNorm on the head's output and a queue of two batches; for MixCo the temperature of the authors' ImageNet
# runs, since that of their small-data runs drowns the plain loss.
SHARED: dict[str, Any] = {
    "data": "glyphs",
    "epochs": 6,
    "batch_size": 128,
    "hue": 0.5,
    "temperature": 0.2,
    "knn_every": 2,
}
NPAIR: dict[str, Any] = {"framework": "n-pair", "lr": 0.3}
TURNED: dict[str, Any] = {"rotation": 0.5}
METHODS: dict[str, dict[str, Any]] = {
    "moco-v2": MOCO,
    "moco-v2 + mixco": {**MOCO, "mixing": ["mixco"]},
    "moco-v2 + mochi": {**MOCO, "mixing": ["mochi"]},
    "moco-v2 + imix": {**MOCO, "mixing": ["imix"]},
    "n-pair": NPAIR,
    "n-pair + imix": {**NPAIR, "mixing": ["imix"]},
    "n-pair (turned)": {**NPAIR, **TURNED},
    "n-pair + looc (turned)": {**NPAIR, **TURNED, "mixing": ["looc"], "looc_left_out": ["color", "rotation"]},
}
QUICK = ("moco-v2", "moco-v2 + mixco", "moco-v2 + mochi", "moco-v2 + imix", "n-pair (turned)", "n-pair + looc (turned)")
QUICK_EPOCHS = 2
PROTOCOL_NAMES = {"linear-features": "linear", "knn": "kNN"}
TARGETS = {"label": "shape", "hue": "hue", "rotation": "orientation"}


def tour_of_one_seed(
    seed: int,
    sets: tuple[Dataset, Dataset],
    root: Path,
    quick: bool,
    rows: list[dict[str, Any]],
    runs: list[tuple[str, Run]],
) -> None:
    """Train and read out everything once; adds to the rows of the table and to the runs."""
    rows += references(seed, sets, tour_config("moco-v2", seed, quick), quick)
    for name in QUICK if quick else METHODS:
        run = trained(tour_config(name, seed, quick), f"{folder_name(name)}-seed{seed}", root, sets[0])
        results = evaluate(run.encoder(), *sets, targets=list(TARGETS), seed=seed)
        run.add_results([result.to_dict() for result in results])
        rows += [row_of(name, result) for result in results]
        runs.append((name, run))


def tour_config(name: str, seed: int, quick: bool) -> RunConfig:
    """The config of a run of the tour."""
    settings = {**SHARED, **METHODS[name], "seed": seed}
    if quick:
        settings["epochs"] = QUICK_EPOCHS
    return RunConfig.of(**settings)


def references(seed: int, sets: tuple[Dataset, Dataset], config: RunConfig, quick: bool) -> list[dict[str, Any]]:
    """Rows of what stands below and above the methods: raw pixels, an untrained encoder, a supervised one.

    quick: of raw pixels, whose probe is the slowest of all, shape alone.
    """
    images = sets[0]
    untrained = build_embedder(config, *inputs_of(images)).eval()
    supervised = train_supervised(config, images)
    encoders = {"raw pixels": None, "random encoder": untrained, "supervised": supervised}
    rows = []
    for name, embedder in encoders.items():
        targets = ["label"] if quick and embedder is None else list(TARGETS)
        rows += [row_of(name, result) for result in evaluate(embedder, *sets, name, targets, seed=seed)]
    return rows


def row_of(method: str, result: Result) -> dict[str, Any]:
    keep = {"protocol": result.protocol, "target": result.target, "seed": result.seed, "accuracy": result.accuracy}
    return {"method": method, **keep}


def summary(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows: shape by linear probe and kNN, the other factors by linear probe; mean and sd over seeds."""
    columns = [("label", "linear-features"), ("label", "knn"), *[(t, "linear-features") for t in list(TARGETS)[1:]]]
    header = ["encoder", *[f"{TARGETS[target]}, {PROTOCOL_NAMES[protocol]}" for target, protocol in columns]]
    rows = []
    for method in order_of(table):
        cells = [table[(table.method == method) & (table.target == t) & (table.protocol == p)] for t, p in columns]
        rows.append([method, *[_mean(cell["accuracy"]) for cell in cells]])
    return header, rows


def order_of(table: pd.DataFrame) -> list[str]:
    """The methods of the table, between what stands below and above them."""
    return ["raw pixels", "random encoder", *[name for name in METHODS if name in set(table["method"])], "supervised"]


def _mean(accuracies: pd.Series) -> str:
    if accuracies.empty:
        return "–"
    spread = f" ± {100 * accuracies.std():.1f}" if len(accuracies) > 1 else ""
    return f"{100 * accuracies.mean():.1f}{spread}"


def describe(runs: Sequence[Run], sets: tuple[Dataset, Dataset], seeds: int, minutes: float) -> str:
    """What stands beside every number of the tour."""
    config, environment = runs[0].config, runs[0].read_json("environment.json")
    epochs = " and ".join(map(str, sorted({run.config.train.epochs for run in runs})))
    return (
        f"glyphs ({len(sets[0]):,} training and {len(sets[1]):,} test images), {config.encoder.backbone}, "
        f"{epochs} epochs, batches of {config.train.batch_size}, {seeds} seed{'s' if seeds > 1 else ''}, "
        f"{environment['device']} ({environment['threads']} threads), {minutes:.1f} minutes. Test accuracy in %, "
        "frozen encoders; the settings of the linear probe were chosen on a fifth of train."
    )


def write_report(
    path: Path, caption: str, table: pd.DataFrame, runs: Sequence[tuple[str, Run]], sets: tuple[Dataset, Dataset]
) -> Path:
    """One HTML file with everything that the tour found."""
    config = runs[0][1].config
    report = Report("mixviz: a tour of mixing in contrastive learning")
    report.text(caption, note=True)
    report.heading("What the encoders see")
    report.figure(lambda: draw_samples(sets[0]), "A row a shape, in any hue, texture and one of four orientations.")
    report.figure(
        lambda: draw_views(sets[0], config),
        "First row: images. Below: two views of each. A contrastive method calls the views of one image alike, so it "
        "learns to ignore what differs between them: place, size, blur and hue.",
    )
    report.heading("What they learned")
    report.table(*summary(table))
    report.text(
        "Shape is what the views have in common. Hue is what colour jitter takes away, and orientation what rotation "
        "takes away in the runs that are marked as turned; LooC gives each a space of its own, which keeps it."
    )
    for target, name in TARGETS.items():
        report.figure(lambda target=target, name=name: draw_bars(table, target, name), f"Linear probe of {name}.")
    report.heading("How they learned")
    first = {name: run.metrics for name, run in reversed(runs)}
    for column in ("knn_accuracy", "proxy_accuracy_clean"):
        report.figure(lambda column=column: draw_curves(first, column), "The first seed of each method.")
    report.heading("Go on")
    report.text("`python -m mixviz train --help` trains on your own images; `python -m mixviz list` shows the runs.")
    return report.write(path)


def draw_samples(images: Dataset) -> Figure:
    drawn = figure(7, 7)
    picks = [np.flatnonzero(images.labels == shape)[:16] for shape in range(len(images.class_names))]
    plot_sheet(drawn.add_subplot(), [images.stored[index] for index in picks], images.class_names)
    return drawn


def draw_views(images: Dataset, config: RunConfig) -> Figure:
    drawn = figure(7, 1.6)
    batch, augmentation = clean(images, slice(16)), augmentation_of(config.augment, images)
    views = make_views(batch, augmentation, seeded_generator(torch.device("cpu"), 0, "report"))
    rows = [batch, *[view.inputs for view in views]]
    plot_sheet(drawn.add_subplot(), [row.permute(0, 2, 3, 1).numpy() for row in rows], ["image", "query", "key"])
    return drawn


def draw_bars(table: pd.DataFrame, target: str, name: str) -> Figure:
    rows = table[(table["target"] == target) & (table["protocol"] == "linear-features")]
    rows = rows.sort_values("method", key=lambda names: names.map(order_of(table).index), kind="stable")
    drawn = figure(7, 0.34 * rows["method"].nunique() + 0.9)
    plot_accuracies(drawn.add_subplot(), rows, f"{name}, linear probe on frozen features")
    return drawn


def draw_curves(metrics: dict[str, pd.DataFrame], column: str) -> Figure:
    drawn = figure(7, 3.6)
    plot_curves(drawn.add_subplot(), metrics, column)
    return drawn
