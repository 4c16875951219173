"""``evaluate``: a run's frozen encoder, read out by linear probe and kNN."""

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import ImageSet, load
from mixviz.evaluate import PROTOCOLS, evaluate
from mixviz.runs import Run
from mixviz.train import load_training_images


def main(argv: list[str]) -> None:
    parser = Parser("evaluate", "Read runs out, with everything frozen, and add the results to evaluation.json.")
    parser.add_argument("run", nargs="+", help="name or folder of a run")
    parser.add_argument("--target", nargs="+", default=["label"], help="label, or factors of the data [default: label]")
    parser.add_argument("--protocol", nargs="+", default=list(PROTOCOLS), help=" ".join(PROTOCOLS) + " [default: all]")
    parser.add_argument("--random", action="store_true", help="the same encoder before training, too")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N [default: auto]")
    arguments = parser.parse_args(argv)
    for run in [Run.open(name) for name in arguments.run]:
        train, test = evaluation_sets(run)
        results = []
        for encoder, trained in [("backbone", True), ("random", False)][: 2 if arguments.random else 1]:
            embedder = run.encoder(trained, arguments.device)
            seed = run.config.train.seed
            results += evaluate(embedder, train, test, encoder, arguments.target, arguments.protocol, seed)
        run.add_results([result.to_dict() for result in results])
        rows = [[r.encoder, r.target, r.protocol, f"{r.accuracy:.1%}", f"{r.classes}"] for r in results]
        sizes = f"{len(train):,} training and {len(test):,} test images"
        print(f"{run.name}, epoch {len(run.metrics)}, {train.name}: {sizes}, seed {run.config.train.seed}")
        print_table(["encoder", "target", "protocol", "test accuracy", "classes"], rows)


def evaluation_sets(run: Run) -> tuple[ImageSet, ImageSet]:
    """All of train that the run was given, held-out part included, and test. Raises UserError."""
    config = run.config.data
    test = load(config.data, "test", image_size=config.image_size, name=config.data_name, skip_bad=config.skip_bad)
    return load_training_images(run.config), test
