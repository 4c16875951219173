"""Tasks of notebook 10: what two views of a row share, a blend of categories, a level in a blend of two sounds."""

from math import log10

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question

Row = tuple[float, int]  # a number, and one of three categories


def _kept_in_both(features: int, dropout: float) -> float:
    return features * (1 - dropout) ** 2


def _in_one(features: int, dropout: float) -> float:
    return features * (1 - dropout)


def _dropped_apart(features: int, dropout: float) -> float:
    return features * (1 - 2 * dropout)


def _not_dropped_in_both(features: int, dropout: float) -> float:
    return features * (1 - dropout**2)


kept_in_both = Exercise(
    name="kept_in_both",
    solution=_kept_in_both,
    wrong={
        "that is one view: the other one drops its own features.": _in_one,
        "some features are dropped in both views, and you count them twice.": _dropped_apart,
        "those are the features kept in at least one view.": _not_dropped_in_both,
    },
    cases=((61, 0.2), (54, 0.5), (10, 0.0)),
    why="Both views must keep a feature, independently. Only these features can be compared at all.",
    tolerance=0.1,
)


def _blended_row(first: Row, second: Row, lam: float) -> np.ndarray:
    return lam * _one_hot(first) + (1 - lam) * _one_hot(second)


def _one_hot(row: Row) -> np.ndarray:
    return np.array([row[0], *np.eye(3)[row[1]]])


def _of_codes(first: Row, second: Row, lam: float) -> np.ndarray:
    return lam * np.array(first) + (1 - lam) * np.array(second)


def _one_category(first: Row, second: Row, lam: float) -> np.ndarray:
    blend = _blended_row(first, second, lam)
    return np.array([blend[0], *np.eye(3)[np.argmax(blend[1:])]])


def _number_of_first(first: Row, second: Row, lam: float) -> np.ndarray:
    return np.array([first[0], *_blended_row(first, second, lam)[1:]])


def _swapped(first: Row, second: Row, lam: float) -> np.ndarray:
    return _blended_row(second, first, lam)


blended_row = Exercise(
    name="blended_row",
    solution=_blended_row,
    wrong={
        "half of category 0 and half of category 2 are not category 1: give each category a column.": _of_codes,
        "do not choose one category: each of the two keeps its share.": _one_category,
        "the number is blended as well.": _number_of_first,
        "λ is the share of the first row: swap the two.": _swapped,
    },
    cases=(((1.0, 0), (3.0, 2), 0.5), ((-1.0, 1), (2.0, 0), 0.8), ((0.5, 2), (1.5, 2), 0.9)),
    why="In columns of 0 and 1 a blend gives the share of each category, as the mixed virtual label does.",
)


def _heard_level(level: float, lam: float) -> float:
    return level + 20 * log10(lam)


def _of_power(level: float, lam: float) -> float:
    return level + 10 * log10(lam)


def _of_decibels(level: float, lam: float) -> float:
    return lam * level


def _as_seen(level: float, lam: float) -> float:
    return lam * level + (1 - lam) * -80


def _of_the_second(level: float, lam: float) -> float:
    return level + 20 * log10(1 - lam)


heard_level = Exercise(
    name="heard_level",
    solution=_heard_level,
    wrong={
        "λ multiplies the wave, and a level is 20 log10 of a wave's height.": _of_power,
        "λ multiplies the wave, not its decibels.": _of_decibels,
        "that is what the network sees, the blend of two levels. What do you hear?": _as_seen,
        "λ is the share of the first sound, and the second is silent.": _of_the_second,
    },
    cases=((-20.0, 0.5), (-6.0, 0.7), (-30.0, 0.2)),
    why="At λ = ½ you hear the first sound 6 decibels lower. In the blend of the spectrograms it loses far more.",
)


follows = Question(
    text="At each network's best temperature, which one's similarities are nearer to the shares of a blend?",
    why="Neither. The network that never saw a blend follows the shares as well as the one that was trained only on "
    "blends, at the common temperature and at each one's best. So this is not what i-Mix taught here. The last two "
    "columns are the test accuracies of the recorded runs for the motif. With i-Mix kNN is better, the linear probe "
    "about the same. That is one seed, which settles nothing.",
    options=("N-pair's", "about the same", "those of N-pair with i-Mix"),
)

QUESTIONS = (follows,)
EXERCISES = (kept_in_both, blended_row, heard_level)
