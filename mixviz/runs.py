"""The run folder: all files of a training run, and loading its encoder.

config.json        every setting               metrics.csv       one row an epoch
environment.json   commit, versions, device    evaluation.json   results with protocol, data set and seed
checkpoint.pt      the state after the last whole epoch: method, optimiser, epoch; previous.pt: the one before
epoch-N.pt         the state after epoch N, of the epochs that --keep-every names
tags.txt           the user's tags for the run, one per line
film.npz           a fixed set of images as the network saw it, epoch by epoch

The checkpoint of an epoch is written last; ``Run.rewind`` goes back to it and drops what other files say of later ones.
"""

import os
import pickle
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from mixviz.augment import Shape
from mixviz.build import TrainSets, build_embedder, build_method, dtype_name, load_sets
from mixviz.config import RunConfig
from mixviz.data.checks import say
from mixviz.encoders import Embedder, NoHead, is_code
from mixviz.environment import environment
from mixviz.errors import MissingData, UserError, reason
from mixviz.files import (
    cannot_write,
    from_planes,
    in_planes,
    locked,
    read_arrays,
    remove_parts,
    size_of,
    write_arrays,
    write_whole,
)
from mixviz.film import Film
from mixviz.method import Method
from mixviz.paths import runs_root
from mixviz.run_folder import RunFolder, find_run, run_folders

CHECKPOINT, PREVIOUS = "checkpoint.pt", "previous.pt"
PROJECTORS = "projectors."  # begins the names of the heads' weights
LONGEST_NAME = 200  # letters: file systems take 255 bytes


class Run(RunFolder):
    """One run folder, with its networks. ``Run.create`` makes it, ``Run.open`` finds it by name or path.

    trusted: whether a backbone that its config names by import path may be imported, which runs that code. data: where
    its data are now, as for ``train --data``, if they were moved. changed_data: use them even if they are not those
    that it was trained on.
    """

    def __init__(self, path: Path, trusted: bool = False, data: str | None = None, changed_data: bool = False):
        super().__init__(path)
        self.trusted, self.data, self.changed_data = trusted, data, changed_data

    @classmethod
    def check_new(cls, config: RunConfig, name: str | None = None, root: Path | None = None) -> "Run":
        """The run that would be created. Raises UserError if its name is invalid or taken."""
        run = cls((root or runs_root()) / folder_of(name or default_name(config)), trusted=True)
        if (run.path / "config.json").exists():
            own = run.config.data.absolute == config.data.absolute
            cure = "continue it with --resume, or choose" if own else "it has other data: choose"
            raise UserError(f"the run {run.name} exists: {cure} another --name")
        return run

    @classmethod
    def create(cls, config: RunConfig, name: str | None = None, root: Path | None = None) -> "Run":
        """A new folder with config and environment. Raises UserError if it exists or cannot be written."""
        run = cls.check_new(config, name, root)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(run.path, error) from error
        with run.locked():
            cls.check_new(config, name, root)  # unless another process has made it meanwhile
            run.write_json("environment.json", environment() | {"dtype": dtype_name(config)})
            placed = config.model_copy(update={"data": config.data.absolute})
            run.write_json("config.json", placed.model_dump(mode="json"))
        return run

    @classmethod
    def open(
        cls,
        name: str | Path,
        root: Path | None = None,
        trusted: bool = False,
        data: str | None = None,
        changed_data: bool = False,
    ) -> "Run":
        """An existing run, by path or by its name below the runs' folder; others as for ``Run``. Raises UserError."""
        return cls(find_run(name, root).path, trusted, data, changed_data)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For whatever trains the run: one at a time. Raises UserError with the owner of the lock."""
        with locked(self.path):
            remove_parts(
                self.path, "environment.json", "config.json", "metrics.csv", "film.npz", CHECKPOINT, "epoch-*.pt"
            )
            yield

    @property
    def config(self) -> RunConfig:
        """Raises UserError if it cannot be read, or was made by a version with other settings."""
        nested = self.read_json("config.json")
        data = nested.get("data")
        if isinstance(data, dict) and ":" in str(data.get("data")):
            data.setdefault("split_by", "row")  # of older versions
        try:
            config = RunConfig.parse(nested)
        except UserError as error:
            raise UserError(
                f"cannot read {self.path / 'config.json'}: it was changed, or made by another version ({error})"
            ) from error

        return config if self.data is None else config.model_copy(update={"data": config.data.at(self.data)})

    def find_sets(self, progress: bool = False) -> TrainSets:
        """The images that its config names, whether they changed or not. Raises UserError, MissingData."""
        try:
            return load_sets(self.config.data, progress)
        except MissingData as error:
            raise MissingData(f"{error}; if the data of {self.name} were moved, give --data PLACE") from error

    def load_sets(self, progress: bool = False) -> TrainSets:
        """The images that it was trained on. Raises UserError if they changed, MissingData."""
        sets = self.find_sets(progress)
        if (self.path / CHECKPOINT).exists():  # a recording does not know
            self.check_data(sets.all_train.fingerprint(), self.load_checkpoint())
        return sets

    def check_data(self, fingerprint: str, state: Mapping[str, Any]) -> None:
        """Raises UserError if the training images are not those of a checkpoint, unless ``changed_data``."""
        if not self.changed_data and state.get("data", fingerprint) != fingerprint:
            raise UserError(
                f"the data in {self.config.data.data} are not those that {self.name} was trained on: restore them, "
                "give --data PLACE if they were moved, or --changed-data to take these"
            )

    @property
    def metrics(self) -> pd.DataFrame:
        """One row an epoch; empty before the first. Raises UserError."""
        return pd.DataFrame(self.log_rows)

    def extend(self, epochs: int, after: int) -> None:
        """Extend the run to more epochs; after: those that are trained. Its lock must be held. Raises UserError."""
        extended = self.config.extended(epochs, after)
        if extended != self.config:
            self.write_json("config.json", extended.model_dump(mode="json"))

    def save_checkpoint(self, state: Mapping[str, Any], keep: bool = False) -> None:
        """Keep the state after an epoch, and the one before as ``previous.pt``; keep: this one also as ``epoch-N.pt``.

        Raises UserError.
        """

        def write(part: Path) -> None:
            with part.open("wb") as file:
                torch.save(dict(state), file)

        def copy(part: Path) -> None:
            try:
                os.link(kept, part)  # takes no space: neither file is ever changed, only replaced
            except OSError:
                shutil.copyfile(kept, part)

        kept = self.kept(state["epoch"])
        if keep:
            write_whole(kept, write)
        write_whole(self.path / CHECKPOINT, copy if keep else write, self.path / PREVIOUS)

    def kept(self, epoch: int) -> Path:
        """The path of the kept checkpoint of an epoch."""
        return self.path / f"epoch-{epoch}.pt"

    def load_checkpoint(self, device: torch.device | str = "cpu") -> dict[str, Any]:
        """The state after the last whole epoch. Raises UserError if there is none, or it is damaged."""
        path = self.path / CHECKPOINT
        if (self.path / PREVIOUS).exists() and not path.exists():
            raise self._cut_off()
        if not path.exists():
            raise UserError(f"the run {self.name} has no checkpoint yet: its first epoch has not finished")
        try:
            state = _read_state(path, device)
        except UserError as error:
            if (self.path / PREVIOUS).exists():
                raise UserError(f"{error}; train --resume {self.name} goes back to the epoch before") from error
            raise UserError(f"{error}: train the run again") from error
        if state["epoch"] < self.epoch:
            raise self._cut_off()
        return state

    def _cut_off(self) -> UserError:
        return UserError(f"the run {self.name} was cut off while it was saved: continue it with train --resume")

    def rewind(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """Go back to the last complete epoch, to resume from it: its state, or None before the first.

        If its checkpoint is damaged or gone, the one before is put in its place; rows of later epochs are removed from
        the log. Raises UserError, with all files as they were, if the checkpoints of later epochs are gone.
        """
        newest, previous = self.path / CHECKPOINT, self.path / PREVIOUS
        state = None
        if newest.exists():
            try:
                state = _read_state(newest, device)
            except UserError as error:
                if not previous.exists():
                    raise UserError(f"{error}: train the run again") from error
                print(f"mixviz: {error}: resuming from the epoch before", file=sys.stderr)
        if state is None and previous.exists():
            state = _read_state(previous, device)
            try:
                os.replace(previous, newest)
            except OSError as error:
                raise cannot_write(newest, error) from error
        if state is None and (self.epoch > 1 or (self.path / "weights.npz").exists()):
            raise UserError(f"the run {self.name} has no checkpoint to resume from: train it again, by another --name")
        epoch = state["epoch"] if state else 0
        logged = self.epoch
        if logged > epoch:
            self.write_log(self.log_before(epoch + 1))
        elif logged < epoch:
            print(
                f"mixviz: the log of {self.name} ends at epoch {logged}, its checkpoint at {epoch}: rows were lost",
                file=sys.stderr,
            )
        return state

    def encoder(self, trained: bool = True, device: str = "auto") -> Embedder:
        """The run's embedder, in evaluation mode and without gradients; trained=False: as initialised.

        From the checkpoint or, in a recording, from its float16 weights. Raises UserError; so does a forward pass if
        the recording keeps the backbone alone.
        """
        weights, shape = self._online_weights()
        embedder = build_embedder(self.config_on(device), shape)
        if not _has_heads(weights):
            embedder.projectors = nn.ModuleList(NoHead() for _ in embedder.projectors)
        if not trained:
            weights = embedder.state_dict() | {name: weights[name] for name in weights if _is_statistic(name)}
        self.load_into(embedder, weights)
        return embedder.eval().requires_grad_(False)

    @property
    def has_heads(self) -> bool:
        """Whether the weights of its heads are there: some recordings keep the backbone alone. Raises UserError."""
        return _has_heads(self._online_weights()[0])

    @property
    def shape(self) -> Shape:
        """Of one input of the encoder. Raises UserError if there is neither checkpoint nor weights."""
        return self._online_weights()[1]

    def method(self, device: str = "auto") -> Method:
        """The whole method after its last epoch, including momentum encoder and queue, in evaluation mode.

        Raises UserError if there is no checkpoint; a recording has only the encoder.
        """
        state = self.load_checkpoint()
        method = build_method(self.config_on(device), _shape(state))
        self.load_into(method, state["method"])
        return method.eval().requires_grad_(False)

    def load_into(self, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Load weights of this run. Raises UserError if they are not those of what its config names."""
        try:
            module.load_state_dict(weights)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise UserError(f"the weights of the run {self.name} do not fit its config: {reason(error)}") from error

    def save_weights(self, path: Path, heads: bool = True) -> None:
        """The embedder's weights and BatchNorm statistics as float16 arrays, for ``encoder`` to read.

        They are rounded to the eight digits of bfloat16 first, which makes the file a fifth smaller. Statistics of the
        data stay float32, so that the untrained encoder is the same as well. heads: False leaves out the projectors.
        """
        weights, shape = self._online_weights()
        weights = {name: value for name, value in weights.items() if heads or not name.startswith(PROJECTORS)}
        halved = {name for name, v in weights.items() if v.is_floating_point() and not _is_statistic(name)}
        arrays: dict[str, Any] = {
            name: (v.bfloat16().half() if name in halved else v).numpy() for name, v in weights.items()
        }
        write_arrays(path, {"shape": np.array(shape), **in_planes(arrays)})

    def _online_weights(self) -> tuple[dict[str, Tensor], Shape]:
        """The embedder's state and the shape of its inputs."""
        path = self.path / "weights.npz"
        if (self.path / CHECKPOINT).exists() or not path.exists():
            state, prefix = self.load_checkpoint(), "framework.online."
            weights = {k.removeprefix(prefix): v for k, v in state["method"].items() if k.startswith(prefix)}
            return weights, _shape(state)
        try:
            arrays = from_planes(read_arrays(path))
            shape = _shape({name: arrays.pop(name) for name in ("shape", "image_size") if name in arrays})
        except Exception as error:
            raise UserError(f"the weights {path} are damaged ({reason(error)}): fetch them again") from error
        weights = {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}
        return {name: v.float() if v.is_floating_point() else v for name, v in weights.items()}, shape

    def config_on(self, device: str | None = None) -> RunConfig:
        """The config to build networks from; device: instead of its own.

        Raises UserError if that would import code and the run is not trusted.
        """
        config = self.config
        if not self.trusted and is_code(config.encoder.backbone):
            raise UserError(
                f"the run {self.name} names the backbone {config.encoder.backbone!r}, which is code to import: if you "
                "trust it, give --trust, or in Python Run.open(..., trusted=True)"
            )
        if device is None:
            return config
        return config.model_copy(update={"train": config.train.model_copy(update={"device": device})})

    @property
    def film(self) -> Film:
        """Raises UserError if there is none."""
        return Film.load(self.path / "film.npz")

    def note_machine(self, epoch: int) -> None:
        """Record in environment.json, and print, that the run is resumed on another processor or in another dtype.

        epoch: the last one that was trained before. The lock of the run must be held.
        """
        with suppress(UserError):  # of a damaged file
            began = self.read_json("environment.json")
            before, now = [began, *began.get("resumed", [])][-1], environment() | {"dtype": dtype_name(self.config)}
            old, new = ([one.get(name, now[name]) for name in ("processor", "dtype")] for one in (before, now))
            if old != new:
                names = [f"{processor} in {dtype}" for processor, dtype in (old, new)]
                say(f"{self.name} was trained on {names[0]} and is resumed on {names[1]}: not the same bit for bit")
                noted = {"epoch": epoch, **{name: now[name] for name in ("started", "processor", "dtype")}}
                self.write_json("environment.json", began | {"resumed": [*began.get("resumed", []), noted]})


def _read_state(path: Path, device: torch.device | str) -> dict[str, Any]:
    """A checkpoint, all its bytes checked: torch itself does not look at their checksums. Raises UserError."""
    try:
        size = size_of(path)
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:  # torch compresses nothing
                raise ValueError("it holds more than it is long")
            wrong = archive.testzip()
        if wrong is not None:
            raise ValueError(f"{wrong} was changed")
        state = torch.load(path, map_location=device, weights_only=True)
        if not (isinstance(state["epoch"], int) and isinstance(state["method"], dict)):
            raise TypeError("it holds something else")
        _shape(state)
        return state
    except Exception as error:  # torch and zipfile raise many kinds
        why = "it holds Python objects" if isinstance(error, pickle.UnpicklingError) else reason(error)
        raise UserError(f"the checkpoint {path} is damaged ({why})") from error


def _shape(state: Mapping[str, Any]) -> Shape:
    """Of the encoder's inputs; older runs are of square images and keep their size."""
    if "image_size" in state:
        return (3, int(state["image_size"]), int(state["image_size"]))
    return tuple(int(size) for size in state["shape"])


def _has_heads(weights: Iterable[str]) -> bool:
    return any(name.startswith(PROJECTORS) for name in weights)


def _is_statistic(name: str) -> bool:
    """Whether an entry of an embedder's state was measured on the training data; older runs have the last two."""
    return name.startswith("normalise.") or name in ("mean", "std")


def list_runs(root: Path | None = None) -> list[Run]:
    """All runs below the runs' folder, the oldest first."""
    return [Run(folder.path) for folder in run_folders(root)]


def split_readable(runs: Sequence[Run]) -> tuple[list[Run], dict[str, str]]:
    """The runs whose config, log and results can be read; and by name the error of each of the others."""
    fine, wrong = [], {}
    for run in runs:
        try:
            _ = run.config, run.metrics, run.results, run.tags
            fine.append(run)
        except UserError as error:
            wrong[run.name] = str(error)
    return fine, wrong


def short_names(runs: Sequence[Run]) -> list[str]:
    """The method of each run; for equal methods, with the run's name in brackets."""
    methods = [run.config.method.name for run in runs]
    once = [methods.count(method) == 1 for method in methods]
    return [method if one else f"{method} ({run.name})" for method, one, run in zip(methods, once, runs, strict=True)]


def folder_of(name: str) -> str:
    """A valid name for a run's folder. Raises UserError."""
    if not re.fullmatch(r"\w[\w.+=,@-]*", name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"--name {name[:LONGEST_NAME]!r} is not a valid folder name: use up to {LONGEST_NAME} letters, digits and "
            ". + = , @ - _"
        )
    return name


def default_name(config: RunConfig) -> str:
    """data-framework+mixings-seedN."""
    kind, _, path = config.data.data.partition(":")
    place = Path(path).expanduser().resolve()
    source = config.data.data_name or ((place.name if place.is_dir() else place.stem) if path else kind)
    source = re.sub(r"[^\w.+-]+", "-", source).strip("-.+").lower() or kind
    return f"{source}-{'+'.join([config.method.framework, *config.method.mixing])}-seed{config.train.seed}"


def folder_name(label: str) -> str:
    """A label such as ``n-pair + looc (turned)`` as a folder's name: ``n-pair+looc-turned``."""
    return re.sub("[ )]", "", label.replace(" (", "-"))
