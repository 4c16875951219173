"""Features of your own data: a run's frozen encoder on examples of any source, as an array or as a table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from tqdm.auto import tqdm

from mixviz.analysis.duplicates import SIMILAR, duplicates
from mixviz.analysis.heads import BACKBONE, head_names
from mixviz.data import Dataset, load
from mixviz.data.arrays import as_rgb
from mixviz.data.audio import FSDD_RATE
from mixviz.data.decode import Reading, resize_all
from mixviz.data.sources import ALL, find_source
from mixviz.data.tabular import read_rows_like
from mixviz.data.tones import RATE as TONES_RATE
from mixviz.domains import clean, domain_of
from mixviz.errors import MissingData, UserError, reason, unknown
from mixviz.evaluate import frozen
from mixviz.files import write_whole
from mixviz.pretrained import find
from mixviz.runs import Run

HEAD = "head"  # that of the first embedding space
SUFFIXES = (".parquet", ".csv", ".npz")
PUBLISHED_RATES = {"fsdd": FSDD_RATE, "tones": TONES_RATE}  # samples a second, if not the default

Source = str | np.ndarray | Dataset


def embed(
    run: Run | str | Path,
    source: Source,
    of: str = BACKBONE,
    *,
    split: str = ALL,
    skip_bad: bool = False,
    device: str = "auto",
    batch_size: int = 512,
    progress: bool = False,
) -> np.ndarray:
    """Features of any examples, without augmentation: (N, F) float32, not of unit length.

    run: a run, its name or folder, or the name of a recording. source: as for ``examples_for``. of: ``backbone``,
    ``head``, or an embedding space of LooC, such as ``color``. Raises UserError, NotFrozen.

    >>> embed("glyphs-moco-v2-seed1", "optical-digits", split="test").shape
    (359, 256)
    """
    run = find(run)
    data = examples_for(run, source, split=split, skip_bad=skip_bad, progress=progress)
    return features(run, data, of, device=device, batch_size=batch_size, progress=progress)


def examples_for(
    run: Run, source: Source, *, split: str = ALL, skip_bad: bool = False, progress: bool = False
) -> Dataset:
    """Examples in the form of the run's training data: images in its size, rows in its columns and units.

    source: a name as for ``--data``, of which ``split`` is taken (train, test or all); a Dataset; or an array of
    images (N, H, W, 3) uint8 or in [0, 1], of clips (N, rate) int16, or of rows (N, F), standardised as the run's were.
    skip_bad: leave out what cannot be decoded. Raises UserError.
    """
    kind = run.config.data.domain
    if isinstance(source, str):
        data = _read(run, source, split, skip_bad, progress)
    elif isinstance(source, Dataset):
        data = source
    else:
        data = Dataset(name="the array", split=ALL, domain=kind, stored=_stored(np.asarray(source), kind))
    if data.domain != kind:
        raise UserError(f"{data.name} is {data.domain} data, and {run.name} was trained on {kind} data")
    if not len(data):
        raise UserError(f"{data.name} has no {domain_of(data).examples}: give at least one")
    wanted = run.shape
    if kind == "image":
        data = replace(data, stored=resize_all(data.stored, wanted[-1]))
    shape = tuple(clean(data, slice(1)).shape[1:])
    if shape != wanted:
        sizes = [" x ".join(map(str, size)) for size in (shape, wanted)]
        raise UserError(f"{data.name} has inputs of {sizes[0]}, and {run.name} was trained on {sizes[1]}")
    return data


def _stored(array: np.ndarray, kind: str) -> np.ndarray:
    """An array as a Dataset stores it. Raises UserError."""
    if kind == "image":
        return as_rgb(array, "the array")
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        raise UserError(f"the array has values that are not finite, first in row {finite.argmin()}: fill them in")
    return array


def _read(run: Run, source: str, split: str, skip_bad: bool, progress: bool) -> Dataset:
    """The examples of a source. Raises UserError, MissingData."""
    settings, domain = run.config.data, find_source(source).domain
    if domain == "tabular" == settings.domain and source.startswith("csv:"):
        return _read_rows(run, source, split)
    return load(
        source,
        split,
        image_size=run.shape[-1] if domain == "image" == settings.domain else None,
        sample_rate=settings.sample_rate or PUBLISHED_RATES.get(settings.data) if domain == "audio" else None,
        skip_bad=skip_bad,
        progress=progress,
    )


def _read_rows(run: Run, source: str, split: str) -> Dataset:
    """A table's rows, in the columns and units of the table that the run was trained on. Raises UserError."""
    settings = run.config.data
    if not settings.data.startswith("csv:"):
        raise UserError(f"{run.name} was trained on {settings.data}, not {source}'s: give an array")
    if split != ALL:
        raise UserError(f"--split {split} has no effect on tables: all rows of {source} are embedded, so leave it out")
    path, known = (Path(name.partition(":")[2]).expanduser() for name in (source, settings.data))
    if not path.exists():
        raise MissingData(f"there is nothing at {path}: give the path of a table that exists")
    run.load_sets()  # which has the columns and the units
    try:
        return read_rows_like(path, known, Reading(target=settings.target, skip_bad=settings.skip_bad))
    except OSError as error:
        raise UserError(f"{source} cannot be read ({reason(error)}): check its path and permissions") from error


@torch.no_grad()
def features(
    run: Run,
    data: Dataset,
    of: str = BACKBONE,
    *,
    device: str = "auto",
    batch_size: int = 512,
    progress: bool = False,
    mirrored: bool = False,
) -> np.ndarray:
    """(N, F) float32 of examples in the form of the run's training data. mirrored: of images flipped from side to side.

    Raises UserError, NotFrozen.
    """
    space, embedder = _space(run, of), run.encoder(device=device)
    unit = f" {domain_of(data).examples}"
    with frozen(embedder), tqdm(total=len(data), desc="embedding", unit=unit, disable=not progress) as bar:
        parts = []
        for start in range(0, len(data), batch_size):
            inputs = clean(data, slice(start, start + batch_size), embedder.device)
            inputs = inputs.flip(-1) if mirrored else inputs
            found = embedder.features(inputs) if space is None else embedder(inputs)[:, space].float()
            parts.append(found.cpu().numpy())
            bar.update(len(inputs))
    return np.concatenate(parts)


def near_duplicates(
    run: Run | str | Path,
    source: Source,
    threshold: float = SIMILAR,
    *,
    split: str = ALL,
    skip_bad: bool = False,
    device: str = "auto",
    progress: bool = False,
) -> pd.DataFrame:
    """Pairs of examples that show the same or nearly so, to a run's encoder: first, second, similarity, kind.

    first, second: names of files, or rows. kind: exact, near or mirrored, as for ``duplicates``. threshold: cosine of
    centred features. Of N examples O(N²) pairs are compared: 10,000 take seconds. Other arguments as for ``embed``;
    raises UserError.
    """
    run = find(run)
    data = examples_for(run, source, split=split, skip_bad=skip_bad, progress=progress)
    pairs = duplicate_rows(run, data, threshold, device=device, progress=progress)
    return pairs.assign(**{side: data.origins[pairs[side]] for side in ("first", "second")})


def duplicate_rows(
    run: Run, data: Dataset, threshold: float = SIMILAR, *, device: str = "auto", progress: bool = False
) -> pd.DataFrame:
    """As ``near_duplicates``, of examples in the form of the run's own; first and second are rows."""
    ways = (False, True) if data.domain == "image" else (False,)
    found = [
        torch.from_numpy(features(run, data, device=device, progress=progress, mirrored=mirrored)) for mirrored in ways
    ]
    return duplicates(data.stored, *found, threshold=threshold)


def _space(run: Run, of: str) -> int | None:
    """The index of an embedding space; None for the backbone. Raises UserError."""
    names = head_names(run.config)
    if of == BACKBONE:
        return None
    if of not in (HEAD, *names):
        raise unknown(f"embedding of {run.name}", of, [BACKBONE, HEAD, *names])
    return 0 if of == HEAD else names.index(of)


def tabulated(data: Dataset, found: np.ndarray) -> pd.DataFrame:
    """One row per example: ``origin`` (file or row), ``label`` if there are any, and f0, f1, ... of found (N, F)."""
    columns: dict[str, Any] = {"origin": data.origins}
    if data.labels is not None:
        names = dict(enumerate(data.class_names))
        columns["label"] = [names.get(label, "" if label < 0 else str(label)) for label in data.labels.tolist()]
    return pd.DataFrame(columns).join(pd.DataFrame(found, columns=[f"f{i}" for i in range(found.shape[1])]))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """As .parquet, .csv, or .npz with ``features`` (N, F), ``origin`` and ``label``. Raises UserError."""
    writers = {".parquet": _write_parquet, ".csv": _write_csv, ".npz": _write_npz}
    if path.suffix not in writers:
        raise unknown("kind of file", path.suffix or path.name, writers)
    write_whole(path, lambda part: writers[path.suffix](part, table))


def _write_parquet(part: Path, table: pd.DataFrame) -> None:
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), part)


def _write_csv(part: Path, table: pd.DataFrame) -> None:
    pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), part)


def _write_npz(part: Path, table: pd.DataFrame) -> None:
    about = {name: table[name].to_numpy() for name in ("origin", "label") if name in table}
    about = {name: values.astype(str) if values.dtype == object else values for name, values in about.items()}
    with part.open("wb") as file:
        np.savez(file, features=table.drop(columns=list(about)).to_numpy(), **about)
