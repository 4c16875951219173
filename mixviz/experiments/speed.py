"""How fast the parts of training are on this machine, each compared with an alternative in the same process."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from mixviz.augment import Augmentation, build_augmentation, make_views, to_float
from mixviz.augment.filters import default_kernel_size
from mixviz.build import load_sets, seeded_generator
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of
from mixviz.method import Method
from mixviz.train import TrainingData, optimize, set_up, sgd

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


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A method and a batch of its training data, on the run's device."""

    config: RunConfig
    method: Method
    data: TrainingData
    augmentation: Augmentation
    optimizer: torch.optim.Optimizer
    stored: Tensor  # (N, ...)
    ready: list[Tensor]  # views of them, (N, *shape) each

    def whole(self) -> None:
        """A training step, from stored examples to the updated queue."""
        generator = seeded_generator(self.stored.device, 1)
        drawn = make_views(self.data.domain.prepare(self.stored), self.augmentation, generator, self.method.shared)
        output = self.method.training_step([view.inputs for view in drawn], generator)
        optimize(self.optimizer, output.loss, 0.01)
        self.method.update(output)

    def bare(self) -> None:
        """Forward and backward of the queries and forward of the keys, on prepared tensors; nothing else."""
        queries, _ = self.method.framework.embed(self.ready[:1], self.ready[1:])
        queries[0].sum().backward()


def prepare(config: RunConfig, images: Dataset | None = None) -> Prepared:
    """config: its data and batch size say which examples. images: the training split, instead of loading it."""
    images = load_sets(config.data, progress=False).all_train if images is None else images
    method, data = set_up(config, images)
    device = method.framework.online.device
    stored = data.stored[torch.arange(config.train.batch_size, device=device)]
    augmentation = augmentation_of(config.augment, data.bank)
    views = make_views(data.domain.prepare(stored), augmentation, seeded_generator(device, 0), method.shared)
    return Prepared(
        config=config,
        method=method,
        data=data,
        augmentation=augmentation,
        optimizer=sgd(method, config.optimizer),
        stored=stored,
        ready=[view.inputs for view in views],
    )


def step_benchmark(config: RunConfig, seconds_each: float = 5.0) -> dict[str, Any]:
    """A whole training step next to the bare passes of the same networks, in turns: see ``Prepared``.

    config: its data and batch size say which examples. ``milliseconds`` are medians; ``times_the_bare_passes`` is their
    ratio, 1 at best.
    """
    step, batch = prepare(config), config.train.batch_size
    times = medians({"whole step": step.whole, "bare passes": step.bare}, seconds_each)
    return {
        "method": config.method.name,
        "data": step.data.bank.name,
        "examples": step.data.domain.examples,
        "backbone": config.encoder.backbone,
        "batch": batch,
        "milliseconds": {name: 1000 * seconds for name, seconds in times.items()},
        "times_the_bare_passes": times["whole step"] / times["bare passes"],
        "examples_per_second": batch / times["whole step"],
        **machine_of(step),
    }


def machine_of(step: Prepared) -> dict[str, Any]:
    """On what it is computed."""
    dtype = str(step.method.framework.online.dtype).removeprefix("torch.")
    return {"device": str(step.stored.device), "dtype": dtype, "threads": torch.get_num_threads()}


def step_rows(steps: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of ``step_benchmark`` on several data sets."""
    rows = []
    for step in steps:
        times = [f"{step['milliseconds'][part]:.0f}" for part in ("whole step", "bare passes")]
        rate = f"{step['examples_per_second']:,.0f} {step['examples']}"
        about = [step["data"], step["backbone"], str(step["batch"])]
        rows.append([*about, *times, f"{step['times_the_bare_passes']:.2f}", rate])
    return ["data", "network", "batch", "step, ms", "bare passes, ms", "ratio", "a second"], rows


def medians(
    contestants: Mapping[str, Callable[[], None]], seconds_each: float, clock: Callable[[], float] | None = None
) -> dict[str, float]:
    """Median seconds of a call of each; they take turns, and the first call of each does not count.

    clock: instead of the time that passes.
    """
    for call in contestants.values():
        call()
    clock = time.perf_counter if clock is None else clock
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end, rounds = time.perf_counter() + seconds_each * len(contestants), 0
    while time.perf_counter() < end or rounds < 5:
        rounds += 1
        for name, call in contestants.items():
            start = clock()
            call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def clock_of(device: torch.device | str) -> tuple[str, Callable[[], float]]:
    """Its name, and seconds: on the CPU those that this process has computed, which other processes do not change."""
    if torch.device(device).type == "cpu":
        return "CPU time", time.process_time
    return "time", time.perf_counter
