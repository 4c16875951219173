"""Each exercise's solution is what the library does, or what a computation of another kind finds."""

from collections.abc import Callable
from dataclasses import fields
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Generator, Tensor, nn

from mixviz.analysis.frechet import frechet_distance
from mixviz.analysis.geometry import alignment, effective_rank, uniformity
from mixviz.analysis.hardness import effective_number
from mixviz.analysis.invariance import vary
from mixviz.analysis.mixpath import Calibration, share_of_first
from mixviz.analysis.targets import KINDS, ContrastTable, contrast_table
from mixviz.augment import build_augmentation, make_views
from mixviz.augment.audio import LogMel
from mixviz.augment.tabular import FeatureDropout
from mixviz.build import build_method, hold_out
from mixviz.config import RunConfig
from mixviz.lessons import (
    evaluation,
    failures,
    hard_negatives,
    leave_one_out,
    one_table,
    own_data,
    semi_positives,
    space,
    start_here,
    virtual_labels,
    without_images,
)
from mixviz.lessons.exercise import Exercise
from mixviz.losses import cosine_regression
from mixviz.mixing import IMix, IMixDraw, MixCo, MoCHi, MoCHiDraw, blend
from mixviz.terms import Candidates
from mixviz.train import batches

SPACES = ("all", "color", "rotation")
REFERENCES: dict[str, Callable[..., Any]] = {}  # exercise -> its function; of one that asks for a value, what finds it
OF_THE_FAILURES = {"not_seen_in_the_loss"}  # test_failures.py counts it in the recordings


def reference(exercise: Exercise) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        assert exercise.name not in REFERENCES
        REFERENCES[exercise.name] = function
        return function

    return register


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_images(n: int = 16, size: int = 16) -> Tensor:
    return torch.rand(n, 3, size, size, generator=Generator().manual_seed(0))


def tables(framework: str, n: int, **settings: Any) -> list[ContrastTable]:
    """The contrast tables of a small network's method, one for each space, on random images."""
    method = build_method(RunConfig.of(framework=framework, dim=8, hidden=16, device="cpu", **settings), (3, 16, 16))
    views = list(random_images(n * (1 + len(method.shared))).split(n))
    return [contrast_table(method.framework, term) for term in method.terms(views, Generator().manual_seed(0))]


def test_solution_is_what_is_computed_in_another_way(exercise):
    if exercise.name in OF_THE_FAILURES:
        return
    computed = REFERENCES[exercise.name]
    assert exercise.verdict(computed if callable(exercise.solution) else computed()).startswith("Right.")


# 00: start here


@reference(start_here.survives)
def _() -> str:
    changed_by = {"hue": "color", "place": "crop", "size": "crop", "orientation": "rotation"}
    (kept,) = (name for name, group in changed_by.items() if group not in build_augmentation(32).groups)
    return kept


@reference(start_here.chance)
def _(classes: int) -> float:
    return float(np.mean(np.repeat(np.arange(classes), 10) == 0))  # always guesses class 0


@reference(start_here.learned)
def _(trained: dict[str, float], untrained: dict[str, float]) -> list[str]:
    gains = pd.Series(trained) - pd.Series(untrained)
    return gains[gains > 0].sort_index().index.tolist()


# 01: one table


@reference(one_table.target_row)
def _(n: int, first: int, second: int, lam: float) -> list[float]:
    labels = torch.eye(n, dtype=torch.float64)
    return blend(labels[[first]], labels[[second]], tensor([lam]))[0].tolist()


@reference(one_table.probabilities)
def _(cosines: list[float], temperature: float) -> Tensor:
    row = tensor([cosines])
    return Candidates(positives=row, targets=torch.zeros_like(row), temperature=temperature).probabilities[0]


@reference(one_table.own_share)
def _() -> float:
    (table,) = tables("moco-v2", 8, queue_length=256)
    shares = table.gradient_share[table.kind == KINDS.index("own key")]
    torch.testing.assert_close(shares, shares[:1].expand(8))
    return float(shares[0])


@reference(one_table.candidates)
def _(framework: str, n: int, k: int) -> int:
    table = tables(framework, n, **({"queue_length": k} if framework == "moco-v2" else {}))[0]
    (count,) = (table.kind != KINDS.index("none")).sum(dim=1).unique().tolist()
    return count


# 02: hard negatives


@reference(hard_negatives.effective_negatives)
def _(probabilities: list[float]) -> float:
    return float(effective_number(tensor([probabilities])))


@reference(hard_negatives.mixture_cosine)
def _(c: float, beta: float) -> float:
    query, none = tensor([[1.0, 0.0]]), torch.zeros(1, 0, dtype=torch.long)
    pool = tensor([[c, sqrt(1 - c * c)], [-1.0, 0.0]])
    draw = MoCHiDraw(first=none, second=none, alpha=none.double(), partner=none.new_zeros(1, 1), beta=tensor([[beta]]))
    mixed = MoCHi(hardest=2, pairs=0, towards_query=1).negatives(query, pool, None, draw)
    return float(mixed[0, 0] @ query[0])


@reference(hard_negatives.with_false_parent)
def _(false: int, hardest: int) -> float:
    draw = MoCHi(hardest=hardest, pairs=20_000).sample(1, Generator().manual_seed(0))
    return float(((draw.first < false) | (draw.second < false)).double().mean())


@reference(hard_negatives.switched_off)
def _() -> tuple[int, int, int]:
    (off,) = (
        s for s in [hard_negatives.switched_off.solution, *hard_negatives.switched_off.wrong.values()] if plain(s)
    )
    return off


def plain(setting: tuple[int, int, int]) -> bool:
    """Whether MoCHi takes the setting and synthesises nothing."""
    try:
        mixing = MoCHi(hardest=setting[0], pairs=setting[1], towards_query=setting[2])
    except ValueError:
        return False
    pool = F.normalize(torch.randn(80, 4, generator=Generator().manual_seed(0)), dim=1)
    return mixing.negatives(pool[:2], pool, None, mixing.sample(2, Generator().manual_seed(0))).shape[1] == 0


# 03: semi-positives


@reference(semi_positives.blend_targets)
def _(n: int, lam: list[float]) -> Tensor:
    return MixCo().queries(torch.zeros(n, 1), tensor(lam))[1].targets


@reference(semi_positives.share_of_first)
def _(c1: float, c2: float, tau: float) -> float:
    return float(share_of_first(tensor(c1), tensor(c2), tau))


@reference(semi_positives.calibration_error)
def _(lams: list[float], shares: list[float]) -> float:
    return Calibration(lam=tensor([lams]), share=tensor([shares]), temperature=1.0).error


@reference(semi_positives.same_shares)
def _() -> float:
    first, second = tensor([0.9, 0.2, -0.4]), tensor([0.1, 0.5, -0.3])
    wanted = share_of_first(first, second, 0.2)
    return min(
        (step / 20 for step in range(1, 20)),
        key=lambda tau: float((share_of_first(first / 2, second / 2, tau) - wanted).abs().max()),
    )


# 04: virtual labels


@reference(virtual_labels.mixed_labels)
def _(lam: list[float], partner: list[int]) -> Tensor:
    draw = IMixDraw(tensor(lam), torch.tensor(partner))
    return IMix().queries(torch.zeros(len(lam), 1), draw)[0].targets


@reference(virtual_labels.kept_share)
def _() -> float:
    return float(IMix().sample(100_000, Generator().manual_seed(0)).lam.mean())


@reference(virtual_labels.byol_loss)
def _(cosines: list[float], targets: list[float]) -> float:
    return float(cosine_regression(tensor([cosines]), tensor([targets])))


@reference(virtual_labels.frechet_1d)
def _(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    def two_points(mean: float, std: float) -> Tensor:
        return tensor([[mean - std / sqrt(2)], [mean + std / sqrt(2)]])

    return frechet_distance(two_points(mean_x, std_x), two_points(mean_y, std_y))


# 05: what should not be contrastive


@reference(leave_one_out.copied)
def _(space: str, augmentation: str) -> bool:
    views = make_views(
        random_images(), build_augmentation(16, rotation=0.5), Generator().manual_seed(0), (None, *SPACES[1:])
    )
    query, key = views[0].parameters, views[1 + SPACES.index(space)].parameters
    names = [op.name for op in build_augmentation(16, rotation=0.5).operations if op.group == augmentation]
    drawn = [(getattr(query[name], f.name), getattr(key[name], f.name)) for name in names for f in fields(query[name])]
    assert drawn
    return all(torch.equal(of_query, of_key) for of_query, of_key in drawn)


@reference(leave_one_out.compared)
def _(space: str, n: int, left_out: int) -> int:
    names = SPACES[1 : 1 + left_out]
    of_spaces = tables("n-pair", n, mixing=["looc"], looc_left_out=names, rotation=0.5)
    return int((of_spaces[SPACES.index(space)].kind[0] != KINDS.index("none")).sum())


@reference(leave_one_out.flipped)
def _(turns: int) -> int:
    arrow = torch.zeros(1, 3, 5, 5)
    arrow[..., 2] = arrow[:, :, 1, 1:4] = 1.0  # a shaft with a bar near its upper end
    turned = [change(arrow, "rotation", quarters) for quarters in range(4)]
    (seen,) = (k for k, other in enumerate(turned) if torch.equal(change(turned[turns], "flip", 1), other))
    return seen


@reference(leave_one_out.leave_out)
def _() -> str:
    flower = torch.tensor([0.9, 0.2, 0.4]).view(1, 3, 1, 1).expand(1, 3, 16, 16)  # all that counts is its colour
    moved = {name: change(flower, by, at) for name, by, at in [("color", "hue", 0.3), ("crop", "crop", 0.4)]}
    moved["rotation"] = change(flower, "rotation", 1)
    (destroys,) = (name for name, image in moved.items() if not torch.allclose(image, flower, atol=1e-5))
    return destroys


def change(image: Tensor, augmentation: str, strength: float) -> Tensor:
    return vary(image, augmentation, strength, Generator().manual_seed(0))


# 06: space


@reference(space.uniformity)
def _(points: list[tuple[float, ...]]) -> float:
    return uniformity(tensor(points))


@reference(space.at_one_place)
def _() -> tuple[float, float]:
    points = tensor([[0.6, 0.8]]).repeat(5, 1)
    return float(alignment(points, points).mean()), uniformity(points)


@reference(space.tells_a_collapse)
def _() -> str:
    spread_out = F.normalize(torch.randn(2, 30, 3, generator=Generator().manual_seed(0), dtype=torch.float64), dim=2)
    healthy, collapsed = measures(*spread_out), measures(*spread_out[:1, :1].expand(2, 30, 3))
    (worse,) = (name for name in healthy if collapsed[name] > healthy[name])
    return worse


def measures(x: Tensor, y: Tensor) -> dict[str, float]:
    """BYOL's loss and both measures of two views, lower is better."""
    loss = cosine_regression(x @ y.T, torch.eye(len(x), dtype=x.dtype)).mean()
    return {"loss": float(loss), "alignment": float(alignment(x, y).mean()), "uniformity": uniformity(x)}


@reference(space.effective_rank)
def _(singular_values: list[float]) -> float:
    return effective_rank(tensor(singular_values).diag())


# 07: evaluation


@reference(evaluation.standard_error)
def _(accuracy: float, images: int) -> float:
    return float(100 * stats.binom(images, accuracy).std() / images)


@reference(evaluation.to_report)
def _(validation: list[float], test: list[float]) -> float:
    return max(zip(validation, test, strict=True))[1]


@reference(evaluation.half_width)
def _(method: list[float], base: list[float], t: float) -> float:
    assert t == pytest.approx(stats.t.ppf(0.975, len(method) - 1), abs=1e-3)
    low, high = stats.ttest_rel(method, base).confidence_interval(0.95)
    return (high - low) / 2


# 08: the failure cases


@reference(failures.shows)
def _(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return bool(np.sign(broken - healthy) == sign and abs(broken - healthy) > margin)


@reference(failures.freezes)
def _() -> str:
    lines: dict[str, Callable[[nn.Module], object]] = {
        "a": lambda encoder: setattr(encoder, "requires_grad", False),
        "b": lambda encoder: encoder.requires_grad_(False),
        "c": lambda encoder: encoder.eval(),
        "d": lambda encoder: encoder.train(False),
    }
    (frozen,) = (letter for letter, line in lines.items() if is_frozen_by(line))
    return frozen


def is_frozen_by(line: Callable[[nn.Module], object]) -> bool:
    encoder = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    line(encoder)
    head = nn.Linear(4, 2)
    head(encoder(torch.ones(5, 3))).sum().backward()
    return all(parameter.grad is None for parameter in encoder.parameters())


# 09: your own data


@reference(own_data.images_seen)
def _(images: int, held_out: int, batch: int, epochs: int) -> int:
    trained_on = len(hold_out(images, held_out)[1])
    return sum(len(index) for epoch in range(epochs) for index in batches(trained_on, batch, 0, epoch))


@reference(own_data.pooled)
def _(maps: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)


@reference(own_data.halves)
def _(partner: list[int]) -> Tensor:
    images = torch.zeros(len(partner), 1, 2, 2)
    return own_data.Halves().queries(images, torch.tensor(partner))[0].targets


# 10: without images


@reference(without_images.kept_in_both)
def _(features: int, dropout: float) -> float:
    rows, generator = torch.ones(20_000, features), Generator().manual_seed(0)
    augmentation = FeatureDropout(dropout)
    views = [augmentation.apply(rows, augmentation.sample(20_000, (features,), generator)) for _ in range(2)]
    return float((views[0] * views[1]).sum(dim=1).mean())


@reference(without_images.blended_row)
def _(first: tuple[float, int], second: tuple[float, int], lam: float) -> Tensor:
    numbers, codes = tensor([[first[0]], [second[0]]]), torch.tensor([first[1], second[1]])
    rows = torch.cat([numbers, F.one_hot(codes, 3)], dim=1)
    return IMix().queries(rows, IMixDraw(tensor([lam, lam]), torch.tensor([1, 0])))[0].inputs[0]


@reference(without_images.heard_level)
def _(level: float, lam: float) -> float:
    tone = torch.sin(torch.arange(8000) * (2 * torch.pi * 1000 / 8000))[None]
    loudest = [float(LogMel(rate=8000).apply(wave).max()) for wave in (tone, 10 ** (level / 20) * lam * tone)]
    return 80 * (loudest[1] - loudest[0])
