"""Tasks of notebook 05: what LooC's views share, what its spaces compare, and what flips do to orientation."""

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


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
        "this is reversed: a key that shares all but the colour teaches its space to ignore colour.": _inverted,
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
        "there is one more key view than augmentations left out: the one that copies nothing.": _without_the_first_view,
        "all key views of the other images are candidates too.": _other_images_once,
        "without the image's own other views as negatives, nothing would make a space keep its factor.": (
            _one_view_everywhere
        ),
    },
    cases=(("all", 8, 2), ("color", 8, 2), ("rotation", 8, 2), ("color", 16, 1), ("all", 16, 1)),
    why="The image's other views also differ in the left-out augmentation: to push them away, a space must keep it.",
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
        "a flip swaps left and right, not top and bottom: an upright image stays upright.": (_upside_down),
        "an upright image, rotated by 0, stays upright.": _reversed,
        "that is a flip from top to bottom: this one goes from left to right.": _vertical,
    },
    cases=((0,), (1,), (2,), (3,)),
    why="So with flips among the augmentations, two of the four orientations become one for the network.",
)


leave_out = Exercise(
    name="leave_out",
    solution="color",
    wrong={
        "orientation does not matter here, so the network may ignore rotation.": "rotation",
        "the position of the flower in the photograph does not show its species: ignore crops.": "crop",
        "then its colour would be ignored too, but it distinguishes species.": "none",
    },
    why="That is LooC's point: no list of augmentations is right for all tasks, and the task isn't known in advance.",
)


hue_of_heads = Question(
    text="How often is the hue right, read by kNN from each head and from the backbone?",
    why="The head for colour reads the hue without a mistake, and nothing of the orientation. The head for rotation "
    "reads the orientation and hardly any hue; it is also the best at shapes. The head *all* should know neither. "
    "Orientation is gone there; some of the hue is left.",
    unit="%",
    given="chance",
)

QUESTIONS = (hue_of_heads,)
EXERCISES = (copied, compared, flipped, leave_out)
