"""Exercises of notebook 05: what LooC's views share, whom its spaces compare, and what flips do to orientation."""

from mixviz.lessons.exercise import Exercise


def _copied(space: str, augmentation: str) -> bool:
    return space == augmentation


def _inverted(space: str, augmentation: str) -> bool:
    return space not in ("all", augmentation)


def _all_left_out(space: str, augmentation: str) -> bool:
    return space != "all" and augmentation in ("color", "rotation")


def _none(space: str, augmentation: str) -> bool:
    return False


def _everything(space: str, augmentation: str) -> bool:
    return True


copied = Exercise(
    name="copied",
    solution=_copied,
    wrong={
        "the wrong way round: a key that shares all but the colour teaches its space to ignore colour.": _inverted,
        "each space has its own key view, which shares one augmentation with the query, not both.": _all_left_out,
        "then all spaces would learn to ignore everything: the key view of a space copies its own augmentation.": _none,
        "a view that copies everything is the query itself, and nothing is left to learn.": _everything,
    },
    cases=(
        ("color", "color"),
        ("color", "rotation"),
        ("color", "crop"),
        ("rotation", "rotation"),
        ("rotation", "color"),
        ("all", "color"),
        ("all", "crop"),
    ),
    why="What the positives share, a space may keep. What they don't, it learns to ignore.",
)


def _compared(space: str, n: int, left_out: int) -> int:
    return n if space == "all" else n * (1 + left_out)


def _all_views_everywhere(space: str, n: int, left_out: int) -> int:
    return n * (1 + left_out)


def _without_the_first_view(space: str, n: int, left_out: int) -> int:
    return n if space == "all" else n * left_out


def _other_images_once(space: str, n: int, left_out: int) -> int:
    return n if space == "all" else n + left_out


def _one_view_everywhere(space: str, n: int, left_out: int) -> int:
    return n


compared = Exercise(
    name="compared",
    solution=_compared,
    wrong={
        "the space that ignores everything is compared with one key view of each image.": _all_views_everywhere,
        "there is one key view more than augmentations left out: the one that copies nothing.": _without_the_first_view,
        "the other images bring all their key views as well.": _other_images_once,
        "without the image's own other views as negatives, nothing would make a space keep its factor.": (
            _one_view_everywhere
        ),
    },
    cases=(("all", 8, 2), ("color", 8, 2), ("rotation", 8, 2), ("color", 16, 1), ("all", 16, 1)),
    why="The image's other views differ from it in one thing more: to push them away, a space must keep that thing.",
)


def _flipped(turns: int) -> int:
    return -turns % 4


def _unchanged(turns: int) -> int:
    return turns


def _upside_down(turns: int) -> int:
    return (turns + 2) % 4


def _reversed(turns: int) -> int:
    return 3 - turns


def _vertical(turns: int) -> int:
    return (2 - turns) % 4


flipped = Exercise(
    name="flipped",
    solution=_flipped,
    wrong={
        "an image that lies on its right side lies on its left side after a flip.": _unchanged,
        "a flip swaps left and right, and leaves above and below as they are: what stands upright still does.": (
            _upside_down
        ),
        "what stands upright, turned by 0, stays upright.": _reversed,
        "that is a flip from top to bottom: this one goes from left to right.": _vertical,
    },
    cases=((0,), (1,), (2,), (3,)),
    why="So with flips among the augmentations, two of the four orientations become one for the network.",
)


leave_out = Exercise(
    name="leave_out",
    solution="color",
    wrong={
        "the way up does not matter here, so the network may well learn to ignore turns.": "rotation",
        "where the flower is in the photograph does not tell its species: ignore crops.": "crop",
        "then its colour would be ignored as well, and this tells species apart.": "none",
    },
    why="That is LooC's point: no list of augmentations is right for all tasks, and the task isn't known in advance.",
)

EXERCISES = (copied, compared, flipped, leave_out)
