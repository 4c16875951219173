"""``train``: one run, from the flags to a checkpoint."""

import sys
from pathlib import Path

from mixviz.analysis.diagnosis import diagnosis
from mixviz.commands.flags import Parser, add_config_flags, config_from, read_config
from mixviz.config import RunConfig
from mixviz.method import Method
from mixviz.runs import Run, default_name
from mixviz.train import resume, train


def main(argv: list[str]) -> None:
    parser = Parser("train", "Train one run. Example: train --data cifar10 --mixing mochi mixco --epochs 15")
    parser.add_argument("--name", help="name of the run [default: from data, method and seed]")
    parser.add_argument("--resume", metavar="RUN", help="continue this run from its last epoch, with its own settings")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a run's config.json; flags change its settings")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.resume:
        run = resume(Run.open(arguments.resume), progress=not arguments.quiet)
    else:
        config = config_from(arguments, read_config(arguments.config) if arguments.config else None)
        print(f"training {arguments.name or default_name(config)}: {describe(config)}")
        if config.warning:
            print(f"warning: {config.warning}", file=sys.stderr)
        run = train(config, arguments.name, progress=not arguments.quiet)
    print(summary(run))


def describe(config: RunConfig) -> str:
    """The method, and what a reader should know of it before it trains."""
    name = config.method.name
    splits = config.encoder.bn_splits
    notes = (
        [f"BatchNorm in {splits} splits, so that batch statistics give no key away"] if splits and splits > 1 else []
    )
    if Method.is_extension(config.method.framework, config.method.mixings()):
        notes.append("an extension: no paper reports this combination")
    return "; ".join([f"{name} on {config.data.data_name or config.data.data}", *notes])


def summary(run: Run) -> str:
    """Where the run stands, whether it learns, and what to do next."""
    log = run.metrics
    last = log.dropna(axis=1).iloc[-1]
    monitor = f", kNN monitor {last['knn_accuracy']:.1%}" if "knn_accuracy" in last else ""
    state = f"{run.name}: epoch {int(last['epoch'])}, loss {last['loss']:.3f}{monitor}"
    film = run.film if (run.path / "film.npz").exists() else None
    verdict = diagnosis(log, run.config, film)
    return f"{state}\n{verdict}\nnext: python -m mixviz evaluate {run.name}"
