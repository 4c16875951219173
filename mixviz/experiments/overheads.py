"""What a step costs beyond the passes of its networks, what each mixing adds to it, and what watching a run adds."""

import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from mixviz.build import load_sets
from mixviz.config import RunConfig
from mixviz.experiments.speed import Prepared, clock_of, machine_of, medians, prepare
from mixviz.recorder import Recorder
from mixviz.train import knn_monitor

STEP, WATCHING = "step, over the bare passes", "film and monitor, over a run without them"
LIMITS = {STEP: 1.15, "mochi": 1.10, "imix": 1.05, "mixco": 1.45, "looc": 1.9, WATCHING: 1.05}
LOOC = {"looc_left_out": ["color", "rotation"], "rotation": 0.5}


def overheads_benchmark(seconds_each: float = 5.0, data: str = "glyphs", **settings: Any) -> dict[str, Any]:
    """Steps of MoCo-v2 without and with each mixing, and the bare passes, in turns.

    settings: flat names of a config, such as batch_size. LooC leaves out two augmentations, and the step it is compared
    with draws neither rotation nor a third view. ``milliseconds`` are medians; ``ratios`` have the keys of LIMITS.
    """
    base = RunConfig.of(data=data, **settings)
    images = load_sets(base.data, progress=False).all_train
    alone = prepare(base, images)
    mixed = {
        name: prepare(RunConfig.of(data=data, mixing=[name], **settings, **(LOOC if name == "looc" else {})), images)
        for name in LIMITS
        if name not in (STEP, WATCHING)
    }
    clock, seconds = clock_of(alone.stored.device)
    calls = {"bare passes": alone.bare, "moco-v2": alone.whole, **{name: one.whole for name, one in mixed.items()}}
    times = medians(calls, seconds_each, seconds)
    over_base = {name: times[name] / times["moco-v2"] for name in mixed}
    return {
        "data": data,
        "backbone": base.encoder.backbone,
        "batch": base.train.batch_size,
        "epochs": base.train.epochs,
        "clock": clock,
        "milliseconds": {name: 1000 * found for name, found in times.items()},
        "ratios": {
            STEP: times["moco-v2"] / times["bare passes"],
            **over_base,
            WATCHING: 1 + _watching(alone) / (times["moco-v2"] * _steps(alone)),
        },
        **machine_of(alone),
    }


def _steps(step: Prepared) -> int:
    """Of a run."""
    return step.config.train.epochs * (len(step.data.stored) // step.config.train.batch_size)


def _watching(step: Prepared) -> float:
    """Seconds that film and kNN monitor take in a run: of one frame, after a first, and of one monitor."""
    settings, data = step.config.train, step.data
    _, clock = clock_of(step.stored.device)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder, "film.npz"), step.config, data.held_out, data.held_rows, step.augmentation)
        frames = list(recorder.due)
        recorder.take(step.method, frames[0])
        moments = [clock()]
        recorder.take(step.method, frames[1])
        moments.append(clock())
        knn_monitor(step.method, data)
        moments.append(clock())
    film, monitor = (after - before for before, after in pairwise(moments))
    return len(frames) * film + -(-settings.epochs // settings.knn_every) * monitor


def overhead_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of ``overheads_benchmark``."""
    rows = []
    for name, limit in LIMITS.items():
        milliseconds = figures["milliseconds"].get("moco-v2" if name == STEP else name)
        shown = "" if milliseconds is None else f"{milliseconds:.0f}"
        mixing = name if name in (STEP, WATCHING) else f"{name}, over no mixing"
        rows.append([mixing, shown, f"{figures['ratios'][name]:.2f}", f"{limit:.2f}"])
    return ["of a training step", "ms", "ratio", "wanted, at most"], rows
