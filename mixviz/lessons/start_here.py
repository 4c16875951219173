"""Tasks of notebook 00: what two views share, the accuracy of guessing, and the use of an untrained network."""

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question

survives = Exercise(
    name="survives",
    solution="orientation",
    wrong={
        "colour jitter shifts the hue at random in each view: two views of one image differ in it.": "hue",
        "the crop moves and enlarges the glyph differently in each view, so its position differs.": "place",
        "the crop enlarges by another factor in each view, so the size differs.": "size",
    },
    why="No augmentation here rotates an image by quarter turns, so both views have the same orientation.",
)


def _chance(classes: int) -> float:
    return 1 / classes


def _per_cent(classes: int) -> float:
    return 100 / classes


def _one_half(classes: int) -> float:
    return 0.5


def _others(classes: int) -> float:
    return 1 - 1 / classes


chance = Exercise(
    name="chance",
    solution=_chance,
    wrong={
        "give a share between 0 and 1, not per cent.": _per_cent,
        "a guess is right or wrong, but not half the time: there are more than two classes.": _one_half,
        "that is the probability of a wrong guess.": _others,
    },
    cases=((16,), (8,), (4,)),
    why="Always compare an accuracy with chance and with an untrained network.",
)


def _gains(trained: dict[str, float], untrained: dict[str, float]) -> list[str]:
    return sorted(name for name in trained if trained[name] > untrained[name])


def _losses(trained: dict[str, float], untrained: dict[str, float]) -> list[str]:
    return sorted(name for name in trained if trained[name] < untrained[name])


def _high(trained: dict[str, float], untrained: dict[str, float]) -> list[str]:
    return sorted(name for name in trained if trained[name] > 0.5)


def _all_names(trained: dict[str, float], untrained: dict[str, float]) -> list[str]:
    return sorted(trained)


learned = Exercise(
    name="learned",
    solution=_gains,
    wrong={
        "that is what training removed.": _losses,
        "a high accuracy isn't learned if the untrained network has it too: compare the two.": _high,
        "not everything got better: compare with the untrained network, factor by factor.": _all_names,
    },
    cases=(
        ({"shape": 0.6, "hue": 0.7, "orientation": 0.8}, {"shape": 0.3, "hue": 0.99, "orientation": 0.7}),
        ({"shape": 0.2, "hue": 0.9, "texture": 0.4}, {"shape": 0.3, "hue": 0.8, "texture": 0.5}),
    ),
    why="An untrained network is the baseline: random features already say a lot about simple images.",
)


probe = Question(
    text="After training, how often will a linear probe read each factor right on test images?",
    why="Shape is what both views have in common, so matching them teaches it. Hue differs between the views, since "
    "colour jitter shifts it at random, so the network learns to ignore it: the probe read it well from the untrained "
    "network, and reads it far worse now. It is weakened, not gone: a guess would be right once in eight times. "
    "Orientation survives, because no augmentation here rotates the images by quarter turns. *What the augmentations "
    "change is what the network learns to ignore* is the starting point of LooC, which gives such a factor its own "
    "space.",
    unit="%",
    given="untrained",
)

QUESTIONS = (probe,)
EXERCISES = (survives, chance, learned)
