"""Pictures of the contrast table, by their artists."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import LogNorm, SymLogNorm, to_hex, to_rgb

from mixviz.analysis.targets import contrast_table, hardest, mean_mass, query_row
from mixviz.method import Draws, Method
from mixviz.mixing import IMix, LooC, MixCo, MoCHi
from mixviz.plots.style import INK, figure, png, style
from mixviz.plots.targets import FLOOR, KIND_COLOURS, plot_contrast_table, plot_loss_parts, plot_mass, plot_row

N = 8
LAM = torch.tensor([0.2, 0.4, 0.7, 0.9], dtype=torch.float64)


def axes():
    return figure().add_subplot()


@pytest.fixture
def make_table(build_framework, make_views):
    def make(name, *mixings, term=0, draws=None):
        spaces = max((len(mixing.shared) for mixing in mixings), default=1)
        framework = build_framework(name, spaces=spaces)
        terms = Method(framework, *mixings).terms(make_views(1 + spaces), torch.Generator().manual_seed(0), draws=draws)
        return contrast_table(framework, terms[term])

    return make


@pytest.fixture
def blends(make_table):
    """MixCo's blends on MoCo-v2: 4 queries, 8 keys, a queue of 20."""
    return make_table("moco-v2", MixCo(), term=1, draws=Draws(queries=[LAM]))


def test_the_map_shows_the_values_of_the_hardest_columns(blends):
    for what in ("targets", "probabilities", "gap", "gradient_share", "similarities"):
        image = plot_contrast_table(axes(), blends, what, count=5).images[0]
        values = getattr(hardest(blends, 5), what).numpy()
        assert image.get_array().shape == (4, N + 5)
        floor = FLOOR if isinstance(image.norm, LogNorm) else -np.inf
        np.testing.assert_allclose(image.get_array(), np.maximum(values, floor))
    assert isinstance(plot_contrast_table(axes(), blends, "gap").images[0].norm, SymLogNorm)


def test_targets_are_framed_where_something_else_is_shown(blends):
    (frames,) = plot_contrast_table(axes(), blends, "probabilities", count=5).collections
    found = {(round(x.mean()), round(y.mean())) for x, y in (path.vertices[:4].T for path in frames.get_paths())}
    wanted = np.argwhere(hardest(blends, 5).targets.numpy() > 0)
    assert found == {(column, row) for row, column in wanted.tolist()}
    assert not plot_contrast_table(axes(), blends, "targets", count=5).collections


def names_of(ax) -> dict[str, list[tuple[str, float]]]:
    """What is written above and below the columns, and where."""
    places = {"above": lambda y: y > 1, "below": lambda y: y < 0}
    return {
        place: [(text.get_text(), text.get_position()[0]) for text in ax.texts if is_there(text.get_position()[1])]
        for place, is_there in places.items()
    }


def test_groups_are_named_above_and_set_apart(blends, make_table):
    ax = plot_contrast_table(axes(), blends, count=5, title="blends")
    names = names_of(ax)
    assert names["above"] == [("keys of the batch", (N - 1) / 2), ("queue\n5 hardest of 20", N + 2)]
    assert names["below"] == [*((str(i), i) for i in range(N)), ("#1", N)]
    assert ax.lines[2].get_xdata() == [N - 0.5, N - 0.5]  # the separator
    assert ax.get_title() == "blends"
    assert "target" in ax.figure.axes[1].get_ylabel()
    whole = plot_contrast_table(axes(), make_table("moco-v2", MoCHi(hardest=3, pairs=5, towards_query=2)), count=30)
    captions = [name for name, _ in names_of(whole)["above"]]
    assert captions[1:] == ["queue\nall 20, hardest first", "synthetic\nall 7, hardest first"]
    simclr = plot_contrast_table(axes(), make_table("simclr"), columns=("own view",))
    assert [name for name, _ in names_of(simclr)["above"]] == ["the query's own view"]
    looc = names_of(plot_contrast_table(axes(), make_table("moco-v2", LooC(), term=1), columns=("keys",)))
    assert looc["above"][0][0] == "keys of the batch\n2 views an image"
    assert looc["below"] == [(str(i), 2 * i + 0.5) for i in range(N)]


def test_what_is_no_candidate_is_left_blank(make_table):
    image = plot_contrast_table(axes(), make_table("moco-v2"), columns=("keys",)).images[0].get_array()
    assert np.array_equal(image.mask, ~np.eye(N, dtype=bool))
    ax = plot_contrast_table(axes(), make_table("byol", IMix()), "probabilities")
    assert ax.images[0].get_array().mask.all()
    assert ax.texts[-1].get_text() == "no negatives, so no probabilities"


@pytest.mark.parametrize("theme", INK)
def test_the_lowest_colour_is_the_papers_and_no_candidate_is_another(blends, theme):
    ink, paper, line = INK[theme]
    with style(theme):
        ax = plot_contrast_table(axes(), blends, "targets")
        colours = ax.images[0].cmap
        assert (to_hex(colours(0.0)), to_hex(colours(1.0))) == (paper, ink)
        middle = plot_contrast_table(axes(), blends, "gap").images[0].cmap(0.5)
        np.testing.assert_allclose(middle[:3], to_rgb(paper), atol=0.01)
        assert to_hex(ax.get_facecolor()) == line
        assert png(ax.figure).startswith(b"\x89PNG")


def test_no_edge_of_a_bar_runs_through_a_number(blends):
    ax = plot_row(axes(), query_row(blends, 1, count=3).assign(probability=0.95))
    assert [text.xy[1] for text in ax.texts] == [0.95, 0.95]


def test_a_row_is_bars_of_probability_and_lines_at_targets(blends):
    row = query_row(blends, 1, count=3)
    ax = plot_row(axes(), row)
    *bars, lines = ax.collections
    boxes = [path.get_extents() for part in bars for path in part.get_paths()]
    tops = {round((box.x0 + box.x1) / 2): box.y1 for box in boxes}
    for place, probability in row["probability"].items():
        assert tops[place] == pytest.approx(max(probability, FLOOR))
    assert [text.get_text() for text in ax.texts] == ["0.40", "0.60"]
    assert [segment[0, 1] for segment in lines.get_segments()] == pytest.approx([0.4, 0.6])
    assert [label.get_text() for label in ax.get_xticklabels()] == row["candidate"].tolist()
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["own key", "partner", "batch", "queue"]


def test_a_row_of_byol_has_targets_only(make_table):
    row = query_row(make_table("byol"), 2)
    ax = plot_row(axes(), row)
    assert ax.collections[0].get_paths()[0].get_extents().height == 0
    assert [text.get_text() for text in ax.texts] == ["no negatives, so no probabilities", "1.00"]
    assert png(ax.figure)


def test_masses_are_stacked_bars_that_sum_to_a_hundred(blends, make_table):
    masses = {"blends": mean_mass(blends), "byol": mean_mass(make_table("byol"))}
    ax = plot_mass(axes(), masses, "gradient_share")
    for place in range(2):
        bars = [bar for bar in ax.patches if round(bar.get_y() + bar.get_height() / 2) == place and bar.get_width()]
        ends = np.cumsum([bar.get_width() for bar in bars])
        assert [bar.get_x() for bar in bars] == pytest.approx([0, *ends[:-1]])
        assert ends[-1] == pytest.approx(100)
    first = ax.patches[0]
    assert first.get_width() == pytest.approx(100 * masses["blends"].loc["own key", "gradient_share"])
    assert to_hex(first.get_facecolor()) == KIND_COLOURS["own key"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["blends", "byol"]
    assert "%" in ax.get_xlabel()
    probabilities = plot_mass(axes(), {"byol": masses["byol"]}, "probability")
    assert not probabilities.patches
    assert png(probabilities.figure)


def test_parts_of_the_loss_share_one_bar_and_a_narrow_one_has_no_name():
    ax = plot_loss_parts(axes(), pd.Series({"clean queries": 5.7, "blends": 0.3}))
    assert [bar.get_x() for bar in ax.patches] == pytest.approx([0, 95])
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([95, 5])
    assert [text.get_text() for text in ax.texts] == ["clean queries 95"]
    assert png(ax.figure)
