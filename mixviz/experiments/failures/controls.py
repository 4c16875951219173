"""Failure cases: broken runs and their controls, trained by the common runner, and their signatures."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mixviz.analysis.heads import head_names, heads
from mixviz.analysis.invariance import reference_table
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.errors import UserError
from mixviz.evaluate import read_out
from mixviz.experiments.arms import Arm, Experiment, Sets
from mixviz.experiments.failures.cases import CONTROLS, SHARED, UNFROZEN, FailureCase, failure_case
from mixviz.experiments.failures.evidence import INVARIANCE, Reading, RunEvidence
from mixviz.experiments.failures.faults import guard_message, unfrozen_probe
from mixviz.experiments.running import run_experiment
from mixviz.files import write_json
from mixviz.recorder import reduced
from mixviz.runs import Run
from mixviz.train import Watch, resume

MOVED = 256  # test images of the invariance table
KEPT = ("config.json", "environment.json", "metrics.csv", "evaluation.json", INVARIANCE)


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    """The outcome of one case."""

    case: FailureCase
    healthy: RunEvidence
    broken: RunEvidence
    reading: Reading
    runs: tuple[Run, Run]  # healthy and broken; the same run if the case is an evaluation
    guard_message: str | None = None  # of the freeze guard, if it was used


@dataclass(frozen=True, kw_only=True)
class FailureRuns(Experiment):
    """The broken runs of failure cases and their controls; an arm has the name of its run's folder."""

    def folder(self, arm: Arm, seed: int) -> str:
        return arm.name

    def train(self, arm: Arm, run: Run, images: Dataset, watch: Watch | None) -> Run:
        """Only a failure case's own training is broken."""
        breaks = failure_case(arm.name).breaks if arm.against else {}
        return resume(run, images, progress=False, watch=watch, **breaks)

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        read_out(run, sets)
        if not self.is_measured(run):
            invariance_table(run, sets[1]).to_csv(run.path / INVARIANCE, index=False)
        return {f"{label}: label": 100 * result.accuracy for label, result in run.own_results().items()}

    def is_measured(self, run: Run) -> bool:
        needed = [INVARIANCE] if len(run.config.method.shared) > 1 else []
        return bool(run.results) and all((run.path / name).exists() for name in needed)


def failure_runs(chosen: Sequence[FailureCase], **changes: Any) -> FailureRuns:
    """What these failure cases need to be trained. changes: to the settings of all runs, such as fewer epochs."""
    arms: dict[str, Arm] = {}
    for case in chosen:
        control, settings = control_name(case), {**SHARED, **CONTROLS[case.control]}
        arms[control] = Arm(control, {**settings, **changes})
        if case.trains:
            arms[case.name] = Arm(case.name, {**settings, **case.settings, **changes}, control)
    return FailureRuns(name="failures", title="Failure cases", arms=tuple(arms.values()))


def run_cases(
    chosen: Sequence[FailureCase], root: Path, sets: Sets, out: Path, *, jobs: int = 1, **changes: Any
) -> tuple[dict[str, Any], list[CaseResult]]:
    """The result file of these failure cases, and each with its signature; missing runs are trained.

    root: of the run folders. changes: to the settings of all runs.
    """
    table = run_experiment(failure_runs(chosen, **changes), (0,), root, sets, out, jobs=jobs)
    assert table is not None  # without a deadline every run is done
    found = []
    for case in chosen:
        control = Run(root / control_name(case))
        broken = Run(root / case.name) if case.trains else control
        found.append(_compared(case, control, broken, None if case.trains else probe_unfrozen(control, sets)))
        table["against"][case.name] = control.name
        table["rows"] += _signature_rows(found[-1])
    write_json(out, table)
    return table, found


def _signature_rows(found: CaseResult) -> list[dict[str, Any]]:
    """The signature's quantity in both runs; shares in %."""
    case, scale = found.case, 100 if found.case.signature.share else 1
    values = {found.runs[0].name: found.reading.healthy, case.name: found.reading.broken}
    names = dict(zip(values, (run.name for run in found.runs), strict=True))
    return [
        {"arm": arm, "seed": 0, "measure": case.signature.quantity, "value": scale * value, "run": names[arm]}
        for arm, value in values.items()
    ]


def reading_of(case: FailureCase, table: Mapping[str, Any]) -> Reading:
    """A signature in the form of a result file."""
    values = {row["arm"]: row["value"] for row in table["rows"] if row["measure"] == case.signature.quantity}
    scale = 100 if case.signature.share else 1
    return case.signature.compare(*(values[arm] / scale for arm in (table["against"][case.name], case.name)))


def load_case(case: FailureCase, root: Path) -> CaseResult:
    """A failure case whose runs exist: nothing is trained. Raises UserError if they do not."""
    healthy, broken = (
        Run(root / control_name(case)),
        Run(root / (case.name if case.trains else control_name(case))),
    )
    for run in (healthy, broken):
        if not (run.path / "film.npz").exists():
            raise UserError(f"{root} has no run {run.name}: train it with `python -m mixviz failures {case.name}`")
    return _compared(case, healthy, broken)


def _compared(case: FailureCase, healthy: Run, broken: Run, guard_message: str | None = None) -> CaseResult:
    """The evidence of both runs, and the signature; if the case is an evaluation, two evaluations of one run."""
    evidence = RunEvidence.of(healthy)
    pair = evidence, RunEvidence.of(broken) if case.trains else evidence.by_protocol(UNFROZEN)
    return CaseResult(
        case=case,
        healthy=pair[0],
        broken=pair[1],
        reading=case.signature.read(*pair),
        runs=(healthy, broken),
        guard_message=guard_message,
    )


def control_name(case: FailureCase) -> str:
    """Of the healthy run's folder."""
    return f"healthy-{re.sub(' ', '', case.control)}"


def invariance_table(run: Run, test: Dataset) -> pd.DataFrame:
    """How far hue and rotation move each head, at the strengths at which heads are compared.

    One row a head and augmentation, for ``diagonal_margin``.
    """
    embedder, names = run.encoder(), head_names(run.config)
    images = clean(test.sample(MOVED))
    return reference_table(lambda x: heads(embedder, x, names), images, ("hue", "rotation"))


def probe_unfrozen(run: Run, sets: Sets) -> str | None:
    """Evaluate the run's encoder and a random one, frozen and unfrozen; returns the guard's message."""
    train, test = sets
    seed = run.config.train.seed
    encoders = {"backbone": run.encoder(device="cpu"), "random": run.encoder(trained=False, device="cpu")}
    read_out(run, sets, trained=False)
    for name, embedder in encoders.items():
        own = run.own_results(encoder=name)
        if UNFROZEN not in own:
            accuracy = unfrozen_probe(embedder, train, test, seed)
            honest = own["linear-features"]
            run.add_results([replace(honest, protocol=UNFROZEN, accuracy=accuracy, device="cpu", settings={})])
    return guard_message(encoders["random"], train)


def export_small(run: Run, root: Path, dims: int = 4) -> Run:
    """A small copy of a run in the folder ``root``: its files without the checkpoint, its film reduced."""
    folder = root / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (run.path / name).exists():
            shutil.copy(run.path / name, folder / name)
    reduced(run.film, dims).save(folder / "film.npz")
    return Run(folder)
