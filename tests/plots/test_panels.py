"""Panels of a film: axes that hold all epochs, and the epoch's artists; and the stage, which draws the former once."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mixviz.film import Film
from mixviz.plots import panels
from mixviz.plots.blit import BlitFigure
from mixviz.plots.panels import CurvePanel, HardnessPanel, PathPanel, ProjectionPanel, PurityPanel
from mixviz.plots.style import figure

EPOCHS = np.array([0, 1, 5])


def film_of(scale: float = 1.0, synthetic: bool = False, labels: bool = True) -> Film:
    curves = {
        "hardness": scale * np.array([[0.1, 0.05, 0.02], [0.3, 0.1, 0.01], [0.6, 0.05, 0.001]]),
        "proxy_accuracy": scale * np.array([1.0, 0.5, 0.25]),
    }
    if synthetic:
        curves["hardness_with_synthetic"] = np.array([[np.nan] * 3, [0.4, 0.2, 0.1], [0.7, 0.1, 0.01]])
        curves["proxy_accuracy_with_synthetic"] = np.array([np.nan, 0.1, 0.05])
    about = {"ranks": [1, 2, 4], "class_names": ["cat", "dog"]}
    return Film(
        epochs=EPOCHS,
        rows=np.arange(4),
        labels=np.array([0, 1, 0, 1]) if labels else None,
        embeddings={},
        kept={},
        curves=curves,
        about=about,
    )


FILMS = {"moco-v2": film_of(), "moco-v2 + mochi": film_of(0.5, synthetic=True)}
LAYOUTS = np.arange(24, dtype=float).reshape(3, 4, 2)


@pytest.fixture
def ax():
    return figure().add_subplot()


def drawn(panel, ax, epoch):
    """The panel's lines of the epoch alone."""
    panel.still(ax)
    limits, before = (ax.get_xlim(), ax.get_ylim()), len(ax.get_lines())
    ax.autoscale(False)
    panel.draw(ax, epoch)
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    return ax.get_lines()[before:]


def inside(ax, points) -> bool:
    (left, right), (low, high) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    return bool(
        ((left <= points[:, 0]) & (points[:, 0] <= right) & (low <= points[:, 1]) & (points[:, 1] <= high)).all()
    )


@pytest.mark.parametrize("epoch", EPOCHS)
def test_hardness_is_that_of_the_epoch_within_the_limits(ax, epoch):
    lines = drawn(HardnessPanel(FILMS), ax, epoch)
    frame = EPOCHS.tolist().index(epoch)
    np.testing.assert_allclose(lines[0].get_ydata(), FILMS["moco-v2"].curves["hardness"][frame])
    assert len(lines) == (2 if epoch == 0 else 3)  # nothing is synthesised before training
    assert all(inside(ax, line.get_xydata()) for line in lines)


def test_a_path_goes_up_to_the_epoch(ax):
    path = pd.DataFrame({"epoch": EPOCHS, "uniformity": [-0.1, -1.0, -2.0], "alignment": [0.1, 0.5, 0.3]})
    way, end = drawn(PathPanel({"moco-v2": path}), ax, 1)
    np.testing.assert_allclose(way.get_xydata(), [[-0.1, 0.1], [-1.0, 0.5]])
    np.testing.assert_allclose(end.get_xydata(), [[-1.0, 0.5]])
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), [-0.1, -1.0, -2.0])  # all of it, faint
    assert ax.xaxis_inverted()


def test_points_are_those_of_the_nearest_frame_class_by_class(ax):
    lines = drawn(ProjectionPanel(FILMS["moco-v2"], LAYOUTS, "moco-v2"), ax, 4)
    np.testing.assert_allclose(lines[0].get_xydata(), LAYOUTS[2][[0, 2]])
    np.testing.assert_allclose(lines[1].get_xydata(), LAYOUTS[2][[1, 3]])
    assert inside(ax, LAYOUTS.reshape(-1, 2))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["cat", "dog"]


def test_points_without_labels_are_one_cloud(ax):
    (points,) = drawn(ProjectionPanel(film_of(labels=False), LAYOUTS, "mine"), ax, 0)
    assert len(points.get_xdata()) == 4
    assert ax.get_legend() is None


def test_purity_is_in_per_cent_and_in_the_order_of_the_last_frame(ax):
    shares = {"moco-v2": np.array([[0.1, 0.2], [0.3, 0.4], [0.9, 0.5]])}
    panel = PurityPanel(
        films={"moco-v2": FILMS["moco-v2"]}, shares=shares, chance=np.array([0.5, 0.5]), names=["cat", "dog"], k=10
    )
    (dots,) = drawn(panel, ax, 1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dog", "cat"]
    np.testing.assert_allclose(dots.get_xdata(), [40, 30])


def test_a_dot_runs_along_each_curve(ax):
    stroke, *dots = drawn(CurvePanel(FILMS, "proxy_accuracy"), ax, 1)
    assert stroke.get_xdata() == [1, 1]
    assert [dot.get_ydata()[0] for dot in dots] == [50, 25, 10]


def test_the_legend_names_each_film_and_what_dashes_are():
    labels = [line.get_label() for line in panels.method_lines(FILMS)]
    assert labels == ["moco-v2", "moco-v2 + mochi", "dashed: with synthetic negatives"]
    assert len(panels.method_lines({"moco-v2": FILMS["moco-v2"]})) == 1


def test_a_stage_shows_what_a_whole_drawing_shows():
    def still(sheet):
        panel.still(sheet.add_subplot())

    def draw(sheet):
        panel.draw(sheet.axes[0], 1)

    panel = HardnessPanel(FILMS)
    sheet = figure(4, 3)
    still(sheet)
    stage = BlitFigure(sheet, {})
    first, empty, again = stage.render(draw), stage.render(lambda sheet: None), stage.render(draw)
    assert first == again != empty
    whole = figure(4, 3)
    still(whole)
    whole.draw_without_rendering()
    whole.set_layout_engine("none")
    draw(whole)
    buffer = io.BytesIO()
    whole.savefig(buffer, format="png")
    difference = np.asarray(Image.open(buffer).convert("RGB")).astype(int) - np.asarray(
        Image.open(io.BytesIO(first)).convert("RGB")
    )
    assert np.abs(difference).mean() < 3  # few colours
