"""Where embeddings lie on the sphere: alignment, uniformity, spectrum and effective rank.

Wang & Isola (2020, arXiv:2005.10242) split what the contrastive loss optimises in two: embeddings of a pair lie close
(alignment), and all embeddings spread over the sphere (uniformity). Both are measured on embeddings of unit length.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.special import gammaln, ive
from torch import Tensor

from mixviz.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where N embeddings of unit length lie. Without labels or pairs their fields are None."""

    per_sample_uniformity: Tensor  # (N,) log mean potential with the others; lower: more room
    uniformity: float  # over all pairs, in [-8, 0] at t = 2; lower is better
    spectrum: Tensor  # (D,) shares of the variance, descending
    effective_rank: float  # in [1, D]; higher: more directions are in use
    alignment: Tensor | None = None  # (n,) squared distance of two augmentations, in [0, 4]; lower is better
    class_alignment: Tensor | None = None  # (N,) mean squared distance to the others of the class; lower is better
    classes: pd.DataFrame | None = None  # one row a class: label, images, alignment, uniformity

    @property
    def summary(self) -> dict[str, float]:
        """The scalars; fields that are None are left out."""
        numbers = {"uniformity": self.uniformity, "effective_rank": self.effective_rank}
        if self.alignment is not None:
            numbers["alignment"] = float(self.alignment.mean())
        if self.class_alignment is not None:
            numbers["class_alignment"] = float(self.class_alignment.nanmean())
        return numbers


@torch.no_grad()
def geometry(x: Tensor, labels: Tensor | None = None, pairs: tuple[Tensor, Tensor] | None = None) -> Geometry:
    """All measures of these embeddings at once, alpha 2 and t 2. Everything is normalised to unit length first.

    x: (N, D); labels: (N,) from 0; pairs: two augmentations of n images, (n, D) each.
    O(N² D) time in chunks. Raises UserError if fewer than two embeddings, or other numbers of labels, are given.
    """
    x = _unit(x)
    values = per_sample_uniformity(x)
    return Geometry(
        per_sample_uniformity=values,
        uniformity=_log_mean_exp(values),
        spectrum=spectrum(x),
        effective_rank=effective_rank(x),
        alignment=None if pairs is None else alignment(_unit(pairs[0]), _unit(pairs[1])),
        class_alignment=None if labels is None else class_alignment(x, labels),
        classes=None if labels is None else class_table(x, labels),
    )


def _unit(x: Tensor) -> Tensor:
    """(N, D) in at least float32, rows of unit length."""
    return F.normalize(at_least_float32(x), dim=1)


def alignment(x: Tensor, y: Tensor, alpha: float = 2) -> Tensor:
    """||x - y||^alpha of each pair, (n,); lower is better (Wang & Isola, Eq. 4: its mean).

    x, y: (n, D) unit length, two augmentations of the same images. In [0, 2^alpha].
    """
    return (at_least_float32(x) - at_least_float32(y)).norm(dim=1) ** alpha


def class_alignment(x: Tensor, labels: Tensor) -> Tensor:
    """Mean squared distance of each point to the others of its class, (N,); lower is better.

    The alignment of MoCHi's Fig. 3(c), whose pairs are images of the same label. Its mean weighs every image alike; if
    classes differ in size, a mean over all pairs would favour the large ones. NaN for a class of one. x: (N, D) unit
    length; labels: (N,) from 0. O(N D): the distances follow from each class's sum and its mean square.
    """
    labels = _labels_of(x, labels)
    x = x.double()
    counts = labels.bincount()
    squares = x.square().sum(dim=1)
    sums = x.new_zeros(len(counts), x.shape[1]).index_add_(0, labels, x)
    total_squares = x.new_zeros(len(counts)).index_add_(0, labels, squares)
    n = counts[labels]
    distances = n * squares + total_squares[labels] - 2 * (x * sums[labels]).sum(dim=1)
    return torch.where(n > 1, distances.clamp(min=0) / (n - 1), torch.nan)


def uniformity(x: Tensor, t: float = 2, chunk: int = 1024) -> float:
    """log of the mean over distinct pairs of exp(-t ||x_i - x_j||²); lower is better (Wang & Isola, Eq. 5).

    x: (N, D) unit length, N at least 2. In [-4 t, 0]; for points that fill a sphere of many dimensions about -2 t.
    O(N² D) time, O(chunk²) memory. Raises UserError for fewer than two points.
    """
    return _log_mean_exp(per_sample_uniformity(x, t, chunk))


def even_uniformity(dim: int, t: float = 2) -> float:
    """The uniformity of infinitely many points spread evenly on the sphere in R^dim: the lowest possible.

    log of the mean of exp(-t ||x - y||²). This mean is Γ(ν + 1) t^-ν exp(-2t) I_ν(2t) with ν = dim / 2 - 1, from the
    normalising constant of the von Mises-Fisher distribution. dim at least 2, t > 0; at t = 2 it is -1.58 on the
    circle, -2.08 on the sphere, and goes to -4 with more dimensions.
    """
    order = dim / 2 - 1
    return float(gammaln(order + 1) - order * np.log(t) + np.log(ive(order, 2 * t)))


def class_uniformity(x: Tensor, labels: Tensor, t: float = 2) -> Tensor:
    """The uniformity within each class, (classes,); lower: the class is spread wider. NaN below two members.

    x: (N, D) unit length; labels: (N,) from 0.
    """
    labels = _labels_of(x, labels)
    members = [x[labels == c] for c in range(int(labels.max()) + 1)]
    values = [uniformity(part, t) if len(part) > 1 else torch.nan for part in members]
    return torch.tensor(values, dtype=torch.float64, device=x.device)


@torch.no_grad()
def per_sample_uniformity(x: Tensor, t: float = 2, chunk: int = 1024) -> Tensor:
    """Each point's log of the mean over the others of exp(-t ||x_i - x_j||²), (N,); lower: more room around it.

    The uniformity of one point: the mean of its exponential over all points is the exponential of ``uniformity``.
    x: (N, D) unit length. O(N² D) time, O(chunk²) memory: only blocks on and above the diagonal are computed, each
    serves its rows and its columns. Raises UserError for fewer than two points.
    """
    if len(x) < 2:
        raise UserError(f"uniformity needs at least two embeddings, not {len(x)}: give more images")
    x = at_least_float32(x)
    # One product of rows (√2t x, -t |x|², 1) and columns (√2t x, 1, -t |x|²) is the exponent of every pair.
    scaled, squares, ones = (2 * t) ** 0.5 * x, -t * x.square().sum(dim=1, keepdim=True), x.new_ones(len(x), 1)
    rows = torch.cat([scaled, squares, ones], dim=1).split(chunk)
    columns = torch.cat([scaled, ones, squares], dim=1).split(chunk)
    sums = [x.new_zeros(len(part), dtype=torch.float64) for part in rows]
    for i, row in enumerate(rows):
        for j in range(i, len(rows)):
            potential = (row @ columns[j].T).exp_()
            if i == j:
                potential.fill_diagonal_(0)
            else:
                sums[j] += potential.sum(dim=0)
            sums[i] += potential.sum(dim=1)
    return (torch.cat(sums) / (len(x) - 1)).log()


def spectrum(x: Tensor) -> Tensor:
    """Shares of the variance along the principal directions, (D,), descending, sum 1 (float64).

    The eigenvalues of the covariance. It is centred, since the mean of all points is no spread. Shares of 0 mean a
    dimensional collapse (Jing et al. 2022, arXiv:2110.09348). NaN if all points are the same.
    """
    eigenvalues = torch.linalg.eigvalsh(gram(x, centred=True)).flip(0).clamp(min=0)
    return eigenvalues / eigenvalues.sum()


def effective_rank(x: Tensor) -> float:
    """RankMe (Garrido et al. 2023, arXiv:2210.02885, Eq. 1): in [1, D]; higher: more directions are in use.

    exp of the entropy of the singular values' shares. As in the paper the (N, D) embeddings are not centred, so one
    shared direction counts. The paper adds 1e-7 to each share, which is left out here.
    """
    singular = torch.linalg.eigvalsh(gram(x, centred=False)).clamp(min=0).sqrt()
    shares = singular / singular.sum()
    return float(torch.special.entr(shares).sum().exp())


def class_table(x: Tensor, labels: Tensor) -> pd.DataFrame:
    """One row a class that occurs: label, images, alignment (same-label pairs), uniformity within it.

    x: (N, D) unit length; labels: (N,) from 0.
    """
    labels = _labels_of(x, labels)
    points = pd.DataFrame({"label": labels.cpu().numpy(), "alignment": class_alignment(x, labels).cpu().numpy()})
    table = points.groupby("label").agg(images=("label", "size"), alignment=("alignment", "mean")).reset_index()
    table["uniformity"] = class_uniformity(x, labels).cpu().numpy()[table["label"]]
    return table


def gram(x: Tensor, centred: bool, chunk: int = 8192) -> Tensor:
    """(D, D) x.T @ x of (N, D) points in float64, by chunks of rows; its eigenvalues are squared singular values of x.

    centred: the mean of all points is taken off first, which makes it N - 1 times the covariance.
    """
    mean = x.mean(dim=0, dtype=torch.float64) if centred else 0.0
    gram = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=x.device)
    for part in x.split(chunk):
        rows = part.double() - mean
        gram.addmm_(rows.T, rows)
    return gram


def _log_mean_exp(values: Tensor) -> float:
    return float(values.exp().mean().log())


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision, as films keep it, becomes float32; float32 and float64 stay."""
    return x if x.dtype == torch.float64 else x.float()


def _labels_of(x: Tensor, labels: Tensor) -> Tensor:
    if labels.shape != (len(x),):
        raise UserError(f"{len(x)} embeddings need {len(x)} labels, not {tuple(labels.shape)}: give one per image")
    return labels.long().to(x.device)
