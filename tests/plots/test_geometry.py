"""Pictures of geometry, by their artists."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb

from mixviz.analysis.geometry import geometry
from mixviz.plots.geometry import plot_alignment_uniformity, plot_classes, plot_spectrum
from mixviz.plots.labels import label_at_right, spread_apart
from mixviz.plots.style import colour_of, figure


@pytest.fixture
def ax():
    return figure().add_subplot()


def test_paths_run_from_a_hollow_start_to_a_filled_end_with_the_name(ax):
    path = pd.DataFrame({"epoch": [0, 1, 2], "uniformity": [-1, -2, -3], "alignment": [0.1, 0.4, 0.3]})
    plot_alignment_uniformity(ax, {"moco-v2": path, "moco-v2 + mixco": path[["uniformity", "alignment"]] + 1})
    line, start, end, *_ = ax.lines
    assert line.get_xydata().tolist() == [[-1, 0.1], [-2, 0.4], [-3, 0.3]]
    assert start.get_xydata().tolist() == [[-1, 0.1]]
    assert start.get_markerfacecolor() == ax.get_facecolor()
    assert end.get_xydata().tolist() == [[-3, 0.3]]
    assert [to_rgb(x.get_color()) for x in ax.lines[3::3]] == [to_rgb(colour_of("moco-v2 + mixco"))]
    assert [text.get_text() for text in ax.texts] == ["moco-v2", "moco-v2 + mixco"]
    assert ax.texts[0].xy == (-3, 0.3)
    assert ax.xaxis_inverted()
    assert "lower is better" in ax.get_xlabel()
    assert ax.get_ylabel() == "alignment of two augmentations (lower is better)"


def test_class_alignment_may_take_the_vertical_axis(ax):
    path = pd.DataFrame({"uniformity": [-1], "class_alignment": [1.5], "alignment": [0.2]})
    plot_alignment_uniformity(ax, {"moco-v2": path}, "class_alignment")
    assert ax.lines[0].get_ydata().tolist() == [1.5]
    assert "the same class" in ax.get_ylabel()


def test_spectrum_is_drawn_as_far_as_it_is_no_rounding(ax, generator):
    x = torch.randn(60, 8, generator=generator, dtype=torch.float64)
    found, collapsed = geometry(x), geometry(x * torch.tensor([1, 1, 1, 0, 0, 0, 0, 0]))
    plot_spectrum(ax, {"moco-v2": found, "moco-v2 + mochi (old)": collapsed})
    assert ax.lines[0].get_ydata() == pytest.approx(found.spectrum.numpy())
    assert ax.lines[0].get_xdata().tolist() == list(range(1, 9))
    assert ax.lines[1].get_xdata().tolist() == [1, 2, 3]
    assert ax.lines[1].get_linestyle() == ":"
    assert ax.get_yscale() == "log"
    assert ax.texts[0].get_text() == f"moco-v2: rank {found.effective_rank:.1f}"


def test_classes_are_rows_in_the_order_of_the_first_method(ax):
    first = pd.DataFrame({"label": [0, 2, 5], "alignment": [3.0, 1.0, 2.0]})
    second = pd.DataFrame({"label": [5, 2, 0], "alignment": [0.5, 0.2, 0.3]})
    plot_classes(ax, {"moco-v2": first, "moco-v2 + imix": second}, "alignment", ["ant", "", "bee", "", "", "cat"])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["bee", "cat", "ant"]
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert ax.lines[1].get_xdata().tolist() == [0.2, 0.5, 0.3]
    assert ax.lines[0].get_marker() != ax.lines[1].get_marker()
    assert "lower is better" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["moco-v2", "moco-v2 + imix"]


def test_labels_that_would_cover_one_another_are_moved_apart_in_their_order():
    places = np.array([[0.5, 0.50], [0.5, 0.51], [0.5, 0.52], [0.5, 0.9], [0.1, 0.51]])
    moved = spread_apart(places, width=0.2, height=0.05)
    assert (np.diff(moved[:4, 1]) > 0.05 - 1e-5).all()
    assert moved[3:].tolist() == places[3:].tolist()
    assert moved[:, 0].tolist() == places[:, 0].tolist()
    assert moved[:3, 1].mean() == pytest.approx(0.51)


def test_labels_at_the_right_stand_level_with_their_points(ax):
    ax.plot([0, 1], [0, 10])
    label_at_right(ax, {"low": (1, 0), "high": (0.5, 10)}, ["red", "blue"])
    low, high = ax.texts
    bottom, top = ax.get_ylim()
    assert low.xyann == pytest.approx((1.04, (0 - bottom) / (top - bottom)))
    assert high.xyann == pytest.approx((1.04, (10 - bottom) / (top - bottom)))
    assert high.xy == (0.5, 10)
