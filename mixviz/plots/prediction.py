"""Questions as still pictures, with the guess and what was measured once there are any."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes

GUESS, MEASURED = "#c4621a", "#2f7fc1"  # as in prediction.css


def plot_statements(ax: Axes, options: Sequence[str], guess: str | None = None, measured: str | None = None) -> Axes:
    """Statements below each other, a ring before each: filled for the guess; a diamond marks what was measured."""
    ax.set(xlim=(0, 1), ylim=(len(options) - 0.5, -0.5))
    ax.set_axis_off()
    for place, option in enumerate(options):
        ax.plot(0.02, place, "o", mec=GUESS, mfc=GUESS if option == guess else "none", ms=9)
        if option == measured:
            ax.plot(0.02, place, "D", mec=MEASURED, mfc="none", ms=15)
        ax.text(0.06, place, "\n".join(wrap(option, 80)), va="center")
    return ax


def plot_bars(
    ax: Axes,
    names: Sequence[str],
    limits: tuple[float, float],
    unit: str,
    *,
    given: tuple[str, Sequence[float]] = ("", ()),
    guess: Sequence[float] = (),
    measured: Sequence[float] = (),
) -> Axes:
    """An axis for each name: bars for the guess, diamonds for what was measured, strokes for given numbers.

    given: what they are, and the numbers.
    """
    rows = np.arange(len(names))
    called, strokes = given
    ax.set(xlim=limits, ylim=(len(names) - 0.5, -0.5), xlabel=f"{unit} (strokes: {called})" if called else unit)
    ax.set_yticks(rows, names)
    ax.grid(visible=False)
    ax.hlines(rows, *limits, colors="0.6", lw=0.8)
    if strokes:
        ax.plot(strokes, rows, "|", color="0.5", ms=14, mew=2)
    if guess:
        ax.barh(rows, np.subtract(guess, limits[0]), 0.35, limits[0], color=GUESS, alpha=0.5)
    if measured:
        ax.plot(measured, rows, "D", color=MEASURED, ms=8)
    return ax


def plot_curve(
    ax: Axes,
    names: Sequence[str],
    limits: tuple[float, float],
    labels: tuple[str, str],
    *,
    guess: Sequence[float] = (),
    measured: Sequence[float] = (),
) -> Axes:
    """One axis over all names: a line with dots for the guess, one with diamonds for what was measured."""
    places = np.arange(len(names))
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=limits, xlabel=labels[0], ylabel=labels[1])
    ax.set_xticks(places, names)
    if guess:
        ax.plot(places, guess, "o-", color=GUESS)
    if measured:
        ax.plot(places, measured, "D-", color=MEASURED)
    return ax
