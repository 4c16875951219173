"""Pretrained networks: the bundled runs, and the method of any run after its training.

A recording is a run folder with a film and float16 weights instead of a checkpoint; ``Run`` opens it like any other.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.analysis.heads import BACKBONE, head_names, heads
from mixviz.augment import make_views
from mixviz.build import TrainSets, build_method, fixed_generator, load_sets
from mixviz.data import Dataset
from mixviz.data.thumbnails import THUMBNAILS, Thumbnails, thumbnails_path
from mixviz.domains import AugmentSettings, augmentation_of, clean, inputs_of, prepared
from mixviz.encoders import NO_HEADS, Embedder
from mixviz.errors import MissingData, UserError, unknown
from mixviz.files import cannot_write, damaged, read_text, write_whole
from mixviz.frameworks import MoCoV2, embed_once
from mixviz.method import Method
from mixviz.paths import shipped
from mixviz.recorder import principal, reduced
from mixviz.runs import Run

ROOT = shipped() / "data" / "recordings"
FILES = ("config.json", "environment.json", "metrics.csv", "evaluation.json", "film.npz")
MAY_HAVE = ("protocols.csv",)
SUMS = "SHA256SUMS"
LARGEST = 20_000_000  # bytes of all recordings together
TOLERANCE = 0.05  # of the mean difference of cosines: float16 weights, and bfloat16 or float32 arithmetic


@dataclass(frozen=True)
class Check:
    """The check of one recording; ``wrong`` is empty if all is well."""

    recording: str
    wrong: tuple[str, ...]
    difference: float | None  # of cosines, between the film's last frame and the weights' embeddings; None: no images


def restore(run: Run, sets: TrainSets | None = None, device: str = "auto") -> Method:
    """The method of a run after its last epoch, in evaluation mode and without gradients.

    A recording has neither a momentum encoder nor a queue: its encoder is used as the momentum encoder, and the queue
    is filled with that encoder's keys of training images. sets: the run's images, if they are loaded already.
    Raises UserError.
    """
    if (run.path / "checkpoint.pt").exists():
        method = run.method(device)
    else:
        method = _rebuild(run, sets or run.load_sets(), device)
    return method.at_epoch(run.config.train.epochs - 1)


def _rebuild(run: Run, sets: TrainSets, device: str) -> Method:
    """The method of a recording."""
    if not run.has_heads:
        raise UserError(f"{run.name}: {NO_HEADS}")
    config, weights = run.config_on(device), run.encoder(device=device).state_dict()
    method = build_method(config, inputs_of(sets.train)[0])
    framework = method.framework
    for embedder in (framework.online, getattr(framework, "target", None)):
        if embedder is not None:
            embedder.load_state_dict(weights)
    method.eval().requires_grad_(False)
    if isinstance(framework, MoCoV2):
        rows = bank_rows(sets.train, framework.queue_length)
        framework.queue.enqueue(*bank_keys(framework.target, sets.train.select(rows), config.augment))
    return method


def bank_rows(images: Dataset, length: int) -> np.ndarray:
    """(K,) rows of at most ``length`` images whose keys fill a queue, in random order."""
    return np.random.default_rng(0).permutation(len(images))[:length]


@torch.no_grad()
def bank_keys(encoder: Embedder, images: Dataset, augment: AugmentSettings) -> tuple[Tensor, Tensor]:
    """Keys of one augmented view of each image, as a queue holds them: (K, H, D) of unit length; and their classes.

    Classes are (K,), -1 if unknown. images: those that the run was trained on, without the held-out ones, which are the
    queries.
    """
    device, keys = encoder.device, []
    augmentation, generator = augmentation_of(augment, images), fixed_generator(device)
    for start in range(0, len(images), 512):
        inputs = prepared(images, slice(start, start + 512), device)
        view = make_views(inputs, augmentation, generator)[1]
        keys.append(embed_once(encoder, [view.inputs])[0])
    labels = np.full(len(images), -1) if images.labels is None else images.labels
    return torch.cat(keys), torch.as_tensor(labels, device=device)


def add(
    run: Run,
    root: Path = ROOT,
    *,
    weights: bool = True,
    heads: bool = True,
    name: str | None = None,
    dims: int | None = None,
) -> Run:
    """Add a run to the recordings: its files and its encoder's weights. Raises UserError if it is not ready for that.

    heads: False keeps the backbone alone. name: of the recording; None: the run's. dims: keep this number of
    principal directions of every embedding in the film; None: all.
    """
    missing = [name for name in FILES if not (run.path / name).exists()]
    if missing:
        raise UserError(f"the run {run.name} lacks {', '.join(missing)}: train it with a film, then evaluate it")
    if len(run.metrics) < run.config.train.epochs:
        raise UserError(f"the run {run.name} has not finished: continue it with --resume")
    folder = root / (name or run.name)
    if folder.resolve() == run.path.resolve():
        raise UserError(f"{folder} is the bundled run itself: give another run, or another --name")
    if (folder / "checkpoint.pt").exists():
        raise UserError(f"{folder} is a run, not a recording: choose another --root or --name")
    film = reduced(run.film, dims) if dims else run.film
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".part-", dir=folder.parent) as made:
            part = Path(made) / folder.name
            part.mkdir()
            for file in (*FILES, *(file for file in MAY_HAVE if (run.path / file).exists())):
                shutil.copy(run.path / file, part / file)
            film.save(part / "film.npz")
            if weights:
                run.save_weights(part / "weights.npz", heads)
            if folder.exists():
                folder.rename(Path(made) / "before")
            part.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    write_sums(root)
    return Run(folder)


def add_thumbnails(run: Run, source: str, root: Path = ROOT) -> Path:
    """Keep thumbnails of a run's training images, by which they are found in a published set. Raises UserError."""
    data = run.config.data
    images = load_sets(data.model_copy(update={"image_size": None})).all_train
    path = thumbnails_path(data.shown, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    Thumbnails.of(images, source).save(path)
    write_sums(root)
    return path


def write_sums(root: Path) -> None:
    """The checksum of every recorded file, in the format of ``sha256sum``."""
    lines = [f"{_sum(path)}  {path.relative_to(root).as_posix()}\n" for path in _files(root)]
    write_whole(root / SUMS, lambda part: part.write_text("".join(lines), encoding="utf-8"))


def read_sums(root: Path) -> dict[str, str]:
    """File -> checksum. Raises UserError."""
    if not (root / SUMS).exists():
        raise UserError(f"there is no {root / SUMS}: run this from a clone of the project")
    lines = read_text(root / SUMS).splitlines()
    sums = {name: found for found, _, name in (line.partition("  ") for line in lines)}
    for name in sums:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise damaged(root / SUMS, f"it names {name}, which is elsewhere")
    return sums


def verify(root: Path = ROOT, names: Sequence[str] = ()) -> list[Check]:
    """Check recordings: files and checksums, size, film and weights, and the film's last frame against the weights.

    The last needs the images, which glyphs always have, and right checksums, so that no changed file is read. names: of
    recordings; empty: all, including those with checksums that are missing. Raises UserError for an unknown name.
    """
    runs = {run.path.relative_to(root).as_posix(): run for run in available(root)}
    sums = read_sums(root)
    kept = [file for file in sums if PurePosixPath(file).parts[0] != THUMBNAILS]
    runs = {PurePosixPath(file).parent.as_posix(): Run((root / file).parent) for file in kept} | runs
    for name in names:
        if name not in runs:
            raise unknown("recording", name, runs)
    chosen = [runs[name] for name in names or sorted(runs)]
    images: dict[str, Dataset | None] = {}
    return [_check(run, root, sums, images) for run in chosen]


def available(root: Path = ROOT) -> list[Run]:
    """All recordings by name, including those in sub-folders."""
    return [Run(path.parent) for path in sorted(root.rglob("config.json"))]


def find(run: Run | str | Path, trusted: bool = False, data: str | None = None, changed_data: bool = False) -> Run:
    """A run as it is, a recording by its name, or else one of the user's runs by name or path. Raises UserError.

    trusted, data, changed_data: as for ``Run``.

    >>> run = find("glyphs-moco-v2-seed1")
    >>> run.config.method.name, len(run.metrics)
    ('moco-v2', 12)
    >>> run.film.embedding(0, "backbone").shape  # before training: probes x directions
    (400, 32)
    """
    if isinstance(run, Run):
        return run
    path = next((kept.path for kept in available() if kept.name == str(run)), run)
    return Run.open(path, trusted=trusted, data=data, changed_data=changed_data)


def total_size(root: Path = ROOT) -> int:
    """Bytes of all recordings together."""
    return sum(path.stat().st_size for path in _files(root))


def _check(run: Run, root: Path, sums: dict[str, str], images: dict[str, Dataset | None]) -> Check:
    prefix = run.path.relative_to(root).as_posix()
    there = {path.relative_to(root).as_posix(): path for path in _files(run.path)}
    expected = {name for name in sums if name.startswith(f"{prefix}/")}
    wrong = [f"{name} has no checksum" for name in sorted(there.keys() - expected)]
    wrong += [f"{name} is missing" for name in sorted(expected - there.keys())]
    wrong += [f"{name} was changed" for name in sorted(expected & there.keys()) if _sum(there[name]) != sums[name]]
    if wrong:
        return Check(prefix, tuple(wrong), None)
    difference = None
    try:
        if run.film.epochs[-1] != run.config.train.epochs:
            wrong.append("the film does not end with the run")
        difference = last_frame_difference(run, _images(run, images)) if (run.path / "weights.npz").exists() else None
    except UserError as error:
        wrong.append(str(error))
    if difference is not None and not difference < TOLERANCE:
        wrong.append(f"the weights' embeddings are not those of the film: cosines differ by {difference:.3f}")
    return Check(prefix, tuple(wrong), difference)


def last_frame_difference(run: Run, images: Dataset | None) -> float | None:
    """Mean difference of the probes' cosines between the film's last frame and the weights; None without images."""
    if images is None:
        return None
    film = run.film
    inputs = clean(images, film.rows)
    found, encoder = 0.0, run.encoder(device="cpu")
    kept = heads(encoder, inputs, head_names(run.config)) if run.has_heads else _backbone(encoder, inputs)
    for name, x in kept.items():
        shown = film.embedding(len(film) - 1, name)
        seen = principal(x, shown.shape[1])[0].astype(np.float32)
        found = float(np.maximum(found, np.abs(seen @ seen.T - shown @ shown.T).mean()))  # NaN stays
    return found


@torch.no_grad()
def _backbone(encoder: Embedder, inputs: Tensor) -> dict[str, Tensor]:
    """As ``heads``, of an encoder without any."""
    return {BACKBONE: F.normalize(encoder.features(inputs), dim=1)}


def _images(run: Run, images: dict[str, Dataset | None]) -> Dataset | None:
    """The run's training images, loaded once; None if they are not on this machine as it was trained on them."""
    key = run.config.data.model_dump_json()
    if key not in images:
        try:
            sets = load_sets(run.config.data, progress=False)
            images[key] = sets.all_train if sets.exact else None
        except MissingData:
            images[key] = None
    return images[key]


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name not in (SUMS, "README.md"))


def _sum(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
