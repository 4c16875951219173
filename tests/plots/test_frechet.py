"""Pictures of regularisation, by their artists."""

import math

import pytest
import torch
from matplotlib.colors import to_rgb

from mixviz.analysis.frechet import Regularisation
from mixviz.plots.frechet import plot_regularisation
from mixviz.plots.style import colour_of, figure


def test_draws_are_dots_over_the_strokes_of_the_noise_floor():
    distances, floors = torch.tensor([[3e-3, 4e-3], [1e-3, 2e-3]])
    with_probe = Regularisation(
        distance=distances, floor=floors, images=1200, train_accuracy=0.951, test_accuracy=0.802
    )
    without = Regularisation(
        distance=2 * distances, floor=floors, images=1200, train_accuracy=math.nan, test_accuracy=math.nan
    )
    ax = plot_regularisation(figure().add_subplot(), {"moco-v2 + imix": with_probe, "moco-v2": without})
    assert ax.lines[0].get_xdata() == pytest.approx([30, 40])
    assert ax.lines[1].get_xdata() == pytest.approx([10, 20])
    assert ax.lines[2].get_xdata() == pytest.approx([60, 80])
    assert to_rgb(ax.lines[0].get_color()) == to_rgb(colour_of("moco-v2 + imix"))
    assert ax.lines[1].get_marker() == "|"
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["moco-v2 + imix\ntrain 95.1 %, test 80.2 %", "moco-v2"]
    assert [text.get_text() for text in ax.texts] == ["35.0, floor 15.0", "70.0, floor 15.0"]
    assert "1,200 images each (lower is better)" in ax.get_xlabel()
    assert ax.yaxis_inverted()
    assert ax.get_xlim()[0] == 0
