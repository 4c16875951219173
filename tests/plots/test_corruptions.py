"""Pictures of corruptions, by their artists."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from mixviz.plots.corruptions import plot_corrupted, plot_corruption_table, plot_severities
from mixviz.plots.style import colour_of, figure, png, style


def table(clean=0.8, **accuracies):
    rows = [{"kind": "clean", "severity": 0, "accuracy": clean}]
    for kind, values in accuracies.items():
        rows += [{"kind": kind, "severity": i, "accuracy": value} for i, value in enumerate(values, start=1)]
    return pd.DataFrame(rows)


TABLE = table(contrast=[0.7, 0.6], motion_blur=[0.5, 0.2], jpeg_compression=[0.8, 0.75])


def test_the_table_has_its_numbers_and_the_worst_kind_above():
    ax = plot_corruption_table(figure().add_subplot(), TABLE, "moco-v2")
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["motion blur", "contrast", "JPEG compression"]
    written = {text.get_position(): text.get_text() for text in ax.texts}
    rows = [["50.0", "20.0"], ["70.0", "60.0"], ["80.0", "75.0"]]
    assert written == {(j, i): number for i, row in enumerate(rows) for j, number in enumerate(row)}
    np.testing.assert_allclose(ax.images[0].get_array(), [[30, 60], [10, 20], [0, 5]], atol=1e-9)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2"]
    assert "80.0" in ax.get_xlabel()


def test_a_line_a_method_from_clean_to_strong():
    tables = {"moco-v2": TABLE, "moco-v2 + mochi": table(0.9, contrast=[0.7, 0.5], motion_blur=[0.6, 0.3])}
    ax = plot_severities(figure().add_subplot(), tables)
    first, second = ax.lines
    np.testing.assert_allclose(first.get_ydata(), [80, 200 / 3, 155 / 3])
    np.testing.assert_allclose(second.get_ydata(), [90, 65, 40])
    assert [line.get_color() for line in ax.lines] == [colour_of(method) for method in tables]
    assert {text.get_text() for text in ax.texts} == set(tables)
    assert ax.get_xticklabels()[0].get_text() == "clean"
    assert "3 kinds" in ax.get_title(loc="left") + ax.get_title()
    one = plot_severities(figure().add_subplot(), tables, "motion_blur")
    np.testing.assert_allclose(one.lines[0].get_ydata(), [80, 50, 20])
    assert "motion blur" in one.get_title(loc="left") + one.get_title()


def test_an_image_at_its_severities():
    shades = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((1, 4, 4, 3), 50, np.uint8)
    ax = plot_corrupted(figure().add_subplot(), {"fog": shades, "jpeg_compression": shades[::-1]})
    sheet = ax.images[0].get_array()
    shown = [[round(sheet[6 * row + 1, 6 * place + 1, 0] * 255 / 50) for place in range(6)] for row in range(2)]
    assert shown == [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fog", "JPEG compression"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["clean", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_loses_nothing_has_the_paper_as_its_colour(theme):
    with style(theme):
        drawn = figure()
        ax = plot_corruption_table(drawn.add_subplot(), TABLE)
        colours = ax.images[0].cmap(ax.images[0].norm(ax.images[0].get_array()))
        assert to_rgb(colours[2, 0]) == pytest.approx(to_rgb(ax.get_facecolor()))
        assert to_rgb(colours[0, 1]) != pytest.approx(to_rgb(ax.get_facecolor()), abs=0.1)
        assert len(png(drawn)) > 5_000
