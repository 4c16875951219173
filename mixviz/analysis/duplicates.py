"""Pairs of examples that are the same or nearly so: by their bytes, and by the features of an encoder."""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.analysis.geometry import at_least_float32
from mixviz.data.fifth import first_copies

SIMILAR = 0.98  # cosine of centred features from which on a pair may be nearly the same
ALIKE = 0.9  # correlation of the pixels from which on it is
MOST = 1000  # pairs that are kept
EXACT = "exact"
KINDS = ("near", "mirrored")  # of pairs that are not exact copies


def duplicates(
    stored: np.ndarray, x: Tensor, mirrored: Tensor | None = None, threshold: float = SIMILAR, most: int = MOST
) -> pd.DataFrame:
    """Pairs of rows that show the same, or nearly: first, second, similarity and kind, the most similar first.

    kind: ``exact``, the same bytes, with the first such row; ``near``, by features of at least the threshold and pixels
    that correlate by ``ALIKE``, since an encoder that saw few images also takes others of one motif for the same; or
    ``mirrored``, if one of the two is flipped. Rows that are exact copies of others are in no further pair.
    stored: (N, ...); x: features of each, (N, F); mirrored: those of the examples flipped, (N, F). The ``most`` most
    similar pairs are kept. Arguments otherwise as for ``similar_pairs``.
    """
    first = first_copies(stored)
    own = np.flatnonzero(first == np.arange(len(stored)))
    copies = np.flatnonzero(first != np.arange(len(stored)))
    exact = pd.DataFrame({"first": first[copies], "second": copies, "similarity": 1.0, "kind": EXACT})
    kept = torch.from_numpy(own)
    near = similar_pairs(x[kept], None if mirrored is None else mirrored[kept], threshold, 10 * most)
    near = near.assign(**{side: own[near[side]] for side in ("first", "second")})
    near = near[[value >= ALIKE for value in correlations(stored, near)]]
    return pd.concat([exact, near], ignore_index=True).iloc[:most]


def correlations(stored: np.ndarray, pairs: pd.DataFrame) -> list[float]:
    """Of the two examples of each pair, number by number, in [-1, 1]; of a mirrored pair once one is flipped."""
    found = []
    for first, second, kind in zip(*(pairs[name].tolist() for name in ("first", "second", "kind")), strict=True):
        other = stored[second][:, ::-1] if kind == KINDS[1] else stored[second]
        a, b = (one.reshape(-1).astype(np.float32) for one in (stored[first], other))
        a, b = a - a.mean(), b - b.mean()
        found.append(float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)))
    return found


@torch.no_grad()
def similar_pairs(
    x: Tensor, mirrored: Tensor | None = None, threshold: float = SIMILAR, most: int = MOST, chunk: int = 512
) -> pd.DataFrame:
    """Pairs whose features, less their mean over all, have a cosine of at least the threshold.

    Without the mean, features behind a ReLU all point about the same way, and every pair seems similar.
    x: (N, F); mirrored: features of the flipped examples, (N, F), which are compared with those of the others as well.
    first < second, similarity in [-1, 1], and kind: near or mirrored. O(N² F) time, O(chunk N) memory.
    """
    mean = at_least_float32(x).mean(dim=0)
    points = F.normalize(at_least_float32(x) - mean, dim=1)
    others = [points] if mirrored is None else [points, F.normalize(at_least_float32(mirrored) - mean, dim=1)]
    parts = []
    for start in range(0, len(points), chunk):
        rows = points[start : start + chunk]
        similarity, kind = torch.stack([rows @ other[start:].T for other in others]).max(dim=0)
        first, second = (similarity.triu(diagonal=1) >= threshold).nonzero(as_tuple=True)
        values, best = similarity[first, second].topk(min(most, len(first)))
        first, second = first[best], second[best]
        columns = {"first": first + start, "second": second + start, "similarity": values, "kind": kind[first, second]}
        parts.append(pd.DataFrame({name: column.cpu().numpy() for name, column in columns.items()}))
    table = pd.concat(parts, ignore_index=True).nlargest(most, "similarity")
    return table.assign(similarity=table["similarity"].clip(-1, 1), kind=table["kind"].map(KINDS.__getitem__))
