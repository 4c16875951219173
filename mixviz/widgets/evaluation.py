"""What does a number measure? One checkpoint under every protocol, and a gain over more or fewer seeds."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixviz.analysis.verdict import MOST, Verdict, drawn, measured, span_of, verdict
from mixviz.evaluate import Source
from mixviz.evaluate.protocol_comparison import NAMED_PROTOCOLS, compare_protocols
from mixviz.experiments.claims import PATH as LEDGER
from mixviz.plots.protocol_comparison import plot_protocols
from mixviz.plots.verdict import draw_chances, draw_differences, name_chances, name_differences
from mixviz.pretrained import find
from mixviz.runs import Run
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import choice, slider, steps, toggle
from mixviz.widgets.networks import GLYPHS, network

FEW = 1000  # images of train and of test for a run that has no table yet
ANYONE = "anyone"
PRETENDED, PRETENDED_SPAN = "pretended", (-6.0, 6.0)  # points on the axis, whatever the sliders say
TABLES = LEDGER.parent / "results" / "reproduce"


class ProtocolComparison(Widget):
    """One checkpoint under the protocols that papers and libraries report, side by side.

    run: by default a recording on glyphs. Its table is that of ``python -m mixviz evaluate RUN --compare-protocols`` if
    that was called before; else it is made of ``images`` training and test images when it is first shown, which takes
    about ten seconds.
    """

    size = (9.0, 6.4)

    def __init__(self, run: Run | str | None = None, images: int = FEW, **values: Any):
        self.run, self.images = find(run or GLYPHS), images
        peers = list(dict.fromkeys(reading.reported_by for reading in NAMED_PROTOCOLS))
        controls = {
            "family": choice("read-outs", ["all", "linear", "nearest neighbours"], "all", "kind of evaluation"),
            "reported_by": choice("reported by", [ANYONE, *peers], ANYONE, "the reference stays, to compare with"),
            "peeking": toggle("selected on test", True, "evaluations in which test labels also select (best-on-test)"),
            "head": toggle("of the head", True, "evaluations of the embedding, which is usually discarded"),
        }
        self._pictures: dict[Any, bytes] = {}
        super().__init__(controls, values)

    def compute(self, family: str, reported_by: str, peeking: bool, head: bool) -> pd.DataFrame:
        table = table_of(self.run, self.images)
        names = table["reading"]
        kept = names.str.startswith("kNN") == (family != "linear") if family != "all" else names == names
        kept &= (table["reported_by"] == reported_by) | (reported_by == ANYONE)
        kept &= (table["comparable"] | peeking) & (~names.str.contains("head") | head)
        return table[kept | (table.index == 0)]

    def numbers(self) -> dict[str, Any]:
        table, best = self.result, self.result["accuracy"].idxmax()
        worst = table["accuracy"].idxmin()
        return {
            "read-outs": len(table),
            "reference": 100 * float(table["accuracy"].iloc[0]),
            "highest": f"{table['reading'][best]} {table['points'][best]:+.1f}",
            "lowest": f"{table['reading'][worst]} {table['points'][worst]:+.1f}",
        }

    def picture(self, dots: float = 1.0) -> bytes:
        """The picture as a PNG; cached, since it has much text."""
        if self.problem:
            return super().picture(dots)
        shown = self.theme, dots, tuple(self.result.index)
        if shown not in self._pictures:
            self._pictures[shown] = super().picture(dots)
        return self._pictures[shown]

    def draw(self, figure: Figure) -> None:
        every = table_of(self.run, self.images)["accuracy"]
        plot_protocols(figure.add_subplot(), self.result, (every.min(), every.max()))

    def caption(self) -> str:
        table, first = self.result, self.result.iloc[0]
        spread = 100 * table["accuracy"].max() - 100 * table["accuracy"].min()
        peeking = int((~table["comparable"]).sum())
        length = "as long as in the papers" if first.scale == 1 else f"for {first.scale:g} of the papers' epochs"
        return (
            f"{self.run.name}, read for its {first.target} on {first.data}: {len(table)} read-outs of one frozen "
            f"checkpoint lie {spread:.1f} points apart. In {peeking} of them test labels also choose; augmented probes "
            f"train {length}."
        )


class SeedVerdict(Widget):
    """Is a gain real? Paired differences of a method to its base, simulated or measured, over n seeds.

    tables: your own differences, "arm, against base" -> points, one a seed; by default those of the tables that
    ``python -m mixviz reproduce`` made. live: they come from runs of this session, so they differ slightly between
    machines: only they are shown, without simulated ones, and ``numbers`` has only their count.
    """

    size = (8.5, 3.6)
    animated = frozenset({"seeds", "effect", "deviation", "draw", "confidence", "wanted"})

    def __init__(self, tables: Mapping[str, Sequence[float]] | None = None, live: bool = False, **values: Any):
        self.tables, self.live = dict(_made_here() if tables is None else tables), live
        sources = [*self.tables] if live else [PRETENDED, *self.tables]
        most = max(map(len, self.tables.values())) if live else MOST
        pretended = {
            "effect": slider("true effect", -3.0, 3.0, 1.0, 0.1, "points that the method is really better"),
            "deviation": slider("deviation", 0.1, 3.0, 1.5, 0.1, "points by which the difference varies with the seed"),
            "draw": slider("another draw", 0, 20, 0, 1, "the same truth, other seeds"),
        }
        controls = {
            "source": choice("differences", sources, sources[0], "simulated or measured"),
            "seeds": slider("seeds n", 1, most, min(3, most), 1, "paired runs of method and base"),
            **({} if live else pretended),
            "confidence": steps(
                "confidence", [0.8, 0.9, 0.95, 0.99], 0.95, "how often such intervals contain the truth"
            ),
            "wanted": steps("chance wanted", [0.5, 0.8, 0.9, 0.95], 0.8, "of settling the sign"),
        }
        super().__init__(controls, values)

    def compute(self, source: str, seeds: int, confidence: float, wanted: float, **truth: Any) -> Verdict:
        if source != PRETENDED:
            values = self.tables[source]
            return verdict(values[:seeds], confidence, wanted, span=span_of(values))
        effect, deviation = truth["effect"], truth["deviation"]
        values = drawn(effect, deviation, seeds, truth["draw"]).tolist()
        return verdict(values, confidence, wanted, (effect, deviation), PRETENDED_SPAN)

    def unused(self, source: str, **_: Any) -> Mapping[str, str]:
        return dict.fromkeys(("effect", "deviation", "draw") if source != PRETENDED else (), "these were measured")

    def numbers(self) -> dict[str, Any]:
        found = self.result
        if self.live:
            return {"seeds": len(found.differences)}
        interval = [found.low, found.high] if found.low == found.low else "none of one seed"
        counts = {"seeds": len(found.differences), "verdict": found.word}
        needed = "no number" if found.needed is None else found.needed
        return counts | {"mean": found.mean, "interval": interval, "seeds to settle": needed}

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        differences, chances = figure.subplots(1, 2, width_ratios=(3, 2))
        name_differences(differences, self.result)
        name_chances(chances, self.result)
        return {"differences": differences, "chances": chances}

    def draw(self, figure: Figure, differences: Axes, chances: Axes) -> None:
        draw_differences(differences, self.result)
        draw_chances(chances, self.result)

    def caption(self) -> str:
        found = self.result
        count = len(found.differences)
        said = f"Over {count} seed{'s' * (count > 1)} the method is {found.mean:+.2f} points from its base"
        if found.low == found.low:
            said += f", and the {found.confidence:.0%} interval is {found.low:+.2f} to {found.high:+.2f}: {found.word}"
        known = "with this truth" if found.truth is not None else "were mean and deviation the true ones"
        needed = "no number of seeds" if found.needed is None else f"{found.needed:,} seeds"
        return f"{said}. {needed.capitalize()} would settle its sign with a chance of {found.wanted:.0%}, {known}."


def table_of(run: Run, images: int) -> pd.DataFrame:
    """The comparison for a run: from its file, or made with this number of images. Raises UserError."""
    path = run.path / "protocols.csv"
    return pd.read_csv(path) if path.exists() else _made(run.path, images)


@lru_cache(maxsize=8)
def _made(path: Path, images: int) -> pd.DataFrame:
    own = network(Run(path))
    train, test = (part.sample(images) for part in (own.train, own.test))
    return compare_protocols(Source(embedder=own.encoder, train=train, test=test, seed=own.run.config.train.seed))


@cache
def _made_here() -> dict[str, tuple[float, ...]]:
    """Every comparison in the project's tables."""
    found: dict[str, tuple[float, ...]] = {}
    for path in sorted(TABLES.glob("*.json")):
        table = json.loads(path.read_text(encoding="utf-8"))
        found |= {f"{table['data']}: {name}": values for name, values in measured(table).items()}
    return found
