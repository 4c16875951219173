"""Pictures of hardness and of films, by their artists."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

from mixviz.analysis.hardness import SyntheticPoints
from mixviz.film import Film
from mixviz.plots.film import plot_film_curve, plot_parents
from mixviz.plots.hardness import (
    plot_hardness,
    plot_matching_probabilities,
    plot_synthetic,
    plot_temperature,
)
from mixviz.plots.style import colour_of, figure, style

RANKS = [1, 2, 4, 8]


def film_of(scale: float, synthetic: bool = False) -> Film:
    curves = {
        "hardness": scale * np.array([[0.1, 0.05, 0.02, 0.0], [0.3, 0.1, 0.01, 0.001]]),
        "proxy_accuracy": scale * np.array([0.5, 0.25]),
        "uniformity/all": np.array([-1.0, -2.0]),
    }
    if synthetic:
        curves["hardness_with_synthetic"] = np.array([[np.nan] * 4, [0.2, 0.1, 0.05, 0.02]])
        curves["proxy_accuracy_with_synthetic"] = np.array([np.nan, 0.125])
        curves["synthetic_similarity"] = np.array([np.nan, 0.7])
        curves["parent_similarity"] = np.array([np.nan, 0.5])
    return Film(
        epochs=np.array([0, 5]),
        rows=np.arange(3),
        labels=None,
        embeddings={},
        kept={},
        curves=curves,
        about={"ranks": RANKS},
    )


FILMS = {"moco-v2": film_of(1.0), "moco-v2 + mochi": film_of(0.5, synthetic=True)}


@pytest.fixture
def ax():
    return figure().add_subplot()


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_one_line_an_epoch_and_a_scale_of_epochs(ax):
    film = FILMS["moco-v2"]
    plot_matching_probabilities(ax, RANKS, film.curve("hardness"), [0, 5], "moco-v2")
    lines = ax.get_lines()
    assert len(lines) == 2
    np.testing.assert_allclose(lines[1].get_ydata(), [0.3, 0.1, 0.01, 0.001])
    assert np.isnan(lines[0].get_ydata()[3])  # nothing at 0 on a log scale
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.figure.axes[1].get_ylabel() == "epoch"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_late_epochs_stand_out_from_the_paper(theme):
    with style(theme):
        ax = figure().add_subplot()
        plot_matching_probabilities(ax, RANKS, FILMS["moco-v2"].curve("hardness"), [0, 5])
        paper = np.mean(mpl.colors.to_rgb(ax.get_facecolor()))
        early, late = (abs(np.mean(mpl.colors.to_rgb(line.get_color())) - paper) for line in ax.get_lines())
        assert late > early + 0.1
        assert early > 0.1


def test_runs_side_by_side_have_their_colours_and_synthetic_is_dashed(ax):
    plot_hardness(ax, FILMS)
    lines = ax.get_lines()
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert [line.get_color() for line in lines] == [colour_of(m) for m in ["moco-v2", *["moco-v2 + mochi"] * 2]]
    np.testing.assert_allclose(lines[2].get_ydata(), [0.2, 0.1, 0.05, 0.02])
    assert texts(ax) == ["moco-v2", "moco-v2 + mochi", "moco-v2 + mochi, with synthetic"]
    other = figure().add_subplot()
    plot_hardness(other, FILMS, epoch=0, synthetic=False)
    np.testing.assert_allclose(other.get_lines()[0].get_ydata(), [0.1, 0.05, 0.02])


def test_synthetic_points_against_the_harder_parent(ax):
    points = SyntheticPoints(
        similarity=torch.tensor([[0.9, 0.4], [0.2, 0.8]]),
        parents=torch.tensor([[[0.5, 0.6], [0.3, 0.3]], [[0.4, 0.1], [0.7, 0.7]]]),
        places=torch.tensor([[[0, 1], [2, 2]], [[1, 0], [3, 3]]]),
        towards_query=torch.tensor([False, True]),
        false_parents=None,
    )
    plot_synthetic(ax, points)
    pairs, towards, diagonal = ax.get_lines()
    np.testing.assert_allclose(pairs.get_xydata(), [[0.6, 0.9], [0.4, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(towards.get_xydata(), [[0.3, 0.4], [0.7, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(diagonal.get_xdata(), diagonal.get_ydata())
    assert pairs.get_label() == "two negatives: 50% of them harder than both parents"
    assert towards.get_label() == "query and negative: 100% of them harder than the negative"


def test_a_method_s_own_temperature_is_marked(ax):
    table = pd.DataFrame({"temperature": [0.1, 0.2, 1.0], "effective_negatives": [2.0, 5.0, 50.0]})
    plot_temperature(ax, {"moco-v2": table}, {"moco-v2": 0.2})
    line, dot = ax.get_lines()
    np.testing.assert_allclose(line.get_ydata(), [2, 5, 50])
    np.testing.assert_allclose(dot.get_xydata(), [[0.2, 5.0]])


def test_curves_of_films_in_per_cent_with_synthetic_dashed(ax):
    plot_film_curve(ax, FILMS, "proxy_accuracy", with_synthetic=True)
    lines = ax.get_lines()
    assert [line.get_ydata().tolist() for line in lines] == [[50, 25], [25, 12.5], [12.5]]
    assert [line.get_xdata().tolist() for line in lines] == [[0, 5], [0, 5], [5]]
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--"]
    assert "%" in ax.get_ylabel()
    assert texts(ax)[-1] == "moco-v2 + mochi, with synthetic"


def test_a_curve_of_an_embedding_says_which(ax):
    plot_film_curve(ax, {"moco-v2": FILMS["moco-v2"]}, "uniformity/all")
    assert ax.get_lines()[0].get_ydata().tolist() == [-1, -2]
    assert ax.get_title() == "embedding"
    assert "lower is better" in ax.get_ylabel()


def test_a_film_without_the_curve_is_left_out(ax):
    plot_film_curve(ax, FILMS, "synthetic_similarity")
    assert len(ax.get_lines()) == 1
    assert texts(ax) == ["moco-v2 + mochi"]


def test_parents_and_what_was_made_of_them(ax):
    plot_parents(ax, FILMS["moco-v2 + mochi"])
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[0.7], [0.5]]
    assert texts(ax) == ["synthetic", "parents"]
