"""Pictures of few-shot results, by their artists."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mixviz.plots.fewshot import plot_few_shot
from mixviz.plots.style import colour_of, figure, png, style

INTERVALS = {
    "moco-v2": {10: (0.5, 0.48, 0.52), 5: (0.4, 0.35, 0.45)},
    "moco-v2 + mochi": {5: (0.44, 0.4, 0.48), 10: (0.55, 0.54, 0.56)},
}


def test_dots_intervals_and_numbers():
    ax = plot_few_shot(figure().add_subplot(), INTERVALS, "digits")
    drawn = {}
    for container in ax.containers:
        dot, _, (bar,) = container.lines
        drawn[dot.get_xdata()[0], dot.get_ydata()[0]] = (to_rgb(dot.get_color()), bar.get_segments()[0][:, 0])
    for row, (method, of_method) in enumerate(INTERVALS.items()):
        places = [(y, x) for x, y in drawn if round(y) == row]
        assert [x for _, x in sorted(places)] == pytest.approx([100 * of_method[shots][0] for shots in (5, 10)])
        for (y, x), shots in zip(sorted(places), (5, 10), strict=True):
            colour, ends = drawn[x, y]
            assert colour == to_rgb(colour_of(method))
            np.testing.assert_allclose(sorted(ends), [100 * value for value in of_method[shots][1:]])
    written = [text.get_text() for text in ax.texts]
    assert {"40.0", "50.0", "44.0", "55.0", "5 labels a class", "10 labels a class"} == set(written)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(INTERVALS)
    assert ax.yaxis_inverted()
    assert "higher is better" in ax.get_xlabel()
    assert ax.get_title() == "digits"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_open_dots_show_the_paper(theme):
    with style(theme):
        drawn = figure()
        ax = plot_few_shot(drawn.add_subplot(), INTERVALS)
        fills = {to_rgb(container.lines[0].get_markerfacecolor()) for container in ax.containers}
        assert fills == {to_rgb(ax.get_facecolor()), *(to_rgb(colour_of(method)) for method in INTERVALS)}
        assert len(png(drawn)) > 5_000
