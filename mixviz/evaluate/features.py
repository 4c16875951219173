"""Frozen features: what every evaluation reads, and the guard that they are frozen."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import torch
from torch import Tensor, nn

from mixviz.augment import to_float
from mixviz.data import ImageSet
from mixviz.encoders import Embedder


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
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """The module in evaluation mode. Raises NotFrozen where anything in it is changed meanwhile."""
    before, training = fingerprint(module), module.training
    module.eval()
    try:
        yield module
    finally:
        module.train(training)
    if fingerprint(module) != before:
        raise NotFrozen(
            "the backbone changed while it was evaluated: keep its weights and BatchNorm statistics as they are"
        )


@torch.no_grad()
def extract(embedder: Embedder, images: ImageSet, batch_size: int = 512) -> Tensor:
    """Backbone features of all images, without augmentation: (N, F) float32 on the CPU."""
    device = embedder.mean.device
    with frozen(embedder):
        parts = [
            embedder.features(to_float(images.select(part).tensor().to(device))).cpu()
            for part in torch.arange(len(images)).split(batch_size)
        ]
    return torch.cat(parts)


def raw_pixels(images: ImageSet) -> Tensor:
    """(N, H * W * 3) in [0, 1]: the features of no encoder at all."""
    return images.tensor().flatten(1).float() / 255
