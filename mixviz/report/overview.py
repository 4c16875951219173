"""All analyses of one run: what ``report`` draws, and what a notebook can use parts of.

Images are those of the run's own data set: test images, on which nothing is selected; if there are none, the held-out
training images.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.analysis.frechet import Regularisation, regularisation
from mixviz.analysis.geometry import Geometry, geometry
from mixviz.analysis.hardness import SyntheticPoints, synthetic_points, temperature_response
from mixviz.analysis.heads import (
    BACKBONE,
    HeadContribution,
    Heads,
    embed_set,
    factor_readout,
    head_contribution,
    head_names,
    heads,
    nearest_per_head,
)
from mixviz.analysis.invariance import EmbedHeads, canonical_glyphs, fingerprint, invariance
from mixviz.analysis.mixpath import Calibration, MixPath, calibration, mix_path, path_measures, unit_embed
from mixviz.analysis.neighbours import Hubness, hubness, nearest, purity, purity_table
from mixviz.analysis.projection import pca, project_umap, trustworthiness
from mixviz.analysis.targets import ContrastTable, contrast_table, mean_mass
from mixviz.augment import make_views
from mixviz.build import TrainSets, seeded_generator
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.data.dataset import joined
from mixviz.domains import augmentation_of, clean, domain_of, prepared
from mixviz.embedding import duplicate_rows
from mixviz.encoders import Embedder
from mixviz.errors import NoTestSplit, UserError
from mixviz.film import Film
from mixviz.method import Method
from mixviz.pretrained import restore
from mixviz.runs import Run
from mixviz.terms import Term

SHOWN = 16  # images of a contrast table
PAIRS = 300  # of images that are blended
MOVED = 500  # images that are changed by augmentations
READ = 1000  # images from which their parameters are predicted, in train and in test
DECIDED = 3000  # images of train and of test for a classifier on the heads
NEIGHBOURS = 10
COMPARED = 3000  # images of train and of test that duplicates are looked for among
PROJECTED = 2000  # points of a projection
LAMS = torch.linspace(0, 1, 11)
TEMPERATURES = np.geomspace(0.01, 2, 25)
PROJECTIONS = {"pca": pca, "umap": project_umap}
AUGMENTATIONS = ("rotation", "hue", "grayscale", "crop", "blur", "texture")


@dataclass(frozen=True, kw_only=True)
class Task:
    """The proxy task of the last epoch, on one batch of held-out training images."""

    table: ContrastTable  # of few queries: blends if the method makes some, LooC's second space if it has one
    mass: pd.DataFrame  # of a whole batch, by kind of candidate
    temperature: float  # of the queries
    response: pd.DataFrame | None  # to other temperatures; None without negatives
    synthetic: SyntheticPoints | None


@dataclass(frozen=True)
class Blends:
    """How the network responds to blends of two images."""

    paths: dict[str, MixPath]  # mixup, cutmix
    calibrations: dict[str, Calibration]  # at the temperature that the method uses for blends
    measures: dict[str, pd.DataFrame]  # one row a pair


@dataclass(frozen=True)
class Neighbourhood:
    """Nearest neighbours among the test images, by the backbone."""

    index: Tensor  # (n, k)
    hubs: Hubness
    classes: pd.DataFrame | None  # purity by class


@dataclass(frozen=True)
class Copies:
    """Images that show the same or nearly so, among those of train and test."""

    images: Dataset  # of train, then of test
    train_images: int
    pairs: pd.DataFrame  # as of ``duplicates``, with ``across``: whether one is in train and the other in test


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All analyses of a run; those that need labels are None without."""

    run: Run
    film: Film | None
    test: Dataset  # or the held-out images, if the data have no test split
    exact: bool  # False: a recording, whose keys and queue were recomputed by its encoder
    task: Task
    geometry: dict[str, Geometry]  # by embedding
    neighbourhood: Neighbourhood
    copies: Copies
    layout: Tensor  # (n, 2) of the first test images, by the backbone
    projection: str  # pca or umap
    trust: Tensor  # (n,)
    regularisation: Regularisation
    blends: Blends
    moved: dict[str, pd.DataFrame]  # by augmentation: how far each head moves at each strength
    invariance: pd.DataFrame | None  # head x augmentation; None if the data have no factors
    per_head: Heads  # nearest neighbours among the test images: head -> (SHOWN, k) rows
    contribution: HeadContribution | None  # to a classifier's decisions; None with one embedding space
    factors: pd.DataFrame | None  # how well each factor of the data can be read from each head; None without factors


def overview(run: Run, images: int = 10_000, projection: str = "pca", device: str = "auto") -> Overview:
    """Analyse a run or a recording, on at most this number of images of test, and of train without the held-out ones.

    Raises UserError.

    projection: pca, or umap, which takes ten seconds more.
    About half a minute on two cores for a convnet and 10,000 images.
    """
    config, sets = run.config, run.load_sets()
    method = restore(run, sets, device)
    embedder, names = method.framework.online, head_names(config)
    train, test = (
        sets.train.sample(images),
        sets.unseen.sample(images),
    )  # in random order: any part represents all
    if len(test) <= NEIGHBOURS:
        raise UserError(
            f"{run.name} has {len(test)} images for analysis, but a report needs more than {NEIGHBOURS}: add some, or "
            "train with a larger --holdout, of which at most a tenth of the images is taken"
        )
    seen = {"train": embed_set(embedder, train, names), "test": embed_set(embedder, test, names)}
    projected = seen["test"][BACKBONE][:PROJECTED]
    layout = PROJECTIONS[projection](projected)
    task = proxy_task(method, config, sets.held_out)
    return Overview(
        run=run,
        film=run.film if (run.path / "film.npz").exists() else None,
        test=test,
        exact=(run.path / "checkpoint.pt").exists(),
        task=task,
        geometry=_geometry(method, config, seen["test"], test),
        neighbourhood=_neighbourhood(seen["test"][BACKBONE], test),
        copies=_copies(run, sets, device),
        layout=layout,
        projection=projection,
        trust=trustworthiness(projected, layout),
        regularisation=_regularisation(seen, train, test),
        blends=_blends(method, task.temperature, test),
        moved=_moved(embedder, names, test),
        invariance=_invariance(embedder, names, train, test),
        per_head=nearest_per_head(seen["test"], torch.arange(min(SHOWN, len(test))), NEIGHBOURS),
        contribution=_contribution(seen, names, train, test),
        factors=_factors(seen, train, test),
    )


@torch.no_grad()
def proxy_task(method: Method, config: RunConfig, held_out: Dataset) -> Task:
    """The proxy task on a batch of images, drawn and mixed as in training."""
    device = method.framework.online.device
    size = min(config.train.batch_size, len(held_out) // 2 * 2)
    drawn = held_out.sample(size)
    labels = None if drawn.labels is None else torch.as_tensor(drawn.labels, device=device)
    augmentation, crops = augmentation_of(config.augment, drawn), seeded_generator(device, "proxy task", "crops")
    made = make_views(prepared(drawn, device=device), augmentation, crops, method.shared)
    views = [view.inputs for view in made]
    generator = seeded_generator(device, "proxy task", "mix")
    few = typical(method.terms([view[:SHOWN] for view in views], generator, None if labels is None else labels[:SHOWN]))
    terms = method.terms(views, generator, labels)
    term, framework = typical(terms), method.framework
    synthetic = synthetic_points(method, terms[0], labels) if terms[0].synthetic.shape[1] else None
    candidates = framework.candidates(term)
    return Task(
        table=contrast_table(framework, few),
        mass=mean_mass(contrast_table(framework, term)),
        temperature=candidates.temperature,
        response=temperature_response(candidates, TEMPERATURES) if framework.has_negatives else None,
        synthetic=synthetic,
    )


def typical(terms: list[Term]) -> Term:
    """The term that tells a method from its base: blends first, then LooC's second space."""
    return next((t for t in terms if t.query.mixed), next((t for t in terms if t.space == 1), terms[0]))


@torch.no_grad()
def _geometry(method: Method, config: RunConfig, seen: Heads, test: Dataset) -> dict[str, Geometry]:
    """By embedding; two views of the first images are the pairs for alignment."""
    embedder, names = method.framework.online, head_names(config)
    device = embedder.device
    inputs, augmentation = prepared(test, slice(PAIRS), device), augmentation_of(config.augment, test)
    views = make_views(inputs, augmentation, seeded_generator(device, "alignment"))
    first, second = (heads(embedder, view.inputs, names) for view in views)
    labels = test.numbered_labels
    return {name: geometry(x, labels, (first[name], second[name])) for name, x in seen.items()}


def _neighbourhood(x: Tensor, test: Dataset) -> Neighbourhood:
    index = nearest(x, NEIGHBOURS).index
    classes = None
    if test.labels is not None:
        labels = torch.as_tensor(test.labels)
        classes = purity_table(purity(index, labels), labels)
    return Neighbourhood(index, hubness(index, len(x)), classes)


def _copies(run: Run, sets: TrainSets, device: str) -> Copies:
    """Held-out images included."""
    parts = [sets.all_train]
    with suppress(NoTestSplit):
        parts.append(sets.test)
    parts = [part.sample(COMPARED) for part in parts]
    images, n = joined(parts), len(parts[0])
    pairs = duplicate_rows(run, images, device=device)
    return Copies(images, n, pairs.assign(across=(pairs["first"] < n) & (pairs["second"] >= n)))


def _regularisation(seen: dict[str, Heads], train: Dataset, test: Dataset) -> Regularisation:
    known = train.labels is not None and test.labels is not None
    labels = [torch.as_tensor(part.labels) for part in (train, test)] if known else (None, None)
    features = seen["train"][BACKBONE], seen["test"][BACKBONE]
    return regularisation(*features, *labels, generator=seeded_generator("cpu", "regularisation"))


@torch.no_grad()
def _blends(method: Method, temperature: float, test: Dataset) -> Blends:
    """Blends of test images, compared with the network's embeddings of the clean images and of others."""
    embedder = method.framework.online
    pairs = min(PAIRS, len(test) // 4)
    inputs = clean(test, slice(4 * pairs), embedder.device)
    first, second, rest = inputs.split([pairs, pairs, 2 * pairs])
    embed = unit_embed(embedder)
    paths = {
        kind: mix_path(embed, first, second, embed(rest), LAMS, kind, seeded_generator(inputs.device, "blends"))
        for kind in (("mixup", "cutmix") if inputs.dim() == 4 else ("mixup",))
    }
    return Blends(
        paths,
        {kind: calibration(path, temperature) for kind, path in paths.items()},
        {kind: path_measures(path, temperature) for kind, path in paths.items()},
    )


def _moved(embedder: Embedder, names: tuple[str, ...], test: Dataset) -> dict[str, pd.DataFrame]:
    inputs, embed_heads = prepared(test, slice(MOVED)), heads_of_prepared(embedder, names, test)
    return {factor: invariance(embed_heads, inputs, factor).table() for factor in factors_of(test)}


def heads_of_prepared(embedder: Embedder, names: tuple[str, ...], data: Dataset) -> EmbedHeads:
    """Embeddings of prepared examples, so that factors can change them first."""
    return lambda inputs: heads(embedder, domain_of(data).finish(inputs), names)


def _contribution(
    seen: dict[str, Heads], names: tuple[str, ...], train: Dataset, test: Dataset
) -> HeadContribution | None:
    """Of the embedding spaces, on few images, since the probe is slow."""
    if len(names) < 2 or train.labels is None or test.labels is None:
        return None
    parts = [{name: seen[split][name][:DECIDED] for name in names} for split in ("train", "test")]
    labels = [torch.as_tensor(part[:DECIDED]) for part in (train.labels, test.labels)]
    return head_contribution(parts[0], labels[0], parts[1], labels[1])


def _factors(seen: dict[str, Heads], train: Dataset, test: Dataset) -> pd.DataFrame | None:
    """By kNN, which sees what varies most; a linear map also finds directions in which a head hardly varies."""
    if not train.factors:
        return None
    return factor_readout(seen["train"], seen["test"], train, test, ("label", *train.factors), "knn")


def factors_of(data: Dataset) -> tuple[str, ...]:
    """The factors to vary: for images those of the papers, for other data all."""
    return tuple(name for name in domain_of(data).factors if data.domain != "image" or name in AUGMENTATIONS)


def _invariance(embedder: Embedder, names: tuple[str, ...], train: Dataset, test: Dataset) -> pd.DataFrame | None:
    """None without factors. Glyphs have one pose and colour here: with uniform ones there is nothing to predict."""
    factors = factors_of(test)
    if not factors:
        return None
    moved = prepared(test, slice(MOVED))
    if train.name == "glyphs":
        read = [canonical_glyphs(READ, seed) for seed in (1, 2)]
    else:
        read = [prepared(part, slice(READ)) for part in (train, test)]
    return fingerprint(heads_of_prepared(embedder, names, test), moved, read[0], read[1], factors)
