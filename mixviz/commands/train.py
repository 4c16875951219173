"""``train``: one run, from the flags to a checkpoint."""

import sys
from argparse import Namespace
from pathlib import Path

from mixviz.analysis.diagnosis import diagnosis
from mixviz.build import fitted, load_sets
from mixviz.commands.flags import Parser, add_config_flags, add_trust, config_from, given_flags, how_opened, read_config
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.data.sources import has_test_split
from mixviz.distributed import World, joined
from mixviz.domains import domain_of
from mixviz.errors import UserError, unknown
from mixviz.loggers import LOGGERS, Logger
from mixviz.method import Method
from mixviz.model_zoo import PUBLISHED
from mixviz.paths import runs_root
from mixviz.pretrained import find
from mixviz.runs import Run, default_name
from mixviz.train import learning_rate, resume, train

RESUME_HELP = (
    "continue this run from its last epoch, with its own settings; with --epochs N extend it to N, the learning rate "
    "from there on being that of the schedule of N epochs (a cosine that has ended begins again at that height); with "
    "--data DATA, if its data were moved, from where they are now, which is written into its config.json"
)
INIT_HELP = (
    "start from the weights of this run or recording: its backbone, and its heads if they have the same shapes; "
    f"--backbone is then by default the run's; {PUBLISHED}: with those that torchvision or timm publish for the "
    "backbone, downloaded unless they are in the cache"
)

LOGGER_HELP = (
    f"write the numbers of each epoch there too, in a folder of that name of the run: {', '.join(LOGGERS)}; in Python "
    "any object with two methods (mixviz.loggers.Logger)"
)


def main(argv: list[str]) -> None:
    with joined() as world:
        _train(argv, world)


def _train(argv: list[str], world: World) -> None:
    parser = Parser("train", "Train one run. Example: train --data cifar10 --mixing mochi mixco --epochs 15")
    parser.add_argument("--name", help="name of the run [default: from data, method and seed]")
    parser.add_argument("--resume", metavar="RUN", help=RESUME_HELP)
    parser.add_argument("--init", metavar="RUN", help=INIT_HELP)
    parser.add_argument("--config", type=Path, metavar="FILE", help="a run's config.json; flags override its settings")
    parser.add_argument("--changed-data", action="store_true", help="--resume: even if its data have changed")
    add_trust(parser)
    parser.add_argument("--logger", nargs="+", default=[], metavar="NAME", help=LOGGER_HELP)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_config_flags(parser)
    arguments = parser.parse_args(argv)
    run = resumed(arguments, world) if arguments.resume else new(arguments, world)
    if world.leads:
        print(summary(run))


def resumed(arguments: Namespace, world: World) -> Run:
    """The run that ``--resume`` names, trained to its last epoch. Raises UserError."""
    others = {"--name": arguments.name, "--init": arguments.init, "--config": arguments.config}
    given = [flag for flag in given_flags(arguments) if flag not in ("--data", "--epochs")]
    if given := given + [flag for flag, value in others.items() if value is not None]:
        raise UserError(f"--resume continues a run with its own settings: leave out {', '.join(given)}")
    run = Run.open(arguments.resume, **how_opened(arguments))
    epochs = None
    if arguments.epochs is not None:
        epochs = RunConfig.of(epochs=arguments.epochs).train.epochs
        message = extension(run, epochs)
        print(message if world.leads else "", end="")
    return resume(
        run,
        progress=not arguments.quiet,
        epochs=epochs,
        loggers=loggers_of(arguments, run.path) if world.leads else (),
        world=world,
    )


def extension(run: Run, epochs: int) -> str:
    """What more epochs mean for the learning rate; empty if the run is to have that many anyway. Raises UserError."""
    done, before = run.epoch, run.config
    config = before.extended(epochs, done)
    if config == before:
        return ""
    rate = learning_rate(config.optimizer, done, epochs)
    was = f", after {run.metrics['lr'].iloc[-1]:.3g} in epoch {done}" if done else ""
    return (
        f"{run.name} is extended from {before.train.epochs} to {epochs} epochs: from epoch {done + 1} on, the learning "
        f"rate is that of the {config.optimizer.schedule} schedule of {epochs} epochs, and begins at {rate:.3g}{was}\n"
    )


def new(arguments: Namespace, world: World) -> Run:
    """A new run, trained. Raises UserError."""
    if arguments.changed_data:
        raise UserError("--changed-data is of --resume, and this run is new: leave it out")
    if arguments.trust and not arguments.init:
        raise UserError("--trust is of a run that --resume or --init names: leave it out")
    init = arguments.init
    if init is not None and init != PUBLISHED:
        init = find(init, trusted=arguments.trust)
    base = read_config(arguments.config) if arguments.config else None
    if isinstance(init, Run) and base is None:
        arguments.backbone = arguments.backbone or init.config.encoder.backbone
    config = config_from(arguments, base)
    Run.check_new(config, arguments.name)
    with world.leader_first():
        images = load_sets(config.data, world.leads and not arguments.quiet).all_train
    config = world.divide(fitted(config, images))
    loggers = loggers_of(arguments, runs_root() / (arguments.name or default_name(config))) if world.leads else []
    begins = f"; it begins with the weights of {init.name}" if isinstance(init, Run) else ""
    if world.leads:
        print(f"training {arguments.name or default_name(config)}: {describe(config, images)}{begins}")
    if world.leads and config.warning:
        print(f"warning: {config.warning}", file=sys.stderr)
    progress = not arguments.quiet
    return train(config, arguments.name, images, progress=progress, init=init, loggers=loggers, world=world)


def loggers_of(arguments: Namespace, folder: Path) -> list[Logger]:
    """Those of ``--logger``, for the run in a folder. Raises UserError."""
    for name in arguments.logger:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS)
    return [LOGGERS[name](folder / name) for name in dict.fromkeys(arguments.logger)]


def describe(config: RunConfig, images: Dataset) -> str:
    """The method, its data, and what a reader should know before it trains. images: the training split."""
    splits, held = config.encoder.bn_splits, config.data.held_out_of(len(images))
    examples = domain_of(images).examples
    apart = [f"{held:,} more are held out to watch it"] if held else []
    if images.labels is not None and not has_test_split(config.data.data):
        apart.append("a fifth of all is kept for evaluate")
    notes = [f"{config.method.name} on {len(images) - held:,} {examples} of {config.data.shown}"]
    notes[0] += f" ({', '.join(apart)})" if apart else ""
    if splits and splits > 1:
        notes.append(f"BatchNorm in {splits} splits, so that batch statistics give no key away")
    if Method.is_extension(config.method.framework, config.method.mixings()):
        notes.append("an extension: no paper reports this combination")
    return "; ".join(notes)


def summary(run: Run) -> str:
    """The run's last epoch, whether it is learning, and what to do next."""
    log = run.metrics
    if not len(log):
        return f"{run.name}: its log is lost\nnext: python -m mixviz evaluate {run.name}"
    last = log.iloc[-1].dropna()
    monitor = f", kNN monitor {last['knn_accuracy']:.1%}" if "knn_accuracy" in last else ""
    state = f"{run.name}: epoch {int(last['epoch'])}, loss {last['loss']:.3f}{monitor}"
    film = run.film if (run.path / "film.npz").exists() else None
    verdict = diagnosis(log, run.config, film)
    unlabelled = film is not None and film.labels is None
    return f"{state}\n{verdict}\nnext: python -m mixviz {'report' if unlabelled else 'evaluate'} {run.name}"
