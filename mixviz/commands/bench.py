"""``bench``: the speed of augmentation and of a training step on this machine, next to other libraries."""

import json
from argparse import Namespace
from pathlib import Path

import torch

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments.speed import augmentation_benchmark, step_benchmark, step_rows
from mixviz.paths import check_writable
from mixviz.runs import environment

DATA = ("glyphs", "digits", "tones")  # one of each domain, and all built in


def main(argv: list[str]) -> None:
    parser = Parser("bench", "Measure the speed of augmentation and of a training step on an otherwise idle machine.")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="NUMBER", help="per measurement [default: 3]")
    parser.add_argument("--framework", default="moco-v2", help="of the training step [default: moco-v2]")
    parser.add_argument("--mixing", nargs="*", default=[], help="of the training step [default: none]")
    parser.add_argument("--out", type=Path, help="also write the results to this JSON file")
    arguments = parser.parse_args(argv)
    if not arguments.seconds > 0:
        raise UserError(f"--seconds {arguments.seconds}: give a number greater than 0")
    if arguments.out:
        check_writable(arguments.out)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        augmentation = augmentation_benchmark(seconds_each=arguments.seconds)
    finally:
        torch.set_num_threads(threads)
    steps = [step_benchmark(config_on(data, arguments), arguments.seconds) for data in DATA]
    print(f"augmentation of MoCo-v2, {augmentation['size']} px, batches of {augmentation['batch']}, one thread")
    rates, ratios = augmentation["images_per_second"], augmentation["times_as_fast"]
    found = [[name, f"{rate:,.0f}", f"{ratios.get(name, 1):.1f}"] for name, rate in rates.items() if rate]
    print_table(["library", "images/s", "mixviz is faster by"], found)
    print(f"\ntraining step of {steps[0]['method']}, {steps[0]['dtype']}, {steps[0]['threads']} threads")
    print_table(*step_rows(steps))
    if arguments.out:
        figures = {"augmentation": augmentation, "steps": steps, "environment": environment()}
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def config_on(data: str, arguments: Namespace) -> RunConfig:
    """The training step's settings. Raises UserError."""
    return RunConfig.of(data=data, framework=arguments.framework, mixing=arguments.mixing)
