"""The project's result files in one form: the difference of an arm to its base, seed by seed.

It reads run folders, the tables of ``reproduce``, the tour and the study of the papers' claims. A difference may also
be that of two differences: ``a (small) - b (small)`` against ``a (large) - b (large)`` asks where the gain is larger.
"""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixviz.domains import DOMAINS
from mixviz.errors import UserError
from mixviz.experiments.reproduced import examples_of
from mixviz.experiments.study import CLAIMS, judge
from mixviz.labels import method_label
from mixviz.paired import mean_interval, settled_sign
from mixviz.runs import Run

MINUS, AGAINST = " - ", " against "  # between the arms of a difference, and between two measures

Key = tuple[str, str]  # arm and measure
Term = tuple[Key, ...]  # one, or two of which the second is taken away from the first


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a number was measured on, and its file."""

    data: str
    network: str
    epochs: str
    device: str
    file: str
    images: str = ""  # number of training examples
    examples: str = "images"  # the domain's word for them


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One measure of one run; accuracies in %."""

    arm: str
    measure: str  # protocol: target, such as "linear-features: label", or the name of another measure
    seed: int
    value: float
    setting: Setting
    place: Hashable = None  # a table, whose arms are compared even if their settings differ


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An arm against its base over the seeds that both have; accuracies in %, their differences in points."""

    value: float  # mean of the arm, or of its difference to its own base
    base_value: float
    difference: float
    low: float  # 95 % interval of the mean difference; NaN below two seeds
    high: float
    seeds: int
    setting: Setting
    sign: int  # 1, -1, or 0 if it is not settled
    note: str = ""  # why it is not settled


@dataclass(frozen=True)
class Findings:
    """All measurements that were read."""

    observations: tuple[Observation, ...] = ()
    claims: Mapping[str, Finding] | None = None  # of the study, by its text

    def compare(self, arm: str, against: str, measure: str) -> list[Finding]:
        """One finding for each table, or setting of runs, in which both were measured, seed by seed.

        arm, against: an arm, or ``one - other``, which stands for the difference of two. measure: of both, or
        ``one against other``, the first of ``arm`` and the second of ``against``.
        """
        measures = measure.split(AGAINST) if AGAINST in measure else [measure, measure]
        terms = [tuple((n, m) for n in cell.split(MINUS)) for cell, m in zip((arm, against), measures, strict=True)]
        wanted = {key for term in terms for key in term}
        places: dict[Hashable, dict[Key, dict[int, Observation]]] = defaultdict(lambda: defaultdict(dict))
        for seen in self.observations:
            if (seen.arm, seen.measure) in wanted:
                places[seen.place or seen.setting][seen.arm, seen.measure][seen.seed] = seen
        found = [_paired(terms[0], terms[1], seen) for seen in places.values() if wanted <= seen.keys()]
        return [finding for finding in found if finding]

    def study(self, claim: str) -> list[Finding]:
        """The study's finding for a claim, in a list; empty if there is none."""
        return [self.claims[claim]] if self.claims and claim in self.claims else []


def _paired(arm: Term, against: Term, seen: Mapping[Key, Mapping[int, Observation]]) -> Finding | None:
    """Over the seeds that all have; None if there are none."""
    keys = (*arm, *against)
    seeds = sorted(set.intersection(*(set(seen[key]) for key in keys)))
    if not seeds:
        return None
    ours, base = ([_value(term, seen, seed) for seed in seeds] for term in (arm, against))
    mean, low, high = mean_interval([one - other for one, other in zip(ours, base, strict=True)])
    setting = _joined([seen[key][seeds[0]].setting for key in keys])
    return Finding(
        value=float(np.mean(ours)),
        base_value=float(np.mean(base)),
        difference=mean,
        low=low,
        high=high,
        seeds=len(seeds),
        setting=setting,
        sign=settled_sign(low, high, len(seeds)),
    )


def _value(term: Term, seen: Mapping[Key, Mapping[int, Observation]], seed: int) -> float:
    first, *second = (seen[key][seed].value for key in term)
    return first - sum(second)


def _joined(settings: Sequence[Setting]) -> Setting:
    """One setting that summarises these: ``10 and 50`` epochs."""
    rows = [asdict(setting) for setting in settings]
    return Setting(**{name: " and ".join(dict.fromkeys(row[name] for row in rows)) for name in rows[0]})


def read_findings(root: Path, tables: Sequence[Path] = ()) -> Findings:
    """All result files and runs below ``root/results``; further tables of ``reproduce`` by path.

    Raises UserError if a file cannot be understood.
    """
    observations: list[Observation] = []
    claims: dict[str, Finding] = {}
    inside = sorted((root / "results").glob("*/*.json"))
    for path in [*inside, *(path for path in tables if path.resolve() not in {p.resolve() for p in inside})]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            name = _name(path, root)
            if content.get("table") == "study":
                claims |= _from_study(content, name)
            elif "table" in content:
                observations += _from_table(content, name)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"cannot read the results in {path} ({error!r}): write them again") from error
    kept = root.glob("results/*/*/config.json")  # recordings are a selection of the runs behind the tables
    for folder in sorted({path.parent.parent for path in kept}):
        observations += _from_runs([Run(path.parent) for path in sorted(folder.glob("*/config.json"))], root)
    return Findings(tuple(observations), claims)


def _name(path: Path, root: Path) -> str:
    return f"data/{path.relative_to(root).as_posix()}" if path.is_relative_to(root) else path.name


def _from_table(content: Mapping[str, Any], file: str) -> Iterator[Observation]:
    """The rows of a result file."""
    for row in content["rows"]:
        setting = _setting_of(content, row["arm"], file)
        yield Observation(
            arm=row["arm"], measure=row["measure"], seed=row["seed"], value=row["value"], setting=setting, place=file
        )


def _from_study(content: Mapping[str, Any], file: str) -> dict[str, Finding]:
    """The study: its claims with their verdicts, which respect the margins set beforehand."""
    arms, found = {claim.name: (claim.measure[0], claim.against[0]) for claim in CLAIMS}, {}
    for claim in judge(content["rows"]):
        setting = _joined([_setting_of(content, arm, file) for arm in arms[claim["claim"]]])
        beside = settled_sign(claim["low"], claim["high"], claim["seeds"])
        settled = claim["verdict"] != "not settled"
        found[claim["claim"]] = Finding(
            value=claim["value"],
            base_value=claim["against"],
            difference=claim["difference"],
            low=claim["low"],
            high=claim["high"],
            seeds=claim["seeds"],
            setting=setting,
            sign=beside if settled else 0,
            note="within the margin set beforehand" if beside and not settled else "",
        )
    return found


def _setting_of(content: Mapping[str, Any], arm: str, file: str) -> Setting:
    """An arm's own network, epochs and training examples, if they differ from the table's."""
    own = content | content.get("arms", {}).get(arm, {})
    images = str(own.get("train_images", ""))
    return Setting(
        data=own["data"],
        network=own["network"],
        epochs=str(own["epochs"]),
        device=content["device"],
        file=file,
        images=images,
        examples=examples_of(content),
    )


def _from_runs(runs: Iterable[Run], root: Path) -> Iterator[Observation]:
    """Run folders in one folder: their results of the frozen backbone."""
    runs = list(runs)
    arms = _arms(runs)
    for run in runs:
        config, device = run.config, run.read_json("environment.json")["device"]
        for result in run.results:
            if result.encoder == "backbone":
                measure = f"{result.label}: {result.target}{f' of {result.data}' if result.is_transfer else ''}"
                setting = Setting(
                    data=result.data,
                    network=config.encoder.backbone,
                    epochs=str(config.train.epochs),
                    device=device,
                    file=_name(run.path.parent, root),
                    images=str(result.train_images),
                    examples=DOMAINS[config.data.domain].examples,
                )
                yield Observation(
                    arm=arms[run.name], measure=measure, seed=result.seed, value=100 * result.accuracy, setting=setting
                )


def _arms(runs: Sequence[Run]) -> dict[str, str]:
    """The arm of each run: its method's name, for the settings of it that differ least from the defaults.

    If a method was run with several settings, the others have their settings in brackets.
    """
    labels = {run.name: method_label(run.config) for run in runs}
    nearest: dict[str, str] = {}
    for label in sorted(set(labels.values()), key=lambda label: (label.count(","), "(" in label, label)):
        nearest.setdefault(label.partition(" (")[0], label)
    return {
        name: method if nearest[method := label.partition(" (")[0]] == label else label
        for name, label in labels.items()
    }
