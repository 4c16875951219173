"""Tasks of notebook 01: targets, temperature, and what moves a query."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


def _target_row(n: int, first: int, second: int, lam: float) -> list[float]:
    row = [0.0] * n
    row[first] += lam
    row[second] += 1 - lam
    return row


def _swapped(n: int, first: int, second: int, lam: float) -> list[float]:
    return _target_row(n, second, first, lam)


def _halves(n: int, first: int, second: int, lam: float) -> list[float]:
    return _target_row(n, first, second, 0.5)


def _one_hot(n: int, first: int, second: int, lam: float) -> list[float]:
    return _target_row(n, first, first, lam)


def _written_over(n: int, first: int, second: int, lam: float) -> list[float]:
    row = [0.0] * n
    row[first] = lam
    row[second] = 1 - lam
    return row


target_row = Exercise(
    name="target_row",
    solution=_target_row,
    wrong={
        "λ is the weight of the *first* image: swap the two.": _swapped,
        "both images get one half whatever λ is: use λ.": _halves,
        "the second image has no part in the target: a blend is a semi-positive of both.": _one_hot,
        "an image may be blended with itself: add the two shares, so that the row still sums to one.": _written_over,
    },
    cases=((4, 0, 2, 0.7), (3, 1, 0, 0.55), (5, 4, 4, 0.8), (2, 0, 1, 1.0)),
    why="MixCo and i-Mix only change the targets in the table: the loss stays the same.",
)


def _probabilities(cosines: list[float], temperature: float) -> np.ndarray:
    weights = np.exp(np.asarray(cosines) / temperature)
    return weights / weights.sum()


def _times(cosines: list[float], temperature: float) -> np.ndarray:
    weights = np.exp(np.asarray(cosines) * temperature)
    return weights / weights.sum()


def _without_temperature(cosines: list[float], temperature: float) -> np.ndarray:
    return _probabilities(cosines, 1.0)


def _not_normalised(cosines: list[float], temperature: float) -> np.ndarray:
    return np.exp(np.asarray(cosines) / temperature)


probabilities = Exercise(
    name="probabilities",
    solution=_probabilities,
    wrong={
        "a small τ should make the row sharper: divide by the temperature.": _times,
        "τ has no effect yet: the cosines are divided by it before exp.": _without_temperature,
        "a row of probabilities sums to one: divide by the sum.": _not_normalised,
    },
    cases=(([0.9, 0.1, -0.2], 0.2), ([0.5, 0.5], 1.0), ([1.0, 0.9, 0.0, -1.0], 0.05)),
    why="This is the softmax of every method here but BYOL, which has none.",
)


own_share = Exercise(
    name="own_share",
    solution=0.5,
    wrong={
        "the own key's gap is 1 − p, and all the others' gaps together are 1 − p as well.": 1.0,
        "no candidate is left out: the gaps of a row sum to zero, so both sides have the same weight.": 0.0,
        "the number of candidates does not matter: one of them balances all the others.": 1 / 257,
        "give a share between 0 and 1, or write a per cent sign.": 50,
    },
    why="Gaps sum to zero: the own key attracts exactly as much as all the others together repel.",
)


def _candidates(framework: str, n: int, k: int) -> int:
    return {"n-pair": n, "simclr": 2 * n - 1, "moco-v2": 1 + k, "byol": 1}[framework]


def _keys_of_batch(framework: str, n: int, k: int) -> int:
    return {"n-pair": n, "simclr": 2 * n - 1, "moco-v2": n + k, "byol": 1}[framework]


def _with_itself(framework: str, n: int, k: int) -> int:
    return {"n-pair": n, "simclr": 2 * n, "moco-v2": 1 + k, "byol": 1}[framework]


def _negatives_alone(framework: str, n: int, k: int) -> int:
    return _candidates(framework, n, k) - 1


candidates = Exercise(
    name="candidates",
    solution=_candidates,
    wrong={
        "a clean query of MoCo-v2 is compared with its own key and the queue, not the batch.": _keys_of_batch,
        "in SimCLR a query is not compared with itself.": _with_itself,
        "its own key is a candidate too: count it.": _negatives_alone,
    },
    cases=(("n-pair", 8, 256), ("simclr", 8, 256), ("moco-v2", 8, 256), ("byol", 8, 256), ("moco-v2", 16, 1024)),
    why="The queue makes the number of negatives independent of the batch: that is the point of MoCo.",
)


push = Question(
    text="What share of a query's gradient comes from each kind of negative?",
    why="Without a mixing it is half and half wherever there are negatives: the gaps of a row sum to zero. MoCHi's "
    "synthetic negatives take over half of the push, and less is left for the queue. LooC's space for colour also "
    "pushes away the image's own other views. For blends the pull is divided between two keys.",
    unit="%",
)

QUESTIONS = (push,)
EXERCISES = (target_row, probabilities, own_share, candidates)
