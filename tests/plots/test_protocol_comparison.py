"""The picture of compared protocols: a dot a reading, sorted, with the spread in the title."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mixviz.plots.protocol_comparison import HONEST, PEEKING, plot_protocols
from mixviz.plots.style import figure, style

TABLE = pd.DataFrame(
    {
        "reading": ["linear", "kNN", "linear, best-on-test epoch"],
        "reported_by": ["us", "them", "others"],
        "accuracy": [0.6, 0.5, 0.625],
        "comparable": [True, True, False],
    }
)


@pytest.fixture
def ax():
    with style("dark"):
        yield plot_protocols(figure().add_subplot(), TABLE)


def test_dots_are_sorted_and_distinguished_by_marker_and_colour(ax):
    assert [label.get_text() for label in ax.get_yticklabels()] == ["kNN", "linear", "linear, best-on-test epoch"]
    dots = {line.get_marker(): line for line in ax.lines if line.get_marker() in ("o", "D")}
    assert list(zip(*dots["o"].get_data(), strict=True)) == [(50.0, 0), (60.0, 1)]
    assert list(zip(*dots["D"].get_data(), strict=True)) == [(62.5, 2)]
    assert [to_hex(dots[marker].get_color()) for marker in "oD"] == [HONEST, PEEKING]


def test_values_reporters_and_the_spread_are_written(ax):
    written = [text.get_text() for text in ax.texts]
    assert {"50.0", "60.0", "62.5", "us", "them", "others", "reported by"} <= set(written)
    assert ax.get_title(loc="left") == "One checkpoint, 3 read-outs, 12.5 points apart"
    assert "higher is better" in ax.get_xlabel()
    assert len(ax.get_legend().get_texts()) == 2


def test_names_of_what_was_chosen_on_test_are_coloured(ax):
    colours = [to_hex(label.get_color()) for label in ax.get_yticklabels()]
    assert colours == ["#e6e8eb", "#e6e8eb", PEEKING]


def test_honest_readings_by_themselves_need_no_second_marker():
    ax = plot_protocols(figure().add_subplot(), TABLE[TABLE["comparable"]])
    assert len(ax.get_legend().get_texts()) == 1
