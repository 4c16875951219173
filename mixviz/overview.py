"""Every analysis of one run at once: what ``report`` draws, and what a notebook may take pieces of.

Images are those of the run's own data set. Test images are looked at, as in the papers, and nothing is chosen on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from mixviz.analysis.frechet import Regularisation, regularisation
from mixviz.analysis.geometry import Geometry, geometry
from mixviz.analysis.hardness import SyntheticPoints, synthetic_points, temperature_response
from mixviz.analysis.heads import (
    BACKBONE,
    HeadContribution,
    Heads,
    factor_readout,
    head_contribution,
    head_names,
    heads,
    nearest_per_head,
)
from mixviz.analysis.invariance import canonical_glyphs, fingerprint, invariance
from mixviz.analysis.mixpath import Calibration, MixPath, calibration, mix_path, path_measures, unit_embed
from mixviz.analysis.neighbours import Hubness, hubness, nearest, purity, purity_table
from mixviz.analysis.projection import pca, project_umap, trustworthiness
from mixviz.analysis.targets import ContrastTable, contrast_table, mean_mass
from mixviz.augment import make_views, to_float
from mixviz.build import build_method
from mixviz.config import RunConfig
from mixviz.data import ImageSet, load
from mixviz.encoders import Embedder
from mixviz.evaluate import frozen
from mixviz.film import Film
from mixviz.frameworks import embed_once
from mixviz.method import Method
from mixviz.runs import Run
from mixviz.terms import Term
from mixviz.train import augmentation_of, hold_out, load_training_images

SHOWN = 16  # images of a contrast table
PAIRS = 300  # of images that are blended
MOVED = 500  # images that are moved by augmentations
READ = 1000  # images that their parameters are read out of, in train and in test
DECIDED = 3000  # images of train and of test that a classifier on the heads is trained and looked at with
NEIGHBOURS = 10
PROJECTED = 2000  # points of a projection
LAMS = torch.linspace(0, 1, 11)
TEMPERATURES = np.geomspace(0.01, 2, 25)
PROJECTIONS = {"pca": pca, "umap": project_umap}
AUGMENTATIONS = ("rotation", "hue", "grayscale", "crop", "blur", "texture")


@dataclass(frozen=True, kw_only=True)
class Task:
    """The proxy task as the last epoch has it, on one batch of held-out training images."""

    table: ContrastTable  # of few queries: the blends where the method makes some, LooC's second space where it has it
    mass: pd.DataFrame  # of a whole batch, by kind of candidate
    temperature: float  # of the queries
    response: pd.DataFrame | None  # to other temperatures; None without negatives
    synthetic: SyntheticPoints | None


@dataclass(frozen=True)
class Blends:
    """How the network reads blends of two images."""

    paths: dict[str, MixPath]  # mixup, cutmix
    calibrations: dict[str, Calibration]  # at the temperature at which the method reads blends
    measures: dict[str, pd.DataFrame]  # one row a pair


@dataclass(frozen=True)
class Neighbourhood:
    """Nearest neighbours among the test images, by the backbone."""

    index: Tensor  # (n, k)
    hubs: Hubness
    classes: pd.DataFrame | None  # purity by class


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All that was found of a run; what needs labels is None without."""

    run: Run
    film: Film | None
    test: ImageSet
    exact: bool  # False: a recording, whose keys and queue were made anew by its encoder
    task: Task
    geometry: dict[str, Geometry]  # by embedding
    neighbourhood: Neighbourhood
    layout: Tensor  # (n, 2) of the first test images, by the backbone
    projection: str  # pca or umap
    trust: Tensor  # (n,)
    regularisation: Regularisation
    blends: Blends
    moved: dict[str, pd.DataFrame]  # by augmentation: how far each head moves at each strength
    invariance: pd.DataFrame  # head x augmentation
    per_head: Heads  # nearest neighbours among the test images: head -> (SHOWN, k) rows
    contribution: HeadContribution | None  # to a classifier's decisions; None with one embedding space
    factors: pd.DataFrame | None  # how well each factor of the data is read from each head; None where it has none


def overview(run: Run, images: int = 10_000, projection: str = "pca", device: str = "auto") -> Overview:
    """Analyse a run or a recording, with at most so many images of test, and of train without the held-out ones.

    Raises UserError.

    projection: pca, or umap, which takes ten seconds more.
    About half a minute on two cores for a convnet and 10,000 images.
    """
    config = run.config
    train = load_training_images(config, progress=False)
    test = load(config.data.data, "test", image_size=config.data.image_size, name=config.data.data_name, progress=False)
    method, held_out, exact = restored(run, train, device)
    embedder, names = method.framework.online, head_names(config)
    trained_on = train.select(hold_out(len(train), config.data.holdout)[1])
    train, test = trained_on.sample(images), test.sample(images)  # in random order: any first part stands for all
    seen = {"train": look(embedder, train, names), "test": look(embedder, test, names)}
    projected = seen["test"][BACKBONE][:PROJECTED]
    layout = PROJECTIONS[projection](projected)
    return Overview(
        run=run,
        film=run.film if (run.path / "film.npz").exists() else None,
        test=test,
        exact=exact,
        task=proxy_task(method, config, held_out),
        geometry=_geometry(method, config, seen["test"], test),
        neighbourhood=_neighbourhood(seen["test"][BACKBONE], test),
        layout=layout,
        projection=projection,
        trust=trustworthiness(projected, layout),
        regularisation=_regularisation(seen, train, test),
        blends=_blends(method, config, test),
        moved=_moved(embedder, names, test),
        invariance=_invariance(embedder, names, train, test),
        per_head=nearest_per_head(seen["test"], torch.arange(SHOWN), NEIGHBOURS),
        contribution=_contribution(seen, names, train, test),
        factors=_factors(seen, train, test),
    )


def restored(run: Run, train: ImageSet, device: str = "auto") -> tuple[Method, ImageSet, bool]:
    """A run's method in evaluation mode, its held-out images, and whether it is exactly as training left it.

    A recording has no momentum encoder and no queue: its encoder stands in for the one and fills the other, with keys
    of training views.
    """
    config = run.config_on(device)
    held, _ = hold_out(len(train), config.data.holdout)
    exact = (run.path / "checkpoint.pt").exists()
    if exact:
        method = run.method(device)
    else:
        weights = run.encoder(device=device).state_dict()
        method = build_method(config, train.images.shape[1], weights["mean"], weights["std"])
        for embedder in (method.framework.online, getattr(method.framework, "target", None)):
            if embedder is not None:
                embedder.load_state_dict(weights)
        method.eval().requires_grad_(False)
        _fill_queue(method, config, train)
    return method.at_epoch(config.train.epochs - 1), train.select(held), exact


@torch.no_grad()
def look(embedder: Embedder, images: ImageSet, names: Sequence[str], batch_size: int = 512) -> Heads:
    """Embeddings of a whole set in every space, without ever holding all of it as floats."""
    with frozen(embedder):
        parts = [
            heads(embedder, to_float(torch.tensor(images.images[start : start + batch_size])), names)
            for start in range(0, len(images), batch_size)
        ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@torch.no_grad()
def proxy_task(method: Method, config: RunConfig, held_out: ImageSet) -> Task:
    """The proxy task on a batch of images, drawn and mixed as in training."""
    device = method.framework.online.mean.device
    size = min(config.train.batch_size, len(held_out) // 2 * 2)
    drawn = held_out.sample(size)
    images = to_float(drawn.tensor().to(device))
    labels = None if drawn.labels is None else torch.as_tensor(drawn.labels, device=device)
    augmentation = augmentation_of(config.augment, images.shape[2])
    made = make_views(images, augmentation, Generator(device).manual_seed(0), method.shared)
    views = [view.images for view in made]
    generator = Generator(device).manual_seed(1)
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
def _fill_queue(method: Method, config: RunConfig, train: ImageSet) -> None:
    queue = getattr(method.framework, "queue", None)
    if queue is None:
        return
    device = queue.keys.device
    augmentation = augmentation_of(config.augment, train.images.shape[1])
    order = torch.randperm(len(train), generator=Generator().manual_seed(0))[: queue.length]
    for part in order.split(512):
        images = to_float(torch.from_numpy(train.images[part.numpy()]).to(device))
        (view,) = make_views(images, augmentation, Generator(device).manual_seed(int(part[0])))[1:]
        labels = None if train.labels is None else torch.as_tensor(train.labels[part.numpy()], device=device)
        queue.enqueue(embed_once(method.framework.target, [view.images])[0], labels)


@torch.no_grad()
def _geometry(method: Method, config: RunConfig, seen: Heads, test: ImageSet) -> dict[str, Geometry]:
    """By embedding; two views of the first images are the pairs of alignment."""
    embedder, names = method.framework.online, head_names(config)
    device = embedder.mean.device
    images = to_float(torch.from_numpy(test.images[:PAIRS]).to(device))
    views = make_views(images, augmentation_of(config.augment, images.shape[2]), Generator(device).manual_seed(0))
    first, second = (heads(embedder, view.images, names) for view in views)
    labels = None if test.labels is None else torch.as_tensor(test.labels)
    return {name: geometry(x, labels, (first[name], second[name])) for name, x in seen.items()}


def _neighbourhood(x: Tensor, test: ImageSet) -> Neighbourhood:
    index = nearest(x, NEIGHBOURS).index
    classes = None
    if test.labels is not None:
        labels = torch.as_tensor(test.labels)
        classes = purity_table(purity(index, labels), labels)
    return Neighbourhood(index, hubness(index, len(x)), classes)


def _regularisation(seen: dict[str, Heads], train: ImageSet, test: ImageSet) -> Regularisation:
    known = train.labels is not None and test.labels is not None
    labels = [torch.as_tensor(part.labels) for part in (train, test)] if known else (None, None)
    features = seen["train"][BACKBONE], seen["test"][BACKBONE]
    return regularisation(*features, *labels, generator=Generator().manual_seed(0))


@torch.no_grad()
def _blends(method: Method, config: RunConfig, test: ImageSet) -> Blends:
    """Blends of test images, read against the network's own clean embeddings of them and of others."""
    embedder = method.framework.online
    pairs = min(PAIRS, len(test) // 4)
    images = to_float(torch.from_numpy(test.images[: 4 * pairs]).to(embedder.mean.device))
    first, second, rest = images.split([pairs, pairs, 2 * pairs])
    embed = unit_embed(embedder)
    mixco = "mixco" in config.method.mixing
    temperature = config.method.mixco.temperature if mixco else method.framework.temperature
    generator = Generator(images.device)
    paths = {
        kind: mix_path(embed, first, second, embed(rest), LAMS, kind, generator.manual_seed(0))
        for kind in ("mixup", "cutmix")
    }
    return Blends(
        paths,
        {kind: calibration(path, temperature) for kind, path in paths.items()},
        {kind: path_measures(path, temperature) for kind, path in paths.items()},
    )


def _moved(embedder: Embedder, names: tuple[str, ...], test: ImageSet) -> dict[str, pd.DataFrame]:
    images = to_float(torch.from_numpy(test.images[:MOVED]))
    embed_heads = partial(heads, embedder, names=names)
    return {augmentation: invariance(embed_heads, images, augmentation).table() for augmentation in AUGMENTATIONS}


def _contribution(
    seen: dict[str, Heads], names: tuple[str, ...], train: ImageSet, test: ImageSet
) -> HeadContribution | None:
    """Of the embedding spaces; of few images, since the probe is the slow part."""
    if len(names) < 2 or train.labels is None or test.labels is None:
        return None
    parts = [{name: seen[split][name][:DECIDED] for name in names} for split in ("train", "test")]
    labels = [torch.as_tensor(part.labels[:DECIDED]) for part in (train, test)]
    return head_contribution(parts[0], labels[0], parts[1], labels[1])


def _factors(seen: dict[str, Heads], train: ImageSet, test: ImageSet) -> pd.DataFrame | None:
    """By kNN, which sees what varies much; a linear map finds directions in which a head hardly varies."""
    if not train.factors:
        return None
    return factor_readout(seen["train"], seen["test"], train, test, ("label", *train.factors), "knn")


def _invariance(embedder: Embedder, names: tuple[str, ...], train: ImageSet, test: ImageSet) -> pd.DataFrame:
    """Glyphs are read out in one pose and colour: in all poses and colours there is nothing to read."""
    moved = to_float(torch.from_numpy(test.images[:MOVED]))
    if train.name == "glyphs":
        read = [canonical_glyphs(READ, seed) for seed in (1, 2)]
    else:
        read = [to_float(torch.from_numpy(part.images[:READ])) for part in (train, test)]
    return fingerprint(partial(heads, embedder, names=names), moved, *read, AUGMENTATIONS)
