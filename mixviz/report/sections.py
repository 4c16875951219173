"""The sections of a report, on one run or several side by side."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixviz.analysis.duplicates import ALIKE, EXACT, KINDS, MOST, SIMILAR
from mixviz.analysis.mixpath import bootstrap_interval
from mixviz.build import seeded_generator
from mixviz.config import RunConfig
from mixviz.confusion import Confusion
from mixviz.data import Dataset
from mixviz.domains import domain_of
from mixviz.evaluate.fewshot import LinearFewShot
from mixviz.evaluate.robustness import LinearCorrupted
from mixviz.evaluate.storage import with_confusions, with_tables
from mixviz.film import Film
from mixviz.frameworks import FRAMEWORKS
from mixviz.mixing import MIXINGS
from mixviz.plots.classes import plot_class_accuracies, plot_confusion
from mixviz.plots.corruptions import plot_corruption_table, plot_severities
from mixviz.plots.fewshot import plot_few_shot
from mixviz.plots.film import plot_film_curve, plot_parents
from mixviz.plots.frechet import plot_regularisation
from mixviz.plots.geometry import plot_alignment_uniformity, plot_classes, plot_spectrum
from mixviz.plots.hardness import plot_hardness, plot_matching_probabilities, plot_synthetic, plot_temperature
from mixviz.plots.images import plot_sheet
from mixviz.plots.invariance import (
    plot_contributions,
    plot_factor_readout,
    plot_fingerprint,
    plot_invariance,
    plot_neighbours_per_head,
)
from mixviz.plots.mixpath import plot_calibration, plot_mix_path, plot_path_measure
from mixviz.plots.neighbours import plot_hubness, plot_neighbours, plot_purity
from mixviz.plots.projection import plot_projection
from mixviz.plots.style import figure
from mixviz.plots.targets import plot_contrast_table, plot_mass
from mixviz.report.html import Report
from mixviz.report.overview import NEIGHBOURS, Overview
from mixviz.runs import Run

Found = Mapping[str, Overview]  # by short name
ALL = "all"
MOVED = ("rotation", "hue", "crop")  # augmentations of images that are drawn strength by strength
PAIRS_NAMED, PAIRS_DRAWN = 20, 8  # duplicates that are listed, and shown
NEAREST_OF = 3  # the test image whose neighbours are shown head by head


def write_report(path: Path, found: Found) -> Path:
    """One chapter per question."""
    report = Report("mixviz: " + ", ".join(found))
    films = {name: one.film for name, one in found.items() if one.film is not None}
    what_was_trained(report, found)
    how_it_is_read_out(report, {name: one.run for name, one in found.items()})
    if films:
        how_it_learned(report, films)
    for chapter in (
        the_task,
        the_space,
        the_neighbours,
        the_duplicates,
        the_blends,
        the_invariances,
        the_regularisation,
    ):
        chapter(report, found)
    return report.write(path)


def what_was_trained(report: Report, found: Found) -> None:
    """Results with all that they depend on, and what the runs' settings differ in."""
    rows = []
    for name, one in found.items():
        environment = one.run.read_json("environment.json")
        for result in one.run.results:
            about = [result.data, result.encoder, result.label, result.target]
            rows.append([name, *about, f"{100 * result.accuracy:.1f}", f"{result.seed}", environment["device"]])
    report.heading("What was trained")
    if rows:
        header = ["method", "data", "encoder", "protocol", "target", "test accuracy, %", "seed", "device"]
        report.table(header, rows)
    else:
        report.text("Not evaluated yet: `python -m mixviz evaluate RUN`.", note=True)
    report.table(*differences({name: one.run.config for name, one in found.items()}))
    inexact = [name for name, one in found.items() if not one.exact]
    if inexact:
        report.text(
            f"Of {', '.join(inexact)} only the encoder is stored: it recomputes keys and queue from training views.",
            note=True,
        )


def how_it_is_read_out(report: Report, runs: Mapping[str, Run]) -> None:
    """Pictures of stored evaluations of labels: few labels, corruptions, class by class."""
    few = {name: few_shot_intervals(run) for name, run in runs.items()}
    if few := {name: intervals for name, intervals in few.items() if intervals}:
        report.heading("With few labels")
        report.figure(drawing(plot_few_shot, few, size=(7.5, 0.8 * len(few) + 1.4)), "A linear classifier (LooC).")
    own = {name: list(run.own_results().values()) for name, run in runs.items()}
    tables = {
        name: result.table
        for name, results in own.items()
        for result in with_tables(runs[name].path, results, LinearCorrupted.name)
        if not result.options
    }
    if tables:
        report.heading("On corrupted images")
        report.figure(drawing(plot_severities, tables), "The linear classifier was trained on clean images only.")
    for name, table in tables.items():
        report.figure(drawing(plot_corruption_table, table, name, size=(7.5, 4.5)), f"{name}: kind by kind.")
    by_protocol: dict[str, dict[str, Confusion]] = {}
    for name, results in own.items():
        for result in with_confusions(runs[name].path, results):
            assert result.confusion is not None
            by_protocol.setdefault(result.label, {})[name] = result.confusion
    for protocol, confusions in by_protocol.items():
        report.heading(f"Class by class: {protocol}")
        size = len(next(iter(confusions.values())).names)
        report.figure(drawing(plot_class_accuracies, confusions, size=(8, 0.3 * size + 1)), "The hardest class first.")
        for name, confusion in confusions.items():
            report.figure(drawing(plot_confusion, confusion, name, size=(7, 6.5)), f"{name}: confused classes.")


def few_shot_intervals(run: Run) -> dict[int, tuple[float, float, float]]:
    """Labels a class -> mean accuracy, low and high, of the backbone's results by ``few-shot``."""
    found = {}
    for result in run.own_results().values():
        if result.protocol == LinearFewShot.name:
            settings = result.settings
            found[settings["shots"]] = (result.accuracy, settings["low"], settings["high"])
    return found


def differences(configs: Mapping[str, RunConfig]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the settings: of several runs, the differing ones; of one, those that are not defaults.

    Settings of mixings that a run does not use are left out.
    """
    flat = [in_use(config) for config in configs.values()]
    compared = flat if len(flat) > 1 else [*flat, RunConfig.of().flat()]
    names = dict.fromkeys(name for values in flat for name in values)
    differing = [name for name in names if len({repr(values.get(name)) for values in compared}) > 1]
    rows = [[name, *[_text(values.get(name)) for values in flat]] for name in differing]
    return ["setting", *configs], rows


def in_use(config: RunConfig) -> dict[str, object]:
    """The settings, without those of mixings that are off."""
    unused = tuple(f"{name}_" for name in MIXINGS if name not in config.method.mixing)
    return {name: value for name, value in config.flat().items() if not name.startswith(unused)}


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return "–" if value is None else f"{value}"


def how_it_learned(report: Report, films: Mapping[str, Film]) -> None:
    report.heading("How it learned")
    report.text(
        "From the films: the same held-out training images at every epoch, in evaluation mode, queried by clean views."
    )
    curves = {
        "knn_accuracy/backbone": "Each probe by the majority of its nearest others: coarse, for comparing epochs.",
        "proxy_accuracy": "The contrastive task itself. Dashed: synthetic negatives compete as well.",
        "effective_negatives": "How many negatives push: the exponential of the entropy of their weights.",
        "false_negatives": "Negatives that are of the query's own class, among the hardest.",
        "effective_rank/all": "How many directions the embedding uses.",
    }
    for curve, caption in curves.items():
        if any(curve in film.curves for film in films.values()):
            report.figure(drawing(plot_film_curve, films, curve, with_synthetic=True), caption)
    for alignment in ("alignment", "class_alignment"):
        paths = {name: alignment_path(film, alignment) for name, film in films.items()}
        paths = {name: path for name, path in paths.items() if path is not None}
        if paths:
            report.figure(
                drawing(plot_alignment_uniformity, paths, alignment), "The path over training, from hollow to filled."
            )
    for name, film in films.items():
        if "hardness" in film.curves:
            parts = film.about["ranks"], film.curve("hardness"), film.epochs.tolist(), name
            report.figure(
                drawing(plot_matching_probabilities, *parts), "The hardest negatives, epoch by epoch (MoCHi, Fig. 2a)."
            )
        if "synthetic_similarity" in film.curves:
            report.figure(drawing(plot_parents, film), f"{name}: synthetic negatives and what they are mixed of.")
    if len([film for film in films.values() if "hardness" in film.curves]) > 1:
        report.figure(drawing(plot_hardness, films), "The hardest negatives after the last epoch.")


def alignment_path(film: Film, alignment: str) -> pd.DataFrame | None:
    """Uniformity and alignment of the embedding by epoch."""
    if f"{alignment}/{ALL}" not in film.curves:
        return None
    columns = {name: film.curve(f"{name}/{ALL}") for name in (alignment, "uniformity")}
    return pd.DataFrame(columns)


def the_task(report: Report, found: Found) -> None:
    report.heading("The task in the last epoch")
    report.text(
        "Queries are rows, candidates columns. The loss asks for the targets; the network's answers are the "
        "probabilities. Their gap moves the query: candidates above their target push it away."
    )
    for name, one in found.items():
        for what in ("targets", "probabilities"):
            report.figure(
                drawing(plot_contrast_table, one.task.table, what, title=name, size=(9, 4)), f"{name}: {what}."
            )
    masses = {name: one.task.mass for name, one in found.items()}
    report.figure(drawing(plot_mass, masses, size=(8, 0.45 * len(found) + 1.2)), "What moves the query.")
    for name, one in found.items():
        if note := FRAMEWORKS[one.run.config.method.framework].loss_note:
            report.text(f"{name}: {note}", note=True)
    tables = {name: one.task.response for name, one in found.items() if one.task.response is not None}
    if tables:
        marked = {name: one.task.temperature for name, one in found.items()}
        report.figure(drawing(plot_temperature, tables, marked), "The temperature decides how many negatives count.")
    for name, one in found.items():
        if one.task.synthetic is not None:
            report.figure(drawing(plot_synthetic, one.task.synthetic, name), "Synthetic negatives and their parents.")


def the_space(report: Report, found: Found) -> None:
    report.heading("The space of embeddings")
    embeddings = {name: one.geometry for name, one in found.items()}
    header = ["method", "embedding", "alignment", "class alignment", "uniformity", "effective rank"]
    rows = []
    for name, spaces in embeddings.items():
        for space, one in spaces.items():
            numbers = [one.summary.get(key) for key in ("alignment", "class_alignment", "uniformity", "effective_rank")]
            rows.append([name, space, *["–" if number is None else f"{number:.2f}" for number in numbers]])
    report.table(header, rows)
    report.text(f"Of {test_images(found)}; lower is better but for the effective rank.", note=True)
    report.figure(drawing(plot_spectrum, {name: spaces[ALL] for name, spaces in embeddings.items()}), "Spectrum.")
    tables = {name: table for name, spaces in embeddings.items() if (table := spaces[ALL].classes) is not None}
    if tables:
        names = next(iter(found.values())).test.class_names
        label = "alignment of a class (lower: its images lie closer)"
        height = 0.3 * len(next(iter(tables.values()))) + 1
        report.figure(drawing(plot_classes, tables, "alignment", names, label, size=(8, height)), "Class by class.")


def the_neighbours(report: Report, found: Found) -> None:
    report.heading("Neighbours")
    tables = {name: one.neighbourhood.classes for name, one in found.items() if one.neighbourhood.classes is not None}
    names = next(iter(found.values())).test.class_names
    if tables:
        height = 0.3 * len(next(iter(tables.values()))) + 1
        report.figure(drawing(plot_purity, tables, names, NEIGHBOURS, size=(8, height)), "By the backbone.")
    hubs = {name: one.neighbourhood.hubs for name, one in found.items()}
    report.figure(drawing(plot_hubness, hubs), "Points that are neighbours of many or of none.")
    for name, one in found.items():
        known = one.test.numbered_labels
        labels = torch.zeros(len(one.test)) if known is None else known
        report.figure(drawing(draw_neighbours, one, size=(8, 4.2)), f"{name}: nearest neighbours of six images.")
        shown = labels[: len(one.layout)].long()
        report.figure(
            drawing(plot_projection, one.layout, shown, names, name, one.trust, size=(7, 6)),
            f"{name}: {len(one.layout):,} {_unseen(one.test)}, projected by {one.projection.upper()}.",
        )


def draw_neighbours(ax: Axes, one: Overview) -> Axes:
    """Six images, of different classes if there are any, and their nearest."""
    index, labels, names = one.neighbourhood.index, one.test.numbered_labels, one.test.class_names
    if labels is None:
        picks, same, shown = list(range(min(6, len(one.test)))), None, []
    else:
        picks = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)][:6]
        same = (labels[index[picks]] == labels[picks][:, None]).numpy()
        shown = [names[int(labels[pick])] for pick in picks] if names else []
    pictures = domain_of(one.test).thumbnail(one.test.stored)
    return plot_neighbours(ax, pictures[picks], pictures[index[picks].numpy()], same, shown)


def the_duplicates(report: Report, found: Found) -> None:
    """Pairs by name, and those that are both trained and tested on."""
    report.heading("Duplicates")
    report.text(
        f"Exact: the same bytes once decoded. Near: a cosine of at least {SIMILAR} between centred features of the "
        f"backbone, and pixels that correlate by {ALIKE} or more. Mirrored: that near if one of the two is flipped."
    )
    for name, one in found.items():
        pairs, images = one.copies.pairs, one.copies.images
        examples = domain_of(images).examples
        counts = pairs["kind"].value_counts().to_dict()
        kinds = ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in (EXACT, *KINDS))
        more = " or more" if len(pairs) == MOST else ""
        report.text(f"{name}: {len(pairs):,}{more} pairs among {len(images):,} {examples}: {kinds}.")
        if across := int(pairs["across"].sum()):
            report.text(f"{across:,} of the pairs lie across train and test, so results on test flatter.", note=True)
        if len(pairs):
            sides = np.where(np.arange(len(images)) < one.copies.train_images, "train", "test")
            named = [f"{origin} ({side})" for origin, side in zip(images.origins, sides, strict=True)]
            columns = [pairs[:PAIRS_NAMED][column].tolist() for column in ("first", "second", "similarity", "kind")]
            rows = [[named[i], named[j], f"{cosine:.3f}", kind] for i, j, cosine, kind in zip(*columns, strict=True)]
            report.table(["first", "second", "cosine", "kind"], rows)
            report.figure(drawing(draw_duplicates, one, size=(8, 2.4)), f"{name}: the most similar pairs, in columns.")


def draw_duplicates(ax: Axes, one: Overview) -> Axes:
    pairs = one.copies.pairs[:PAIRS_DRAWN]
    pictures = domain_of(one.test).thumbnail(one.copies.images.stored)
    return plot_sheet(ax, [pictures[pairs[side]] for side in ("first", "second")], ["first", "second"])


def the_blends(report: Report, found: Found) -> None:
    report.heading("Blends of two images")
    for name, one in found.items():
        report.figure(drawing(plot_mix_path, one.blends.paths["mixup"], name, size=(6.5, 4)), f"{name}: mixup.")
    calibrations = {name: one.blends.calibrations for name, one in found.items()}
    report.figure(
        drawing(plot_calibration, calibrations, size=(8.5, 4.5)),
        "Does the share of a source in the softmax follow its share in the image? Each at its own temperature, on "
        "which this depends.",
    )
    label = "error at the temperature that suits each network best (lower is better)"
    table = pd.concat([measure_table(name, one, "fitted_error") for name, one in found.items()])
    report.figure(drawing(plot_path_measure, table, label, size=(8, 0.5 * len(found) + 1)), "Mean and 95 % interval.")


def measure_table(name: str, one: Overview, measure: str) -> pd.DataFrame:
    """Mean and 95 % interval of a measure over pairs, one row for mixup and one for CutMix."""
    rows = []
    for kind, values in one.blends.measures.items():
        values = torch.tensor(values[measure].tolist())
        mean, low, high = bootstrap_interval(values, seeded_generator("cpu", "bootstrap", measure))
        rows.append({"method": name, "kind": kind, "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows)


def the_invariances(report: Report, found: Found) -> None:
    report.heading("What each embedding ignores")
    report.text(
        "An embedding that does not move with an augmentation is invariant to it. One that moves may still not show by "
        "how much: the readout predicts the augmentation's parameter by a linear map."
    )
    for name, one in found.items():
        size = (7.5, 0.45 * len(one.per_head) + 1.4)
        if one.invariance is not None:
            for column in ("fall_off", "readout"):
                report.figure(drawing(plot_fingerprint, one.invariance, column, size=size), name)
        for augmentation in [name for name in MOVED if name in one.moved] or list(one.moved):
            table = one.moved[augmentation]
            report.figure(drawing(plot_invariance, table, size=(7, 3)), f"{name}: the stronger, the farther?")
        if one.factors is not None:
            report.figure(drawing(plot_factor_readout, one.factors, size=size), f"{name}: what each head keeps.")
        if one.contribution is not None:
            report.figure(drawing(plot_contributions, one.contribution, size=(7, 3.5)), f"{name}: parts of decisions.")
            pictures = domain_of(one.test).thumbnail(one.test.stored)
            nearest = {head: index[NEAREST_OF] for head, index in one.per_head.items()}
            report.figure(
                drawing(plot_neighbours_per_head, pictures, NEAREST_OF, nearest, size=(7, 0.9 * len(nearest))),
                f"{name}: the nearest images in each head.",
            )


def the_regularisation(report: Report, found: Found) -> None:
    report.heading("Training images against new ones")
    parts = {name: one.regularisation for name, one in found.items()}
    report.figure(
        drawing(plot_regularisation, parts, size=(7.5, 0.8 * len(found) + 1)),
        "The less an encoder memorises its training images, the nearer the dots are to the noise floor.",
    )


def test_images(found: Found) -> str:
    one = next(iter(found.values()))
    return f"{len(one.test):,} {_unseen(one.test)} of {one.test.name}"


def _unseen(images: Dataset) -> str:
    """Such as ``test images``."""
    return f"{'test' if images.split == 'test' else 'held-out'} {domain_of(images).examples}"


def drawing(plot: Callable[..., Axes], *parts: object, size: tuple[float, float] = (7.5, 4), **options: object):
    """Draw a figure with just this plot, when it is needed."""

    def draw() -> Figure:
        drawn = figure(*size)
        plot(drawn.add_subplot(), *parts, **options)
        return drawn

    return draw
