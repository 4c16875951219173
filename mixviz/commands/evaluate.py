"""``evaluate``: a run's frozen encoder, read out by protocols of one's choice, or by all that others report."""

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import ImageSet, load
from mixviz.evaluate import BEST_ON_TEST, DEFAULTS, PROTOCOLS, Protocol, Result, evaluate, protocol
from mixviz.evaluate.prism import prism
from mixviz.runs import Run
from mixviz.train import load_training_images

PROTOCOL_HELP = (
    f"{' '.join(PROTOCOLS)}; options behind a colon, as in knn:k=20,layer=head or linear-augmented:recipe=imix "
    f"[default: {' '.join(DEFAULTS)}]"
)


def main(argv: list[str]) -> None:
    parser = Parser("evaluate", "Read runs out, with everything frozen, and add the results to evaluation.json.")
    parser.add_argument("run", nargs="+", help="name or folder of a run")
    parser.add_argument("--target", nargs="+", default=["label"], help="label, or factors of the data [default: label]")
    parser.add_argument("--protocol", nargs="+", default=list(DEFAULTS), metavar="NAME", help=PROTOCOL_HELP)
    parser.add_argument("--prism", action="store_true", help="by all that others report instead; written to prism.csv")
    parser.add_argument(
        "--scale", type=float, default=0.1, help="of the papers' epochs, for --prism [default: %(default)s]"
    )
    parser.add_argument("--random", action="store_true", help="the same encoder before training, too")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    arguments = parser.parse_args(argv)
    protocols = [protocol(name) for name in arguments.protocol]
    for run in [Run.open(name) for name in arguments.run]:
        train, test = evaluation_sets(run)
        sizes = f"{len(train):,} training and {len(test):,} test images"
        print(f"{run.name}, epoch {len(run.metrics)}, {train.name}: {sizes}, seed {run.config.train.seed}")
        if arguments.prism:
            for target in arguments.target:
                show_prism(run, train, test, target, arguments.scale, arguments.device)
            continue
        encoders = [True, False] if arguments.random else [True]
        results = read_out_run(run, train, test, encoders, arguments.target, protocols, arguments.device)
        run.add_results([result.to_dict() for result in results if result.comparable])
        rows = [[r.encoder, r.target, r.protocol, f"{r.accuracy:.1%}", f"{r.classes}"] for r in results]
        print_table(["encoder", "target", "protocol", "test accuracy", "classes"], rows)
        if not all(result.comparable for result in results):
            print(f"note: what is {BEST_ON_TEST} flatters, and is not kept in evaluation.json")


def read_out_run(
    run: Run,
    train: ImageSet,
    test: ImageSet,
    encoders: list[bool],
    targets: list[str],
    protocols: list[Protocol],
    device: str,
) -> list[Result]:
    """Results of the run's encoder, trained or as it was before, with the run's name and seed."""
    results = []
    for trained in encoders:
        embedder, name = run.encoder(trained, device), "backbone" if trained else "random"
        results += evaluate(embedder, train, test, name, targets, protocols, run.config.train.seed, run.name)
    return results


def show_prism(run: Run, train: ImageSet, test: ImageSet, target: str, scale: float, device: str) -> None:
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


def evaluation_sets(run: Run) -> tuple[ImageSet, ImageSet]:
    """All of train that the run was given, held-out part included, and test. Raises UserError."""
    config = run.config.data
    test = load(config.data, "test", image_size=config.image_size, name=config.data_name, skip_bad=config.skip_bad)
    return load_training_images(run.config), test
