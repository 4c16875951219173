"""The training step of other libraries beside ours: of the same method, encoder, batch and list of augmentations."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments.speed import Prepared, clock_of, machine_of, medians, prepare
from mixviz.frameworks import MoCoV2

METHODS = ("moco-v2", "simclr")


def peers_benchmark(seconds_each: float = 5.0, data: str = "glyphs", **settings: Any) -> dict[str, Any]:
    """Our steps and those of each library in PEERS that is installed, in turns in this process.

    settings: flat names of a config, such as batch_size. Theirs start, as their own data sets do, from the images in
    memory as Pillow's, and augment them one by one. ``milliseconds`` are medians, ``times_as_fast`` theirs over ours.
    Raises UserError if none is installed.
    """
    installed = [name for name in PEERS if find_spec(name)]
    if not installed:
        raise UserError(f"there is no library to compare with: pip install {' '.join(PEERS)}")
    steps = []
    for method in METHODS:
        ours = prepare(RunConfig.of(data=data, framework=method, **settings))
        clock, seconds = clock_of(ours.stored.device)
        calls = {"mixviz": ours.whole, **{name: PEERS[name](ours) for name in installed}}
        times = medians(calls, seconds_each, seconds)
        steps.append(
            {
                "method": method,
                "milliseconds": {name: 1000 * found for name, found in times.items()},
                "times_as_fast": {name: times[name] / times["mixviz"] for name in installed},
            }
        )
    packages = ["torch", "torchvision", *installed]
    return {
        "data": data,
        "size": ours.stored.shape[1],
        "backbone": ours.config.encoder.backbone,
        "batch": ours.config.train.batch_size,
        "clock": clock,
        "steps": steps,
        **machine_of(ours),
        "versions": {package: version(package) for package in packages},
    }


def peer_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of ``peers_benchmark``."""
    rows = [
        [step["method"], name, f"{found:.0f}", f"{step['times_as_fast'].get(name, 1):.1f}"]
        for step in figures["steps"]
        for name, found in step["milliseconds"].items()
    ]
    return ["method", "library", "step, ms", "mixviz is faster by"], rows


def _lightly(ours: Prepared) -> Callable[[], None]:
    """As lightly's documentation puts a step together, with copies of our encoders."""
    from lightly.loss import NTXentLoss  # pyright: ignore[reportMissingImports]  # optional, and slow to import
    from lightly.models.utils import update_momentum  # pyright: ignore[reportMissingImports]
    from lightly.transforms import MoCoV2Transform  # pyright: ignore[reportMissingImports]

    framework, device = ours.method.framework, ours.stored.device
    online, target, momentum, bank = deepcopy(framework.online), None, 0.0, (0, framework.online.dim)
    if isinstance(framework, MoCoV2):
        target, momentum = deepcopy(framework.target), framework.settings.momentum
        bank = (framework.settings.queue_length, framework.online.dim)
    criterion = NTXentLoss(temperature=framework.temperature, memory_bank_size=bank)
    pixels = ours.stored.cpu().numpy()
    transform = MoCoV2Transform(input_size=pixels.shape[1], normalize=None)  # which the encoder does itself
    optimizer = torch.optim.SGD(online.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def views() -> Sequence[Tensor]:
        pairs = [transform(Image.fromarray(image)) for image in pixels]
        return [torch.stack(view).to(device) for view in zip(*pairs, strict=True)]

    def step() -> None:
        first, second = views()
        if target is None:
            key = online(second)[:, 0]
        else:
            update_momentum(online, target, m=momentum)
            with torch.no_grad():
                key = target(second)[:, 0]
        loss = criterion(online(first)[:, 0], key)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


PEERS: dict[str, Callable[[Prepared], Callable[[], None]]] = {"lightly": _lightly}
