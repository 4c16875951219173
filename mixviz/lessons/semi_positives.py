"""Tasks of notebook 03: MixCo's targets, shares from cosines, their error, and what a temperature can undo."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


def _blend_targets(n: int, lam: list[float]) -> np.ndarray:
    targets = np.zeros((n // 2, n))
    for i in range(n // 2):
        targets[i, i] = lam[i]
        targets[i, i + n // 2] = 1 - lam[i]
    return targets


def _with_the_next(n: int, lam: list[float]) -> np.ndarray:
    targets = np.zeros((n // 2, n))
    for i in range(n // 2):
        targets[i, 2 * i] = lam[i]
        targets[i, 2 * i + 1] = 1 - lam[i]
    return targets


def _shares_swapped(n: int, lam: list[float]) -> np.ndarray:
    return _blend_targets(n, [1 - share for share in lam])


def _for_every_image(n: int, lam: list[float]) -> np.ndarray:
    return np.concatenate([_blend_targets(n, lam), np.roll(_blend_targets(n, lam), n // 2, axis=1)])


def _one_share_for_all(n: int, lam: list[float]) -> np.ndarray:
    return _blend_targets(n, [lam[0]] * (n // 2))


blend_targets = Exercise(
    name="blend_targets",
    solution=_blend_targets,
    wrong={
        "image i is blended with image i + N/2, not with its neighbour.": _with_the_next,
        "λ is the share of the image of the *first* half: swap the two.": _shares_swapped,
        "N images give N/2 blends, so N/2 rows.": _for_every_image,
        "every blend has its own λ: use lam[i].": _one_share_for_all,
    },
    cases=((4, [0.7, 0.2]), (6, [0.5, 0.9, 0.1]), (2, [0.3])),
    why="Half a batch of blends is added to the N clean queries, and each has two semi-positives.",
)


def _share(c1: float, c2: float, tau: float) -> float:
    return float(np.exp(c1 / tau) / (np.exp(c1 / tau) + np.exp(c2 / tau)))


def _ratio(c1: float, c2: float, tau: float) -> float:
    return c1 / (c1 + c2)


def _without_temperature(c1: float, c2: float, tau: float) -> float:
    return _share(c1, c2, 1.0)


def _times_temperature(c1: float, c2: float, tau: float) -> float:
    return _share(c1, c2, 1 / tau)


def _of_the_second(c1: float, c2: float, tau: float) -> float:
    return _share(c2, c1, tau)


share_of_first = Exercise(
    name="share_of_first",
    solution=_share,
    wrong={
        "cosines may be negative and are not shares: take exp of each over τ first.": _ratio,
        "τ has no effect yet: divide both cosines by it before exp.": _without_temperature,
        "a small τ should make the share sharper: divide by the temperature.": _times_temperature,
        "that is the share of the second.": _of_the_second,
    },
    cases=((0.9, 0.6, 0.2), (0.5, 0.5, 0.1), (0.4, 0.7, 0.5), (0.8, 0.2, 0.3)),
    why="Only c1 − c2 counts: all other candidates make the two probabilities smaller, by the same factor.",
)


def _error(lams: list[float], shares: list[float]) -> float:
    return float(np.abs(np.subtract(shares, lams)).mean())


def _signed(lams: list[float], shares: list[float]) -> float:
    return float(np.subtract(shares, lams).mean())


def _squared(lams: list[float], shares: list[float]) -> float:
    return float(np.square(np.subtract(shares, lams)).mean())


def _summed(lams: list[float], shares: list[float]) -> float:
    return float(np.abs(np.subtract(shares, lams)).sum())


calibration_error = Exercise(
    name="calibration_error",
    solution=_error,
    wrong={
        "too much here and too little there cancel: take the absolute value of each difference.": _signed,
        "that squares the differences: take their absolute value, so that the error is in units of λ.": _squared,
        "that is the sum: the error is the mean, so that it does not grow with the number of blends.": _summed,
    },
    cases=(([0.0, 0.5, 1.0], [0.1, 0.5, 0.8]), ([0.2, 0.8], [0.2, 0.8]), ([0.0, 0.5, 1.0], [0.5, 0.5, 0.5])),
    why="A network that always says one half, whatever λ is, has an error of about a quarter.",
)


same_shares = Exercise(
    name="same_shares",
    solution=0.1,
    wrong={
        "at the same τ half the difference gives a flatter curve, so other shares.": 0.2,
        "a smaller difference needs a *smaller* τ to give the same shares.": 0.4,
        "the share depends on (c1 − c2) / τ: halve τ, not more.": 0.05,
    },
    why="The share depends only on (c1 − c2) / τ: a narrower range and a higher temperature look the same.",
)


lowest = Question(
    text="At τ = 0.1, which network's similarities are nearest to the shares of the blends?",
    why="i-Mix has the lowest error, and MixCo a slightly lower one than its base. (If you don't have CIFAR-10 these "
    "are errors on glyphs, which none of the three has ever seen. That is enough to ask what such an error measures, "
    "and not enough to say which network reads photographs best.) It would be easy to stop here: *i-Mix makes networks "
    "calibrated, and this figure proves it*.",
    options=("moco-v2", "moco-v2 + mixco", "moco-v2 + imix"),
)

QUESTIONS = (lowest,)
EXERCISES = (blend_targets, share_of_first, calibration_error, same_shares)
