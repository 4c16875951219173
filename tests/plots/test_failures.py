"""The failure cases' pictures, by their artists."""

import numpy as np
import pytest

from mixviz.experiments.failures import CASES
from mixviz.plots.failures import LABELS, plot_gain, plot_twins
from mixviz.plots.style import figure


def test_twins_are_two_lines_that_differ_in_more_than_colour():
    curves = {"healthy": (np.arange(3), np.array([0.1, 0.2, 0.4])), "broken": (np.arange(1, 3), np.array([0.1, 0.9]))}
    ax = plot_twins(figure().add_subplot(), curves, "knn_accuracy")
    healthy, broken = ax.lines
    assert healthy.get_ydata().tolist() == pytest.approx([10, 20, 40])
    assert broken.get_xdata().tolist() == [1, 2]
    assert healthy.get_linestyle() != broken.get_linestyle()
    assert [text.get_text() for text in ax.texts] == ["healthy", "broken"]
    assert "higher is better" in ax.get_ylabel()
    assert ax.get_ylim()[0] == 0
    below = {"healthy": (np.arange(2), np.array([0.0, -2.0]))}
    ax = plot_twins(figure().add_subplot(), below, "uniformity/all")
    assert ax.lines[0].get_ydata().tolist() == [0, -2]
    assert ax.get_ylim()[0] < -2


def test_every_curve_of_a_case_has_a_label():
    assert {name for found in CASES for name in found.curves} <= set(LABELS)


def test_runs_without_a_name_differ_too_and_curves_of_films_are_labelled():
    curves = {name: (np.arange(2), np.array([4.0, 3.0])) for name in ("run A", "run B")}
    ax = plot_twins(figure().add_subplot(), curves, "effective_rank/all")
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 2
    assert ax.get_ylabel().startswith("effective rank")
    ax = plot_gain(figure().add_subplot(), {"run A": (0.5, 0.875), "run B": (0.9, 0.88)})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["run A", "run B"]


def test_the_gain_is_between_its_two_dots():
    ax = plot_gain(figure().add_subplot(), {"healthy": (0.5, 0.875), "broken": (0.9, 0.88)})
    assert [text.get_text() for text in ax.texts] == ["gain +37.5", "gain -2.0"]
    assert [line.get_xdata().tolist() for line in ax.lines[::3]] == [pytest.approx([50, 87.5]), pytest.approx([90, 88])]
    assert [label.get_text().partition("\n")[0] for label in ax.get_yticklabels()] == ["frozen", "backbone"]
