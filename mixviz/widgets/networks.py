"""Trained networks for widgets to ask, each with images that it was not trained on."""

from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mixviz.analysis.heads import Heads, head_names, heads
from mixviz.augment import Augmentation, make_views, to_float
from mixviz.config import DataConfig, RunConfig
from mixviz.data import ImageSet, load
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.frameworks import BYOL, FRAMEWORKS, Framework, MoCoV2, embed_once
from mixviz.method import Method
from mixviz.mixing import Mixing
from mixviz.recordings import recorded
from mixviz.runs import Run
from mixviz.train import augmentation_of, hold_out, load_training_images

GLYPHS = "glyphs-moco-v2-seed1"  # the recording that widgets look at where nothing else is asked for
GLYPHS_LOOC = "glyphs-n-pair+looc-turned-seed1"  # the one that has LooC's spaces, for colour and for rotation
LONGEST_QUEUE = 2048


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """A run's encoder, in float32 on the CPU so that it says the same everywhere, and its images."""

    run: Run
    encoder: Embedder
    train: ImageSet  # without what is held out
    held_out: ImageSet
    test: ImageSet
    stand_in: bool  # the run's own images are not on this machine, and glyphs stand in for them

    @property
    def name(self) -> str:
        """Framework and mixings."""
        return self.run.config.method.name

    @property
    def note(self) -> str:
        """What a caption says where other images stand in for the run's own; else nothing."""
        if not self.stand_in:
            return ""
        own = self.run.config.data.data_name or self.run.config.data.data
        return f"The network was trained on {own}, which is not on this machine: glyphs stand in."

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the embedding spaces."""
        return head_names(self.run.config)

    @cached_property
    def augmentation(self) -> Augmentation:
        """What the run was trained with."""
        return augmentation_of(self.run.config.augment, self.train.images.shape[1])

    def pixels(self, rows: np.ndarray | list[int], test: bool = False) -> Tensor:
        """(n, 3, H, W) in [0, 1], of the held-out training images or of the test images."""
        return to_float(torch.from_numpy((self.test if test else self.held_out).images[rows]))

    def views(self, rows: list[int], seed: int = 0) -> list[Tensor]:
        """A query view and one key view for each space of held-out images, as in training; each (n, 3, H, W)."""
        looc = self.run.config.method.looc if "looc" in self.run.config.method.mixing else None
        shared = looc.shared if looc else (None,)
        drawn = make_views(self.pixels(rows), self.augmentation, Generator().manual_seed(seed), shared)
        return [view.images for view in drawn]

    @torch.no_grad()
    def embedded(self, rows: list[int], seed: int = 0) -> list[Tensor]:
        """The query view and the first key view of held-out images, embedded in space 0; each (n, D) of unit length."""
        return [x[:, 0] for x in embed_once(self.encoder, self.views(rows, seed)[:2])]

    @cached_property
    def bank_rows(self) -> np.ndarray:
        """(K,) which of the training images the bank's keys are of."""
        return np.random.default_rng(0).permutation(len(self.train))[:LONGEST_QUEUE]

    @cached_property
    def bank(self) -> tuple[Tensor, Tensor]:
        """Keys of augmented training images for queues, (H, K, D) of unit length; their classes, (K,), -1: unknown."""
        rows = self.bank_rows
        images = to_float(torch.from_numpy(self.train.images[rows]))
        generator = Generator().manual_seed(0)
        with torch.no_grad():
            views = [make_views(part, self.augmentation, generator)[1].images for part in images.split(512)]
            keys = torch.cat([embed_once(self.encoder, [view])[0] for view in views])
        labels = self.train.labels
        return keys.transpose(0, 1), torch.full((len(rows),), -1) if labels is None else torch.as_tensor(labels[rows])

    def method(
        self,
        framework: str,
        *mixings: Mixing,
        temperature: float,
        queue_length: int = LONGEST_QUEUE,
        oracle: bool = False,
        embedded: bool = False,
    ) -> Method:
        """This encoder in any framework, under any mixings: in place of the momentum encoder, of BYOL's prediction too.

        queue_length: K, at most 2048 keys of training images. embedded: the views of ``Method.terms`` are those of
        ``embedded``, which saves embedding images again and again. Methods share their encoder and queue, so they are
        to be looked at, not trained. Raises UserError, IncompatibleMixing.
        """
        built = copy(_framework(self, framework, queue_length, embedded))
        if built.has_negatives:
            built.temperature = temperature
        return Method(built, *mixings, oracle=oracle).eval().requires_grad_(False)


class Embedded(nn.Module):
    """An embedder of what is embedded already: (n, D) -> (n, 1, D)."""

    bn_splits, spaces = 1, 1

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x[:, None]


@lru_cache(maxsize=8)
def network(run: Run | str = GLYPHS) -> Network:
    """The network of a recording or of a run of yours, by name, path or ``Run``. Raises UserError.

    Where the run's images are not on this machine, glyphs stand in for them.
    """
    run = find(run)
    encoder = run.encoder(device="cpu")
    encoder.dtype = torch.float32
    train, test, stand_in = images(run.config.data)
    held, kept = hold_out(len(train), run.config.data.holdout)
    return Network(
        run=run,
        encoder=encoder,
        train=train.select(kept.numpy()),
        held_out=train.select(held.numpy()),
        test=test,
        stand_in=stand_in,
    )


@lru_cache(maxsize=16)
def _framework(network: Network, name: str, queue_length: int, embedded: bool) -> Framework:
    """The framework of ``Network.method`` at any temperature; to make it takes longer than a look at a batch."""
    encoder = Embedded(network.encoder.dim) if embedded else network.encoder
    if name == "byol":
        return BYOL(encoder, nn.Identity(), symmetric=False)
    if name != "moco-v2":
        return FRAMEWORKS[name](encoder, symmetric=False)
    keys, labels = network.bank
    length = min(queue_length, len(labels))
    built = MoCoV2(encoder, queue_length=length)
    built.queue.keys.copy_(keys[: encoder.spaces, :length])
    built.queue.labels.copy_(labels[:length])
    return built


@lru_cache(maxsize=8)
def seen(network: Network, n: int) -> Heads:
    """Embeddings of the first n test images, or of all where there are fewer, in every head; computed once."""
    return heads(network.encoder, network.pixels(np.arange(len(network.test))[:n], test=True), network.heads)


@lru_cache(maxsize=2)
def images(data: DataConfig) -> tuple[ImageSet, ImageSet, bool]:
    """Train and test of a data set; or, where it is not on this machine, of glyphs, and True. Raises UserError."""
    try:
        train = load_training_images(RunConfig(data=data), progress=False)
        test = load(data.data, "test", image_size=data.image_size, name=data.data_name, progress=False)
    except UserError:
        if data.data == "glyphs":
            raise
        return *images(DataConfig(image_size=data.image_size))[:2], True
    return train, test, False


def find(run: Run | str | Path) -> Run:
    """A run as it is, a recording by its name, or else one of yours by name or path. Raises UserError."""
    if isinstance(run, Run):
        return run
    return next((one for one in recorded() if one.name == str(run)), None) or Run.open(run)
