"""From a config to a method: the encoder, its heads, the framework and its mixings, from one seed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mixviz.config import RunConfig
from mixviz.encoders import (
    Embedder,
    Head,
    Normalise,
    SpaceWise,
    build_backbone,
    fast_dtype,
    feature_dim,
    split_last_stage,
)
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Method

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def find_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises UserError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name} cannot be used ({reason}): take auto or cpu") from error
    return device


def build_embedder(
    config: RunConfig, image_size: int, mean: Tensor | float = 0.0, std: Tensor | float = 1.0
) -> Embedder:
    """The embedder of a run with its initial weights, on the run's device. Raises UserError.

    Base and method of a paired comparison get the same weights where they have the same parts.
    """
    device, encoder = find_device(config.train.device), config.encoder
    looc = config.method.looc if "looc" in config.method.mixing else None
    spaces = len(looc.shared) if looc else 1
    with seeded(config.train.seed):
        backbone = build_backbone(encoder.backbone, image_size, encoder.bn_splits)
        features = feature_dim(backbone, image_size)
        hidden = encoder.hidden or features
        heads = [Head(encoder.projector, features, hidden, encoder.dim, encoder.bn_splits) for _ in range(spaces)]
    branches = ()
    if looc and looc.plus_plus:
        backbone, branches = split_last_stage(backbone, spaces)
    mean, std = (torch.as_tensor(value).expand(3).clone().view(3, 1, 1) for value in (mean, std))
    normalise = Normalise(mean, std, torch.channels_last)
    embedder = Embedder(normalise, backbone, heads, branches, encoder.bn_splits, _dtype(config, device))
    return embedder.to(device)


def build_method(config: RunConfig, image_size: int, mean: Tensor | float = 0.0, std: Tensor | float = 1.0) -> Method:
    """The method of a run with its initial weights, on the run's device. Raises UserError."""
    settings = config.method
    embedder = build_embedder(config, image_size, mean, std)
    arguments = {"temperature": settings.temperature, "symmetric": settings.symmetric}
    if settings.framework == "moco-v2":
        arguments |= {"momentum": settings.momentum, "queue_length": settings.queue_length}
    with seeded(config.train.seed + 1):
        if settings.framework == "byol":
            arguments = {"symmetric": settings.symmetric, "momentum": settings.momentum}
            arguments["predictor"] = _predictor(config, embedder)
        framework = FRAMEWORKS[settings.framework](embedder, **arguments)
    return Method(framework, *settings.mixings(), oracle=settings.oracle).to(embedder.device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator, which initialises weights, at a seed; afterwards as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _predictor(config: RunConfig, embedder: Embedder) -> nn.Module:
    dim, hidden = embedder.dim, config.encoder.hidden or embedder.hidden
    heads = [Head("mlpbn1", dim, hidden, dim) for _ in range(embedder.spaces)]
    return SpaceWise(heads, embedder.dtype)


def dtype_name(config: RunConfig) -> str:
    """The dtype in which the encoder of a run computes on this machine, such as ``bfloat16``. Raises UserError."""
    return str(_dtype(config, find_device(config.train.device))).removeprefix("torch.")


def _dtype(config: RunConfig, device: torch.device) -> torch.dtype:
    return fast_dtype(device) if config.train.dtype == "auto" else DTYPES[config.train.dtype]
