"""Embeddings in the plane: PCA and UMAP, layouts that stay aligned over training, and how far to trust them."""

import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.analysis.geometry import at_least_float32
from mixviz.analysis.neighbours import nearest
from mixviz.errors import UserError, unknown

METHODS = ("pca", "umap")


@torch.no_grad()
def pca(x: Tensor, dims: int = 2, onto: Tensor | None = None) -> Tensor:
    """Points along the principal directions, (N, dims) float32, the one of largest variance first.

    x: (N, D); onto: (M, D) points that mean and directions are taken from, such as the last epoch's; None: x itself.
    The sign of a direction is chosen so that its largest component is positive. dims at most D.
    """
    points = (x if onto is None else onto).double()
    mean = points.mean(dim=0)
    _, directions = torch.linalg.eigh((points - mean).T @ (points - mean))
    directions = directions.flip(1)[:, :dims]  # (D, dims)
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    return ((x.double() - mean) @ (directions * largest.sign())).float()


def project_umap(x: Tensor, neighbours: int = 15, seed: int = 0, start: Tensor | None = None) -> Tensor:
    """UMAP by cosine (McInnes et al. 2018, arXiv:1802.03426): (N, D) -> (N, 2).

    Neighbourhoods are kept; distances between clusters and sizes of clusters mean little.
    neighbours: of each point, including itself. start: (N, 2) initial positions; None: their PCA.
    The neighbours are exact, which needs no compilation of an approximate search. Equal seeds give equal layouts on
    one machine. Raises UserError if umap-learn is missing, or for too few points.
    """
    umap = _import_umap()
    if len(x) <= neighbours:
        raise UserError(f"UMAP with {neighbours} neighbours needs more than {neighbours} points, not {len(x)}")
    start = pca(x) if start is None else start
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)  # no new points are projected
        reducer = umap.UMAP(
            n_neighbors=neighbours,
            metric="cosine",
            init=start.cpu().numpy().astype(np.float32),
            precomputed_knn=_with_themselves(x, neighbours),
            random_state=seed,
            n_jobs=1,
        )
        return torch.from_numpy(reducer.fit_transform(x.float().cpu().numpy()))


def stable_layout(frames: Sequence[Tensor], method: Literal["pca", "umap"] = "pca", seed: int = 0) -> list[Tensor]:
    """One layout per frame, (N, 2) each, that moves only as much as the points do.

    Each layout is rotated or mirrored, and shifted, to be as near as possible to the one before; UMAP starts there too.
    frames: embeddings (N, D) of the same N points at several epochs. Raises UserError.
    """
    if method not in METHODS:
        raise unknown("projection", method, METHODS)
    layouts: list[Tensor] = []
    for frame in frames:
        before = layouts[-1] if layouts else None
        layout = pca(frame) if method == "pca" else project_umap(frame, seed=seed, start=before)
        layouts.append(layout - layout.mean(dim=0) if before is None else align(layout, before))
    return layouts


@torch.no_grad()
def azimuthal(x: Tensor, centre: Tensor, onto: Tensor | None = None) -> Tensor:
    """Points of the sphere as seen from one of them, (N, 2) float32: its distance from the origin is the true angle.

    In degrees, 0 to 180. The direction is the point's, projected to the two principal directions of ``onto`` (M, D;
    None: x itself), so angles about the centre are distorted. x: (N, D), centre: (D,), all of unit length.
    """
    cosine, directions = _tangents(x, centre)
    _, _, axes = torch.linalg.svd(_tangents(x if onto is None else onto, centre)[1], full_matrices=False)
    axes = axes[:2].T  # (D, 2)
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    shown = F.normalize(directions @ (axes * largest.sign()), dim=1)
    return (shown * torch.rad2deg(cosine.clamp(-1, 1).acos())[:, None]).float()


def _tangents(x: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines of points (N, D) to the centre, and their unit directions as seen from it."""
    cosine = x.double() @ centre.double()
    return cosine, F.normalize(x.double() - cosine[:, None] * centre.double(), dim=1)


def align(layout: Tensor, target: Tensor) -> Tensor:
    """The layout, rotated or mirrored and shifted to be nearest to the target; no distance changes.

    Orthogonal Procrustes (Schönemann 1966). layout, target: (N, dims), row by row the same points.
    """
    place = target.mean(dim=0)
    return procrustes(layout - layout.mean(dim=0), target - place) + place


def procrustes(points: Tensor, target: Tensor) -> Tensor:
    """Points (N, dims), rotated or mirrored about the origin to be nearest to the target (N, dims), row by row."""
    left, _, right = torch.linalg.svd(points.T @ target)
    return points @ (left @ right)


@torch.no_grad()
def trustworthiness(x: Tensor, layout: Tensor, k: int | None = None, chunk: int = 256) -> Tensor:
    """How far each point's neighbours in a layout are its true neighbours, (N,); higher is better, 1 is all of them.

    Venna & Kaski 2001, per point: 1 - 2 / (k (2N - 3k - 1)) Σ max(0, rank - k) over the k nearest in the layout, rank
    being that of the neighbour by cosine in x. Its mean is scikit-learn's ``trustworthiness``.
    x: (N, D); layout: (N, dims); k below N / 2, by default 15 or the largest possible.
    O(N² (D + k)) time, O(chunk N) memory. Raises UserError.
    """
    n = len(x)
    k = min(15, (n - 1) // 2) if k is None else k
    if not 1 <= k < n / 2:
        raise UserError(f"trustworthiness of {n} points takes k from 1 to {(n - 1) // 2}, not {k}")
    x = F.normalize(at_least_float32(x), dim=1)
    penalties = []
    for start in range(0, n, chunk):
        rows = slice(start, start + chunk)
        distance = torch.cdist(layout[rows], layout, compute_mode="donot_use_mm_for_euclid_dist")
        distance.diagonal(offset=start).fill_(torch.inf)
        shown = distance.topk(k, dim=1, largest=False).indices  # (chunk, k)
        similarity = x[rows] @ x.T
        similarity.diagonal(offset=start).fill_(-torch.inf)
        ranks = [1 + (similarity > similarity.gather(1, one)).sum(dim=1) for one in shown.split(1, dim=1)]
        penalties.append((torch.stack(ranks, dim=1) - k).clamp(min=0).sum(dim=1))
    return 1 - 2 / (k * (2 * n - 3 * k - 1)) * torch.cat(penalties).double()


def _import_umap() -> ModuleType:
    """The package, which takes seconds to import. Raises UserError if it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # of TensorFlow, which is not needed here
            import umap
    except ImportError as error:
        raise UserError("UMAP is not installed: pip install umap-learn") from error
    return umap


def _with_themselves(x: Tensor, neighbours: int) -> tuple[np.ndarray, np.ndarray, None]:
    """Indices and cosine distances (N, neighbours) as UMAP takes them: each point first, then the nearest others."""
    similarity, index = nearest(x, neighbours - 1)
    points = torch.arange(len(x), device=x.device)[:, None]
    distance = (1 - similarity.float()).clamp(min=0)
    indices = torch.cat([points, index], dim=1).cpu().numpy()
    return indices, torch.cat([distance.new_zeros(len(x), 1), distance], dim=1).cpu().numpy(), None
