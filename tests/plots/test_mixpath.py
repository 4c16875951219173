"""Pictures of mix paths, by their artists."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from mixviz.analysis.mixpath import Calibration, MixPath
from mixviz.plots.mixpath import (
    mark_blend,
    name_ranges,
    plot_calibration,
    plot_calibration_errors,
    plot_mix_path,
    plot_path_measure,
    write_calibrations,
)
from mixviz.plots.style import colour_of, figure, png

LAMS = torch.linspace(0, 1, 5)


@pytest.fixture
def path(generator) -> MixPath:
    lam = LAMS.expand(3, 5)
    noise = 0.1 * torch.rand(3, 5, generator=generator)
    return MixPath(
        lam=lam,
        first=lam - noise,
        second=1 - lam - noise,
        others_mean=0 * lam,
        others_high=0 * lam + 0.4,
        blends=torch.zeros(3, 5, 2),
        others=torch.eye(2),
    )


def axes():
    return figure().add_subplot()


def test_a_path_is_three_mean_lines_and_their_bands(path):
    ax = plot_mix_path(axes(), path, "moco-v2")
    others, first, second = ax.lines
    np.testing.assert_allclose(first.get_ydata(), path.first.mean(dim=0))
    np.testing.assert_allclose(second.get_ydata(), path.second.mean(dim=0))
    np.testing.assert_allclose(others.get_ydata(), 0)
    assert first.get_xdata().tolist() == LAMS.tolist()
    assert [text.get_text() for text in ax.texts] == ["others, mean to 95 %", "first", "second"]
    assert len(ax.collections) == 3
    grey = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (grey.min(), grey.max()) == (0, pytest.approx(0.4))
    assert ax.get_title() == "moco-v2"
    assert "λ" in ax.get_xlabel()
    assert ax.get_ylim() == plot_mix_path(axes(), path).get_ylim()
    assert png(ax.figure)


def test_calibrations_are_lines_with_their_error_next_to_the_diagonal():
    lam = LAMS.expand(2, 5)
    shares = torch.stack([LAMS + 0.1, LAMS - 0.1])
    base, other = Calibration(lam, shares, 0.5), Calibration(lam, 0 * lam + 0.5, 0.05)
    ax = plot_calibration(axes(), {"moco-v2": base, "moco-v2 + mixco": {"mixup": base, "cutmix": other}})
    diagonal, plain, mixup, cutmix = ax.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    np.testing.assert_allclose(plain.get_ydata(), LAMS)
    np.testing.assert_allclose(cutmix.get_ydata(), 0.5)
    assert [line.get_linestyle() for line in (plain, mixup, cutmix)] == ["-", "-", "--"]
    assert to_hex(plain.get_color()) == colour_of("moco-v2")
    assert to_hex(mixup.get_color()) == to_hex(cutmix.get_color()) == colour_of("moco-v2 + mixco")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "moco-v2: 0.100 at τ = 0.5",
        "moco-v2 + mixco, mixup: 0.100 at τ = 0.5",
        "moco-v2 + mixco, cutmix: 0.300 at τ = 0.05",
    ]
    assert "lower is better" in ax.get_legend().get_title().get_text()
    assert png(ax.figure)


def test_a_blend_is_a_line_at_its_lam_with_dots_on_it():
    ax = mark_blend(axes(), 0.3, [0.4], [0.6, 0.1])
    line, curve, pair = ax.lines
    assert set(line.get_xdata()) == {0.3}
    assert curve.get_xydata().tolist() == [[0.3, 0.4]]
    assert pair.get_xydata().tolist() == [[0.3, 0.6], [0.3, 0.1]]
    assert pair.get_markerfacecolor() == "none"
    assert curve.get_markerfacecolor() != "none"


def test_the_table_has_a_row_a_network_under_its_columns():
    lam = LAMS.expand(2, 5)
    calibrations = {"moco-v2": Calibration(lam, lam + 0.1, 0.5), "moco-v2 + imix": Calibration(lam, lam, 0.25)}
    ax = name_ranges(axes(), {"moco-v2": 1.25, "moco-v2 + imix": 0.75})
    assert [to_hex(line.get_color()) for line in ax.lines] == [colour_of("moco-v2"), colour_of("moco-v2 + imix")]
    write_calibrations(ax, calibrations)
    places = {text.get_text(): text.get_position() for text in ax.texts}
    heads = [places[name][0] for name in ("mean |share − λ|", "τ", "range of\ncosines")]
    for row, texts in enumerate((("0.100", "0.50", "1.25"), ("0.000", "0.25", "0.75"))):
        assert [places[text] for text in texts] == [(place, row) for place in heads]
    assert png(ax.figure)


def test_errors_over_temperatures_are_lines_with_a_dot_at_the_lowest():
    temperatures = torch.tensor([0.05, 0.1, 0.4])
    errors = {"moco-v2": torch.tensor([0.3, 0.1, 0.2]), "moco-v2 + mixco": torch.tensor([0.2, 0.15, 0.12])}
    ax = plot_calibration_errors(axes(), temperatures, errors)
    plain, plain_best, mixco, mixco_best = ax.lines
    np.testing.assert_allclose(plain.get_ydata(), [0.3, 0.1, 0.2])
    np.testing.assert_allclose(np.array(plain_best.get_xydata()), [[0.1, 0.1]])
    np.testing.assert_allclose(np.array(mixco_best.get_xydata()), [[0.4, 0.12]])
    assert to_hex(mixco.get_color()) == colour_of("moco-v2 + mixco")
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.05", "0.1", "0.2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "moco-v2: 0.100 at τ = 0.1",
        "moco-v2 + mixco: 0.120 at τ = 0.4",
    ]
    assert png(ax.figure)


def test_measures_are_points_with_intervals():
    columns = ["method", "kind", "mean", "low", "high"]
    rows = [
        ("moco-v2", "mixup", 0.2, 0.1, 0.3),
        ("moco-v2", "cutmix", 0.5, 0.4, 0.6),
        ("a + imix", "mixup", 0.1, 0, 0.2),
    ]
    ax = plot_path_measure(axes(), pd.DataFrame(rows, columns=columns), "error (lower is better)")
    intervals, points = ax.lines[::2], ax.lines[1::2]
    assert [line.get_xdata()[0] for line in points] == [0.2, 0.5, 0.1]
    assert [list(line.get_xdata()) for line in intervals] == [[0.1, 0.3], [0.4, 0.6], [0, 0.2]]
    assert [round(line.get_ydata()[0]) for line in points] == [0, 0, 1]
    assert points[1].get_markerfacecolor() == "none"
    assert to_hex(points[2].get_color()) == colour_of("a + imix")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["moco-v2", "a + imix"]
    assert [text.get_text() for text in ax.texts] == ["mixup", "cutmix"]
    assert png(ax.figure)
