"""``bench``: the speed of augmentation and of a training step, what adds to it, and the step of other libraries."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments.overheads import overhead_rows, overheads_benchmark
from mixviz.experiments.peers import peer_rows, peers_benchmark
from mixviz.experiments.speed import augmentation_benchmark, step_benchmark, step_rows
from mixviz.files import write_json
from mixviz.paths import check_writable
from mixviz.runs import environment

DATA = ("glyphs", "digits", "tones")  # one of each domain, and all built in


def main(argv: list[str]) -> None:
    parser = Parser("bench", "Measure the speed of augmentation and of a training step on an otherwise idle machine.")
    parser.add_argument(
        "what",
        nargs="?",
        choices=list(PARTS),
        default="speed",
        help="speed of augmentation and step; overheads of each mixing, film and monitor; or the step of peers, other "
        "libraries that are installed [default: speed]",
    )
    parser.add_argument("--seconds", type=float, default=3.0, metavar="NUMBER", help="per measurement [default: 3]")
    parser.add_argument("--framework", default="moco-v2", help="of speed's training step [default: moco-v2]")
    parser.add_argument("--mixing", nargs="*", default=[], help="of speed's training step [default: none]")
    parser.add_argument("--out", type=Path, help="also write the results to this JSON file")
    arguments = parser.parse_args(argv)
    if not arguments.seconds > 0:
        raise UserError(f"--seconds {arguments.seconds}: give a number greater than 0")
    if arguments.out:
        check_writable(arguments.out)
    figures = PARTS[arguments.what](arguments)
    if arguments.out:
        write_json(arguments.out, figures | {"environment": environment()})


def measure_speed(arguments: Namespace) -> dict[str, Any]:
    """Of augmentation and of a step on each of DATA, printed."""
    with one_thread():
        augmentation = augmentation_benchmark(seconds_each=arguments.seconds)
    steps = [step_benchmark(config_on(data, arguments), arguments.seconds) for data in DATA]
    print(f"augmentation of MoCo-v2, {augmentation['size']} px, batches of {augmentation['batch']}, one thread")
    rates, ratios = augmentation["images_per_second"], augmentation["times_as_fast"]
    found = [[name, f"{rate:,.0f}", f"{ratios.get(name, 1):.1f}"] for name, rate in rates.items() if rate]
    print_table(["library", "images/s", "mixviz is faster by"], found)
    print(f"\ntraining step of {steps[0]['method']}, {steps[0]['dtype']}, {steps[0]['threads']} threads")
    print_table(*step_rows(steps))
    return {"augmentation": augmentation, "steps": steps}


def measure_overheads(arguments: Namespace) -> dict[str, Any]:
    """Of each mixing, and of film and monitor, on one thread, printed."""
    with one_thread():
        figures = overheads_benchmark(arguments.seconds)
    print(f"{figures['backbone']} on {figures['data']}, batches of {figures['batch']}, one thread, {figures['clock']}")
    print_table(*overhead_rows(figures))
    return figures


def measure_peers(arguments: Namespace) -> dict[str, Any]:
    """Steps of other libraries, on one thread, printed."""
    with one_thread():
        figures = peers_benchmark(arguments.seconds)
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    print(f"{figures['backbone']} on {figures['data']}, batches of {figures['batch']}, one thread, {figures['clock']}")
    print(versions)
    print_table(*peer_rows(figures))
    return figures


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def config_on(data: str, arguments: Namespace) -> RunConfig:
    """The training step's settings. Raises UserError."""
    return RunConfig.of(data=data, framework=arguments.framework, mixing=arguments.mixing)


PARTS: dict[str, Callable[[Namespace], dict[str, Any]]] = {
    "speed": measure_speed,
    "overheads": measure_overheads,
    "peers": measure_peers,
}
