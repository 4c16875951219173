"""A table's measures besides accuracies, by name: each of a finished run and its images.

Accuracies are in %.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from mixviz.analysis.frechet import frechet_distance
from mixviz.analysis.geometry import geometry
from mixviz.analysis.heads import ALL, embed_set, factor_readout, head_names, heads
from mixviz.build import hold_out
from mixviz.data import Dataset, load
from mixviz.domains import domain_of
from mixviz.encoders import Embedder, recompute_statistics
from mixviz.evaluate import Source, evaluate, extract, read_out
from mixviz.experiments.arms import Sets
from mixviz.experiments.result_file import kept_measures
from mixviz.experiments.study import blend_measures, head_measures, proxy_measures
from mixviz.runs import Run
from mixviz.train import clean_batches

PROTOCOLS = ("linear-features", "knn")
PROBES = 5  # of a transfer
FRECHET_IMAGES = 2000  # of train and of test, at most


def clean_statistics(run: Run, sets: Sets) -> dict[str, float]:
    """Both protocols on a copy of the encoder whose BatchNorm statistics are those of clean training images."""
    source = Source.of_run(run, sets)
    encoder = copy.deepcopy(source.embedder)
    assert encoder is not None  # a run's source has one
    train = sets[0].select(hold_out(len(sets[0]), run.config.data.holdout)[1].numpy())
    recompute_statistics(
        encoder, (batch.to(encoder.device) for batch in clean_batches(train.tensor(), domain_of(train)))
    )
    results = evaluate(replace(source, embedder=encoder, encoder="backbone, clean statistics"))
    return {f"{result.label}: label, clean statistics": 100 * result.accuracy for result in results}


def transfer(run: Run, sets: Sets) -> dict[str, float]:
    """Both protocols on images that the encoder was not trained on: the digits that come with scikit-learn.

    Mean over several draws of the images on which the probe's weight decay is chosen, which move it by half a point.
    """
    if sets[0].domain != "image" or run.config.data.data == "optical-digits":
        return {}
    size = sets[0].stored.shape[1]
    train, test = (load("optical-digits", split, image_size=size) for split in ("train", "test"))
    source = Source.of_run(run, sets).on((train, test))
    embedder = source.embedder
    assert embedder is not None  # a run's source has one
    features = extract(embedder, train), extract(embedder, test)
    drawn = [evaluate(replace(source, features=features, seed=seed)) for seed in range(PROBES)]
    return {
        f"{results[0].label}: label of {train.name}": 100 * float(np.mean([result.accuracy for result in results]))
        for results in zip(*drawn, strict=True)
    }


def few_labels(run: Run, sets: Sets) -> dict[str, float]:
    """Five labels a class, ten trials (LooC, Flowers-102)."""
    (result,) = evaluate(Source.of_run(run, sets), protocols=["few-shot"])
    return {"few-shot: label": 100 * result.accuracy}


def proxy_task(run: Run, sets: Sets) -> dict[str, float]:
    """In the last epoch of training: how often the key ranks first, with and without synthetic negatives."""
    return proxy_measures(run)


def over_training(run: Run, sets: Sets) -> dict[str, float]:
    """How many negatives compete for a query and how many of the hardest are false, after the first and last epoch.

    Of held-out images in the film (MoCHi, Figs. 2a and 2c).
    """
    if not run.config.train.film_frames:
        return {}
    film, found = run.film, {}
    for name in ("effective_negatives", "false_negatives"):
        if name in film.curves:
            curve = film.curve(name)[film.epochs > 0]
            called, scale = name.replace("_", " "), 100 if name == "false_negatives" else 1
            found |= {f"{called}, first": scale * float(curve[0]), f"{called}, last": scale * float(curve[-1])}
    return found


def spread(run: Run, sets: Sets) -> dict[str, float]:
    """Uniformity, effective rank and class alignment of test embeddings, of the backbone and of each head."""
    labels = None if sets[1].labels is None else torch.as_tensor(sets[1].labels)
    found = {}
    for name, embeddings in embed_set(run.encoder(), sets[1], head_names(run.config)).items():
        numbers = geometry(embeddings, labels).summary
        found |= {f"{key.replace('_', ' ')}: {'head' if name == ALL else name}": v for key, v in numbers.items()}
    return found


def turn(images: Dataset) -> Dataset:
    """The images, each rotated by 0 to 3 quarter turns, which become its factor ``rotation`` (LooC, Table 1)."""
    quarters = np.random.default_rng(0).integers(0, 4, len(images))
    turned = np.array(images.stored)
    for quarter in (1, 2, 3):
        turned[quarters == quarter] = np.rot90(turned[quarters == quarter], quarter, axes=(1, 2))
    return replace(images, stored=turned, factors={**images.factors, "rotation": quarters})


def train_to_test(embedder: Embedder, sets: Sets, holdout: int) -> float:
    """Fréchet distance between unit-length features of as many training as test images; lower is nearer.

    Both are drawn at random, the former without the ``holdout`` images that were held out of training.
    """
    trained_on = sets[0].select(hold_out(len(sets[0]), holdout)[1])
    n = min(FRECHET_IMAGES, len(trained_on), len(sets[1]))
    drawn = [images.sample(n) for images in (trained_on, sets[1])]
    parts = [F.normalize(extract(embedder, images).float(), dim=1) for images in drawn]
    return frechet_distance(*parts)


def rotation_by_head(run: Run, sets: Sets) -> dict[str, float]:
    """kNN accuracy of four orientations, from the backbone and from each embedding space."""
    turned, names = [turn(images) for images in sets], head_names(run.config)
    seen = [embed_set(run.encoder(), images, names) for images in turned]
    table = factor_readout(seen[0], seen[1], turned[0], turned[1], ("rotation",), "knn")
    return {f"knn: rotation, {row['head']}": 100 * row["accuracy"] for row in table.to_dict("records")}


def read_outs(run: Run, targets: Sequence[str], sets: Sets) -> dict[str, float]:
    """Every protocol for every target, each evaluated once and stored in the run's folder."""
    found = {}
    for target in targets:
        turned = target == "rotation" and "rotation" not in sets[0].factors
        used = (turn(sets[0]), turn(sets[1])) if turned else sets
        results = read_out(run, used, [target], PROTOCOLS)
        found |= {f"{result.label}: {target}": 100 * result.accuracy for result in results}
    return found


def is_read_out(run: Run) -> bool:
    """Whether every protocol was evaluated for labels."""
    return run.own_results().keys() >= set(PROTOCOLS)


def measures_of(run: Run, names: Sequence[str], sets: Sets) -> dict[str, float]:
    """The values of these measures, each computed once."""
    found = {}
    for name in names:
        found |= kept_measures(run, name, partial(MEASURES[name], run, sets))
    return found


MEASURES: dict[str, Callable[[Run, Sets], dict[str, float]]] = {
    "Fréchet distance": lambda run, sets: {
        "Fréchet distance": train_to_test(run.encoder(), sets, run.config.data.holdout)
    },
    "rotation by head": rotation_by_head,
    "clean statistics": clean_statistics,
    "transfer": transfer,
    "few labels": few_labels,
    "proxy task": proxy_task,
    "over training": over_training,
    "spread": spread,
    "blends": lambda run, sets: blend_measures(run, sets[1]),
    "heads": lambda run, sets: head_measures(partial(heads, run.encoder(), names=head_names(run.config)), sets[1]),
}
