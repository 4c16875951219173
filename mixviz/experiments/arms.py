"""Arms and experiments: what is trained, under which settings, and what it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import unknown
from mixviz.evaluate.source import Sets
from mixviz.runs import Run, folder_name
from mixviz.train import Watch, resume

# On glyphs: hue jitter as strong as it can be, or instances can be distinguished by their colour.
GLYPHS: dict[str, Any] = {"data": "glyphs", "batch_size": 128, "hue": 0.5, "temperature": 0.2, "knn_every": 0}
# BatchNorm on the head's output, and a queue of two batches: with a longer one a run this short learns to tell new keys
# from old, not images apart.
MOCO: dict[str, Any] = {"lr": 0.06, "momentum": 0.99, "queue_length": 256, "projector": "mlpbn"}
NPAIR: dict[str, Any] = {"framework": "n-pair", "lr": 0.3}
MIXCO: dict[str, Any] = {"mixing": ["mixco"], "mixco_temperature": 1.0}  # as the authors' ImageNet runs
MOCHI: dict[str, Any] = {
    **{"mixing": ["mochi"], "mochi_hardest": 16, "mochi_pairs": 16, "mochi_towards_query": 2},
    "mochi_warmup_epochs": 1,
}
IMIX: dict[str, Any] = {"mixing": ["imix"]}
LOOC: dict[str, Any] = {"mixing": ["looc"], "looc_left_out": ["color", "rotation"]}


@dataclass(frozen=True)
class Arm:
    """One method with its settings, and the arm that it is compared with."""

    name: str
    settings: Mapping[str, Any]  # flat names of RunConfig
    against: str | None = None

    def config(self, seed: int) -> RunConfig:
        return RunConfig.of(**self.settings, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Arms that are trained on the same images and measured in the same way."""

    name: str
    title: str
    source: str = ""  # the paper and its table
    arms: tuple[Arm, ...]

    @property
    def config(self) -> RunConfig:
        """The first arm's config; all arms share its data."""
        return self.arms[0].config(seed=0)

    def chosen(self, names: Sequence[str]) -> tuple[Arm, ...]:
        """These arms, in the experiment's order. Raises UserError."""
        known = [arm.name for arm in self.arms]
        for name in names:
            if name not in known:
                raise unknown("arm", name, known)
        return tuple(arm for arm in self.arms if arm.name in names)

    def folder(self, arm: Arm, seed: int) -> str:
        """The name of a run's folder."""
        return f"{folder_name(arm.name)}-seed{seed}"

    def train(self, arm: Arm, run: Run, images: Dataset, watch: Watch | None) -> Run:
        """Train a run that has a config, from its last epoch on."""
        return resume(run, images, progress=False, watch=watch)

    def measure(self, run: Run, sets: Sets) -> dict[str, float]:
        """Every measure of a trained run, computed once and stored in its folder. Accuracies in %."""
        raise NotImplementedError

    def is_measured(self, run: Run) -> bool:
        """Whether the measures are in the run's folder."""
        raise NotImplementedError

    def further(self, root: Path, seeds: Sequence[int]) -> dict[str, Any]:
        """More entries of the result file. root: of the run folders."""
        return {}
