"""The papers' claims on hardness, calibration and invariance, tested on glyphs, whose factors are known.

Each claim is a difference of one measure between two arms, or two heads of one arm, seed by seed. Arms of one seed
share initial weights, order and crops. Measures are computed on the test images; settings were chosen on another seed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from mixviz.analysis.geometry import geometry
from mixviz.analysis.heads import ALL, BACKBONE, Heads, embed_set, factor_readout, head_names, heads
from mixviz.analysis.invariance import diagonal_margin, reference_table
from mixviz.analysis.mixpath import calibration, mix_path, path_measures, unit_embed
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.experiments.arms import GLYPHS, IMIX, LOOC, MIXCO, MOCHI, MOCO, NPAIR, Arm, Experiment, Sets
from mixviz.experiments.result_file import has_measures, kept_measures
from mixviz.paired import mean_interval, settled_sign
from mixviz.report.overview import LAMS
from mixviz.runs import Run

EPOCHS = {"epochs": 10}
# Without flips: a flip reverses the orientation of a glyph that lies on its side. All four orientations are equally
# likely.
UPRIGHT = {**GLYPHS, **NPAIR, "epochs": 8, "flip": 0.0, "rotation": 0.0}
ROTATED = {**UPRIGHT, "rotation": 0.75}
BASE, PLAIN, TURNED_BASE = "moco-v2", "n-pair (not turned)", "n-pair (turned)"
ROTATION, COLOUR = "n-pair + looc (rotation)", "n-pair + looc (color, rotation)"
ARMS = (
    Arm(BASE, {**GLYPHS, **MOCO, **EPOCHS}),
    Arm("moco-v2 + mochi", {**GLYPHS, **MOCO, **EPOCHS, **MOCHI}, BASE),
    Arm("moco-v2 + mixco", {**GLYPHS, **MOCO, **EPOCHS, **MIXCO}, BASE),
    Arm("moco-v2 + imix", {**GLYPHS, **MOCO, **EPOCHS, **IMIX}, BASE),
    Arm(PLAIN, UPRIGHT),
    Arm(TURNED_BASE, ROTATED, PLAIN),
    Arm(ROTATION, {**ROTATED, **LOOC, "looc_left_out": ["rotation"]}, TURNED_BASE),
    Arm(COLOUR, {**ROTATED, **LOOC}, TURNED_BASE),
)
SHORT_ARMS, SHORT = (TURNED_BASE, COLOUR), {"epochs": 4, "train_images": 6000}  # for a first look
PAIRS = 400  # of images that are blended
MOVED = 500  # images that are changed by an augmentation
NAMES = {"label": "shape", "rotation": "orientation"}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One measure of one arm against that of another; ``sign`` is the paper's direction."""

    name: str
    paper: str
    measure: tuple[str, str]  # arm and measure
    against: tuple[str, str]
    sign: int
    unit: str = ""
    margin: float = 0.0  # smallest difference for the claim to count as shown


def against_base(name: str, paper: str, arm: str, measure: str, sign: int, base: str = BASE, **more: Any) -> Claim:
    return Claim(name=name, paper=paper, measure=(arm, measure), against=(base, measure), sign=sign, **more)


CLAIMS: tuple[Claim, ...] = (
    against_base("MoCHi makes the proxy task harder", "MoCHi", "moco-v2 + mochi", "proxy accuracy", -1, unit="points"),
    Claim(
        name="MoCHi's encoder ranks the key above real negatives less often",
        paper="MoCHi",
        measure=("moco-v2 + mochi", "proxy accuracy, real negatives"),
        against=(BASE, "proxy accuracy"),
        sign=-1,
        unit="points",
    ),
    against_base("MoCHi spreads the embedding wider (uniformity)", "MoCHi", "moco-v2 + mochi", "uniformity", -1),
    *(
        against_base(
            f"{name} reads blends by their shares, {how}", name, f"moco-v2 + {name.lower().replace('-', '')}", m, -1
        )
        for name in ("MixCo", "i-Mix")
        for how, m in (
            ("at its own temperature", "calibration error"),
            ("at the temperature that suits each network best", "fitted calibration error"),
        )
    ),
    *(
        against_base(
            f"{name}'s blends change hands evenly",
            name,
            f"moco-v2 + {name.lower().replace('-', '')}",
            "balance error",
            -1,
        )
        for name in ("MixCo", "i-Mix")
    ),
    Claim(
        name="LooC's rotation head moves with rotation more than its other heads",
        paper="LooC",
        measure=(COLOUR, "fall-off rotation: rotation"),
        against=(COLOUR, "fall-off rotation: others"),
        sign=1,
        margin=0.3,
    ),
    Claim(
        name="LooC's colour head moves with hue more than its other heads",
        paper="LooC",
        measure=(COLOUR, "fall-off hue: color"),
        against=(COLOUR, "fall-off hue: others"),
        sign=1,
        margin=0.3,
    ),
    Claim(
        name="LooC's rotation head keeps orientation, its other head does not (kNN)",
        paper="LooC",
        measure=(ROTATION, "orientation: rotation"),
        against=(ROTATION, "orientation: all"),
        sign=1,
        unit="points",
        margin=20,
    ),
    Claim(
        name="rotation among the augmentations takes orientation away from the head (kNN)",
        paper="LooC",
        measure=(TURNED_BASE, "orientation: all"),
        against=(PLAIN, "orientation: all"),
        sign=-1,
        unit="points",
        margin=20,
    ),
    Claim(
        name="rotation among the augmentations takes orientation away from the backbone (linear)",
        paper="LooC",
        measure=(TURNED_BASE, "orientation, linear: backbone"),
        against=(PLAIN, "orientation, linear: backbone"),
        sign=-1,
        unit="points",
    ),
    Claim(
        name="LooC's backbone keeps the orientation that its base loses (linear)",
        paper="LooC",
        measure=(ROTATION, "orientation, linear: backbone"),
        against=(TURNED_BASE, "orientation, linear: backbone"),
        sign=1,
        unit="points",
    ),
    Claim(
        name="LooC's backbone keeps the hue that its base loses (linear)",
        paper="LooC",
        measure=(COLOUR, "hue, linear: backbone"),
        against=(TURNED_BASE, "hue, linear: backbone"),
        sign=1,
        unit="points",
        margin=20,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Study(Experiment):
    """The arms of the papers' claims, and every measure that a claim may use."""

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        return kept_measures(run, self.name, partial(measure_run, run, sets))

    def is_measured(self, run: Run) -> bool:
        return has_measures(run, self.name)


def study(names: Sequence[str] = (), **changes: Any) -> Study:
    """The study of these arms, by default of all. changes: to the settings of every arm. Raises UserError."""
    arms = tuple(replace(arm, settings={**arm.settings, **changes}) for arm in ARMS)
    made = Study(name="study", title="The papers' claims on glyphs", arms=arms)
    return replace(made, arms=made.chosen(names)) if names else made


def measure_run(run: Run, sets: Sets) -> dict[str, float]:
    """Every measure of one run; accuracies in %."""
    train, test = sets
    config, embedder = run.config, run.encoder()
    names = head_names(config)
    seen = embed_set(embedder, test, names)
    if config.method.framework == "moco-v2":
        return proxy_measures(run) | {"uniformity": geometry(seen[ALL]).uniformity} | blend_measures(run, test)
    return _factors(embed_set(embedder, train, names), seen, train, test) | head_measures(
        partial(heads, embedder, names=names), test
    )


def proxy_measures(run: Run) -> dict[str, float]:
    """Proxy accuracy, in %, over the last epoch as trained, synthetic negatives included; and without them."""
    last = run.metrics.iloc[-1]
    kind = "clean" if "proxy_accuracy_clean" in last else "mixed"
    real = last.get(f"proxy_accuracy_{kind}_without_synthetic", last[f"proxy_accuracy_{kind}"])
    return {
        "proxy accuracy": 100 * float(last[f"proxy_accuracy_{kind}"]),
        "proxy accuracy, real negatives": 100 * float(real),
    }


@torch.no_grad()
def blend_measures(run: Run, test: Dataset) -> dict[str, float]:
    """How well a blend's similarities match the shares of its two test images; lower errors are better.

    Without a temperature, as in BYOL, there are only shares at the fitted temperature.
    """
    embed, method = unit_embed(run.encoder()), run.config.method
    images = clean(test.sample(len(test)))  # in random order
    pairs = min(PAIRS, len(images) // 4)
    first, second, rest = images.split([pairs, pairs, len(images) - 2 * pairs])
    others = torch.cat([embed(part) for part in rest.split(512)])
    path = mix_path(embed, first, second, others, LAMS)
    own = method.mixco.temperature if "mixco" in method.mixing else method.temperature
    measures = path_measures(path, own or 1.0).mean()
    found = {
        "fitted calibration error": float(measures["fitted_error"]),
        "balance error": float(measures["balance_error"]),
        "monotonicity": float(measures["monotonicity"]),
    }
    if own is None or method.temperature is None:
        return found
    return {
        "calibration error": float(measures["calibration_error"]),
        "calibration error at the base's temperature": float(calibration(path, method.temperature).error),
        **found,
    }


def _factors(train_heads: Heads, test_heads: Heads, train: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracy, in %, of each factor from each head: kNN; from the backbone also linear."""
    knn = factor_readout(train_heads, test_heads, train, test, ("label", "hue", "rotation"), "knn")
    backbone, test_backbone = ({BACKBONE: part[BACKBONE]} for part in (train_heads, test_heads))
    linear = factor_readout(backbone, test_backbone, train, test, ("label", "hue", "rotation"))
    found: dict[str, float] = {}
    row: Any
    for kind, table in (("", knn), (", linear", linear)):
        for row in table.itertuples():
            found[f"{NAMES.get(row.factor, row.factor)}{kind}: {row.head}"] = 100 * row.accuracy
    return found


def head_measures(embed_heads: Callable[[torch.Tensor], Heads], test: Dataset) -> dict[str, float]:
    """How far each head moves with rotation and hue, at the reference strength; and the mean of the other heads."""
    table = reference_table(embed_heads, clean(test.sample(MOVED)), ("rotation", "hue"))
    own = {f"fall-off {row['augmentation']}: {row['head']}": row["fall_off"] for row in table.to_dict("records")}
    margins = diagonal_margin(table).to_dict("records")
    return own | {f"fall-off {row['augmentation']}: others": row["mean_of_others"] for row in margins}


def judge(rows: Sequence[Mapping[str, Any]], claims: Sequence[Claim] = CLAIMS) -> list[dict[str, Any]]:
    """For each claim whose arms are there: both means, the paired difference with its 95 % interval, and a verdict.

    shown: the interval of the mean difference is on the paper's side of 0, and the mean beyond the claim's margin.
    refuted: the interval is on the other side. not settled: anything else, as always below three seeds.
    """
    values = {(row["arm"], row["measure"], row["seed"]): row["value"] for row in rows}
    found = []
    for claim in claims:
        seeds = sorted(seed for arm, measure, seed in values if (arm, measure) == claim.measure)
        pairs = [(values[*claim.measure, s], values[*claim.against, s]) for s in seeds if (*claim.against, s) in values]
        if not pairs:
            continue
        differences = [one - other for one, other in pairs]
        mean, low, high = mean_interval(differences)
        means = [float(np.mean(part)) for part in zip(*pairs, strict=True)]
        found.append(
            {
                "claim": claim.name,
                "paper": claim.paper,
                "value": means[0],
                "against": means[1],
                "difference": mean,
                "low": low,
                "high": high,
                "seeds": len(pairs),
                "unit": claim.unit,
                "verdict": _verdict(claim, mean, settled_sign(low, high, len(pairs))),
            }
        )
    return found


def _verdict(claim: Claim, mean: float, sign: int) -> str:
    if sign == claim.sign:
        return "shown" if claim.sign * mean >= claim.margin else "not settled"
    return "refuted" if sign else "not settled"
