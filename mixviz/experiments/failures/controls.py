"""A visit: train what is not there yet, a broken run beside its healthy twin, and read the signature."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from mixviz.analysis.heads import head_names, heads
from mixviz.analysis.invariance import reference_table
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.errors import UserError
from mixviz.evaluate import Result, evaluate
from mixviz.experiments.failures.cases import UNFROZEN, Exhibit
from mixviz.experiments.failures.evidence import INVARIANCE, Evidence, Reading
from mixviz.experiments.failures.faults import refusal, unfrozen_probe
from mixviz.recorder import reduced
from mixviz.runs import Run
from mixviz.train import trained

MOVED = 256  # test images that the invariance table moves
KEPT = ("config.json", "environment.json", "metrics.csv", "evaluation.json", INVARIANCE)
Sets = tuple[Dataset, Dataset]  # train and test


@dataclass(frozen=True)
class Visit:
    """One exhibit as it was found."""

    exhibit: Exhibit
    healthy: Evidence
    broken: Evidence
    reading: Reading
    runs: tuple[Run, Run]  # healthy and broken; the same where the exhibit is an evaluation
    refusal: str | None = None  # what the freeze guard said, where it was asked


def visit(
    exhibit: Exhibit,
    root: Path,
    sets: Sets,
    on_run: Callable[[str], None] = lambda name: None,
    **changes: Any,
) -> Visit:
    """Both runs, trained and read out where they are not yet, and the signature.

    root: the museum's folder of runs. on_run is called with the name of each run. changes: to the settings of both.
    """
    healthy = finished(exhibit.twin_config(**changes), twin_name(exhibit), root, sets, on_run)
    if not exhibit.trains:
        return _looked_at(exhibit, healthy, healthy, probe_unfrozen(healthy, sets))
    broken = finished(exhibit.config(**changes), exhibit.name, root, sets, on_run, exhibit.breaks)
    return _looked_at(exhibit, healthy, broken)


def revisit(exhibit: Exhibit, root: Path) -> Visit:
    """As ``visit``, of runs that are there: nothing is trained. Raises UserError where they are not."""
    healthy, broken = (
        Run(root / twin_name(exhibit)),
        Run(root / (exhibit.name if exhibit.trains else twin_name(exhibit))),
    )
    for run in (healthy, broken):
        if not (run.path / "film.npz").exists():
            raise UserError(f"{root} has no run {run.name}: make it with `python -m mixviz museum {exhibit.name}`")
    return _looked_at(exhibit, healthy, broken)


def _looked_at(exhibit: Exhibit, healthy: Run, broken: Run, refusal: str | None = None) -> Visit:
    """What both runs left behind, and the signature; where nothing is trained, two read-outs of the one run."""
    evidence = Evidence.of(healthy)
    pair = evidence, Evidence.of(broken) if exhibit.trains else evidence.by_protocol(UNFROZEN)
    return Visit(exhibit, *pair, exhibit.signature.read(*pair), (healthy, broken), refusal)


def twin_name(exhibit: Exhibit) -> str:
    """Of the healthy run's folder."""
    return f"healthy-{re.sub(' ', '', exhibit.twin)}"


def finished(
    config: RunConfig,
    name: str,
    root: Path,
    sets: Sets,
    on_run: Callable[[str], None] = lambda name: None,
    breaks: Mapping[str, Any] = MappingProxyType({}),
) -> Run:
    """The run of this config, as it is or trained to its end, and read out. breaks: arguments of its training."""
    on_run(name)
    run = Run(root / name)
    if not _is_finished(run, config):
        run = trained(config, name, root, sets[0], **breaks)
    if not run.results:
        run.add_results([result.to_dict() for result in evaluate(run.encoder(), *sets, seed=config.train.seed)])
    if len(config.method.shared) > 1 and not (run.path / INVARIANCE).exists():
        invariance_table(run, sets[1]).to_csv(run.path / INVARIANCE, index=False)
    return run


def _is_finished(run: Run, config: RunConfig) -> bool:
    if not (run.path / "config.json").exists() or run.config != config:
        return False
    return len(run.metrics) == config.train.epochs and (run.path / "film.npz").exists()


def invariance_table(run: Run, test: Dataset) -> pd.DataFrame:
    """How far hue and rotation move each head, at the strengths at which heads are compared.

    One row a head and augmentation, for ``diagonal_margin``.
    """
    embedder, names = run.encoder(), head_names(run.config)
    images = clean(test.sample(MOVED))
    return reference_table(lambda x: heads(embedder, x, names), images, ("hue", "rotation"))


def probe_unfrozen(run: Run, sets: Sets) -> str | None:
    """Read the run's encoder and a random one out, frozen and unfrozen, into its results; what the guard says."""
    train, test = sets
    seed = run.config.train.seed
    encoders = {"backbone": run.encoder(device="cpu"), "random": run.encoder(trained=False, device="cpu")}
    known = {(result["encoder"], result["protocol"]) for result in run.results}
    if ("random", "linear-features") not in known:
        run.add_results([r.to_dict() for r in evaluate(encoders["random"], *sets, "random", seed=seed)])
    template = next(r for r in run.results if r["protocol"] == "linear-features" and r["target"] == "label")
    for name, embedder in encoders.items():
        if (name, UNFROZEN) not in known:
            accuracy = unfrozen_probe(embedder, train, test, seed)
            result = replace(
                Result(**template), protocol=UNFROZEN, encoder=name, accuracy=accuracy, device="cpu", settings={}
            )
            run.add_results([result.to_dict()])
    return refusal(encoders["random"], train)


def preserve(run: Run, root: Path, dims: int = 4) -> Run:
    """A small copy of a run in the folder ``root``: its files without the checkpoint, its film reduced."""
    folder = root / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (run.path / name).exists():
            shutil.copy(run.path / name, folder / name)
    reduced(run.film, dims).save(folder / "film.npz")
    return Run(folder)
