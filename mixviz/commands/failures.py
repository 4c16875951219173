"""``failures``: small runs that are broken on purpose, with their control runs and signatures."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from mixviz.commands.flags import Parser, add_jobs, jobs_from
from mixviz.commands.tables import print_table
from mixviz.config import RunConfig
from mixviz.experiments.failures import CASES, CaseResult, failure_case, run_cases
from mixviz.experiments.failures.cases import SHARED
from mixviz.experiments.reproduced import setting_of
from mixviz.experiments.tasks import load_data
from mixviz.paths import check_writable, runs_root
from mixviz.plots.failures import plot_gain, plot_twins
from mixviz.plots.invariance import plot_fingerprint
from mixviz.plots.style import figure
from mixviz.report.html import Report

HEADS = "0: the head ignores the change, 1: it moves as far as to another image; framed: the head's own augmentation."
HEADER = ["failure case", "quantity", "expected", "control", "broken", "shows?"]


def main(argv: list[str]) -> None:
    parser = Parser("failures", "Train small runs that are broken on purpose, and show what exposes each fault.")
    names = ", ".join(found.name for found in CASES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{names} [default: all]")
    parser.add_argument("--report", type=Path, help="path of the report [default: next to the runs]")
    add_jobs(parser)
    arguments = parser.parse_args(argv)
    chosen = [failure_case(name) for name in arguments.names] or CASES
    root = runs_root() / "failure-cases"
    page = check_writable(arguments.report or root / "report.html")
    kept = check_writable(root / "failure-cases.json")
    sets = load_data(RunConfig.of(**SHARED).data)
    table, visits = run_cases(chosen, root, sets, kept, jobs=jobs_from(arguments))
    caption = f"{setting_of(table, ['network'])}. Each pair differs in exactly one setting."
    print(f"\n{caption}")
    print_table(HEADER, [row_of(found) for found in visits])
    print(f"\nreport: {write_report(page, caption, visits)}")


def row_of(found: CaseResult) -> list[str]:
    """The line of the table."""
    signature, reading = found.case.signature, found.reading
    values = [signature.written(value) for value in (reading.healthy, reading.broken)]
    return [
        found.case.name,
        signature.quantity,
        signature.direction,
        *values,
        "shows" if reading.shows else "does not show",
    ]


def write_report(path: Path, caption: str, visits: Sequence[CaseResult]) -> Path:
    """One HTML file: the table, then each case with its explanation and its picture."""
    report = Report("mixviz: failure cases")
    report.text(caption, note=True)
    report.table(HEADER, [row_of(found) for found in visits])
    for found in visits:
        story, reading, signature = found.case, found.reading, found.case.signature
        report.heading(story.title)
        report.text(story.broken)
        report.text(f"In practice: {story.in_practice}")
        report.text(story.explanation)
        report.figure(lambda found=found: draw(found), caption_of(found))
        control, broken = (signature.written(value) for value in (reading.healthy, reading.broken))
        values = f"{control} in the control run, {broken} in the broken one"
        verdict = "It shows." if reading.shows else "It does not show in runs this short."
        report.text(
            f"Signature: {signature.quantity}, {signature.direction} than in the control run: {values}. {verdict}"
        )
        if not story.trains:
            said = f"refuses it: {found.guard_message}." if found.guard_message else "let it pass."
            report.text(f"The freeze guard `evaluate.frozen` {said}")
    return report.write(path)


def caption_of(found: CaseResult) -> str:
    names = " and ".join(dict.fromkeys(run.name for run in found.runs))
    note = "" if found.case.curves or not found.case.trains else f" {HEADS}"
    return f"{found.case.title}: {names}.{note}"


def draw(found: CaseResult) -> Figure:
    """Both runs side by side: the gain that an evaluation measures, how far each head moves, or two curves."""
    pair = {"healthy": found.healthy, "broken": found.broken}
    if not found.case.trains:
        drawn = figure(7, 2.4)
        gains = {twin: (seen.accuracy("random"), seen.accuracy()) for twin, seen in pair.items()}
        plot_gain(drawn.add_subplot(), gains)
        return drawn
    drawn = figure(8.4, 3.2)
    drawn.set_layout_engine("constrained", wspace=0.06)
    axes = drawn.subplots(1, 2)
    if not found.case.curves:
        for ax, (twin, seen) in zip(axes, pair.items(), strict=True):
            plot_fingerprint(ax, seen.invariance).set_title(f"{twin}: how far a head is moved")
        return drawn
    for ax, name in zip(axes, found.case.curves, strict=True):
        plot_twins(ax, {twin: seen.curve(name) for twin, seen in pair.items()}, name)
    return drawn
