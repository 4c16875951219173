"""Pictures of neighbours, by their artists."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb

from mixviz.analysis.neighbours import hubness
from mixviz.plots.neighbours import OTHER, SAME, plot_hubness, plot_neighbours, plot_purity
from mixviz.plots.style import colour_of, figure


@pytest.fixture
def ax():
    return figure().add_subplot()


def test_without_classes_no_neighbour_is_framed(ax):
    images = np.zeros((2, 8, 8, 3), np.uint8)
    plot_neighbours(ax, images, np.stack([images] * 3, axis=1), None)
    assert not ax.patches
    assert not ax.get_xlabel()


def test_neighbours_stand_in_rows_and_are_framed_by_class(ax):
    queries = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 255)])
    neighbours = np.stack([queries, 255 - queries, queries], axis=1)  # (2, 3, 8, 8, 3)
    same = np.array([[True, False, True], [False, False, True]])
    plot_neighbours(ax, queries, neighbours, same, ["cat", "dog"], gap=4)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (2 * 12 - 4, 4 * 12 - 4, 4)
    assert [sheet[4, 12 * j + 4, 0] for j in range(4)] == [0, 0, 1, 0]
    assert [sheet[16, 12 * j + 4, 0] for j in range(4)] == [1, 1, 0, 1]
    colours = [to_rgb(frame.get_edgecolor()) for frame in ax.patches]
    assert colours == [to_rgb(SAME if alike else OTHER) for alike in same.flatten()]
    assert [frame.get_linestyle() for frame in ax.patches] == ["-" if alike else "--" for alike in same.flatten()]
    inside = [frame.get_bbox() for frame in ax.patches]
    assert inside[4].containsx(24)  # second row, second neighbour: its first column and row of pixels
    assert inside[4].containsy(12)
    assert not inside[4].containsx(23.0 + 12)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["query", "1", "2", "3"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "dog"]


def test_purity_is_in_per_cent_next_to_chance(ax):
    table = pd.DataFrame({"label": [0, 1], "queries": [30, 10], "purity": [0.8, 0.4], "chance": [0.75, 0.25]})
    plot_purity(ax, {"moco-v2": table}, ["cat", "dog"], k=20)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dog", "cat"]
    assert ax.lines[0].get_xdata().tolist() == pytest.approx([40, 80])
    assert ax.lines[1].get_xdata().tolist() == pytest.approx([25, 75])
    assert ax.get_xlabel() == "the 20 nearest neighbours of the same class, % (higher is purer)"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["moco-v2", "chance"]


def test_hubness_is_the_share_of_points_that_occur_so_often(ax):
    found = hubness(torch.tensor([[0, 1], [0, 2], [0, 1], [0, 1]]), 4)  # occurrences 4, 3, 1, 0
    plot_hubness(ax, {"moco-v2 + mochi": found})
    line = ax.lines[0]
    assert line.get_xdata().tolist() == [0, 1, 3, 4]
    assert line.get_ydata().tolist() == [100, 75, 50, 25]
    assert line.get_color() == colour_of("moco-v2 + mochi")
    assert ax.lines[1].get_xdata() == [2, 2]
    assert ax.texts[0].get_text() == "mean 2"
    label = ax.get_legend().get_texts()[0].get_text()
    assert label == "moco-v2 + mochi: skewness 0.00, anti-hubs 25.0 %"
