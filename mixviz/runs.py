"""The run folder: everything that a training run leaves behind, and the way back to its encoder.

config.json        every setting               metrics.csv       one row an epoch
environment.json   commit, versions, device    evaluation.json   results with protocol, data set and seed
checkpoint.pt      the last good state: method, optimiser, epoch
film.npz           a fixed set of images as the network saw it, epoch by epoch
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mixviz.augment import Shape
from mixviz.build import build_embedder, build_method, dtype_name
from mixviz.config import RunConfig
from mixviz.encoders import Embedder
from mixviz.environment import environment
from mixviz.errors import UserError, unknown
from mixviz.film import Film
from mixviz.method import Method
from mixviz.paths import runs_root, write_whole
from mixviz.result import Result


class Run:
    """One run folder. ``Run.create`` makes it, ``Run.open`` finds it by name or path."""

    def __init__(self, path: Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def check_new(cls, config: RunConfig, name: str | None = None, root: Path | None = None) -> "Run":
        """The run as it would be created. Raises UserError where its name is no good or taken."""
        name = name or default_name(config)
        if not re.fullmatch(r"\w[\w.+=,@-]*", name):
            raise UserError(f"--name {name!r} is not a valid folder name: use letters, digits and . + = , @ - _")
        run = cls((root or runs_root()) / name)
        if (run.path / "config.json").exists():
            raise UserError(f"the run {name} exists: continue it with --resume, or choose another --name")
        return run

    @classmethod
    def create(cls, config: RunConfig, name: str | None = None, root: Path | None = None) -> "Run":
        """A new folder with config and environment. Raises UserError where it exists or cannot be written."""
        run = cls.check_new(config, name, root)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            run._write_json("environment.json", environment() | {"dtype": dtype_name(config)})
            run._write_json("config.json", config.model_dump(mode="json"))
        except OSError as error:
            raise UserError(f"cannot write the run folder {run.path}: {error.strerror or error}") from error
        return run

    @classmethod
    def open(cls, name: str | Path, root: Path | None = None) -> "Run":
        """An existing run, by path or by its name below the runs' folder. Raises UserError."""
        root = root or runs_root()
        for path in (root / name, Path(name)):
            if (path / "config.json").exists():
                return cls(path)
        raise unknown("run", str(name), [run.name for run in list_runs(root)] or ["(there are none yet)"])

    @property
    def config(self) -> RunConfig:
        return RunConfig.parse(self.read_json("config.json"))

    @property
    def metrics(self) -> pd.DataFrame:
        """One row an epoch; empty before the first."""
        path = self.path / "metrics.csv"
        return pd.read_csv(path) if path.exists() else pd.DataFrame()

    def log(self, row: Mapping[str, float]) -> None:
        """Add the row of an epoch; rows of the same or a later epoch, left by a run that was cut, are replaced."""
        before = self.metrics
        if len(before):
            before = before[before["epoch"] < row["epoch"]]
        rows = pd.concat([before, pd.DataFrame([row])], ignore_index=True) if len(before) else pd.DataFrame([row])
        write_whole(self.path / "metrics.csv", lambda part: rows.to_csv(part, index=False))

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        write_whole(self.path / "checkpoint.pt", lambda part: torch.save(dict(state), part))

    def load_checkpoint(self, device: torch.device | str = "cpu") -> dict[str, Any]:
        """The last good state. Raises UserError where there is none, or it is damaged."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            raise UserError(f"the run {self.name} has no checkpoint yet: its first epoch has not finished")
        try:
            return torch.load(path, map_location=device, weights_only=True)
        except Exception as error:
            raise UserError(
                f"the checkpoint {path} is damaged ({type(error).__name__}): train the run again"
            ) from error

    def encoder(self, trained: bool = True, device: str = "auto") -> Embedder:
        """The run's embedder, in evaluation mode and without gradients; not trained: as it was initialised.

        From the checkpoint or, in a recording, from its float16 weights. Raises UserError.
        """
        weights, shape = self._online_weights()
        embedder = build_embedder(self.config_on(device), shape)
        if not trained:
            weights = embedder.state_dict() | {name: weights[name] for name in weights if _is_statistic(name)}
        embedder.load_state_dict(weights)
        return embedder.eval().requires_grad_(False)

    @property
    def shape(self) -> Shape:
        """Of one input of the encoder. Raises UserError if there is neither checkpoint nor weights."""
        return self._online_weights()[1]

    def method(self, device: str = "auto") -> Method:
        """The whole method as the last epoch left it, momentum encoder and queue included, in evaluation mode.

        Raises UserError where there is no checkpoint; a recording keeps the encoder alone.
        """
        state = self.load_checkpoint()
        method = build_method(self.config_on(device), _shape(state))
        method.load_state_dict(state["method"])
        return method.eval().requires_grad_(False)

    def save_weights(self, path: Path) -> None:
        """The embedder's weights and BatchNorm statistics as float16 arrays, for ``encoder`` to read.

        They are rounded to the eight digits of bfloat16 first, which makes the file a sixth smaller. Statistics of the
        data stay float32, so that the untrained encoder is the same as well.
        """
        weights, shape = self._online_weights()
        halved = {name for name, v in weights.items() if v.is_floating_point() and not _is_statistic(name)}
        arrays: dict[str, Any] = {
            name: (v.bfloat16().half() if name in halved else v).numpy() for name, v in weights.items()
        }
        np.savez_compressed(path, shape=np.array(shape), **arrays)

    def _online_weights(self) -> tuple[dict[str, Tensor], Shape]:
        """The embedder's state and the shape of its inputs."""
        path = self.path / "weights.npz"
        if (self.path / "checkpoint.pt").exists() or not path.exists():
            state, prefix = self.load_checkpoint(), "framework.online."
            weights = {k.removeprefix(prefix): v for k, v in state["method"].items() if k.startswith(prefix)}
            return weights, _shape(state)
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except Exception as error:
            raise UserError(f"the weights {path} are damaged ({type(error).__name__}): fetch them again") from error
        shape = _shape({name: arrays.pop(name) for name in ("shape", "image_size") if name in arrays})
        weights = {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
        return {name: v.float() if v.is_floating_point() else v for name, v in weights.items()}, shape

    def config_on(self, device: str) -> RunConfig:
        """The config, but for the device."""
        config = self.config
        return config.model_copy(update={"train": config.train.model_copy(update={"device": device})})

    @property
    def film(self) -> Film:
        """Raises UserError where there is none."""
        return Film.load(self.path / "film.npz")

    def add_results(self, results: Sequence[Result]) -> None:
        """Add results of this run; each takes the place of one with the same identity. Other rows stay as they are."""
        own = [replace(result, run=self.name) for result in results]
        new = {result.identity for result in own}
        kept = [row for row, old in zip(self._rows(), self.results, strict=True) if old.identity not in new]
        self._write_json("evaluation.json", kept + [result.to_dict() for result in own])

    @property
    def results(self) -> list[Result]:
        """All results so far, whatever the run was called when they were added. Raises UserError."""
        return [replace(Result.from_dict(row), run=self.name) for row in self._rows()]

    def own_results(self, target: str = "label", encoder: str = "backbone") -> dict[str, Result]:
        """Results on the data set that the run was trained on, by the label of their protocol. Raises UserError."""
        found = [result for result in self.results if (result.target, result.encoder) == (target, encoder)]
        return {result.label: result for result in found if not result.is_transfer}

    def _rows(self) -> list[dict[str, Any]]:
        return self.read_json("evaluation.json") if (self.path / "evaluation.json").exists() else []

    def read_json(self, name: str) -> Any:
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {path}: {error}") from error

    def _write_json(self, name: str, content: Any) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        write_whole(self.path / name, lambda part: part.write_text(text, encoding="utf-8"))


def _shape(state: Mapping[str, Any]) -> Shape:
    """Of the encoder's inputs; older runs are of square images and keep their size."""
    if "image_size" in state:
        return (3, int(state["image_size"]), int(state["image_size"]))
    return tuple(int(size) for size in state["shape"])


def _is_statistic(name: str) -> bool:
    """Whether an entry of an embedder's state was measured on the training data; older runs have the last two."""
    return name.startswith("normalise.") or name in ("mean", "std")


def list_runs(root: Path | None = None) -> list[Run]:
    """All runs below the runs' folder, the oldest first."""
    root = root or runs_root()
    folders = [path.parent for path in root.glob("*/config.json")]
    return [Run(path) for path in sorted(folders, key=lambda path: ((path / "config.json").stat().st_mtime, path))]


def short_names(runs: Sequence[Run]) -> list[str]:
    """The method of each run; of those with the same method, its name in brackets."""
    methods = [run.config.method.name for run in runs]
    once = [methods.count(method) == 1 for method in methods]
    return [method if one else f"{method} ({run.name})" for method, one, run in zip(methods, once, runs, strict=True)]


def default_name(config: RunConfig) -> str:
    """data-framework+mixings-seedN."""
    source = config.data.data_name or config.data.data.removeprefix("folder:").removeprefix("numpy:")
    source = re.sub(r"[^\w.+-]+", "-", Path(source.removeprefix("parquet:")).stem).strip("-").lower()
    return f"{source}-{'+'.join([config.method.framework, *config.method.mixing])}-seed{config.train.seed}"


def folder_name(label: str) -> str:
    """A label such as ``n-pair + looc (turned)`` as a folder's name: ``n-pair+looc-turned``."""
    return re.sub("[ )]", "", label.replace(" (", "-"))
