"""Pictures of projections, by their artists."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from mixviz.plots.projection import class_mark, hue_marks, plot_projection, ring_point
from mixviz.plots.style import INK, figure, style


@pytest.fixture
def ax():
    return figure().add_subplot()


def test_every_class_has_its_points_its_mark_and_its_name_at_the_median(ax):
    layout = torch.tensor([[0.0, 0], [1, 0], [5, 2], [9, 9]])
    labels = torch.tensor([0, 0, 0, 9])
    plot_projection(ax, layout, labels, list("abcdefghij"), "UMAP", torch.tensor([0.9, 0.8, 1.0, 0.9]))
    first, second = ax.collections
    assert first.get_offsets().tolist() == [[0, 0], [1, 0], [5, 2]]
    assert second.get_offsets().tolist() == [[9, 9]]
    assert to_rgb(second.get_facecolor()[0]) == to_rgb(class_mark(9)[0])
    assert [text.get_text() for text in ax.texts] == ["● a", "▲ j"]
    assert ax.texts[0].xy == (1, 0)
    assert [to_rgb(text.get_color()) for text in ax.texts] == [to_rgb(class_mark(c)[0]) for c in (0, 9)]
    assert ax.get_title("left") + ax.get_title() == "UMAP: trustworthiness 0.900 (1 is best)"
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_names_that_would_cover_one_another_are_moved_apart(ax):
    layout = torch.tensor([[0.0, 0], [0, 0.01], [10, 10]])
    plot_projection(ax, layout, torch.tensor([0, 1, 2]), ["automobile", "airplane", "cat"])
    first, second, _ = (text.xyann for text in ax.texts)
    assert abs(second[1] - first[1]) > 0.03
    assert abs(ax.texts[1].xy[1] - ax.texts[0].xy[1]) == pytest.approx(0.01)


def test_limits_hold_the_frame_still(ax):
    plot_projection(ax, torch.zeros(3, 2), torch.arange(3), limits=((-4, 4), (-2, 3)))
    assert ax.get_xlim() == (-4, 4)
    assert ax.get_ylim() == (-2, 3)
    assert [text.get_text() for text in ax.texts] == ["● 0", "● 1", "● 2"]
    assert ax.get_title("left") + ax.get_title() == ""


def test_hues_have_their_own_colours(ax):
    red = to_rgb(hue_marks()[0][0])
    green = to_rgb(hue_marks()[3][0])
    assert red[0] > max(red[1:]) + 0.2
    assert green[1] > max(green[0], green[2]) + 0.2
    plot_projection(ax, torch.zeros(2, 2), torch.tensor([0, 3]), marks=hue_marks())
    assert [to_rgb(points.get_facecolor()[0]) for points in ax.collections] == [red, green]
    assert [to_rgb(text.get_color()) for text in ax.texts] == [red, green]


def test_marks_differ_for_many_classes_and_stand_out_on_both_papers():
    marks = [class_mark(label) for label in range(32)]
    assert len(set(marks)) == 32
    for colour, _ in marks:
        for _, paper, _ in INK.values():
            assert np.linalg.norm(np.subtract(to_rgb(colour), to_rgb(paper))) > 0.5


def test_a_ring_stands_out_from_the_paper_in_either_theme():
    for theme in ("light", "dark"):
        with style(theme):
            (ring,) = ring_point(figure().add_subplot(), torch.tensor([2.0, -1.0])).lines
        assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2, -1)
        assert (ring.get_fillstyle(), ring.get_markeredgecolor()) == ("none", INK[theme][0])
