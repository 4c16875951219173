"""What the page shows: a bank of images that no run was trained on, its embeddings, a film, and two networks.

All images are the project's own glyphs, so that the page may be given to anyone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mixviz.analysis.heads import BACKBONE, head_names, heads
from mixviz.analysis.neighbours import nearest, purity
from mixviz.analysis.projection import stable_layout
from mixviz.build import load_sets
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.errors import UserError
from mixviz.pretrained import find
from mixviz.runs import Run
from mixviz.site.onnx_file import to_onnx

PLAIN, LOOC = "glyphs-moco-v2-seed1", "glyphs-n-pair+looc-turned-seed1"
OFFERED = 12  # images to choose from, each of its own class
FRAMES = BACKBONE  # whose embeddings the film shows
NEAREST = 10  # images whose factors are compared with an image's own, in the film
FACTORS = {"class": "label", "colour": "hue", "orientation": "rotation"}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Arrays and texts for the page, and networks as ONNX files by their names in the page."""

    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any]
    networks: Mapping[str, bytes]


def contents() -> Contents:
    """Of the two bundled recordings on glyphs. Raises UserError."""
    runs = {"plain": find(PLAIN), "looc": find(LOOC)}
    bank = bank_of(*runs.values())
    arrays: dict[str, np.ndarray] = {"pixels": bank.stored}
    networks = {}
    for name, run in runs.items():
        encoder = run.encoder(device="cpu")
        encoder.dtype = torch.float32
        spaces = head_names(run.config)
        for space, embedded in heads(encoder, clean(bank), spaces).items():
            arrays[f"{name}/{space}"] = embedded.numpy().astype(np.float16)
        networks[name] = to_onnx(encoder, spaces, run.shape)
    del arrays[f"plain/{BACKBONE}"]  # the page shows it in the film alone
    frames = [torch.from_numpy(runs["plain"].film.embedding(i, FRAMES)) for i in range(len(runs["plain"].film))]
    about = {
        "runs": {name: described(run) for name, run in runs.items()},
        "classes": list(bank.class_names),
        "labels": bank.targets().tolist(),
        "offered": offered(bank.targets()),
        "epochs": runs["plain"].film.epochs.tolist(),
        "shares": shares(frames, bank),
    }
    arrays |= {"film/embeddings": torch.stack(frames).numpy().astype(np.float16), "film/points": layouts(frames)}
    return Contents(arrays=arrays, about=about, networks=networks)


def bank_of(filmed: Run, *others: Run) -> Dataset:
    """The images of a run's film, in its order. Raises UserError if another run was trained on some of them."""
    rows = filmed.film.rows
    own = load_sets(filmed.config.data, progress=False)
    for run, sets in [(filmed, own), *((run, load_sets(run.config.data, progress=False)) for run in others)]:
        if not np.isin(rows, sets.held_rows.numpy()).all():
            raise UserError(f"{run.name} was trained on images of the film of {filmed.name}: take runs of one hold-out")
    return own.all_train.select(rows)


def offered(labels: np.ndarray) -> list[int]:
    """Rows of the first image of each of the first classes."""
    first = {int(label): row for row, label in reversed(list(enumerate(labels)))}
    return [first[label] for label in sorted(first)][:OFFERED]


def layouts(frames: Sequence[torch.Tensor]) -> np.ndarray:
    """Each frame (P, d) in the plane, turned to be nearest to the one before: (E, P, 2) float16, each axis -1 .. 1."""
    planes = torch.stack(stable_layout(frames))
    low, high = planes.amin(dim=1, keepdim=True), planes.amax(dim=1, keepdim=True)
    return ((2 * planes - low - high) / (high - low)).numpy().astype(np.float16)


def shares(frames: Sequence[torch.Tensor], bank: Dataset) -> dict[str, dict[str, Any]]:
    """Share of an image's ten nearest that are alike in a factor: its mean in each frame (P, d), and by chance."""
    found = {}
    for said, factor in FACTORS.items():
        targets = torch.from_numpy(bank.targets(factor))
        means = [float(purity(nearest(frame, NEAREST).index, targets).mean()) for frame in frames]
        alike = targets[:, None] == targets
        chance = float((alike.sum() - len(targets)) / (len(targets) * (len(targets) - 1)))
        found[said] = {"values": means, "chance": chance}
    return found


def described(run: Run) -> dict[str, Any]:
    """What captions say of a run."""
    config = run.config
    return {
        "name": run.name,
        "method": config.method.name,
        "data": config.data.shown,
        "epochs": config.train.epochs,
        "seed": config.train.seed,
        "temperature": config.method.temperature,
        "spaces": list(head_names(config)),
    }
