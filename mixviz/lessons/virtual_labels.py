"""Tasks of notebook 04: virtual labels of blends, the share a query keeps of itself, BYOL's loss, a distance."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


def _mixed_labels(lam: list[float], partner: list[int] | np.ndarray) -> np.ndarray:
    labels = np.eye(len(lam))
    shares = np.asarray(lam)[:, None]
    return shares * labels + (1 - shares) * labels[np.asarray(partner)]


def _inverse_permutation(lam: list[float], partner: list[int]) -> np.ndarray:
    return _mixed_labels(lam, np.argsort(partner))


def _own_share_swapped(lam: list[float], partner: list[int]) -> np.ndarray:
    return _mixed_labels([1 - share for share in lam], partner)


def _written_over(lam: list[float], partner: list[int]) -> np.ndarray:
    labels = np.zeros((len(lam), len(lam)))
    for i, j in enumerate(partner):
        labels[i, i] = lam[i]
        labels[i, j] = 1 - lam[i]
    return labels


def _one_share_for_all(lam: list[float], partner: list[int]) -> np.ndarray:
    return _mixed_labels([lam[0]] * len(lam), partner)


mixed_labels = Exercise(
    name="mixed_labels",
    solution=_mixed_labels,
    wrong={
        "row i is blended with image partner[i]; you gave it to the image whose partner is i.": _inverse_permutation,
        "lam[i] is the share of image i itself: swap the two.": _own_share_swapped,
        "an image may be its own partner: add the two shares, so that the row still sums to one.": _written_over,
        "every row has its own λ: use lam[i].": _one_share_for_all,
    },
    cases=(([0.9, 0.6, 0.7], [1, 2, 0]), ([0.8, 0.5], [1, 0]), ([0.7, 0.6, 0.8, 0.9], [0, 3, 1, 2])),
    why="With the inverse permutation a network learns from wrong labels: one of the failure cases is such a run.",
)


kept_share = Exercise(
    name="kept_share",
    solution=0.75,
    wrong={
        "that is the mean of λ before the larger of λ and 1 − λ is taken.": 0.5,
        "that would mean no blending at all.": 1.0,
        "that is the larger of two draws; λ and 1 − λ are one draw, and the larger is at least ½.": 2 / 3,
        "give a share between 0 and 1, or write a per cent sign.": 75,
    },
    why="λ ~ Beta(1, 1) is uniform, so max(λ, 1 − λ) is uniform between ½ and 1.",
    tolerance=0.011,
)


def _byol_loss(cosines: list[float], targets: list[float]) -> float:
    return float(2 - 2 * np.dot(targets, cosines))


def _without_the_two(cosines: list[float], targets: list[float]) -> float:
    return float(1 - np.dot(targets, cosines))


def _cross_entropy(cosines: list[float], targets: list[float]) -> float:
    weights = np.exp(cosines)
    return float(-np.dot(targets, np.log(weights / weights.sum())))


def _nearest_alone(cosines: list[float], targets: list[float]) -> float:
    return float(2 - 2 * np.asarray(cosines)[np.argmax(targets)])


byol_loss = Exercise(
    name="byol_loss",
    solution=_byol_loss,
    wrong={
        "the squared distance of two unit vectors is 2 − 2 cos: multiply by two.": _without_the_two,
        "BYOL has no softmax: the other keys are not pushed away, they are not there.": _cross_entropy,
        "both keys count, by their shares: take the mean of the cosines with the target as weights.": _nearest_alone,
    },
    cases=(([0.9, 0.4], [0.7, 0.3]), ([0.5, -0.2], [0.5, 0.5]), ([1.0, 0.1, 0.3], [0.8, 0.0, 0.2])),
    why="It is linear in the target, so the loss of a blend is the two losses by their shares.",
)


def _frechet(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    return (mean_x - mean_y) ** 2 + (std_x - std_y) ** 2


def _of_variances(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    return (mean_x - mean_y) ** 2 + (std_x**2 - std_y**2) ** 2


def _of_means(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    return (mean_x - mean_y) ** 2


def _sum_of_variances(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    return (mean_x - mean_y) ** 2 + std_x**2 + std_y**2


def _root(mean_x: float, std_x: float, mean_y: float, std_y: float) -> float:
    return float(np.sqrt(_frechet(mean_x, std_x, mean_y, std_y)))


frechet_1d = Exercise(
    name="frechet_1d",
    solution=_frechet,
    wrong={
        "Σ is the variance, and the root makes it a standard deviation: compare these.": _of_variances,
        "two sets may have the same mean but a different spread: add the term with Σ.": _of_means,
        "the last term is missing: − 2 (Σ_x Σ_y)^½, so that equal sets have distance 0.": _sum_of_variances,
        "the squared distance is needed: no root.": _root,
    },
    cases=((0.0, 1.0, 1.0, 1.0), (0.2, 0.5, 0.2, 1.5), (-1.0, 2.0, 1.0, 0.5), (0.3, 0.7, 0.3, 0.7)),
    why="In 128 dimensions it is the same, with matrices instead of variances.",
)


transfer = Question(
    text="How many points do i-Mix and InputMix gain without augmentation: on photographs, and on digits?",
    why="On the photographs that the encoders were trained on, all three seeds gain about the same, and the intervals "
    "exclude zero. On digits, which are easy for both encoders, the intervals contain it: no gain is left to see.",
    low=-4,
    high=12,
    step=0.5,
    unit="points",
)

QUESTIONS = (transfer,)
EXERCISES = (mixed_labels, kept_share, byol_loss, frechet_1d)
