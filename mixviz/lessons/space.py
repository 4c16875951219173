"""Tasks of notebook 06: uniformity, the collapse, how to detect it, and the effective rank."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question

Points = list[tuple[float, ...]]


def _squared_distances(points: Points) -> np.ndarray:
    """Of each pair of two different points, once."""
    x = np.asarray(points, dtype=float)
    first, second = np.triu_indices(len(x), k=1)
    return ((x[first] - x[second]) ** 2).sum(axis=1)


def _uniformity(points: Points) -> float:
    x = np.asarray(points, dtype=float)
    first, second = np.triu_indices(len(x), k=1)  # each pair once
    squared = ((x[first] - x[second]) ** 2).sum(axis=1)
    return float(np.log(np.mean(np.exp(-2 * squared))))


def _without_log(points: Points) -> float:
    return float(np.mean(np.exp(-2 * _squared_distances(points))))


def _log_first(points: Points) -> float:
    return float(np.mean(-2 * _squared_distances(points)))


def _not_squared(points: Points) -> float:
    return float(np.log(np.mean(np.exp(-2 * np.sqrt(_squared_distances(points))))))


def _with_itself(points: Points) -> float:
    x = np.asarray(points, dtype=float)
    return float(np.log(np.mean(np.exp(-2 * ((x[:, None] - x) ** 2).sum(axis=2)))))


uniformity = Exercise(
    name="uniformity",
    solution=_uniformity,
    wrong={
        "the logarithm of the mean is missing.": _without_log,
        "take the mean of the exponentials, and only then the logarithm: near pairs should count most.": _log_first,
        "the distance is squared.": _not_squared,
        "a point with itself is not a pair: leave those out.": _with_itself,
    },
    cases=(
        ([(1.0, 0.0), (-1.0, 0.0)],),
        ([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)],),
        ([(1.0, 0.0), (1.0, 0.0), (0.6, 0.8), (0.0, -1.0)],),
        ([(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)],),
    ),
    why="Near pairs weigh most, so above all no two points should be close.",
)


at_one_place = Exercise(
    name="at_one_place",
    solution=(0.0, 0.0),
    wrong={
        "the best value is at the other end: a pair at one place has distance 0.": (4.0, -8.0),
        "alignment is right; uniformity is the logarithm of a mean of exp(0).": (0.0, -8.0),
        "alignment is right; exp(0) is 1, and its logarithm is not.": (0.0, 1.0),
        "uniformity is right; alignment is a distance, and there is none.": (4.0, 0.0),
    },
    why="The best possible alignment, and the worst uniformity: alignment alone is optimal at a collapse.",
)


tells_a_collapse = Exercise(
    name="tells_a_collapse",
    solution="uniformity",
    wrong={
        "look at the curve again: at the collapse the loss is lower than ever.": "loss",
        "alignment is at its best when all points are the same: it does not penalise a collapse.": "alignment",
        "the steps continue as if nothing had happened.": "step",
    },
    why="BYOL's loss is an alignment. So a measure of collapse has to use other pairs than those of the loss.",
)


def _effective_rank(singular_values: list[float]) -> float:
    shares = np.asarray(singular_values) / np.sum(singular_values)
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _of_variances(singular_values: list[float]) -> float:
    return _effective_rank(list(np.square(singular_values)))


def _entropy(singular_values: list[float]) -> float:
    return float(np.log(_effective_rank(singular_values)))


def _in_bits(singular_values: list[float]) -> float:
    return float(2 ** _entropy(singular_values))


def _count(singular_values: list[float]) -> float:
    return float(len(singular_values))


effective_rank = Exercise(
    name="effective_rank",
    solution=_effective_rank,
    wrong={
        "that takes the shares of the squares: the measure uses the singular values themselves.": _of_variances,
        "that is the entropy: its exponential is a number of directions.": _entropy,
        "the entropy is in nats, so the exponential has e for its base, not 2.": _in_bits,
        "that counts every direction alike, however small its share.": _count,
    },
    cases=(([1.0, 1.0, 1.0],), ([4.0, 1.0],), ([10.0, 1.0, 1.0, 0.1],), ([2.0, 2.0, 0.5],)),
    why="Equal singular values give their number; one that is far above all others gives nearly one.",
)


best_aligned = Question(
    text="In which epoch of MoCo-v2's film is alignment at its best?",
    why="Before anything was learned. The untrained network maps *all* images to nearly one point, so two views of one "
    "image are close, and so is everything else. Training trades alignment for uniformity.",
    high=20,
)

QUESTIONS = (best_aligned,)
EXERCISES = (uniformity, at_one_place, tells_a_collapse, effective_rank)
