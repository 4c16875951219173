"""How fast the parts of training are on this machine, each compared with an alternative in the same process."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from mixviz.augment import build_augmentation, make_views, to_float
from mixviz.augment.filters import default_kernel_size
from mixviz.build import build_method, load_sets, seeded_generator
from mixviz.config import RunConfig
from mixviz.domains import augmentation_of, domain_of, inputs_of
from mixviz.train import optimize, sgd

ROUNDS = 4  # the contestants take turns, so that other load on the machine slows all of them


def augmentation_benchmark(batch: int = 256, size: int = 32, seconds_each: float = 2.0) -> dict[str, Any]:
    """Images a second and view of MoCo-v2's augmentation, from uint8 pixels in memory to a float batch, on the CPU.

    batch: N, images that are augmented together. size: pixels a side. seconds_each: for each contestant.
    ``images_per_second`` has mixviz, torchvision image by image on PIL images and on tensors, and kornia's batched
    pipeline with parameters for each image (None if kornia is not installed); ``times_as_fast`` mixviz's over
    each of the others'; ``threads`` of torch; ``versions``.
    """
    shape = (batch, size, size, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded_generator("cpu", "pixels"))
    contestants = {
        "mixviz": _mixviz(pixels),
        "torchvision PIL": _torchvision_pil(pixels),
        "torchvision tensor": _torchvision_tensor(pixels),
    }
    if find_spec("kornia"):
        contestants["kornia"] = _kornia(pixels)
    with torch.random.fork_rng(devices=[]):
        measured = _rates(contestants, batch, seconds_each)
    rates: dict[str, float | None] = {"kornia": None, **measured}
    packages = ["torch", "torchvision", *(["kornia"] if find_spec("kornia") else [])]
    return {
        "batch": batch,
        "size": size,
        "images_per_second": rates,
        "times_as_fast": {name: measured["mixviz"] / rate for name, rate in rates.items() if rate and name != "mixviz"},
        "threads": torch.get_num_threads(),
        "versions": {package: version(package) for package in packages},
    }


def _rates(contestants: Mapping[str, Callable[[], Tensor]], batch: int, seconds_each: float) -> dict[str, float]:
    """Images a second of each, over turns that add up to at least ``seconds_each``; the first call does not count."""
    calls, seconds = dict.fromkeys(contestants, 0), dict.fromkeys(contestants, 0.0)
    for augment in contestants.values():
        augment()
    for _ in range(ROUNDS):
        for name, augment in contestants.items():
            start = time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds_each / ROUNDS or not elapsed:
                augment()
                calls[name] += 1
            seconds[name] += elapsed
    return {name: batch * calls[name] / seconds[name] for name in contestants}


def _mixviz(pixels: Tensor) -> Callable[[], Tensor]:
    augmentation, generator = build_augmentation(pixels.shape[1]), seeded_generator("cpu", "crops")
    return lambda: make_views(to_float(pixels), augmentation, generator, shared=())[0].inputs


def _torchvision_pil(pixels: Tensor) -> Callable[[], Tensor]:
    augment = v2.Compose([*_torchvision(pixels.shape[1]), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    images = [Image.fromarray(image.numpy()) for image in pixels]
    return lambda: torch.stack([augment(image) for image in images])


def _torchvision_tensor(pixels: Tensor) -> Callable[[], Tensor]:
    augment = v2.Compose([*_torchvision(pixels.shape[1]), v2.ToDtype(torch.float32, scale=True)])
    images = pixels.permute(0, 3, 1, 2).contiguous()
    return lambda: torch.stack([augment(image) for image in images])


def _torchvision(size: int) -> list[v2.Transform]:
    return [
        v2.RandomResizedCrop(size, scale=(0.2, 1.0), antialias=True),
        v2.RandomHorizontalFlip(0.5),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        v2.RandomGrayscale(0.2),
        v2.RandomApply([v2.GaussianBlur(default_kernel_size(size), (0.1, 2.0))], p=0.5),
    ]


def _kornia(pixels: Tensor) -> Callable[[], Tensor]:
    import kornia.augmentation as kornia  # pyright: ignore[reportMissingImports]  # optional, and slow to import

    size = pixels.shape[1]
    kernel = default_kernel_size(size)
    augment = torch.nn.Sequential(
        kornia.RandomResizedCrop((size, size), scale=(0.2, 1.0), same_on_batch=False),
        kornia.RandomHorizontalFlip(p=0.5, same_on_batch=False),
        kornia.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8, same_on_batch=False),
        kornia.RandomGrayscale(p=0.2, same_on_batch=False),
        kornia.RandomGaussianBlur((kernel, kernel), (0.1, 2.0), p=0.5, same_on_batch=False),
    )
    return lambda: augment(to_float(pixels))


def step_benchmark(config: RunConfig, seconds_each: float = 5.0) -> dict[str, Any]:
    """A whole training step, from stored examples to the updated queue, next to the bare passes of the same networks.

    config: its data and batch size say which examples. Bare: forward and backward of the queries and forward of the
    keys, on prepared tensors; nothing else. The two take turns. ``milliseconds`` are medians;
    ``times_the_bare_passes`` is their ratio, 1 at best.
    """
    train, batch = load_sets(config.data, progress=False).train, config.train.batch_size
    domain, method = domain_of(train), build_method(config, *inputs_of(train))
    device = method.framework.online.device
    stored = torch.as_tensor(np.array(train.stored[:batch])).to(device)
    augmentation, optimizer = augmentation_of(config.augment, train), sgd(method, config.optimizer)
    views = make_views(domain.prepare(stored), augmentation, seeded_generator(device, 0), method.shared)
    ready = [view.inputs for view in views]

    def whole() -> None:
        generator = seeded_generator(device, 1)
        drawn = make_views(domain.prepare(stored), augmentation, generator, method.shared)
        output = method.training_step([view.inputs for view in drawn], generator)
        optimize(optimizer, output.loss, 0.01)
        method.update(output)

    def bare() -> None:
        queries, _ = method.framework.embed(ready[:1], ready[1:])
        queries[0].sum().backward()

    times = _medians({"whole step": whole, "bare passes": bare}, seconds_each)
    return {
        "method": config.method.name,
        "data": train.name,
        "examples": domain.examples,
        "backbone": config.encoder.backbone,
        "batch": batch,
        "milliseconds": {name: 1000 * seconds for name, seconds in times.items()},
        "times_the_bare_passes": times["whole step"] / times["bare passes"],
        "examples_per_second": batch / times["whole step"],
        "device": str(device),
        "dtype": str(method.framework.online.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def step_rows(steps: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of ``step_benchmark`` on several data sets."""
    rows = []
    for step in steps:
        times = [f"{step['milliseconds'][part]:.0f}" for part in ("whole step", "bare passes")]
        rate = f"{step['examples_per_second']:,.0f} {step['examples']}"
        about = [step["data"], step["backbone"], str(step["batch"])]
        rows.append([*about, *times, f"{step['times_the_bare_passes']:.2f}", rate])
    return ["data", "network", "batch", "step, ms", "bare passes, ms", "ratio", "a second"], rows


def _medians(contestants: Mapping[str, Callable[[], None]], seconds_each: float) -> dict[str, float]:
    """Median seconds of a call of each; they take turns, and the first call of each does not count."""
    for call in contestants.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds_each * len(contestants)
    while time.perf_counter() < end or len(times["whole step"]) < 5:
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}
