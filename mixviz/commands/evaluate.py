"""``evaluate``: a run's frozen encoder under chosen protocols, or under all that papers and libraries report."""

from collections.abc import Sequence

from mixviz.analysis.heads import embed_set, head_names
from mixviz.commands.flags import Parser, add_run_flags, how_opened
from mixviz.commands.tables import print_table
from mixviz.confusion import Confusion
from mixviz.data import Dataset, load
from mixviz.domains import domain_of
from mixviz.errors import UserError
from mixviz.evaluate import BEST_ON_TEST, DEFAULTS, PROTOCOLS, Result, Source, evaluate, keep, protocol
from mixviz.evaluate.protocol_comparison import compare_protocols
from mixviz.evaluate.robustness import CLEAN
from mixviz.evaluate.source import Sets
from mixviz.evaluate.spaces import space_sources
from mixviz.runs import Run

PROTOCOL_HELP = (
    f"{' '.join(PROTOCOLS)}; options follow a colon, as in knn:k=20,layer=head or linear-augmented:recipe=imix or "
    f"few-shot:shots=10 or few-labels:share=0.1 or fine-tuning:share=0.1 or corruptions:kinds=fog/contrast "
    f"[default: {' '.join(DEFAULTS)}]"
)
MORE = {
    **{"balanced_accuracy": "balanced", "macro_f1": "macro F1", "top_5": "top-5"},
    **{"mean_average_precision": "mAP", "precision_at_1": "P@1"},
}  # numbers besides the accuracy, in a result's settings
FEW = 400  # test examples, below which chance moves an accuracy by 5 points, and a note says so
IMBALANCED = 1.5  # images of the largest class to those of the mean class, from which on a note says so
MOST_CONFUSED = 5  # pairs of classes that are shown


def main(argv: list[str]) -> None:
    parser = Parser("evaluate", "Evaluate the frozen encoders of runs, and add the results to evaluation.json.")
    parser.add_argument("run", nargs="+", help="name or folder of a run")
    parser.add_argument("--target", nargs="+", default=["label"], help="label, or factors of the data [default: label]")
    parser.add_argument("--protocol", nargs="+", default=list(DEFAULTS), metavar="NAME", help=PROTOCOL_HELP)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--transfer", metavar="DATA", help="instead evaluate on another data set, named as for train --data"
    )
    instead.add_argument(
        "--spaces",
        action="store_true",
        help="instead evaluate each embedding space, all of them together, and all with the backbone",
    )
    instead.add_argument(
        "--compare-protocols",
        action="store_true",
        help="instead evaluate under all protocols in use; writes protocols.csv",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=0.1,
        help="--compare-protocols: fraction of the papers' epochs [default: %(default)s]",
    )
    parser.add_argument(
        "--classes", action="store_true", help="also evaluate class by class; writes confusions to classes.json"
    )
    parser.add_argument("--random", action="store_true", help="also evaluate the same encoder before training")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    add_run_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.random and (arguments.spaces or arguments.compare_protocols):
        raise UserError("--random evaluates the backbone only: leave out --random, or --spaces and --compare-protocols")
    protocols = [protocol(name) for name in arguments.protocol]
    encoders = [True, False] if arguments.random else [True]
    for run in [Run.open(name, **how_opened(arguments)) for name in arguments.run]:
        sets = run.load_sets(progress=True).evaluated_on
        sources = [Source.of_run(run, sets, trained, arguments.device) for trained in encoders]
        if arguments.transfer:
            other = sets_like(sets[0], arguments.transfer)
            sources = [source.on(other) for source in sources]
        train, test = sources[0].train, sources[0].test
        sizes = f"{len(train):,} training and {len(test):,} test {domain_of(test).examples}"
        print(f"{run.name}, epoch {len(run.metrics)}, {train.name}: {sizes}, seed {run.config.train.seed}")
        if arguments.compare_protocols:
            for target in arguments.target:
                show_comparison(run, sources[0], target, arguments.scale)
            continue
        if arguments.spaces:
            sources = spaces_of(run, sources[0])
        results = [result for source in sources for result in evaluate(source, arguments.target, protocols)]
        kept = keep(run, results, arguments.classes)
        show(results, arguments.classes)
        if len(test) < FEW:
            half = 100 * 1.96 * (0.25 / len(test)) ** 0.5
            print(
                f"note: of {len(test)} test {domain_of(test).examples}, so an accuracy may be off by {half:.0f} points"
            )
        if len(kept) < len(results):
            print(f"note: {BEST_ON_TEST} results are optimistic, and are not stored in evaluation.json")


def sets_like(images: Dataset, data: str) -> Sets:
    """Train and test of another data set, in the size of these images. Raises UserError."""
    size = images.stored.shape[1] if images.domain == "image" else None
    return load(data, "train", image_size=size), load(data, "test", image_size=size)


def spaces_of(run: Run, source: Source) -> list[Source]:
    """The run's embedding spaces, each one and together."""
    names = [f"space {name}" for name in head_names(run.config)]
    embedder = source.embedder
    assert embedder is not None  # a run's source has one
    return space_sources(source, *(embed_set(embedder, images, names) for images in (source.train, source.test)))


def show(results: Sequence[Result], classes: bool) -> None:
    """Print the results; classes: also class by class."""
    more = [name for name in MORE if any(name in r.settings for r in results)]
    rows = [
        [r.encoder, r.target, r.label, accuracy_text(r), *[share_text(r, name) for name in more], f"{r.classes}"]
        for r in results
    ]
    print_table(["encoder", "target", "protocol", "test accuracy", *[MORE[name] for name in more], "classes"], rows)
    for target, confusion in {r.target: r.confusion for r in results if r.confusion is not None}.items():
        show_imbalance(target, confusion)
    for result in results:
        if result.table is not None and "kind" in result.table:
            show_corruptions(result)
    if classes:
        for target in dict.fromkeys(result.target for result in results):
            show_classes([result for result in results if result.target == target and result.confusion is not None])


def show_imbalance(target: str, confusion: Confusion) -> None:
    """A note if one class is much larger than the others."""
    sizes = confusion.counts.sum(axis=1)
    if sizes.max() > IMBALANCED * sizes.mean():
        share, name = sizes.max() / sizes.sum(), confusion.names[sizes.argmax()]
        print(
            f"note: {share:.1%} of the test images have {target} {name}, which an encoder that knows nothing gets "
            "right too: look at balanced and macro F1"
        )


def share_text(result: Result, name: str) -> str:
    """One of ``MORE`` in per cent; a dash if the protocol does not give it."""
    return f"{result.settings[name]:.1%}" if name in result.settings else "–"


def accuracy_text(result: Result) -> str:
    """In per cent, with half the 95 % interval if there are trials; a dash if nothing is predicted."""
    if "mean_average_precision" in result.settings:
        return "–"
    half = (result.settings["high"] - result.settings["low"]) / 2 if "low" in result.settings else None
    return f"{result.accuracy:.1%}" if half is None else f"{result.accuracy:.1%} ± {100 * half:.1f}"


def show_corruptions(result: Result) -> None:
    """Accuracy in % by kind and severity."""
    assert result.table is not None
    table = result.table[result.table["kind"] != CLEAN]
    wide = 100 * table.pivot(index="kind", columns="severity", values="accuracy").loc[table["kind"].unique()]
    print(f"\n{result.encoder}, {result.target}: test accuracy, %; on clean images {result.settings[CLEAN]:.1%}")
    rows = [[kind.replace("_", " "), *[f"{value:.1f}" for value in row]] for kind, row in wide.iterrows()]
    print_table(["severity", *map(str, wide.columns)], rows)


def show_classes(results: Sequence[Result]) -> None:
    """Accuracy in % of each class, a column a result, and the pairs that the first result confuses most."""
    if not results:
        return
    confusions = [result.confusion for result in results if result.confusion is not None]
    tables = [confusion.per_class() for confusion in confusions]
    header = ["class", "images", *[f"{result.encoder}, {result.label}" for result in results]]
    print(f"\n{results[0].target}: test accuracy of each class, %")
    accuracies = zip(*[100 * table["accuracy"] for table in tables], strict=True)
    about = zip(tables[0]["class"], tables[0]["images"], strict=True)
    rows = [[name, f"{n}", *[f"{v:.1f}" for v in values]] for (name, n), values in zip(about, accuracies, strict=True)]
    print_table(header, rows)
    pairs = confusions[0].most_confused(MOST_CONFUSED)
    if len(pairs):
        print(f"\nmost confused by {header[2]}")
        rows = [[f"{p.first} / {p.second}", f"{p.count}"] for p in pairs.itertuples()]
        print_table(["classes", "images"], rows)


def show_comparison(run: Run, source: Source, target: str, scale: float) -> None:
    """Print the comparison and write it to a file of its own; it is not stored among the run's results."""
    table = compare_protocols(source, target, scale=scale)
    name = "protocols.csv" if target == "label" else f"protocols-{target}.csv"
    table.assign(run=run.name).to_csv(run.path / name, index=False)
    table = table.sort_values("accuracy", ascending=False)
    rows = [[r.reading, f"{r.accuracy:.1%}", f"{r.points:+.1f}", r.reported_by, r.effect] for r in table.itertuples()]
    print_table(["reading", "test accuracy", "points", "reported by", "what it does"], rows)
    print(
        f"{target}: from {table.accuracy.min():.1%} to {table.accuracy.max():.1%}; augmented probes at {scale:g} epochs"
    )
