"""Is it learning? A run's log and film in one line: healthy, or the one fault that matters most, and what to try."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixviz.config import RunConfig
from mixviz.domains import DOMAINS
from mixviz.film import Film
from mixviz.frameworks import FRAMEWORKS

STALE_GAP = 0.1  # of cosines; healthy queues stay below 0.06
TRIVIAL = 0.98  # of keys found in training, above which nothing is left to learn
LEAK = 0.3  # more keys found in training than on held-out examples
COLLAPSED = -0.1  # uniformity of embeddings; an untrained head's is near -0.05, a trained one's below -2
AT_CHANCE = 0.95  # of the loss at chance
GAIN = 0.02  # of kNN's errors: training should lower them by at least this share
FEWEST_PROBES = 300  # in a film, for its kNN accuracy to be informative
MARKEDLY = 4  # times off its default, at which a temperature is the first suspect


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What a run's log and film say; NaN if they do not. Held-out values are of the film, in evaluation mode."""

    config: RunConfig
    epochs: int
    loss: float  # nats, of clean queries if there are any, without synthetic negatives
    chance: float  # the loss if all candidates are equally similar
    found: float  # share of training queries whose key ranks first
    found_held_out: float
    queue_gap: float  # highest after the first epoch; best near 0
    uniformity: float  # of held-out embeddings; 0: all in one point
    knn_before: float  # accuracy on the backbone of the untrained encoder
    knn: float

    @classmethod
    def of(cls, metrics: pd.DataFrame, config: RunConfig, film: Film | None) -> "Readings":
        """metrics: one row an epoch, at least one."""
        kind = "clean" if "loss_clean" in metrics else "mixed"
        curves = film.scalars() if film is not None else {}
        enough = film is not None and len(film.rows) >= FEWEST_PROBES
        plain = "_without_synthetic" if f"loss_{kind}_without_synthetic" in metrics else ""

        def last(name: str) -> float:
            return float(metrics[name].iloc[-1]) if name in metrics else np.nan

        def held_out(name: str, frame: int = -1) -> float:
            return float(curves[name][frame]) if name in curves else np.nan

        return cls(
            config=config,
            epochs=int(metrics["epoch"].iloc[-1]),
            loss=last(f"loss_{kind}{plain}"),
            chance=last("chance_loss"),
            found=last(f"proxy_accuracy_{kind}{plain}"),
            found_held_out=held_out("proxy_accuracy"),
            queue_gap=float(metrics["queue_gap"].iloc[1:].max()) if "queue_gap" in metrics else np.nan,
            uniformity=held_out("uniformity/all"),
            knn_before=held_out("knn_accuracy/backbone", 0) if enough else np.nan,
            knn=held_out("knn_accuracy/backbone") if enough else np.nan,
        )

    def usual(self, name: str) -> float:
        """The framework's default of a method's setting."""
        train = self.config.train
        return FRAMEWORKS[self.config.method.framework].defaults(train.batch_size)["method"][name]


def diagnosis(metrics: pd.DataFrame, config: RunConfig, film: Film | None = None) -> str:
    """One line: healthy, or the first fault found, the setting to try, and the failure case that shows it.

    metrics: a run's log. Without its film fewer faults are seen. Thresholds are those that set the bundled failure
    cases apart from their controls; faults that only a second run exposes are not seen.
    """
    if metrics.empty:
        return "Is it learning? Not known before the first epoch."
    readings = Readings.of(metrics, config, film)
    fault = next(filter(None, (check(readings) for check in CHECKS)), "")
    return f"Is it learning? {fault or _healthy(readings)}"


def _stale_queue(at: Readings) -> str:
    if not at.queue_gap > STALE_GAP:
        return ""
    cure = at.config.warning.partition(": take ")[2] or "a shorter --queue-length or a higher --momentum"
    seen = f"queries are nearer to new keys than to the queue's, by a cosine of {at.queue_gap:.2f}"
    return f"No, the queue is stale: {seen}. Try {cure}{_shown_by('stale-queue')}"


def _leak(at: Readings) -> str:
    if not at.found - at.found_held_out > LEAK:
        return ""
    seen = f"{at.found:.0%} of keys are found in training, {at.found_held_out:.0%} on held-out examples"
    if at.config.method.framework == "moco-v2" and at.config.encoder.bn_splits == 1:
        return f"No, BatchNorm may give the keys away: {seen}. Try --bn-splits 2{_shown_by('batchnorm-leak')}"
    cure = "Check that each view is drawn on its own, or train on more examples"
    return f"No, it solves its task by a shortcut: {seen}. {cure}{_shown_by('same-crop')}"


def _trivial(at: Readings) -> str:
    if not at.found > TRIVIAL:
        return ""
    augment, domain = at.config.augment, DOMAINS[at.config.data.domain]
    usual = type(augment)().model_dump()
    off = [name for name, value in augment if value != usual[name] and value == (1 if name == "crop_min" else 0)]
    cure = " ".join(f"--{domain.flag(name).replace('_', '-')} {usual[name]}" for name in off)
    return f"No longer, its task is too easy: {at.found:.1%} of keys are found. Try {cure or 'stronger augmentations'}."


def _collapsed(at: Readings) -> str:
    if not at.uniformity > COLLAPSED:
        return ""
    seen = f"all embeddings lie close together (uniformity {at.uniformity:.2f}, where -2 and below is usual)"
    return f"No, it has collapsed or not moved from its initial state: {seen}. Try {_cure(at)}"


def _at_chance(at: Readings) -> str:
    if not at.loss > AT_CHANCE * at.chance:
        return ""
    return f"No, the loss {at.loss:.2f} is near that of chance, {at.chance:.2f}. Try {_cure(at)}"


def _cure(at: Readings) -> str:
    """Of a run that has learned nothing: the setting furthest off first, then more epochs, then a lower rate."""
    settings = at.config.method.settings
    momentum, temperature = getattr(settings, "momentum", None), getattr(settings, "temperature", None)
    if temperature is not None and temperature * MARKEDLY < at.usual("temperature"):
        return f"--temperature {at.usual('temperature')}{_shown_by('cold-temperature')}"
    if momentum is not None and momentum < 0.9:
        return f"--momentum {at.usual('momentum')}{_shown_by('no-momentum')}"
    if temperature is not None and temperature > MARKEDLY * at.usual("temperature"):
        return f"--temperature {at.usual('temperature')}."
    if at.epochs < 3:
        return "more --epochs."
    assert at.config.optimizer.lr is not None  # the framework's default is filled in
    return f"--lr {at.config.optimizer.lr / 4:.2g}, or more --epochs."


def _no_better_than_untrained(at: Readings) -> str:
    if not at.knn - at.knn_before < GAIN * (1 - at.knn_before):
        return ""
    seen = f"{at.knn:.0%} on the backbone, {at.knn_before:.0%} before training"
    cure = "augmentations that change what the classes do not depend on, and more --epochs"
    return f"Its own task, but kNN on the film's examples sees no gain: {seen}. If evaluations agree, try {cure}."


def _healthy(at: Readings) -> str:
    if np.isnan(at.chance) and np.isnan(at.uniformity):
        return "Not known: the log has no chance_loss, and there is no film. Try --film-frames 24."
    parts = [f"loss {at.loss:.2f}" + ("" if np.isnan(at.chance) else f" of {at.chance:.2f} at chance")]
    if not np.isnan(at.found):
        parts.append(f"{at.found:.0%} of keys found")
    if not np.isnan(at.knn):
        parts.append(f"kNN on the backbone {at.knn:.0%}, {at.knn_before:.0%} before training")
    return f"Yes: {', '.join(parts)}."


def _shown_by(case: str) -> str:
    return f"; shown by: python -m mixviz failures {case}"


CHECKS: tuple[Callable[[Readings], str], ...] = (  # a cause before what follows from it
    _stale_queue,
    _leak,
    _trivial,
    _collapsed,
    _at_chance,
    _no_better_than_untrained,
)
