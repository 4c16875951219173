"""``evaluate``: a run's frozen encoder, read out by protocols of one's choice, or by all that others report."""

from collections.abc import Sequence

from mixviz.analysis.heads import head_names
from mixviz.build import load_sets
from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import Dataset, load
from mixviz.errors import UserError
from mixviz.evaluate import BEST_ON_TEST, DEFAULTS, PROTOCOLS, Protocol, Result, evaluate, protocol
from mixviz.evaluate.details import keep_confusions, keep_tables
from mixviz.evaluate.prism import prism
from mixviz.evaluate.robustness import CLEAN
from mixviz.evaluate.spaces import read_out_spaces
from mixviz.evaluate.transfer import transfer
from mixviz.report.overview import look
from mixviz.runs import Run

PROTOCOL_HELP = (
    f"{' '.join(PROTOCOLS)}; options follow a colon, as in knn:k=20,layer=head or linear-augmented:recipe=imix or "
    f"few-shot:shots=10 or few-labels:share=0.1 or corruptions:kinds=fog/contrast [default: {' '.join(DEFAULTS)}]"
)
MOST_CONFUSED = 5  # pairs of classes that are shown


def main(argv: list[str]) -> None:
    parser = Parser("evaluate", "Evaluate the frozen encoders of runs, and add the results to evaluation.json.")
    parser.add_argument("run", nargs="+", help="name or folder of a run")
    parser.add_argument("--target", nargs="+", default=["label"], help="label, or factors of the data [default: label]")
    parser.add_argument("--protocol", nargs="+", default=list(DEFAULTS), metavar="NAME", help=PROTOCOL_HELP)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--transfer", metavar="DATA", help="evaluate on another data set instead, named as for train --data"
    )
    instead.add_argument(
        "--spaces",
        action="store_true",
        help="evaluate each embedding space, all of them, and all with the backbone instead",
    )
    instead.add_argument(
        "--prism", action="store_true", help="evaluate under all protocols in use instead; writes prism.csv"
    )
    parser.add_argument(
        "--scale", type=float, default=0.1, help="--prism: fraction of the papers' epochs [default: %(default)s]"
    )
    parser.add_argument(
        "--classes", action="store_true", help="also evaluate class by class; writes confusions to classes.json"
    )
    parser.add_argument("--random", action="store_true", help="also evaluate the same encoder before training")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    arguments = parser.parse_args(argv)
    if arguments.random and (arguments.spaces or arguments.prism):
        raise UserError("--random evaluates the backbone only: leave out --random, or --spaces and --prism")
    protocols = [protocol(name) for name in arguments.protocol]
    encoders = [True, False] if arguments.random else [True]
    for run in [Run.open(name) for name in arguments.run]:
        train, test = evaluation_sets(run)
        trained_on = None
        if arguments.transfer:
            trained_on, size = train, train.stored.shape[1] if train.domain == "image" else None
            train, test = (load(arguments.transfer, split, image_size=size) for split in ("train", "test"))
        sizes = f"{len(train):,} training and {len(test):,} test images"
        print(f"{run.name}, epoch {len(run.metrics)}, {train.name}: {sizes}, seed {run.config.train.seed}")
        if arguments.prism:
            for target in arguments.target:
                show_prism(run, train, test, target, arguments.scale, arguments.device)
            continue
        chosen = arguments.target, protocols, arguments.device
        if arguments.spaces:
            results = read_out_spaces_of_run(run, train, test, *chosen)
        else:
            results = read_out_run(run, train, test, encoders, *chosen, trained_on)
        keep_and_show(run, results, arguments.classes)


def read_out_run(
    run: Run,
    train: Dataset,
    test: Dataset,
    encoders: list[bool],
    targets: list[str],
    protocols: list[Protocol],
    device: str,
    trained_on: Dataset | None = None,
) -> list[Result]:
    """Results of the run's encoder, trained or as it was before, with the run's name and seed.

    trained_on: the run's own images, where train and test are of another data set.
    """
    results = []
    for trained in encoders:
        embedder, name = run.encoder(trained, device), "backbone" if trained else "random"
        about = name, targets, protocols, run.config.train.seed, run.name
        if trained_on is None:
            results += evaluate(embedder, train, test, *about)
        else:
            results += transfer(embedder, train, test, trained_on, *about)
    return results


def read_out_spaces_of_run(
    run: Run, train: Dataset, test: Dataset, targets: list[str], protocols: list[Protocol], device: str
) -> list[Result]:
    """Results of the run's embedding spaces, alone and together."""
    embedder, names = run.encoder(device=device), [f"space {name}" for name in head_names(run.config)]
    spaces = [look(embedder, images, names) for images in (train, test)]
    return read_out_spaces(*spaces, train, test, targets, protocols, run.config.train.seed, run.name)


def keep_and_show(run: Run, results: Sequence[Result], classes: bool) -> None:
    """Results into the run folder, with what they are made of, and onto the screen."""
    kept = [result for result in results if result.comparable]
    run.add_results([result.to_dict() for result in kept])
    keep_tables(run.path, kept)
    rows = [[r.encoder, r.target, r.protocol, accuracy_text(r), f"{r.classes}"] for r in results]
    print_table(["encoder", "target", "protocol", "test accuracy", "classes"], rows)
    for result in results:
        if result.table is not None and "kind" in result.table:
            show_corruptions(result)
    if classes:
        keep_confusions(run.path, kept)
        for target in dict.fromkeys(result.target for result in results):
            show_classes([result for result in results if result.target == target and result.confusion is not None])
    if len(kept) < len(results):
        print(f"note: {BEST_ON_TEST} results are optimistic, and are not stored in evaluation.json")


def accuracy_text(result: Result) -> str:
    """In per cent, where there are trials with half their 95 % interval."""
    half = (result.settings["high"] - result.settings["low"]) / 2 if "low" in result.settings else None
    return f"{result.accuracy:.1%}" if half is None else f"{result.accuracy:.1%} ± {100 * half:.1f}"


def show_corruptions(result: Result) -> None:
    """Accuracy in % by kind and severity."""
    table = result.table[result.table["kind"] != CLEAN]
    wide = 100 * table.pivot(index="kind", columns="severity", values="accuracy").loc[table["kind"].unique()]
    print(f"\n{result.encoder}, {result.target}: test accuracy, %; on clean images {result.settings[CLEAN]:.1%}")
    rows = [[kind.replace("_", " "), *[f"{value:.1f}" for value in row]] for kind, row in wide.iterrows()]
    print_table(["severity", *map(str, wide.columns)], rows)


def show_classes(results: Sequence[Result]) -> None:
    """Accuracy in % of each class, a column a result, and the pairs that the first result confuses most."""
    if not results:
        return
    tables = [result.confusion.per_class() for result in results]
    header = ["class", "images", *[f"{result.encoder}, {result.protocol}" for result in results]]
    print(f"\n{results[0].target}: test accuracy of each class, %")
    accuracies = zip(*[100 * table["accuracy"] for table in tables], strict=True)
    about = zip(tables[0]["class"], tables[0]["images"], strict=True)
    rows = [[name, f"{n}", *[f"{v:.1f}" for v in values]] for (name, n), values in zip(about, accuracies, strict=True)]
    print_table(header, rows)
    pairs = results[0].confusion.most_confused(MOST_CONFUSED)
    if len(pairs):
        print(f"\nmost confused by {header[2]}")
        rows = [[f"{p.first} / {p.second}", f"{p.count}"] for p in pairs.itertuples()]
        print_table(["classes", "images"], rows)


def show_prism(run: Run, train: Dataset, test: Dataset, target: str, scale: float, device: str) -> None:
    """Print the prism, and write it beside the run's results, which it is no part of."""
    table = prism(run.encoder(device=device), train, test, target, scale=scale, seed=run.config.train.seed)
    name = "prism.csv" if target == "label" else f"prism-{target}.csv"
    table.assign(run=run.name).to_csv(run.path / name, index=False)
    table = table.sort_values("accuracy", ascending=False)
    rows = [[r.reading, f"{r.accuracy:.1%}", f"{r.points:+.1f}", r.reported_by, r.effect] for r in table.itertuples()]
    print_table(["reading", "test accuracy", "points", "reported by", "what it does"], rows)
    print(
        f"{target}: from {table.accuracy.min():.1%} to {table.accuracy.max():.1%}; augmented probes at {scale:g} epochs"
    )


def evaluation_sets(run: Run) -> tuple[Dataset, Dataset]:
    """All of train that the run was given, held-out part included, and test. Raises UserError."""
    sets = load_sets(run.config.data)
    return sets.all_train, sets.test
