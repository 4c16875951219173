"""Pictures of heads, by their artists."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb

from mixviz.analysis.heads import HeadContribution
from mixviz.plots.invariance import (
    HEAD_COLOURS,
    colour_of_head,
    plot_contributions,
    plot_factor_readout,
    plot_fingerprint,
    plot_invariance,
    plot_neighbours_per_head,
    plot_perturbed,
)
from mixviz.plots.style import figure, png, style

HEADS = ["backbone", "all", "color"]


def axes():
    return figure().add_subplot()


def fall_off(augmentation="crop", strengths=(1.0, 0.5, 0.2), ends=(0.5, 0.48, 1.5)):
    rows = [
        {"augmentation": augmentation, "head": head, "strength": strength, "fall_off": end * i / 2}
        for head, end in zip(HEADS, ends, strict=True)
        for i, strength in enumerate(strengths)
    ]
    return pd.DataFrame(rows)


def test_invariance_is_a_line_a_head_with_its_name_at_the_end():
    ax = plot_invariance(axes(), fall_off())
    lines = ax.lines[1:]  # the first is the distance of a different image
    assert ax.lines[0].get_ydata() == [1, 1]
    assert [line.get_ydata()[-1] for line in lines] == pytest.approx([0.5, 0.48, 1.5])
    assert [line.get_linestyle() for line in lines] == ["--", "-", "-"]
    for text in ax.texts:
        line = lines[HEADS.index(text.get_text().removeprefix("head: "))]
        assert text.get_color() == line.get_color()
    heights = sorted(text.get_position()[1] for text in ax.texts)
    assert min(np.diff(heights)) >= 0.07  # 0.5 and 0.48 would overlap
    assert ax.get_xlim() == (1.0, 0.2)  # stronger to the right
    assert ax.get_ylim()[1] > 1.5
    assert "share of area kept" in ax.get_xlabel()
    assert "invariant" in ax.get_ylabel()


def test_a_single_image_is_a_ring_a_head_and_stays_in_the_axes():
    ax = plot_invariance(axes(), fall_off())
    single = fall_off(strengths=(0.5,)).assign(fall_off=[0.25, 0.1, 40.0])
    (rings,) = plot_perturbed(ax, single).collections
    top = ax.get_ylim()[1]
    assert rings.get_offsets().tolist() == [[0.5, 0.25], [0.5, 0.1], [0.5, pytest.approx(top)]]
    assert [tuple(colour[:3]) for colour in rings.get_edgecolors()] == [to_rgb(colour_of_head(head)) for head in HEADS]
    assert len(rings.get_facecolors()) == 0


def test_turns_have_a_tick_each():
    ax = plot_invariance(axes(), fall_off("rotation", (0, 1, 3)))
    assert ax.get_xticks().tolist() == [0, 1, 3]


def test_a_fingerprint_writes_its_numbers_and_frames_the_own_augmentations():
    rows = [
        {"augmentation": name, "group": group, "head": head, "fall_off": i + 10 * j, "readout": 0.5}
        for i, (name, group) in enumerate([("rotation", "rotation"), ("hue", "color"), ("saturation", "color")])
        for j, head in enumerate(HEADS)
    ]
    ax = plot_fingerprint(axes(), pd.DataFrame(rows))
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(i, j): f"{i + 10 * j:.2f}" for i in range(3) for j in range(3)}
    assert [patch.get_xy() for patch in ax.patches] == [(0.5, 1.5), (1.5, 1.5)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["rotation", "hue", "saturation"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["backbone", "head: all", "head: color"]
    assert "read out" in plot_fingerprint(axes(), pd.DataFrame(rows), "readout").get_title()


def test_factors_are_in_per_cent_with_their_chance():
    rows = [
        {"head": head, "factor": factor, "protocol": "knn", "accuracy": 0.1 * (i + 1), "chance": 0.25}
        for i, factor in enumerate(["label", "rotation"])
        for head in HEADS
    ]
    ax = plot_factor_readout(axes(), pd.DataFrame(rows))
    assert [text.get_text() for text in ax.texts] == ["10.0", "20.0"] * 3
    assert [label.get_text() for label in ax.get_xticklabels()] == ["class\n(chance 25)", "orientation\n(chance 25)"]
    assert "kNN" in ax.get_title()


def test_contributions_are_a_histogram_a_head_in_rows():
    values = torch.tensor([[1.0, -1.0], [3.0, 0.0], [2.0, -0.5]])
    found = HeadContribution(heads=("all", "color"), values=values, index=torch.arange(3), accuracy=0.75)
    ax = plot_contributions(axes(), found, bins=8)
    for patch, floor, column in zip(ax.patches, (1, 0), values.T, strict=True):
        heights, edges, baseline = patch.get_data()
        assert baseline == floor
        assert ((heights > floor).nonzero()[0]).tolist() == sorted(
            min(int((value + 1) / 0.5), 7) for value in column.tolist()
        )
        assert edges[[0, -1]].tolist() == [-1, 3]
    assert to_rgb(ax.patches[1].get_facecolor()) == pytest.approx(to_rgb(HEAD_COLOURS["color"]))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["head: all\n133 % of the decision", "head: color\n-33 % of the decision"]
    assert "75.0 %" in ax.get_title()


def test_neighbours_are_rows_of_images_after_the_query():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3) * 50
    neighbours = {"all": torch.tensor([2, 5]), "color": torch.tensor([0, 1])}
    ax = plot_neighbours_per_head(axes(), images, 3, neighbours)
    sheet = ax.images[0].get_array()
    shown = [[round(float(sheet[6 * row, 6 * place, 0]) * 255 / 50) for place in range(3)] for row in range(2)]
    assert shown == [[3, 2, 5], [3, 0, 1]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["query", "1", "2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["head: all", "head: color"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_draws_in_either_theme(theme):
    with style(theme):
        drawn = figure()
        ax = plot_invariance(drawn.add_subplot(), fall_off())
        assert len(png(drawn)) > 10_000
        assert to_rgb(ax.get_facecolor()) != to_rgb(ax.xaxis.label.get_color())


def test_heads_have_colours_of_their_own_and_unnamed_spaces_share_one():
    assert len(set(HEAD_COLOURS.values())) == len(HEAD_COLOURS)
    assert colour_of_head("space 1") == colour_of_head("space 2")
