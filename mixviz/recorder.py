"""Films a training run: embeds a fixed set of held-out training images at some epochs, and changes nothing.

The network is in evaluation mode, with the film's own views and random choices, the same in every frame. The
queries are clean views: how a network responds to blends is a separate question (``analysis.mixpath``).
"""

import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixviz.analysis.geometry import alignment, class_alignment, effective_rank, spectrum, uniformity
from mixviz.analysis.hardness import hardness, negative_columns, of_own_class, real_parts, synthetic_points
from mixviz.analysis.heads import head_names, heads
from mixviz.analysis.neighbours import nearest
from mixviz.analysis.projection import procrustes
from mixviz.augment import Augmentation, make_views
from mixviz.build import fixed_generator
from mixviz.config import RunConfig
from mixviz.data import Dataset, draw
from mixviz.domains import clean, prepared
from mixviz.errors import UserError
from mixviz.film import Film, filmed_epochs, joined
from mixviz.method import Method
from mixviz.terms import Candidates, Term

PROBES = 400  # images whose embeddings are kept
QUERIES = 256  # of them, the queries of the proxy task, in batches as in training
PAIRS = 128  # of them, with two views for alignment
NEIGHBOURS = 10  # of the kNN among the probes
DIMS = 32  # principal directions of the backbone, and of all heads together
RANKS = 1024  # hardest negatives of MoCHi's Fig. 2a; a logarithmic choice of their ranks is kept


class Recorder:
    """Takes the frames of one run and keeps ``film.npz`` up to date.

    held_out: training images, with labels where known, from which the probes are drawn; rows: (N,) their rows in the
    training images, rising.
    """

    def __init__(self, path: Path, config: RunConfig, held_out: Dataset, rows: Tensor, augmentation: Augmentation):
        self.path, self.config = path, config
        self.held_out, self.held_rows = held_out, rows.numpy()
        self._look_at(draw(held_out.labels, len(held_out), PROBES))
        self.augmentation = augmentation
        self.due = filmed_epochs(config.train.epochs, config.train.film_frames) if len(self.probes) > 1 else ()
        self.names = head_names(config)
        self.shared = config.method.shared
        self.frames: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}

    def rewind(self, epoch: int) -> None:
        """Continue after this epoch: an existing film's probes are kept, and its frames up to it.

        Raises UserError if it is damaged, or its probes are not among the held-out images.
        """
        if epoch and self.path.exists():
            film = Film.load(self.path)
            if not np.isin(film.rows, self.held_rows).all():
                raise UserError(f"the film {self.path} is of other images: delete it to resume with a new one")
            self._look_at(np.searchsorted(self.held_rows, film.rows))
            self.frames = _frames(film, epoch)
            self.about = {name: film.about[name] for name in ("ranks", "top_false") if name in film.about}
            if 0 < len(self.frames) < len(film):
                self._film().save(self.path)

    def _look_at(self, places: np.ndarray) -> None:
        """Use these of the held-out images as probes."""
        self.probes, self.rows = self.held_out.select(places), self.held_rows[places]

    @torch.no_grad()
    def take(self, method: Method, epoch: int) -> float:
        """Take a frame after this number of epochs, if one is due; returns the seconds it took.

        The method does not change, bit for bit.
        """
        if epoch not in self.due:
            return 0.0
        began = time.perf_counter()
        was_training = method.training
        try:
            frame = self._frame(_clean(method, epoch).eval())
        finally:
            method.train(was_training)
        self.frames.append({"epoch": epoch, **frame})
        self._film().save(self.path)
        return time.perf_counter() - began

    @cached_property
    def _seen(self) -> tuple[Tensor, list[Tensor]]:
        """The clean probes, and the views of the queried ones; on the CPU, the same in every frame."""
        images, queries = clean(self.probes), prepared(self.probes, slice(QUERIES))
        generator = fixed_generator()
        views = make_views(queries, self.augmentation, generator, self.shared)
        return images, [view.inputs for view in views]

    def _frame(self, method: Method) -> dict[str, Any]:
        embedder = method.framework.online
        images, views = self._seen
        labels = None if self.probes.labels is None else torch.as_tensor(self.probes.labels)
        device = embedder.device
        curves = self._tasks(method, [v.to(device) for v in views], None if labels is None else labels.to(device))
        pairs = [view[:PAIRS] for view in views[:2]]
        embedded = heads(embedder, torch.cat([images, *pairs]), self.names)
        embeddings = {name: x[: len(images)] for name, x in embedded.items()}
        for name, x in embeddings.items():
            first, second = embedded[name][len(images) :].chunk(2)
            curves |= {
                f"alignment/{name}": float(alignment(first, second).mean()),
                f"uniformity/{name}": uniformity(x),
                f"effective_rank/{name}": effective_rank(x),
                f"spectrum/{name}": spectrum(x)[:DIMS].numpy(),
            }
            if labels is not None:
                classes = labels.unique(return_inverse=True)[1]
                curves[f"class_alignment/{name}"] = float(class_alignment(x, classes).nanmean())
                curves[f"knn_accuracy/{name}"] = leave_one_out(x, labels)
        before = self.frames[-1]["embeddings"] if self.frames else {}
        low = {name: principal(x, self._dims(name), before.get(name)) for name, x in embeddings.items()}
        return {
            "embeddings": {name: points for name, (points, _) in low.items()},
            "kept": {name: kept for name, (_, kept) in low.items()},
            "curves": curves,
        }

    def _dims(self, name: str) -> int:
        return DIMS if name == "backbone" else max(8, DIMS // (len(self.names)))

    def _tasks(self, method: Method, views: list[Tensor], labels: Tensor | None) -> dict[str, Any]:
        """The proxy task of the queries, in batches as in training: means of every analysis of hardness."""
        size = min(self.config.train.batch_size, len(views[0]))
        batches = len(views[0]) // size
        generator = fixed_generator(views[0].device, seed=1)
        found = []
        for part in (slice(i * size, (i + 1) * size) for i in range(batches)):
            own = None if labels is None else labels[part]
            term = method.terms([view[part] for view in views], generator, own)[0]
            found.append(self._task(method, term, own))
        return {name: np.mean([task[name] for task in found], axis=0) for name in found[0]}

    def _task(self, method: Method, term: Term, labels: Tensor | None) -> dict[str, Any]:
        framework = method.framework
        task = {"loss": float(framework.loss(term).mean())}
        if not framework.has_negatives:
            return task
        candidates = framework.candidates(term)
        same = None if labels is None else of_own_class(framework, term, candidates, labels)
        if "ranks" not in self.about:
            count = int(negative_columns(torch.cat(real_parts(candidates), dim=1), candidates).sum(dim=1).max())
            self.about["ranks"] = log_ranks(min(RANKS, count))
            self.about["top_false"] = max(1, count // 16)  # MoCHi: 1,024 of 16,384
        ranks = self.about["ranks"]
        real = hardness(candidates, ranks[-1], self.about["top_false"], same)
        task |= {
            "hardness": at_ranks(real.probabilities, ranks),
            "proxy_accuracy": float(real.proxy_accuracy.mean()),
            "effective_negatives": float(real.effective_negatives.mean()),
        }
        if real.false_negatives is not None:
            task["false_negatives"] = float(real.false_negatives.mean())
        if term.synthetic.shape[1]:
            task |= self._synthetic(method, term, candidates, labels)
        return task

    def _synthetic(self, method: Method, term: Term, candidates: Candidates, labels: Tensor | None) -> dict[str, Any]:
        ranks = self.about["ranks"]
        every = hardness(candidates, ranks[-1], synthetic=True)
        points = synthetic_points(method, term, labels)
        pairs = ~points.towards_query
        task = {
            "hardness_with_synthetic": at_ranks(every.probabilities, ranks),
            "proxy_accuracy_with_synthetic": float(every.proxy_accuracy.mean()),
            "effective_negatives_with_synthetic": float(every.effective_negatives.mean()),
            "synthetic_similarity": float(points.similarity.mean()),
            "parent_similarity": float(points.parents.mean()),
        }
        if pairs.any():
            task["harder_than_both_parents"] = float(points.harder[:, pairs].float().mean())
        if points.false_parents is not None:
            task["synthetic_of_own_class"] = float((points.false_parents > 0).float().mean())
        return task

    def _film(self) -> Film:
        def side_by_side(kind: str) -> dict[str, np.ndarray]:
            return {n: np.stack([frame[kind][n] for frame in self.frames]) for n in self.frames[0][kind]}

        probes, data = self.probes, self.config.data
        about = {"method": self.config.method.name, "data": data.shown, "neighbours": NEIGHBOURS}
        if probes.class_names:
            about["class_names"] = list(probes.class_names)
        return Film(
            epochs=np.array([frame["epoch"] for frame in self.frames]),
            rows=self.rows.astype(np.int32),
            labels=None if probes.labels is None else probes.labels.astype(_fewest_bits(probes.labels)),
            embeddings=side_by_side("embeddings"),
            kept={name: values.astype(np.float32) for name, values in side_by_side("kept").items()},
            curves=joined([frame["curves"] for frame in self.frames]),
            about=about | self.about,
        )


def _fewest_bits(labels: np.ndarray) -> type[np.signedinteger]:
    """16 bits if they suffice, as nearly always."""
    return np.int16 if np.abs(labels).max(initial=0) < 2**15 else np.int64


def principal(x: Tensor, dims: int, before: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Unit rows (P, F) in their ``dims`` principal directions, not centred, and the kept share of squared length.

    Float16. before: (P, dims) of the last frame; the new one is rotated or mirrored to be nearest to it, which changes
    no distance (orthogonal Procrustes, Schönemann 1966).
    """
    x = x.double()
    values, directions = torch.linalg.eigh(x.T @ x)
    low = x @ directions[:, -min(dims, *x.shape) :].flip(1)
    if before is not None:
        low = procrustes(low, torch.from_numpy(before).double())
    return low.numpy().astype(np.float16), float(values[-low.shape[1] :].sum() / values.sum())


def reduced(film: Film, dims: int) -> Film:
    """A smaller film: every embedding in its ``dims`` principal directions, as the recorder would have stored it."""
    embeddings, kept = {}, {}
    for name, frames in film.embeddings.items():
        low: list[np.ndarray] = []
        shares = []
        for frame in frames:
            points, share = principal(torch.from_numpy(frame).float(), dims, low[-1] if low else None)
            low.append(points)
            shares.append(share)
        embeddings[name] = np.stack(low)
        kept[name] = (film.kept[name] * np.array(shares)).astype(np.float32)
    return replace(film, embeddings=embeddings, kept=kept)


def leave_one_out(x: Tensor, labels: Tensor) -> float:
    """Accuracy of kNN among the probes themselves: each by the majority of its nearest others (ties: the lowest class).

    Few probes make it coarse: for comparing epochs, not encoders.
    """
    _, index = nearest(x, min(NEIGHBOURS, len(x) - 1))
    return float((labels[index].mode(dim=1).values == labels).float().mean())


def log_ranks(top: int, count: int = 48) -> list[int]:
    """Ranks 1 to ``top``, denser at small ranks; at most ``count`` of them."""
    return np.unique(np.geomspace(1, top, count).round().astype(int)).tolist()


def at_ranks(probabilities: Tensor, ranks: list[int]) -> np.ndarray:
    """(R,) mean over queries of their (n, top) probabilities, at these ranks; 0 at ranks that no query has."""
    mean = np.zeros(ranks[-1])
    mean[: probabilities.shape[1]] = probabilities.mean(dim=0).cpu().numpy()
    return mean[np.array(ranks) - 1]


def _clean(method: Method, epoch: int) -> Method:
    """The method in its last epoch, but without blends: its queries are clean views.

    Before training nothing is mixed from the queue, whose keys are random.
    """
    method = method.at_epoch(max(epoch - 1, 0))
    left_out = ("queries",) if epoch else ("queries", "negatives")
    kept = [mixing for mixing in method.mixings if mixing.slot not in left_out]
    return Method(method.framework, *kept, oracle=method.oracle)


def _frames(film: Film, epoch: int) -> list[dict[str, Any]]:
    """A film's frames up to an epoch, in the recorder's form."""
    return [
        {
            "epoch": int(film.epochs[i]),
            **{kind: {n: v[i] for n, v in getattr(film, kind).items()} for kind in ("embeddings", "kept", "curves")},
        }
        for i in range(len(film))
        if film.epochs[i] <= epoch
    ]
