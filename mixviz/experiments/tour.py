"""Every paper's method on the built-in glyphs, trained, evaluated and reported in minutes, offline."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from mixviz.encoders import Embedder
from mixviz.evaluate import Source, evaluate, read_out
from mixviz.experiments.arms import GLYPHS, IMIX, LOOC, MIXCO, MOCHI, MOCO, NPAIR, Arm, Experiment, Sets
from mixviz.experiments.reproduced import setting_of
from mixviz.experiments.supervised import train_supervised
from mixviz.experiments.tasks import Rows, Task
from mixviz.files import write_json
from mixviz.plots.curves import plot_curves
from mixviz.plots.images import plot_sheet
from mixviz.plots.results import plot_accuracies
from mixviz.plots.style import figure
from mixviz.report.html import Report
from mixviz.runs import Run

SHARED = {**GLYPHS, "epochs": 5, "knn_every": 2}
SHORT = {**SHARED, **MOCO, "lr": 0.03}  # at 0.06 the loss of five epochs rises again in the last
TURNED = {**SHARED, **NPAIR, "rotation": 0.5}
ARMS = (
    Arm("moco-v2", SHORT),
    Arm("moco-v2 + mixco", {**SHORT, **MIXCO}, "moco-v2"),
    Arm("moco-v2 + mochi", {**SHORT, **MOCHI}, "moco-v2"),
    Arm("moco-v2 + imix", {**SHORT, **IMIX}, "moco-v2"),
    Arm("n-pair (turned)", TURNED),
    Arm("n-pair + looc (turned)", {**TURNED, **LOOC}, "n-pair (turned)"),
)
QUICK = {"epochs": 2, "train_images": 4000}
BELOW, ABOVE = ("raw pixels", "random encoder"), ("supervised",)  # baselines of the methods
PROTOCOLS = ("linear-features", "knn")
ONE_SEED = (
    "One seed says nothing about which method is better: differences of a few points change with the seed. The tables "
    "in data/results have differences over several seeds with their intervals."
)
PROTOCOL_NAMES = {"linear-features": "linear", "knn": "kNN"}
TARGETS = {"label": "shape", "hue": "hue", "rotation": "orientation"}
MEASURES = tuple(f"{protocol}: {target}" for protocol in PROTOCOLS for target in TARGETS)


@dataclass(frozen=True, kw_only=True)
class Tour(Experiment):
    """Every method."""

    quick: bool = False

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        results = read_out(run, sets, list(TARGETS), PROTOCOLS)
        return {f"{result.label}: {result.target}": 100 * result.accuracy for result in results}

    def is_measured(self, run: Run) -> bool:
        return all(run.own_results(target).keys() >= set(PROTOCOLS) for target in TARGETS)


@dataclass(frozen=True, kw_only=True)
class Reference(Task):
    """A baseline encoder; it has no run, only a file with its accuracies."""

    experiment: Tour

    @property
    def name(self) -> str:
        return f"{self.arm.name.replace(' ', '-')}-seed{self.seed}"

    @property
    def epochs(self) -> int:
        return self.config.train.epochs if self.arm.name == "supervised" else 0

    @property
    def epochs_done(self) -> int:
        return self.epochs if self.is_done else 0

    @property
    def is_done(self) -> bool:
        return self._kept().get("config") == self.config.model_dump(mode="json")

    def carry_out(self, sets: Sets, on_epoch: Callable[[], None] = lambda: None) -> Rows:
        """The accuracies: from the file, or of an encoder that is built or trained now."""
        if not self.is_done:
            raw = self.arm.name == "raw pixels"
            targets = ["label"] if raw and self.experiment.quick else list(TARGETS)  # the slowest probe
            about = {"encoder": self.arm.name, "seed": self.seed}
            source = Source(embedder=self.encoder(sets[0]), train=sets[0], test=sets[1], **about)
            results = evaluate(source, targets, PROTOCOLS)
            found = {f"{result.label}: {result.target}": 100 * result.accuracy for result in results}
            write_json(self._file, {"config": self.config.model_dump(mode="json"), "measures": found})
        return [{"measure": name, "value": value, "run": ""} for name, value in self._kept()["measures"].items()]

    def encoder(self, images: Dataset) -> Embedder | None:
        """The embedder; None for raw pixels."""
        if self.arm.name == "raw pixels":
            return None
        if self.arm.name == "supervised":
            return train_supervised(self.config, images, progress=False)
        return build_embedder(self.config, *inputs_of(images)).eval()

    @property
    def _file(self) -> Path:
        return self.root / f"{self.name}.json"

    def _kept(self) -> Mapping[str, Any]:
        return json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}


def tour(quick: bool = False, **changes: Any) -> Tour:
    """The tour. quick: fewer epochs and images. changes: to the settings of every arm."""
    changes = {**(QUICK if quick else {}), **changes}
    arms = tuple(replace(arm, settings={**arm.settings, **changes}) for arm in ARMS)
    return Tour(name="tour", title="The tour", arms=arms, quick=quick)


def references(made: Tour, seeds: Sequence[int], root: Path) -> list[Task]:
    """The baselines, with the settings of the first method."""
    return [
        Reference(experiment=made, arm=replace(made.arms[0], name=name), seed=seed, root=root)
        for seed in seeds
        for name in (*BELOW, *ABOVE)
    ]


def summary(table: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: shape by linear probe and kNN, the other factors by linear probe; mean and sd over seeds."""
    columns = ["linear-features: label", "knn: label", *[f"linear-features: {target}" for target in list(TARGETS)[1:]]]
    parts = [name.split(": ") for name in columns]
    header = ["encoder", *[f"{TARGETS[target]}, {PROTOCOL_NAMES[protocol]}" for protocol, target in parts]]
    values = pd.DataFrame(table["rows"]).groupby(["arm", "measure"])["value"]
    found = {key: _mean(of_arm) for key, of_arm in values}
    return header, [[arm, *[found.get((arm, name), "–") for name in columns]] for arm in order_of(table)]


def order_of(table: Mapping[str, Any]) -> list[str]:
    """The arms of the table, between the lower and the upper baselines."""
    there = {row["arm"] for row in table["rows"]}
    return [name for name in (*BELOW, *table["against"], *ABOVE) if name in there]


def caption_of(table: Mapping[str, Any]) -> str:
    """The caption of the tour's table."""
    return (
        f"{setting_of(table)}. Test accuracy in %, frozen encoders; the settings of the linear probe were chosen on a "
        "fifth of train."
    )


def _mean(values: pd.Series) -> str:
    spread = f" ± {values.std():.1f}" if len(values) > 1 else ""
    return f"{values.mean():.1f}{spread}"


def write_report(path: Path, table: Mapping[str, Any], root: Path, sets: Sets) -> Path:
    """One HTML file with all results of the tour. root: of the run folders."""
    runs = {run["arm"]: Run(root / run["run"]) for run in reversed(table["runs"])}
    config = next(iter(runs.values())).config
    report = Report("mixviz: a tour of mixing in contrastive learning")
    report.text(caption_of(table), note=True)
    report.heading("What the encoders see")
    report.figure(lambda: draw_samples(sets[0]), "One row per shape, in any hue, texture and one of four orientations.")
    report.figure(
        lambda: draw_views(sets[0], config),
        "First row: images. Below: two views of each. A contrastive method makes the views of one image alike, so it "
        "learns to ignore what differs between them: place, size, blur and hue.",
    )
    report.heading("What they learned")
    report.table(*summary(table))
    report.text(ONE_SEED, note=True)
    report.text(
        "Shape is what the views have in common. Colour jitter removes hue, and in the runs marked as turned rotation "
        "removes orientation; LooC gives each its own space, which keeps it."
    )
    for target, name in TARGETS.items():
        report.figure(lambda target=target, name=name: draw_bars(table, target, name), f"Linear probe of {name}.")
    report.heading("How they learned")
    first = {name: runs[name].metrics for name in table["against"] if name in runs}
    for column in ("knn_accuracy", "proxy_accuracy_clean"):
        report.figure(lambda column=column: draw_curves(first, column), "The first seed of each method.")
    report.heading("What next")
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


def draw_bars(table: Mapping[str, Any], target: str, name: str) -> Figure:
    rows = [row for row in table["rows"] if row["measure"] == f"linear-features: {target}"]
    rows = pd.DataFrame([{"method": r["arm"], "seed": r["seed"], "accuracy": r["value"] / 100} for r in rows])
    rows = rows.sort_values("method", key=lambda names: names.map(order_of(table).index), kind="stable")
    drawn = figure(7, 0.34 * rows["method"].nunique() + 0.9)
    plot_accuracies(drawn.add_subplot(), rows, f"{name}, linear probe on frozen features")
    return drawn


def draw_curves(metrics: dict[str, pd.DataFrame], column: str) -> Figure:
    drawn = figure(7, 3.6)
    plot_curves(drawn.add_subplot(), metrics, column)
    return drawn
