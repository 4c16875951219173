"""Pictures of the circle and the sphere, by their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mixviz.plots.projection import CLASS_COLOURS
from mixviz.plots.sphere import BINS, HIGHEST, plot_progress, plot_sphere, stacked, turning
from mixviz.plots.style import figure


@pytest.fixture
def ax():
    return figure().add_subplot()


@pytest.fixture
def points() -> np.ndarray:
    drawn = np.random.default_rng(0).normal(size=(30, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def on_circle(degrees) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_sphere_shows_every_point_once_pale_where_it_is_behind(ax, points):
    labels = np.arange(30) % 3
    plot_sphere(ax, points, labels, view=(0, 0))  # the eye is on the negative second axis, the third points up
    shown = [(to_hex(c.get_facecolor()[0]), c.get_alpha(), place) for c in ax.collections for place in c.get_offsets()]
    assert len(shown) == 30
    for label, point in zip(labels, points, strict=True):
        (alpha,) = [a for ink, a, place in shown if np.allclose(place, point[[0, 2]]) and ink == CLASS_COLOURS[label]]
        assert (alpha < 0.5) == (point[1] > 0)


def test_classes_differ_in_shape_too(ax, points):
    plot_sphere(ax, points, np.arange(30) % 6)
    outlines = {tuple(c.get_paths()[0].vertices.ravel().round(3)) for c in ax.collections}
    assert len(outlines) == 6


def test_turning_is_a_rotation_and_keeps_the_pole_up():
    turned = turning(40, 25)
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1)
    np.testing.assert_allclose(turned @ [0, 0, 1], [0, np.cos(np.deg2rad(25)), np.sin(np.deg2rad(25))], atol=1e-12)
    np.testing.assert_allclose(turning(0, 90) @ [0, 0, 1], [0, 0, 1], atol=1e-12)  # from above


def test_points_of_the_circle_are_stacked_where_they_crowd():
    width = 360 / BINS
    points = on_circle(np.array([0.1, 0.2, 0.3, 5.5]) * width)
    radii = stacked(points, np.array([1, 0, 1, 0]))
    assert radii.tolist() == pytest.approx([1.05, 1.0, 1.1, 1.0])  # class 0 first; the last is alone
    crowd = stacked(on_circle(np.full(200, 10.0)), np.zeros(200, int))
    assert crowd.min() == 1
    assert crowd.max() == pytest.approx(1 + HIGHEST)
    assert len(np.unique(crowd)) == 200


def test_the_circle_keeps_angles(ax):
    points = on_circle(np.linspace(0, 350, 36))
    plot_sphere(ax, points, np.arange(36) % 2)
    shown = np.concatenate([c.get_offsets() for c in ax.collections])
    angles = np.rad2deg(np.arctan2(shown[:, 1], shown[:, 0])) % 360
    np.testing.assert_allclose(np.sort(angles), np.linspace(0, 350, 36), atol=1e-6)


def test_progress_draws_what_is_known_and_the_best(ax):
    plot_progress(ax, [0, 4, 8], [np.nan, 2.0, 1.5], "loss", best=1.0)
    best, line = ax.lines
    assert line.get_xydata().tolist() == [[4, 2.0], [8, 1.5]]
    assert list(best.get_ydata()) == [1.0, 1.0]
    assert ax.get_title(loc="left") == "loss: 1.50"
    assert ax.get_xlim() == (0, 8)


def test_progress_before_the_first_step(ax):
    plot_progress(ax, [0], [np.nan], "loss")
    assert len(ax.lines[0].get_xydata()) == 0
    assert ax.get_title(loc="left") == "loss"
