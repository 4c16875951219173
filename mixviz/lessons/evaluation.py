"""Tasks of notebook 07: what a test set can resolve, what may select, and what seeds settle."""

import numpy as np

from mixviz.lessons.exercise import Exercise
from mixviz.lessons.question import Question


def _standard_error(accuracy: float, images: int) -> float:
    return 100 * np.sqrt(accuracy * (1 - accuracy) / images)


def _variance(accuracy: float, images: int) -> float:
    return 100 * accuracy * (1 - accuracy) / images


def _share(accuracy: float, images: int) -> float:
    return _standard_error(accuracy, images) / 100


def _of_one_image(accuracy: float, images: int) -> float:
    return _standard_error(accuracy, 1)


def _shrinks_with_images(accuracy: float, images: int) -> float:
    return 100 * np.sqrt(accuracy * (1 - accuracy)) / images


standard_error = Exercise(
    name="standard_error",
    solution=_standard_error,
    wrong={
        "that is the variance: take its square root.": _variance,
        "in points of a hundred: multiply by 100.": _share,
        "that is the spread of a single image: more images make the mean steadier.": _of_one_image,
        "the error falls with the square root of the images, not with their number.": _shrinks_with_images,
    },
    cases=((0.8, 2000), (0.5, 100), (0.95, 10_000)),
    why="Gains smaller than about twice this cannot be distinguished from luck on the test images.",
)


def _to_report(validation: list[float], test: list[float]) -> float:
    return test[int(np.argmax(validation))]


def _best_on_test(validation: list[float], test: list[float]) -> float:
    return max(test)


def _best_on_validation(validation: list[float], test: list[float]) -> float:
    return max(validation)


def _mean_on_test(validation: list[float], test: list[float]) -> float:
    return float(np.mean(test))


def _chosen_by_test(validation: list[float], test: list[float]) -> float:
    return validation[int(np.argmax(test))]


to_report = Exercise(
    name="to_report",
    solution=_to_report,
    wrong={
        "that is best-on-test: the test labels have chosen, and luck counts as skill.": _best_on_test,
        "the split of train selected this setting, so it is optimistic: report the test accuracy.": _best_on_validation,
        "only one setting is used in the end: report that one.": _mean_on_test,
        "choose by the split of train and judge by the test set, not the other way round.": _chosen_by_test,
    },
    cases=(
        ([0.70, 0.74, 0.72], [0.71, 0.70, 0.75]),
        ([0.5, 0.4], [0.45, 0.55]),
        ([0.1, 0.2, 0.3, 0.2], [0.3, 0.2, 0.1, 0.4]),
    ),
    why="Choose on train, judge once on test. This may cost a few tenths of a point, which were never real.",
)


def _half_width(method: list[float], base: list[float], t: float) -> float:
    differences = np.subtract(method, base)
    return t * differences.std(ddof=1) / np.sqrt(len(differences))


def _without_root(method: list[float], base: list[float], t: float) -> float:
    return _half_width(method, base, t) * np.sqrt(len(method))


def _unpaired(method: list[float], base: list[float], t: float) -> float:
    return t * np.sqrt((np.var(method, ddof=1) + np.var(base, ddof=1)) / len(method))


def _of_the_method(method: list[float], base: list[float], t: float) -> float:
    return _half_width(method, [0.0] * len(method), t)


def _by_n(method: list[float], base: list[float], t: float) -> float:
    return t * np.subtract(method, base).std() / np.sqrt(len(method))


half_width = Exercise(
    name="half_width",
    solution=_half_width,
    wrong={
        "that is the spread of single seeds: a mean of n is steadier by the square root of n.": _without_root,
        "the runs are paired: take the difference seed by seed first, so that what both share cancels.": _unpaired,
        "the question is the difference to the base: subtract the base, seed by seed.": _of_the_method,
        "with few seeds divide by n − 1 inside the deviation (ddof=1).": _by_n,
    },
    cases=(
        ([82.0, 79.0, 85.0], [81.0, 78.5, 83.0], 4.303),
        ([60.1, 60.9, 61.3, 59.5], [60.0, 60.2, 61.6, 59.1], 3.182),
    ),
    why="If 0 is further from the mean than this, the sign is settled; here three seeds are the least.",
)


luckiest = Question(
    text="Five hundred networks guess. How often is the luckiest of them right?",
    why="That is what *best on test* adds, out of nothing, and it adds more the fewer test images there are.",
    high=30,
    step=0.2,
    unit="%",
    given="one guess",
)

QUESTIONS = (luckiest,)
EXERCISES = (standard_error, to_report, half_width)
