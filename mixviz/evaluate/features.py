"""Frozen features, which every evaluation reads, and the guard that checks that the encoder is frozen."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from hashlib import sha256
from typing import Literal

import torch
from torch import Tensor, nn

from mixviz.data import Dataset
from mixviz.domains import clean, domain_of
from mixviz.encoders import Embedder
from mixviz.errors import UserError

Layer = Literal["backbone", "head"]
_guarded: ContextVar[frozenset[int]] = ContextVar("guarded", default=frozenset())  # ids of modules


class NotFrozen(RuntimeError):
    """Weights or BatchNorm statistics of the backbone changed while it was evaluated."""


def fingerprint(module: nn.Module) -> str:
    """A hash of all parameters and buffers, BatchNorm statistics included."""
    digest = sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def frozen(module: nn.Module | None) -> Iterator[nn.Module | None]:
    """The module in evaluation mode. Raises NotFrozen if anything in it was changed meanwhile.

    Within another guard of the same module, the outer one checks at its end. None stands for raw pixels.
    """
    if module is None:
        yield None
        return
    guarded, training = _guarded.get(), module.training
    before = None if id(module) in guarded else fingerprint(module)
    token = _guarded.set(guarded | {id(module)})
    module.eval()
    try:
        yield module
    finally:
        _guarded.reset(token)
        module.train(training)
    if before is not None and fingerprint(module) != before:
        raise NotFrozen(
            "the backbone changed while it was evaluated: keep its weights and BatchNorm statistics as they are"
        )


@torch.no_grad()
def extract(embedder: Embedder, images: Dataset, batch_size: int = 512, layer: Layer = "backbone") -> Tensor:
    """Features of all images, without augmentation, float32 on the CPU: (N, F), of the head (N, D)."""
    device = embedder.device
    with frozen(embedder):
        parts = [
            read(embedder, clean(images, part.numpy(), device), layer).cpu()
            for part in torch.arange(len(images)).split(batch_size)
        ]
    return torch.cat(parts)


def read(embedder: Embedder | None, images: Tensor, layer: Layer = "backbone") -> Tensor:
    """(n, C, H, W) float in [0, 1] -> (n, F) float32; the head is that of the first embedding space.

    embedder: None stands for raw pixels, laid out as in ``raw_pixels``.
    """
    if embedder is None:
        return images.permute(0, 2, 3, 1).flatten(1)
    return embedder.features(images) if layer == "backbone" else embedder(images)[:, 0].float()


def raw_pixels(images: Dataset) -> Tensor:
    """(N, F), of images (N, H * W * 3) in [0, 1]: features without an encoder."""
    return domain_of(images).raw(images.tensor())


class Inputs:
    """What a protocol may see: a frozen encoder, training images, and test images without labels or factors.

    embedder: None stands for raw pixels. stored: existing features, (N, F) of train and (n, F) of test; then there are
    no images. Features are computed on first use.
    """

    def __init__(
        self, embedder: Embedder | None, train: Dataset, test: Dataset, stored: tuple[Tensor, Tensor] | None = None
    ):
        self.embedder, self._stored = embedder, stored
        self._train, self._test = (replace(images, labels=None, factors={}) for images in (train, test))
        self._features: dict[Layer, tuple[Tensor, Tensor]] = {} if stored is None else {"backbone": stored}

    @property
    def train(self) -> Dataset:
        """Raises UserError if features were stored."""
        return self._images(self._train)

    @property
    def test(self) -> Dataset:
        """Raises UserError if features were stored."""
        return self._images(self._test)

    def _images(self, images: Dataset) -> Dataset:
        if self._stored:
            raise UserError("a protocol needs the images, and stored features have none: evaluate the encoder")
        return images

    @property
    def device(self) -> torch.device:
        if self._stored:
            return self._stored[0].device
        return torch.device("cpu") if self.embedder is None else self.embedder.device

    def features(self, layer: Layer = "backbone") -> tuple[Tensor, Tensor]:
        """(N, F) of train and (n, F) of test, on the encoder's device. Raises UserError, NotFrozen."""
        if layer not in self._features:
            if self._stored:
                raise UserError(f"stored features are of one layer only, not of {layer}: evaluate the encoder")
            self._features[layer] = self.features_of(self.train, layer), self.features_of(self.test, layer)
        return self._features[layer]

    def features_of(self, images: Dataset, layer: Layer = "backbone") -> Tensor:
        """(N, F) of any images, on the encoder's device; computed each time. Raises UserError, NotFrozen."""
        if self.embedder is None:
            if layer == "head":
                raise UserError("raw pixels have no head: take layer backbone")
            return raw_pixels(images)
        return extract(self.embedder, images, layer=layer).to(self.device)
