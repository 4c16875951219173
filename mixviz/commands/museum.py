"""``museum``: runs that are broken on purpose beside their healthy twins, and the signature of each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mixviz.commands.flags import Parser
from mixviz.commands.tables import print_table
from mixviz.data import load
from mixviz.experiments.failures import EXHIBITS, Visit, exhibit, visit
from mixviz.paths import check_writable, runs_root
from mixviz.plots.invariance import plot_fingerprint
from mixviz.plots.museum import plot_gain, plot_twins
from mixviz.plots.style import figure
from mixviz.report.html import Report

HEADS = "0: the head ignores the change, 1: as far as another image; framed: the head's own augmentation."
HEADER = ["exhibit", "quantity", "expected", "healthy", "broken", "shows?"]


def main(argv: list[str]) -> None:
    parser = Parser("museum", "Train small runs that are broken on purpose, and show how each is known.")
    names = ", ".join(found.name for found in EXHIBITS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"exhibits [default: all] {names}")
    parser.add_argument("--report", type=Path, help="where to write the report [default: beside the runs]")
    arguments = parser.parse_args(argv)
    chosen = [exhibit(name) for name in arguments.names] or EXHIBITS
    root = runs_root() / "museum"
    page = check_writable(arguments.report or root / "report.html")
    kept = check_writable(root / "museum.json")
    sets = load("glyphs", "train"), load("glyphs", "test")
    visits = [visit(found, root, sets, lambda name: print(name, flush=True)) for found in chosen]
    caption = describe(visits)
    print(f"\n{caption}")
    print_table(HEADER, [row_of(found) for found in visits])
    shown = {"caption": caption, "exhibits": [entry_of(found) for found in visits]}
    kept.write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nreport: {write_report(page, caption, visits)}")


def row_of(found: Visit) -> list[str]:
    """The line of the table."""
    signature, reading = found.exhibit.signature, found.reading
    values = [signature.written(value) for value in (reading.healthy, reading.broken)]
    return [
        found.exhibit.name,
        signature.quantity,
        signature.direction,
        *values,
        "shows" if reading.shows else "does not show",
    ]


def entry_of(found: Visit) -> dict[str, Any]:
    """What ``museum.json`` keeps of an exhibit."""
    story, signature, reading = found.exhibit, found.exhibit.signature, found.reading
    entry = {"name": story.name, "title": story.title, "broken": story.broken, "seen": story.seen}
    entry |= {"quantity": signature.quantity, "expected": signature.direction, "margin": signature.margin}
    entry |= {"healthy": reading.healthy, "broken_value": reading.broken, "shows": reading.shows}
    entry |= {"runs": [run.name for run in found.runs], "epochs": found.runs[1].config.train.epochs}
    return entry | ({"guard": found.refusal} if not story.trains else {})


def describe(visits: Sequence[Visit]) -> str:
    """What stands beside every number of the museum."""
    results = visits[0].healthy.results[0]
    environment = visits[0].runs[0].read_json("environment.json")
    epochs = sorted({run.config.train.epochs for found in visits for run in found.runs})
    return (
        f"glyphs ({results['train_images']:,} training and {results['test_images']:,} test images), "
        f"{' or '.join(map(str, epochs))} epochs, one seed, {environment['device']} "
        f"({environment['threads']} threads). Each pair differs in one thing alone."
    )


def write_report(path: Path, caption: str, visits: Sequence[Visit]) -> Path:
    """One HTML file: the table, then each exhibit with its story and its picture."""
    report = Report("mixviz: the failure museum")
    report.text(caption, note=True)
    report.table(HEADER, [row_of(found) for found in visits])
    for found in visits:
        story, reading, signature = found.exhibit, found.reading, found.exhibit.signature
        report.heading(story.title)
        report.text(story.broken)
        report.text(f"In practice: {story.seen}")
        report.text(story.explanation)
        report.figure(lambda found=found: draw(found), caption_of(found))
        values = f"{signature.written(reading.healthy)} healthy, {signature.written(reading.broken)} broken"
        verdict = "It shows." if reading.shows else "It does not show in runs this short."
        report.text(f"Signature: {signature.quantity}, {signature.direction} than in the twin: {values}. {verdict}")
        if not story.trains:
            said = f"refuses it: {found.refusal}." if found.refusal else "let it pass."
            report.text(f"The freeze guard `evaluate.frozen` {said}")
    return report.write(path)


def caption_of(found: Visit) -> str:
    names = " and ".join(dict.fromkeys(run.name for run in found.runs))
    note = "" if found.exhibit.curves or not found.exhibit.trains else f" {HEADS}"
    return f"{found.exhibit.title}: {names}.{note}"


def draw(found: Visit) -> Figure:
    """Both runs side by side: the gain that an evaluation finds, what moves which head, or two curves."""
    pair = {"healthy": found.healthy, "broken": found.broken}
    if not found.exhibit.trains:
        drawn = figure(7, 2.4)
        gains = {twin: (seen.accuracy("random"), seen.accuracy()) for twin, seen in pair.items()}
        plot_gain(drawn.add_subplot(), gains)
        return drawn
    drawn = figure(8.4, 3.2)
    drawn.get_layout_engine().set(wspace=0.06)
    axes = drawn.subplots(1, 2)
    if not found.exhibit.curves:
        for ax, (twin, seen) in zip(axes, pair.items(), strict=True):
            plot_fingerprint(ax, seen.invariance).set_title(f"{twin}: how far a head is moved")
        return drawn
    for ax, name in zip(axes, found.exhibit.curves, strict=True):
        plot_twins(ax, {twin: seen.curve(name) for twin, seen in pair.items()}, name)
    return drawn
