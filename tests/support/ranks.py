"""What the processes of ``test_distributed`` do; they are forked from a server that has imported this file."""

import os
import socket
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # which every optimiser imports

import mixviz.commands.train  # noqa: F401  so that no process has to
from mixviz.__main__ import main
from mixviz.augment import View, make_views
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.distributed import World, joined
from mixviz.domains import DOMAINS, augmentation_of
from mixviz.train import Loop, batches, set_up, sgd


def _named(settings: dict[str, Any]) -> str:
    others = [name for name in ("symmetric", "oracle", "imix_kind") if name in settings]
    return "+".join([settings["framework"], *settings.get("mixing", []), *others])


SMALL = {"backbone": "convnet-narrow", "dim": 8, "hidden": 16, "holdout": 8, "dtype": "float32", "batch_size": 16}
QUERIES = [
    {},
    {"mixing": ["mixco"]},
    {"mixing": ["imix"]},
    {"mixing": ["imix"], "imix_kind": "cutmix", "imix_inputmix": 2},
    {"mixing": ["unmix"]},
]
MOCHI = {"mixing": ["mochi"], "mochi_hardest": 4, "mochi_pairs": 3, "mochi_towards_query": 2}
NEGATIVES = [
    MOCHI,
    {"mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
    {**MOCHI, "mixing": ["imix", "mochi"]},
]
ORACLE = {"mixing": ["mixco"], "oracle": True}
MOCO = {"framework": "moco-v2", "queue_length": 32}
CASES: dict[str, dict[str, Any]] = {
    _named(settings): {"bn_splits": 4, **settings}
    for settings in [
        *({**MOCO, **mixing} for mixing in [*QUERIES, *NEGATIVES, ORACLE, {"symmetric": True}]),
        *({"framework": "simclr", **mixing} for mixing in [*QUERIES, *NEGATIVES, ORACLE]),
        *({"framework": "n-pair", **mixing} for mixing in [*QUERIES[:3], *NEGATIVES]),
        *({"framework": "byol", **mixing} for mixing in QUERIES),
        *({"framework": "vicreg", **mixing} for mixing in QUERIES[:3]),
    ]
}
UNEVEN = {**MOCO, "mixing": ["mixco"], "batch_size": 12}  # 18 queries


def cases(size: int) -> dict[str, dict[str, Any]]:
    """By name what is tried in so many processes: all, but every other one in more than two."""
    names = list(CASES) if size == 2 else list(CASES)[::2]
    return {name: CASES[name] for name in names} | {"uneven": {**UNEVEN, "bn_splits": size}}


def pictures() -> Dataset:
    random, labels = np.random.default_rng(0), np.arange(60) % 4
    shown = random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    return Dataset(name="noise", split="train", stored=shown, labels=labels, class_names=tuple("abcd"))


def noisy_views(inputs, augmentation, generator, shared) -> list[View]:
    """In double precision, so that differences are no rounding errors."""
    draws = [torch.randn(inputs.shape, generator=generator, dtype=torch.float64) for _ in (None, *shared)]
    return [View(inputs.double() + draw / 4, {}) for draw in draws]


def run_case(settings: dict[str, Any], world: World, steps: int = 2) -> dict[str, Any]:
    """Some steps in double precision: the rows of the log, the last gradients, and all weights, statistics and keys."""
    config = world.divide(RunConfig.of(**{**SMALL, **settings}))
    method, data = set_up(config, pictures())
    method.double().train()
    world.divide_norms(method.framework)
    optimizer = sgd(method, config.optimizer)
    loop = Loop(
        config=config,
        method=method,
        optimizer=optimizer,
        data=data,
        augmentation=augmentation_of(config.augment, data.bank),
        views=noisy_views,
        world=world,
    )
    order = list(batches(len(data.stored), config.train.batch_size, 0, 0))
    rows = [loop.step(5, 100 + i, index, 0.05) for i, index in enumerate(order[:steps])]
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    world.average_statistics(method.framework)
    return {"rows": rows, "gradients": gradients, "state": method.state_dict()}


def views_of(source: str, world: World) -> list[torch.Tensor]:
    """Two views of 10 random inputs, augmented in shares; in four processes those are uneven."""
    shapes = {"glyphs": (3, 32, 32), "tones": (4000,), "digits": (64,)}
    config = RunConfig.of(data=source, **({"tabular_corruption": 0.5} if source == "digits" else {}))
    augmentation = DOMAINS[config.data.domain].augmentation(config.augment, shapes[source])
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(10, *shapes[source], generator=generator)
    return [view.inputs for view in make_views(inputs, world.share_augmentation(augmentation), generator)]


def calculate(folder: Path, rank: int, size: int, port: int) -> None:
    """All cases, as one of several processes; writes what came out to ``size-rank.pt``."""
    become(rank, size, port)
    with joined() as world:
        found = {name: run_case(settings, world) for name, settings in cases(size).items()}
        views = {kind: views_of(kind, world) for kind in ("glyphs", "tones", "digits")}
        torch.save({"cases": found, "views": views}, folder / f"{size}-{rank}.pt")


def command(argv: list[str], folder: Path, rank: int, size: int, port: int) -> None:
    """``python -m mixviz`` as one of several processes; what it says goes to ``said-rank``."""
    descriptor = os.open(folder / f"said-{rank}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    become(rank, size, port)
    sys.exit(main(argv))


def become(rank: int, size: int, port: int) -> None:
    place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)


def start(target, size: int, *arguments) -> list:
    """One process for each rank."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    context = get_context("forkserver")
    context.set_forkserver_preload(["ranks"])
    processes = [context.Process(target=target, args=(*arguments, rank, size, port)) for rank in range(size)]
    for process in processes:
        process.start()
    return processes
