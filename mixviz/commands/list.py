"""``list``: the runs, a line each."""

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.errors import UserError
from mixviz.paths import runs_root
from mixviz.runs import Run, list_runs


def main(argv: list[str]) -> None:
    Parser("list", "List the runs, the oldest first.").parse_args(argv)
    runs = list_runs()
    if not runs:
        print(f"no runs in {runs_root()} yet: python -m mixviz tour, or train")
        return
    print_table(["run", "data", "epochs", "loss", "kNN monitor", "linear probe"], [_row(run) for run in runs])


def _row(run: Run) -> list[str]:
    try:
        config, metrics = run.config, run.metrics
        probe = run.own_results().get("linear-features")
    except UserError as error:
        return [run.name, str(error), "", "", "", ""]
    last = metrics.ffill().iloc[-1] if len(metrics) else {}
    loss, knn = last.get("loss"), last.get("knn_accuracy")
    return [
        run.name,
        config.data.shown,
        f"{len(metrics)} of {config.train.epochs}",
        "–" if loss is None else f"{loss:.3f}",
        "–" if knn is None or knn != knn else f"{knn:.1%}",
        f"{probe.accuracy:.1%}" if probe else "–",
    ]
