"""Trained networks for widgets, each with images that it was not trained on."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mixviz.analysis.heads import Heads, head_names, heads
from mixviz.augment import Augmentation, make_views
from mixviz.build import TrainSets, load_sets, thumbnails_of
from mixviz.config import DataConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of, clean, prepared
from mixviz.encoders import Embedder
from mixviz.errors import MissingData, UserError
from mixviz.frameworks import FRAMEWORKS, Framework, MoCoV2, embed_once
from mixviz.method import Method
from mixviz.mixing import Mixing
from mixviz.pretrained import bank_keys, bank_rows, find
from mixviz.runs import Run, short_names
from mixviz.terms import replace_known

GLYPHS = "glyphs-moco-v2-seed1"  # the default recording of widgets
GLYPHS_LOOC = "glyphs-n-pair+looc-turned-seed1"  # the one that has LooC's spaces, for colour and for rotation
LONGEST_QUEUE = 2048
ONLY_ONE = "there is only one network: give several to compare them"  # why a choice of networks is disabled


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A run's encoder, in float32 on the CPU so that results are the same everywhere, and its images."""

    run: Run
    encoder: Embedder
    sets: TrainSets
    stand_in: bool  # the run's own images are not on this machine, and glyphs replace them

    @property
    def train(self) -> Dataset:
        """The images that the run was trained on, without the held-out ones."""
        return self.sets.train

    @cached_property
    def held_out(self) -> Dataset:
        """Training images that the run has never seen, in mixed order of classes."""
        return self.sets.held_out.mixed()

    @cached_property
    def test(self) -> Dataset:
        """Test images, or held-out images without a test split; classes in mixed order. Raises UserError."""
        return self.sets.unseen.mixed()

    @property
    def name(self) -> str:
        """Framework and mixings."""
        return self.run.config.method.name

    @property
    def note(self) -> str:
        """A note for captions if other images replace the run's own, and how to get those; else empty."""
        own = self.run.config.data.shown
        if not self.stand_in:
            return "" if self.sets.exact else f"The network was trained on {own}, and these are the same as published."
        said = f"The network was trained on {own}, which is not on this machine: glyphs replace it"
        return f"{said}; python -m mixviz data get {self.published} fetches it." if self.published else f"{said}."

    @property
    def published(self) -> str | None:
        """The published set that has the run's own images, if glyphs replace them and its thumbnails are known."""
        known = thumbnails_of(self.run.config.data) if self.stand_in else None
        return known.source if known else None

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the embedding spaces."""
        return head_names(self.run.config)

    @cached_property
    def augmentation(self) -> Augmentation:
        """The run's config."""
        return augmentation_of(self.run.config.augment, self.train)

    def pixels(self, rows: np.ndarray | list[int], test: bool = False) -> Tensor:
        """(n, 3, H, W) in [0, 1], of the held-out training images or of the test images; of sounds, spectrograms."""
        return clean(self.test if test else self.held_out, rows)

    def views(self, rows: list[int], seed: int = 0, images: Dataset | None = None) -> list[Tensor]:
        """A query view and one key view for each space of held-out images, as in training; each (n, 3, H, W).

        images: of these instead.
        """
        shared, images = self.run.config.method.shared, self.held_out if images is None else images
        drawn = make_views(prepared(images, rows), self.augmentation, Generator().manual_seed(seed), shared)
        return [view.inputs for view in drawn]

    @torch.no_grad()
    def embedded(self, rows: list[int], seed: int = 0, images: Dataset | None = None) -> list[Tensor]:
        """The query view and the first key view of ``views``, embedded in space 0; each (n, D) of unit length."""
        return [x[:, 0] for x in embed_once(self.encoder, self.views(rows, seed, images)[:2])]

    @cached_property
    def bank_rows(self) -> np.ndarray:
        """(K,) which of the training images the bank's keys are of."""
        return bank_rows(self.train, LONGEST_QUEUE)

    @cached_property
    def bank(self) -> tuple[Tensor, Tensor]:
        """Keys of augmented training images for queues, (H, K, D) of unit length; their classes, (K,), -1: unknown."""
        keys, labels = bank_keys(self.encoder, self.train.select(self.bank_rows), self.run.config.augment)
        return keys.transpose(0, 1), labels

    def method(
        self,
        framework: str,
        *mixings: Mixing,
        temperature: float,
        queue_length: int = LONGEST_QUEUE,
        oracle: bool = False,
        embedded: bool = False,
    ) -> Method:
        """A method with this encoder, and any framework and mixings; it also replaces momentum encoder and predictor.

        queue_length: K, at most 2048 keys of training images. embedded: the views of ``Method.terms`` are those of
        ``embedded``, which saves embedding images repeatedly. Methods share their encoder and queue, so do not train
        them. Raises UserError, IncompatibleMixing.
        """
        built = copy(_framework(self, framework, queue_length, embedded))
        built.settings = replace_known(built.settings, temperature=temperature)
        return Method(built, *mixings, oracle=oracle).eval().requires_grad_(False)


class Embedded(Embedder):
    """An embedder for inputs that are embeddings already: (n, D) -> (n, 1, D)."""

    def __init__(self, dim: int):
        nn.Module.__init__(self)
        self.bn_splits, self.spaces, self.dim = 1, 1, dim

    def forward(self, x: Tensor) -> Tensor:
        return x[:, None]


@lru_cache(maxsize=8)
def network(run: Run | str | Path = GLYPHS) -> Network:
    """The network of a recording or of your own run, by name, path or ``Run``. Raises UserError.

    If the run's images are not on this machine, glyphs are shown instead.
    """
    run = find(run)
    encoder = run.encoder(device="cpu")
    encoder.dtype = torch.float32
    sets, stand_in = images(run.config.data)
    return Network(run=run, encoder=encoder, sets=sets, stand_in=stand_in)


def image_network(run: Run | str | Path = GLYPHS) -> Network:
    """Like ``network``, for widgets that show and change images. Raises UserError if the run is of other data."""
    return _of("image", run, "this shows images: take ContrastTable or ProjectionExplorer, or python -m mixviz report")


def sound_network(run: Run | str | Path) -> Network:
    """Like ``network``, for widgets that play sounds. Raises UserError if the run is of other data."""
    return _of("audio", run, "this plays sounds: take MixingLab for images, or train with --data tones")


def by_method(
    find_network: Callable[[Run | str | Path], Network],
    run: Run | str | Path | Sequence[Run | str] | None,
    recorded: Sequence[str],
) -> dict[str, Network]:
    """The networks of one run or of several, by short names of their methods; None: those of the recordings.

    find_network: ``image_network`` or ``sound_network``. Raises UserError.
    """
    runs = recorded if run is None else [run] if isinstance(run, (Run, str, Path)) else run
    found = [find_network(one) for one in runs]
    return dict(zip(short_names([network.run for network in found]), found, strict=True))


def _of(domain: str, run: Run | str | Path, instead: str) -> Network:
    found = network(run)
    if found.train.domain != domain:
        raise UserError(f"{found.run.name} is of {found.train.domain} data and {instead}")
    return found


@lru_cache(maxsize=16)
def _framework(network: Network, name: str, queue_length: int, embedded: bool) -> Framework:
    """The framework of ``Network.method`` at any temperature; cached, since making it takes longer than a batch."""
    encoder = Embedded(network.encoder.dim) if embedded else network.encoder
    kind, length = FRAMEWORKS[name], min(queue_length, len(network.bank_rows))
    built = kind(encoder, replace_known(kind.Settings(symmetric=False), queue_length=length))
    if isinstance(built, MoCoV2):
        keys, labels = network.bank
        built.queue.keys.copy_(keys[: encoder.spaces, :length])
        built.queue.labels.copy_(labels[:length])
    return built


@lru_cache(maxsize=8)
def embed_test_images(network: Network, n: int) -> Heads:
    """Embeddings of the first n test images, or of all if there are fewer, in every head; computed once."""
    return heads(network.encoder, network.pixels(np.arange(len(network.test))[:n], test=True), network.heads)


@lru_cache(maxsize=2)
def images(data: DataConfig) -> tuple[TrainSets, bool]:
    """The images of a run; or, if they are not on this machine, glyphs, and True. Raises UserError."""
    try:
        return load_sets(data, progress=False), False
    except MissingData:
        if data.domain != "image":
            raise
        return images(DataConfig(image_size=data.image_size, holdout=data.holdout))[0], True
