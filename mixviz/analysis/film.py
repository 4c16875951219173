"""What the frames of a film show about its probes: positions in the plane, neighbours, paths over training.

Each is computed once per film and cached, since a slider requests them repeatedly. E frames, P probes.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch

from mixviz.analysis.neighbours import nearest, purity, purity_table
from mixviz.analysis.projection import stable_layout, trustworthiness
from mixviz.errors import UserError
from mixviz.film import Film


@lru_cache(maxsize=64)
def layouts(film: Film, space: str = "backbone") -> np.ndarray:
    """(E, P, 2): the probes' PCA of each frame, rotated to be nearest to that of the frame before. Raises UserError."""
    return torch.stack(stable_layout([torch.from_numpy(film.embedding(i, space)) for i in range(len(film))])).numpy()


@lru_cache(maxsize=2048)
def layout_trust(film: Film, space: str, frame: int, k: int = 15) -> float:
    """Mean trustworthiness of a frame's layout for k neighbours, at most 1, which is best."""
    embedding, layout = film.embedding(frame, space), layouts(film, space)[frame]
    return float(trustworthiness(torch.from_numpy(embedding), torch.from_numpy(layout), k).mean())


@lru_cache(maxsize=64)
def sphere_path(film: Film, space: str = "backbone") -> pd.DataFrame:
    """Columns epoch, uniformity and alignment (of two augmentations), one row a frame. Raises UserError."""
    measures = {name: film.curve(f"{name}/{space}") for name in ("uniformity", "alignment")}
    return pd.DataFrame({"epoch": film.epochs, **measures})


@lru_cache(maxsize=64)
def purities(film: Film, space: str = "backbone", k: int = 10) -> list[pd.DataFrame]:
    """``purity_table`` of the probes' k nearest other probes, one a frame. Raises UserError without labels."""
    if film.labels is None:
        raise UserError("the probes of this film have no labels, so no purity: choose another picture")
    labels = torch.from_numpy(film.labels.astype(int))
    found = [nearest(torch.from_numpy(film.embedding(i, space)), k).index for i in range(len(film))]
    return [purity_table(purity(index, labels), labels) for index in found]
