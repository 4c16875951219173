"""Tasks of notebook 08: what the loss shows, when a signature shows, and what freezes an encoder."""

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question

not_seen_in_the_loss = Exercise(
    name="not_seen_in_the_loss",
    solution=4,
    wrong={
        "one more: of one pair both losses are the same to the last digit.": 3,
        "that is the other kind: count the pairs in which the broken run's loss is *not* higher.": 5,
        "look at the column of the loss again: in some pairs the broken run has the lower one.": 0,
        "one fewer is lower, the others are higher or the same: compare the two columns row by row.": 1,
    },
    why="Three broken runs even look better than healthy: their task has become easier, or another one.",
)


def _shows(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return sign * (broken - healthy) > margin


def _either_way(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return abs(broken - healthy) > margin


def _without_margin(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return sign * (broken - healthy) > 0


def _other_way(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return sign * (healthy - broken) > margin


def _always_higher(healthy: float, broken: float, sign: int, margin: float) -> bool:
    return broken - healthy > margin


shows = Exercise(
    name="shows",
    solution=_shows,
    wrong={
        "a difference in the wrong direction does not indicate this fault: use the sign.": _either_way,
        "two healthy runs differ a little too: the difference must be larger than the margin.": _without_margin,
        "sign 1 means that the *broken* run has the higher value.": _other_way,
        "some signatures go down: the sign gives the direction.": _always_higher,
    },
    cases=(
        (0.55, 0.35, -1, 0.05),
        (0.35, 0.55, -1, 0.05),
        (0.50, 0.48, -1, 0.05),
        (-2.7, 0.0, 1, 0.5),
        (0.0, -2.7, 1, 0.5),
        (-2.7, -2.5, 1, 0.5),
    ),
    why="Quantity, direction and margin belong together: without one of them every pair of runs shows something.",
)


freezes = Exercise(
    name="freezes",
    solution="b",
    wrong={
        "that sets an attribute of the module with this name. No parameter is affected.": "a",
        "evaluation mode stops dropout and holds BatchNorm's statistics, but gradients flow as before.": "c",
        "that is the same as eval(): a mode, and gradients flow as before.": "d",
    },
    why="And eval() as well: BatchNorm's statistics move in training mode, with or without gradients.",
)


fallen = Question(
    text="In how many of the nine pairs does kNN read the broken run more than ten points worse than the healthy one?",
    why="A large fall is the exception: several faults leave kNN as it was, and LooC's views the wrong way round even "
    "raise it. The accuracy at the end does not tell a broken run from a healthy one.",
    high=9,
)

QUESTIONS = (fallen,)
EXERCISES = (not_seen_in_the_loss, shows, freezes)
