"""Pictures of one query looked at closely, by their artists."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mixviz.analysis.query_candidates import KINDS, NEGATIVE, OWN_KEY, PAIR, TOWARDS
from mixviz.plots import query_candidates as pictures
from mixviz.plots.neighbours import OTHER, SAME
from mixviz.plots.style import COLOURS, figure


def candidates() -> pd.DataFrame:
    rows = [
        (TOWARDS, 4, 4, 0.9, 0.2, 0.0, 0.0),
        (PAIR, 4, 2, 0.8, 0.15, 0.5, 0.0),
        (NEGATIVE, 4, 4, 0.7, 0.1, 0.0, 0.0),
        (NEGATIVE, 2, 2, 0.6, 0.05, 1.0, 0.0),
        (OWN_KEY, -1, -1, 0.5, 0.5, np.nan, 0.0),
    ]
    columns = ["kind", "first", "second", "similarity", "gradient_share", "false", "own_image"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(kind=pd.Categorical(found["kind"], KINDS))


LAYOUT = np.array([[5.0, 0.0], [10.0, 5.0], [20.0, 0.0], [0.0, 30.0], [40.0, 0.0]])


@pytest.fixture
def ax():
    return figure().add_subplot()


def test_candidates_are_where_the_layout_says_by_kind_and_class(ax):
    pictures.plot_surroundings(pictures.frame_surroundings(ax), candidates(), LAYOUT)
    negatives, pairs, towards, ways = ax.collections
    np.testing.assert_allclose(negatives.get_offsets(), LAYOUT[[2, 3]])
    assert [to_hex(colour) for colour in negatives.get_facecolors()[:, :3]] == [OTHER, SAME]
    np.testing.assert_allclose(pairs.get_offsets(), LAYOUT[[1]])
    np.testing.assert_allclose(towards.get_offsets(), LAYOUT[[0]])
    assert towards.get_sizes()[0] > pairs.get_sizes()[0] > negatives.get_sizes()[0] > negatives.get_sizes()[1]
    np.testing.assert_allclose(ways.get_segments()[0], LAYOUT[[2, 1, 3]])
    np.testing.assert_allclose(ax.get_lines()[-1].get_xydata(), LAYOUT[[4]])
    radius = np.hypot(*ax.get_lines()[0].get_xydata().T)
    np.testing.assert_allclose(np.cos(np.radians(radius)), pictures.RINGS[0])


def test_what_is_too_far_away_is_left_out(ax):
    far = LAYOUT * [1, 10]
    pictures.plot_surroundings(ax, candidates(), far)
    assert len(ax.collections[0].get_offsets()) == 1


def test_the_list_has_fixed_rows_for_each_kind():
    assert pictures.listed(candidates()) == {0: 4, 1: 2, 2: 3, 7: 1, 11: 0}


def test_bars_are_shares_in_the_colours_of_the_classes(ax):
    pictures.plot_shares(pictures.frame_shares(ax), candidates())
    (bars,) = ax.collections
    ends = {int(bar[1, 1]): bar[1, 0] for bar in bars.get_segments()}
    assert ends == pytest.approx({0: 0.5, 1: 0.1, 2: 0.05, 7: 0.15, 11: 0.2})
    colours = dict(zip(ends, (to_hex(colour) for colour in bars.get_colors()), strict=True))
    assert colours == {0: COLOURS["plain"], 1: OTHER, 2: SAME, 7: SAME, 11: OTHER}
    assert ax.get_xscale() == "log"


def test_the_querys_own_image_has_a_colour_and_a_line_in_the_legend(ax):
    found = candidates().assign(own_image=[0.0, 0.5, 0.0, 1.0, 0.0], false=[0.0, 0.5, np.nan, 1.0, np.nan])
    plain, own = COLOURS["plain"], pictures.OWN_IMAGE
    assert pictures.colours_of(found).tolist() == [OTHER, own, plain, own, plain]
    assert len({plain, own, SAME, OTHER}) == 4
    said = {mark.get_color(): mark.get_label() for mark in pictures.kind_marks(own_image=True)}
    assert said[own] == "of the query's own image (false negative)"
    assert own not in {mark.get_color() for mark in pictures.kind_marks()}


def test_images_stand_in_their_rows(ax):
    white, grey = np.ones((8, 8, 3)), np.full((8, 8, 3), 0.5)
    pictures.plot_images(pictures.frame_images(ax), {0: [white, grey], 13: [grey]})
    sheet = ax.images[0].get_array()
    height = 8 + pictures.GAP
    assert sheet.shape[0] == pictures.ROWS * height
    assert sheet[4, 4].tolist() == [1, 1, 1, 1]
    assert sheet[4, 4 + height].tolist() == [0.5, 0.5, 0.5, 1]
    assert sheet[4 + height, 4, 3] == 0
    assert sheet[-4, 4].tolist() == [0.5, 0.5, 0.5, 1]
    assert len(ax.texts) == len(KINDS)


def test_rates_are_marked_at_n_in_per_cent(ax):
    rates = np.array([0.5, 0.4, 0.3, 0.2])
    pictures.plot_false_rates(pictures.frame_false_rates(ax, 4), rates, 2, {PAIR: 0.7})
    chance, line, at, negative, pair = ax.get_lines()
    assert chance.get_ydata()[0] == pytest.approx(20)
    np.testing.assert_allclose(line.get_xydata(), [[1, 50], [2, 40], [3, 30], [4, 20]])
    assert at.get_xdata()[0] == 2
    np.testing.assert_allclose(negative.get_xydata(), [[2, 40]])
    np.testing.assert_allclose(pair.get_xydata(), [[2, 70]])
    assert pair.get_marker() != negative.get_marker()


def test_every_shape_and_colour_is_in_the_legend():
    labels = [mark.get_label() for mark in pictures.kind_marks()]
    assert len(labels) == len(set(labels)) == len(KINDS) + 3
