"""The verdict's pictures: a dot a seed, the interval in the colour of what it settles, the seeds that would do."""

import pytest
from matplotlib.colors import to_hex

from mixviz.analysis.verdict import verdict
from mixviz.plots.style import COLOURS, figure, style
from mixviz.plots.verdict import SIGN, plot_chances, plot_differences


def axes():
    return figure().add_subplot()


def lines(ax, marker):
    return [line for line in ax.lines if line.get_marker() == marker]


@pytest.mark.parametrize(("values", "sign"), [((1.9, 2.0, 2.1), 1), ((-2.0, -2.1, -2.2), -1), ((1.0, -1.0, 2.0), 0)])
def test_seeds_mean_and_interval(values, sign):
    with style("dark"):
        found = verdict(values)
        ax = plot_differences(axes(), found)
    (dots,), (mean,) = lines(ax, "o"), lines(ax, "D")
    assert tuple(dots.get_xdata()) == values
    assert list(dots.get_ydata()) == sorted(dots.get_ydata(), reverse=True)
    assert mean.get_xdata()[0] == pytest.approx(found.mean)
    (interval,) = [line for line in ax.lines if line.get_linewidth() == 6]
    assert tuple(interval.get_xdata()) == (found.low, found.high)
    assert to_hex(interval.get_color()) == SIGN[sign]
    assert ax.texts[0].get_text() == f"3 seeds: {found.word}"
    assert "points" in ax.get_xlabel()
    assert ax.get_xlim() == found.span


def test_the_truth_is_shown_where_it_is_known():
    ax = plot_differences(axes(), verdict([1.0, 2.0], truth=(1.5, 1.0)))
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] == [1.5]
    assert [text.get_position()[0] for text in ax.texts if "true effect" in text.get_text()] == [1.5]
    ax = plot_differences(axes(), verdict([1.0, 2.0]))
    assert not [line for line in ax.lines if line.get_linestyle() == "--"]
    assert len(ax.texts) == 1


def test_one_seed_has_no_interval():
    ax = plot_differences(axes(), verdict([1.0]))
    assert not [line for line in ax.lines if line.get_linewidth() == 6]
    assert ax.texts[0].get_text() == "1 seed: not settled"


def test_chances_and_the_seeds_that_would_do():
    found = verdict([1.0, 2.0], truth=(0.5, 1.0))
    ax = plot_chances(axes(), found)
    (dot,) = lines(ax, "o")
    assert dot.get_xdata()[0] == found.needed == 34
    assert dot.get_ydata()[0] > 80
    curve = ax.lines[0]
    assert list(curve.get_ydata()) == pytest.approx((100 * found.chances["chance"]).tolist())
    assert to_hex(curve.get_color()) == COLOURS["imix"]
    assert ax.texts[0].get_text() == "34 seeds for 80%"


@pytest.mark.parametrize(("truth", "said"), [((0.0, 1.0), "no number of seeds"), ((0.1, 1.0), "787 seeds")])
def test_more_seeds_than_are_drawn_have_no_dot(truth, said):
    ax = plot_chances(axes(), verdict([1.0, 2.0], truth=truth))
    assert not lines(ax, "o")
    assert ax.texts[0].get_text() == f"{said} for 80%"
