"""The project's published results: files in ``data``, rendered into marked blocks of the README and other pages.

A block begins with ``<!-- results: NAME -->`` and ends with ``<!-- /results -->``.
``python -m mixviz results`` fills it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from mixviz.errors import UserError, unknown
from mixviz.experiments.claims import headlines
from mixviz.experiments.claims import read as read_ledger
from mixviz.experiments.claims.tables import count_rows, headline_tables, ledger_rows, others_tried
from mixviz.experiments.failures import CASES
from mixviz.experiments.failures.controls import reading_of
from mixviz.experiments.overheads import overhead_rows
from mixviz.experiments.peers import peer_rows
from mixviz.experiments.reproduced import JUDGED, NONE, further_rows, reproduced_rows, setting_of
from mixviz.experiments.speed import step_rows
from mixviz.experiments.study import judge
from mixviz.experiments.tour import caption_of, summary
from mixviz.runs import Run

BLOCK = re.compile(r"<!-- results: ([\w-]+) -->\n.*?<!-- /results -->", re.DOTALL)


def pages(root: Path) -> list[Path]:
    """The pages that may have blocks: the README of the project, and those in ``data/results``."""
    return [root / "README.md", *sorted((root / "data" / "results").glob("*.md"))]


def render_all(text: str, data: Path) -> str:
    """The text with every block rendered from its files in the folder ``data``.

    Raises UserError if a block is unknown or its files are missing or damaged.
    """
    return BLOCK.sub(lambda match: f"<!-- results: {match[1]} -->\n{_render(match[1], data)}\n<!-- /results -->", text)


def _render(name: str, data: Path) -> str:
    if name not in RENDERERS:
        raise unknown("block of results", name, RENDERERS)
    source, render = RENDERERS[name]
    try:
        return render(data / source)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"cannot render the block {name} from {data / source}: {error}") from error


def render_tour(folder: Path) -> str:
    """The tour's table."""
    table = _read(folder / "tour.json")
    return f"{caption_of(table)}\n\n{_markdown(*summary(table))}"


def render_speed(folder: Path) -> str:
    """The figures of ``bench``."""
    figures = _read(folder / "bench.json")
    augmentation, steps = figures["augmentation"], figures["steps"]
    rates, ratios = augmentation["images_per_second"], augmentation["times_as_fast"]
    rows = [[name, f"{rate:,.0f}", f"{ratios.get(name, 1):.1f}"] for name, rate in rates.items() if rate]
    return (
        f"Augmentation of MoCo-v2 at {augmentation['size']} px, batches of {augmentation['batch']}, one thread, "
        f"{figures['environment']['device']}:\n\n"
        f"{_markdown(['library', 'images/s', 'mixviz is faster by'], rows)}\n\n"
        f"A training step of {steps[0]['method']}, augmentation included, beside the bare passes of the same networks "
        f"on ready tensors ({steps[0]['dtype']}, {steps[0]['threads']} threads):\n\n{_markdown(*step_rows(steps))}"
    )


def render_overheads(folder: Path) -> str:
    """The figures of ``bench overheads``."""
    figures = _read(folder / "overheads.json")
    return (
        f"{_setting(figures)}. The shares of film and monitor are those of a run of {figures['epochs']} epochs.\n\n"
        f"{_markdown(*overhead_rows(figures))}"
    )


def render_peers(folder: Path) -> str:
    """The figures of ``bench peers``."""
    figures = _read(folder / "peers.json")
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    return f"{_setting(figures)}; {versions}.\n\n{_markdown(*peer_rows(figures))}"


def _setting(figures: Mapping[str, Any]) -> str:
    """On what a step was measured."""
    environment, threads = figures["environment"], figures["threads"]
    return (
        f"{figures['backbone']} on {figures['data']}, batches of {figures['batch']}, {figures['dtype']}, "
        f"{threads} thread{'s' if threads > 1 else ''}, {environment['processor']}, commit {environment['commit']}; "
        f"milliseconds of {figures['clock']}, medians of steps in turns"
    )


def render_latency(folder: Path) -> str:
    """How fast notebooks open and widgets answer: ``tests/browser/measure.py``."""
    found = _read(folder / "latencies.json")
    times = pd.DataFrame(found["measured"]).explode("times").dropna().astype({"times": float})
    first = times.loc[times.what == "first picture", "times"] / 1000
    rows = []
    for widget, of_widget in times[times.widget != ""].groupby("widget"):
        cells = []
        for what in ("slider", "burst", "choice"):
            part = of_widget.loc[of_widget.what == what, "times"]
            cells.append(f"{part.median():.0f} ({len(part)})" if len(part) else "–")
        rows.append([f"`{widget}`", *cells])
    header = ["widget", "slider", "last of 12 quick keys", "list or box"]
    return (
        f"JupyterLab and Chromium on {found['device']}, nothing else running. Milliseconds from a key press to the "
        "changed picture: median over all controls of a widget, with the number of measurements in brackets. Opening a "
        f"notebook takes {first.min():.0f} to {first.max():.0f} s until its first picture.\n\n{_markdown(header, rows)}"
    )


def render_own_images(folder: Path) -> str:
    """Commands on a folder of photos, step by step, with what each printed."""
    session = _read(folder / "session.json")
    steps = ["\n".join([step["what"], "", "```console", *step["lines"], "```"]) for step in session["steps"]]
    return "\n\n".join([f"{session['setting']}.", *steps])


def render_study(folder: Path) -> str:
    """Each claim with its paired difference and verdict."""
    table = _read(folder / "study.json")
    return f"{setting_of(table)}.\n\n{_markdown(*claim_rows(judge(table['rows'])))}"


def render_recordings(folder: Path) -> str:
    """One row per recorded run, with its checksum."""
    rows = []
    for path in sorted(folder.glob("*/config.json")):
        run = Run(path.parent)
        config, environment, found = run.config, run.read_json("environment.json"), run.own_results()
        accuracies = [f"{100 * found[name].accuracy:.1f}" for name in ("linear-features", "knn")]
        minutes = run.metrics["seconds"].median() * len(run.metrics) / 60
        about = [found["knn"].data, f"{config.train.epochs}", f"{config.train.seed}", f"{minutes:.0f}"]
        threads = environment["threads"]
        device = f"{environment['device']} ({threads} thread{'s' if threads > 1 else ''})"
        checksum = sha256((run.path / "film.npz").read_bytes()).hexdigest()[:12]
        rows.append([f"[{config.method.name}](../recordings/{run.name})", *about, device, *accuracies, f"`{checksum}`"])
    header = ["recording", "data", "epochs", "seed", "minutes", "device", "linear probe", "kNN", "sha256 of the film"]
    return _markdown(header, rows)


def render_reproduce(folder: Path) -> str:
    """Every table that was reproduced."""
    parts = []
    for path in sorted(folder.glob("*.json")):
        table = _read(path)
        caption, header, rows = reproduced_rows(table)
        done = [row for row in rows if row[header.index(JUDGED)] != NONE]
        left = f" {len(rows) - len(done)} arms of the recipe are not run yet." if len(done) < len(rows) else ""
        parts.append(f"{caption}{left}\n\n{_markdown(header, done)}")
        header, rows = further_rows(table)
        if rows:
            parts.append(_folded("Other measures of these runs", _markdown(header, rows)))
    if not parts:
        raise ValueError("no tables")
    return "\n\n".join(parts)


def render_headlines(path: Path) -> str:
    """The headline claims that were tried, one row each."""
    ranked = headlines(read_ledger(path))
    header, rows = ledger_rows([row for row in ranked if row["verdict"] != "not tried"])
    table = _markdown(header[:-1], [row[:-1] for row in rows])  # without the reasons
    return f"{len(rows)} of the {len(ranked)} headline claims have been tried so far:\n\n{table}"


def render_ledger(path: Path) -> str:
    """The headline claims of each paper; folded: the verdicts of all claims, and the other claims that were tried."""
    rows = read_ledger(path)
    parts = [f"**{paper}**, {line}.\n\n{_markdown(*table)}" for paper, (line, table) in headline_tables(rows).items()]
    others = others_tried(rows)
    left = sum(not row["headline"] for row in rows) - len(others)
    summary = f"All {len(rows)} claims by verdict, and the {len(others)} others that were tried"
    rest = f"{left} more, which were not tried, are in [`data/{path.name}`](../{path.name})."
    content = f"{_markdown(*count_rows(rows))}\n\n{_markdown(*ledger_rows(others))}\n\n{rest}"
    return "\n\n".join([*parts, _folded(summary, content)])


def render_failures(folder: Path) -> str:
    """Each failure case with the number that distinguishes it from its control run."""
    table = _read(folder / "failure-cases.json")
    rows = []
    for case in [case for case in CASES if case.name in table["against"]]:
        signature, reading = case.signature, reading_of(case, table)
        values = [signature.written(value) for value in (reading.healthy, reading.broken)]
        verdict = "shows" if reading.shows else "does not show"
        rows.append([f"**{case.title}.** {case.broken}", signature.quantity, signature.direction, *values, verdict])
    header = ["broken", "known by", "expected", "control", "broken", "here it"]
    return f"{setting_of(table, ['network'])}. Each pair differs in exactly one setting.\n\n{_markdown(header, rows)}"


def claim_rows(claims: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the claim, the two means, the difference with its 95 % interval, the verdict."""

    def number(value: float, unit: str, sign: str = "") -> str:
        return f"{value:{sign}.1f}" if unit == "points" else f"{value:{sign}.3f}"

    rows = []
    for claim in claims:
        unit = claim["unit"]
        cells = [number(claim[key], unit) for key in ("value", "against")]
        difference = number(claim["difference"], unit, "+")
        if claim["seeds"] > 1:
            difference += f" [{number(claim['low'], unit, '+')}, {number(claim['high'], unit, '+')}]"
        if unit:
            difference += f" {unit}"
        rows.append([claim["claim"], *cells, difference, claim["verdict"]])
    return ["claim", "here", "against", "difference", "verdict"], rows


# name of a block -> its files, in ``data``, and what renders them
RENDERERS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "glyphs-tour": ("results/glyphs-tour", render_tour),
    "speed": ("results/speed", render_speed),
    "overheads": ("results/speed", render_overheads),
    "peers": ("results/speed", render_peers),
    "latency": ("results/latency", render_latency),
    "own-images": ("results/own-images", render_own_images),
    "glyphs-study": ("results/glyphs-study", render_study),
    "recordings": ("recordings", render_recordings),
    "failure-cases": ("results/failure-cases", render_failures),
    "reproduce": ("results/reproduce", render_reproduce),
    "headlines": ("ledger.csv", render_headlines),
    "ledger": ("ledger.csv", render_ledger),
}


def _folded(summary: str, content: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{content}\n\n</details>"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are right-aligned."""
    rows = [[*row, *[""] * (len(header) - len(row))] for row in rows]
    numeric = [all(cell[:1] in "0123456789+-−–" for cell in column) for column in zip(*rows, strict=True)]
    rule = ["---:" if right else "---" for right in numeric] if rows else ["---"] * len(header)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *rows])


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
