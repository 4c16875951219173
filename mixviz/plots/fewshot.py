"""Pictures of few-shot results: a dot and an interval per method."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from mixviz.plots.style import colour_of

Interval = tuple[float, float, float]  # mean, low and high of the accuracy, in [0, 1]


def plot_few_shot(ax: Axes, intervals: Mapping[str, Mapping[int, Interval]], title: str = "") -> Axes:
    """Accuracy with its interval over trials, one row a method; fewer labels a class are above, with open dots.

    intervals: method -> labels a class -> mean, low and high, from protocol ``few-shot``. The interval covers the
    choice of labelled images, not trainings.
    """
    shots = sorted({number for of_method in intervals.values() for number in of_method})
    for row, (method, of_method) in enumerate(intervals.items()):
        for number, interval in of_method.items():
            mean, low, high = (100 * value for value in interval)
            place = row + 0.26 * (shots.index(number) - (len(shots) - 1) / 2)
            filled = None if number == shots[-1] else ax.get_facecolor()
            look = {"color": colour_of(method), "markerfacecolor": filled, "capsize": 3, "markersize": 6}
            ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", **look)
            ax.annotate(f"{mean:.1f}", (high, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
            if row == 0:
                above = {"ha": "center", "va": "bottom", "fontsize": 8, "textcoords": "offset points"}
                ax.annotate(f"{number} labels a class", (mean, place), (0, 6), **above)
    ax.set_yticks(range(len(intervals)), list(intervals))
    ax.set_ylim(len(intervals) - 0.5, -0.7)
    ax.margins(x=0.12)
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("test accuracy, % (higher is better)\nmean and 95 % interval over draws of the labels")
    ax.set_title(title)
    return ax
