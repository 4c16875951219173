"""Pictures of confusions, by their artists."""

import numpy as np
import pytest

from mixviz.confusion import Confusion
from mixviz.plots.classes import HIT, MISS, plot_class_accuracies, plot_confusion
from mixviz.plots.style import colour_of, figure, png, style

NAMES = ("cat", "dog", "ship")
CONFUSION = Confusion(np.array([[6, 3, 1], [0, 4, 0], [0, 2, 998]]), NAMES)


def test_hits_and_mistakes_have_scales_of_their_own():
    ax = plot_confusion(figure().add_subplot(), CONFUSION, "moco-v2")
    hits, mistakes = (image.get_array() for image in ax.images)
    np.testing.assert_allclose(hits.compressed(), [60, 100, 99.8])
    np.testing.assert_allclose(mistakes.compressed(), [30, 10, 0, 0, 0, 0.2])
    assert ax.images[0].norm.vmax == 120
    assert ax.images[1].norm.vmax == pytest.approx(36)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "60", (1, 0): "30", (2, 0): "10", (1, 1): "100", (2, 2): "100"}
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(NAMES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class, its images in %")


def test_many_classes_have_no_room_for_numbers():
    ax = plot_confusion(figure().add_subplot(), Confusion(np.eye(30, dtype=int), tuple(map(str, range(30)))))
    assert not ax.texts
    assert not len(ax.get_xticks())


def test_classes_are_sorted_by_the_first_method():
    other = Confusion(np.array([[10, 0, 0], [2, 2, 0], [0, 0, 7]]), NAMES)
    ax = plot_class_accuracies(figure().add_subplot(), {"moco-v2": CONFUSION, "moco-v2 + looc": other})
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cat", "ship", "dog"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [60, 99.8, 100])
    np.testing.assert_allclose(ax.lines[1].get_xdata(), [100, 100, 50])
    assert [line.get_color() for line in ax.lines] == [colour_of("moco-v2"), colour_of("moco-v2 + looc")]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["moco-v2", "moco-v2 + looc"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_the_paper_and_colours_differ(theme):
    with style(theme):
        drawn = figure()
        ax = plot_confusion(drawn.add_subplot(), CONFUSION)
        hits, mistakes = ax.images
        assert hits.cmap(0.0)[:3] == pytest.approx(mistakes.cmap(0.0)[:3])
        assert HIT != MISS
        assert hits.cmap(1.0)[:3] != pytest.approx(mistakes.cmap(1.0)[:3], abs=0.1)
        assert len(png(drawn)) > 5_000
