"""Tasks of notebook 02: effective negatives, harder mixtures, false parents, MoCHi without mixtures."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


def _effective(probabilities: list[float]) -> float:
    shares = np.asarray(probabilities) / np.sum(probabilities)
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _effective_without_shares(probabilities: list[float]) -> float:
    shares = np.asarray(probabilities)
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _entropy(probabilities: list[float]) -> float:
    return float(np.log(_effective(probabilities)))


def _count(probabilities: list[float]) -> float:
    return float(len(probabilities))


effective_negatives = Exercise(
    name="effective_negatives",
    solution=_effective,
    wrong={
        "the key has part of the mass: divide by the sum first, so that the negatives' shares sum to one.": (
            _effective_without_shares
        ),
        "that is the entropy: its exponential is a number of negatives.": _entropy,
        "that counts all of them alike, however small their share is.": _count,
    },
    cases=(([0.1, 0.1, 0.1, 0.1],), ([0.5, 0.01, 0.01, 0.01],), ([0.2, 0.2, 0.001],), ([0.05, 0.1, 0.15],)),
    why="Equal shares give their number; one negative with nearly all of the mass gives nearly one.",
)


def _mixture_cosine(c: float, beta: float) -> float:
    return (beta + (1 - beta) * c) / np.sqrt(beta**2 + (1 - beta) ** 2 + 2 * beta * (1 - beta) * c)


def _not_normalised(c: float, beta: float) -> float:
    return beta + (1 - beta) * c


def _swapped(c: float, beta: float) -> float:
    return _mixture_cosine(c, 1 - beta)


def _without_cross_term(c: float, beta: float) -> float:
    return _not_normalised(c, beta) / np.sqrt(beta**2 + (1 - beta) ** 2)


mixture_cosine = Exercise(
    name="mixture_cosine",
    solution=_mixture_cosine,
    wrong={
        "the mixture is shorter than one: divide by its length.": _not_normalised,
        "β is the share of the query, not of the negative: swap the two.": _swapped,
        "the length of a sum of two vectors has a third part: twice their inner product.": _without_cross_term,
    },
    cases=((0.3, 0.25), (0.3, 0.5), (0.0, 0.4), (0.9, 0.1), (-0.2, 0.0)),
    why="It is at least c for every β: a mixture with the query is always harder than the negative was.",
)


def _with_false_parent(false: int, hardest: int) -> float:
    true = hardest - false
    return 1 - true * (true - 1) / (hardest * (hardest - 1))


def _one_parent(false: int, hardest: int) -> float:
    return false / hardest


def _sum_of_two(false: int, hardest: int) -> float:
    return 2 * false / hardest


def _both_parents(false: int, hardest: int) -> float:
    return false * (false - 1) / (hardest * (hardest - 1))


with_false_parent = Exercise(
    name="with_false_parent",
    solution=_with_false_parent,
    wrong={
        "that is one parent: a mixture has two, and either may be false.": _one_parent,
        "mixtures with two false parents are counted twice: take the share without any, and subtract it from one.": (
            _sum_of_two
        ),
        "that is the share in which both parents are false: one is enough.": _both_parents,
    },
    cases=((16, 64), (2, 4), (4, 10), (0, 8)),
    tolerance=0.02,
    why="If a few of the hardest are false, nearly twice that share of the mixtures has a false parent.",
)


switched_off = Exercise(
    name="switched_off",
    solution=(64, 0, 0),
    wrong={
        "N says what to mix, s and s′ how many mixtures to make: with none to mix, MoCHi fails.": ((0, 64, 8)),
        "mixtures with the query are still made: s′ counts them.": (64, 0, 8),
        "mixtures of two negatives are still made: s counts them.": (64, 64, 0),
    },
    why="Without synthetic columns the table is MoCo-v2's, whatever N is.",
)


slope = Question(
    text="As the network learns, what happens to the line of the hardest negatives' probabilities?",
    why="It becomes steeper. At the end (darkest line) the hardest ten of the queue's 512 negatives have about half of "
    "the negatives' mass, and all those beyond the hundredth less than a tenth. This is MoCHi's starting point: *most "
    "negatives no longer help, and more of them would not help either.*",
    options=(
        "It becomes flatter: all negatives are pushed away alike.",
        "It keeps its slope.",
        "It becomes steeper: the hardest get an ever larger share.",
    ),
)

competing = Question(
    text="How many of the queue's 512 negatives compete, from epoch to epoch?",
    why="During training fewer and fewer negatives compete: two hundred after the first epoch, in the end a third of "
    "them (from one epoch to the next the number may rise a little). And of the hardest about one in six is false: an "
    "image of the query's own class. With ten classes, one in ten would be false by chance. That share grows, though "
    "slowly: the better a network separates classes, the closer it places images of one class, and the more often the "
    "loss pushes these apart again. (The 1.000 before training is not skill: the queue then contains random vectors, "
    "which are far from everything.)",
    high=512,
    unit="effective negatives",
    across="epoch",
)

gain = Question(
    text="What do three pairs of encoders show of MoCHi's gain, by linear probe and by kNN?",
    why="On ImageNet-100 the paper gains one point. Here no mean is as far from zero, and the intervals of the linear "
    "probe contain zero: three seeds do not settle a gain of that size.",
    low=-3,
    high=3,
    step=0.1,
    unit="points",
)

QUESTIONS = (slope, competing, gain)
EXERCISES = (effective_negatives, mixture_cosine, with_false_parent, switched_off)
