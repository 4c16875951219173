"""From a config to what it names: the data, the encoder and the method, all from one seed."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b

import torch
from torch import Generator, Tensor, nn

from mixviz.augment import Shape
from mixviz.config import DataConfig, RunConfig
from mixviz.data import Dataset, load
from mixviz.data.checks import say
from mixviz.data.decode import resize_all
from mixviz.data.published import is_here
from mixviz.data.thumbnails import Thumbnails, thumbnails_path
from mixviz.domains import DOMAINS, domain_of
from mixviz.encoders import (
    Embedder,
    Head,
    SpaceWise,
    build_backbone,
    fast_dtype,
    feature_dim,
    split_last_stage,
)
from mixviz.environment import check_memory
from mixviz.errors import MissingData, NoTestSplit, UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Method
from mixviz.mixing import Mixing

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FIXED_SEED = 0  # for choices that do not depend on a run's own seed


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainSets:
    """The images that a run's data settings name. Test images are loaded on first use."""

    data: DataConfig
    all_train: Dataset  # the training split, cut to ``train_images``: evaluations train on it
    progress: bool = True
    exact: bool = True  # False: the same images, as they are published; see ``Thumbnails``

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor]:
        return hold_out(len(self.all_train), self.data.holdout)

    @property
    def held_rows(self) -> Tensor:
        """Rows of the held-out images in ``all_train``, rising."""
        return self._rows[0]

    @cached_property
    def held_out(self) -> Dataset:
        """Training images that no step of the run sees: for the kNN monitor, the film and the proxy task."""
        return self.all_train.select(self._rows[0])

    @cached_property
    def train(self) -> Dataset:
        """The images that the run is trained on: all but the held-out ones."""
        return self.all_train.select(self._rows[1])

    @cached_property
    def test(self) -> Dataset:
        """The test split. Raises UserError."""
        return _load_split(self.data, "test", self.progress)

    @property
    def unseen(self) -> Dataset:
        """What the run is looked at with: test or, if the data have none, the held-out images. Raises UserError."""
        try:
            return self.test
        except NoTestSplit as error:
            if not len(self.held_out):
                raise UserError(f"{error}; or train with --holdout above 0, and ten images or more") from error
            return self.held_out

    @property
    def evaluated_on(self) -> tuple[Dataset, Dataset]:
        """All of train, held-out images included, and test. Raises UserError."""
        return self.all_train, self.test


def load_sets(data: DataConfig, progress: bool = True) -> TrainSets:
    """The images of a run, by its data settings. Raises UserError; MissingData if they are not on this machine."""
    try:
        images = _load_split(data, "train", progress)
    except MissingData:
        known = thumbnails_of(data)
        if known is None or not is_here(known.source):
            raise
        return _published(data, known, progress)
    if data.train_images is not None and data.train_images < len(images):
        keep = torch.randperm(len(images), generator=fixed_generator())[: data.train_images]
        images = images.select(keep.sort().values.numpy())
    return TrainSets(data=data, all_train=images, progress=progress)


def thumbnails_of(data: DataConfig) -> Thumbnails | None:
    """Those by which the training images are found in a published set. Raises UserError if they are damaged."""
    path = thumbnails_path(data.shown)
    known = Thumbnails.load(path) if path.is_file() else None
    return known if known is not None and len(known.labels) == data.train_images else None


def _published(data: DataConfig, known: Thumbnails, progress: bool) -> TrainSets:
    """The same images, as they are published. Raises UserError."""
    images = load(known.source, "train", progress=progress)
    images = images.select(known.rows(images))
    if data.image_size is not None:
        images = replace(images, stored=resize_all(images.stored, data.image_size))
    place = DataConfig(data=known.source, image_size=data.image_size, holdout=data.holdout)
    return TrainSets(data=place, all_train=images, progress=progress, exact=False)


def _load_split(data: DataConfig, split: str, progress: bool) -> Dataset:
    return load(
        data.data,
        split,
        image_size=data.image_size,
        name=data.data_name,
        skip_bad=data.skip_bad,
        unlabelled=data.unlabelled,
        split_by=data.split_by,
        target=data.target,
        sample_rate=data.sample_rate,
        progress=progress,
    )


def fitted(config: RunConfig, images: Dataset) -> RunConfig:
    """The config with a batch size that fits the training split, if none is given.

    The usual one or, for few data, a power of two that fits five times: a batch, and MoCo's queue of four batches.
    """
    n = len(images) - config.data.held_out_of(len(images))
    if "batch_size" in config.train.model_fields_set or n >= 5 * config.train.batch_size:
        return config
    size = 2 ** max(1, int(math.log2(max(n, 2) / 5)))
    say(f"batches of {size}, which fit {n:,} training {domain_of(images).examples}: choose others with --batch-size")
    return config.but(batch_size=size)


def hold_out(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Indices of the held-out images, at most a tenth, and of the others; the same for every seed."""
    order = torch.randperm(n, generator=fixed_generator())
    size = min(size, n // 10)
    return order[:size].sort().values, order[size:].sort().values


def find_device(name: str) -> torch.device:
    """``auto`` is the GPU if there is one, NVIDIA's (cuda) or Apple's (mps). Raises UserError."""
    if name == "auto":
        apple = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else apple)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # the device meta has no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition(". ")[0].splitlines()[0]
        raise UserError(f"--device {name} cannot be used ({reason}): take auto or cpu") from error
    return device


def build_embedder(config: RunConfig, shape: Shape, normalise: nn.Module | None = None) -> Embedder:
    """The embedder of a run with its initial weights, on the run's device. Raises UserError.

    shape, normalise: as ``inputs_of`` gives them for training data; normalise: None is an unfitted one.
    Base and method of a paired comparison get the same weights where they have the same parts.
    """
    device, encoder, domain = find_device(config.train.device), config.encoder, DOMAINS[config.data.domain]
    spaces = len(config.method.shared)
    assert encoder.projector is not None  # the framework's defaults are filled in
    assert encoder.bn_splits is not None
    with seeded(config.train.seed):
        backbone = build_backbone(encoder.backbone, shape, encoder.bn_splits, domain.backbones, encoder.width)
        features = feature_dim(backbone, shape)
        hidden = encoder.hidden or features
        heads = [Head(encoder.projector, features, hidden, encoder.dim, encoder.bn_splits) for _ in range(spaces)]
    branches = ()
    if "looc" in config.method.mixing and config.method.looc.plus_plus:
        backbone, branches = split_last_stage(backbone, spaces)
    normalise = domain.normaliser(shape) if normalise is None else normalise
    embedder = Embedder(normalise, backbone, heads, branches, encoder.bn_splits, _dtype(config, device))
    return embedder.to(device)


def build_method(
    config: RunConfig,
    shape: Shape,
    normalise: nn.Module | None = None,
    mixings: Sequence[Mixing] | None = None,
) -> Method:
    """The method of a run with its initial weights, on the run's device. mixings: instead of the config's.

    Other arguments as for ``build_embedder``. Raises UserError.
    """
    settings, sizes = config.method, config.encoder
    rows = max(settings.queue_length or 0, sizes.hidden or 0)  # of the largest matrix
    check_memory(4.0 * sizes.dim * rows, "queue and heads", "lower --queue-length, --dim or --hidden")
    embedder = build_embedder(config, shape, normalise)
    kind = FRAMEWORKS[settings.framework]
    with seeded(config.train.seed + 1):
        predictor = _predictor(config, embedder) if kind.predicts else None
        framework = kind(embedder, settings.settings, predictor)
    chosen = settings.mixings() if mixings is None else mixings
    return Method(framework, *chosen, oracle=settings.oracle).to(embedder.device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator, which initialises weights; its state is restored afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def seeded_generator(device: torch.device | str, *key: int | str) -> Generator:
    """A generator for this key, such as (seed, "crops", step), on the device or the CPU."""
    digest = blake2b(repr(key).encode(), digest_size=7).digest()
    return _generator(device).manual_seed(int.from_bytes(digest, "big"))


def fixed_generator(device: torch.device | str = "cpu", seed: int = FIXED_SEED) -> Generator:
    """A generator for choices that are the same for every seed of a run, such as which images are held out."""
    return _generator(device).manual_seed(seed)


def _generator(device: torch.device | str) -> Generator:
    """On CUDA's devices or else on the CPU: Apple's GPUs have no float64, which mixings draw."""
    return Generator(device if torch.device(device).type == "cuda" else "cpu")


def _predictor(config: RunConfig, embedder: Embedder) -> nn.Module:
    dim, hidden = embedder.dim, config.encoder.hidden or embedder.hidden
    heads = [Head("mlpbn1", dim, hidden, dim) for _ in range(embedder.spaces)]
    return SpaceWise(heads, embedder.dtype)


def dtype_name(config: RunConfig) -> str:
    """The dtype in which the encoder of a run computes on this machine, such as ``bfloat16``. Raises UserError."""
    return str(_dtype(config, find_device(config.train.device))).removeprefix("torch.")


def _dtype(config: RunConfig, device: torch.device) -> torch.dtype:
    return fast_dtype(device) if config.train.dtype == "auto" else DTYPES[config.train.dtype]
