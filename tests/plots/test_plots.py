"""Pictures, by their artists: what is drawn, how it is labelled, and that nothing touches pyplot."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from mixviz.mixing import MIXINGS
from mixviz.plots.curves import MARKERS, plot_curves, plot_runs
from mixviz.plots.images import plot_sheet, png_sheet
from mixviz.plots.results import plot_accuracies
from mixviz.plots.style import COLOURS, INK, colour_of, figure, png, smaller, style


def axes():
    return figure().add_subplot()


def test_accuracies_are_bars_with_their_values_and_seeds():
    table = pd.DataFrame({"method": ["a", "a", "moco-v2 + mixco"], "accuracy": [0.4, 0.5, 0.7]})
    ax = plot_accuracies(axes(), table, "shape")
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([45, 70])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "moco-v2 + mixco"]
    assert [text.get_text() for text in ax.texts] == ["45.0", "70.0"]
    assert ax.lines[0].get_xdata().tolist() == pytest.approx([40, 50])
    assert to_rgb(ax.patches[1].get_facecolor()) == pytest.approx(to_rgb(COLOURS["mixco"]))
    assert "%" in ax.get_xlabel()
    assert "higher is better" in ax.get_xlabel()


def test_curves_are_lines_over_epochs_in_per_cent():
    log = pd.DataFrame({"epoch": [1, 2, 3], "knn_accuracy": [0.1, np.nan, 0.3], "loss": [3, 2, 1]})
    ax = plot_curves(axes(), {"moco-v2": log, "n-pair": log[["epoch", "loss"]]}, "knn_accuracy")
    assert len(ax.lines) == 1
    assert ax.lines[0].get_xdata().tolist() == [1, 3]
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([10, 30])
    assert len(plot_curves(axes(), {"a": log, "b": log}, "loss").lines) == 2


def test_runs_of_one_method_differ_in_their_marker_and_the_newest_is_thick():
    log = pd.DataFrame({"epoch": [1, 2], "loss": [3.0, 2.0], "knn_accuracy": [np.nan, 0.25]})
    logs = {"moco-v2": log, "moco-v2 #2": log, "byol": log[["epoch"]], "moco-v2 + mixco (lr 0.1)": log}
    ax = plot_runs(axes(), logs, "loss")
    assert [line.get_label() for line in ax.lines] == ["moco-v2", "moco-v2 #2", "moco-v2 + mixco (lr 0.1)"]
    assert [line.get_marker() for line in ax.lines] == [MARKERS[0], MARKERS[1], MARKERS[3]]
    assert [line.get_color() for line in ax.lines] == [COLOURS["plain"], COLOURS["plain"], COLOURS["mixco"]]
    assert ax.lines[-1].get_linewidth() > ax.lines[0].get_linewidth()
    assert ax.get_xlabel() == "epoch"
    assert ax.get_title() == "loss, nats"
    (dot,) = plot_runs(axes(), {"moco-v2": log}, "knn_accuracy").lines
    assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == ([2], [25.0])


def test_a_sheet_shows_every_image_in_its_place():
    rows = [np.full((3, 8, 8, 3), value, np.uint8) for value in (0, 255)]
    ax = plot_sheet(axes(), rows, ["dark", "light"], gap=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (18, 28, 4)
    assert sheet[0, 0].tolist() == [0, 0, 0, 1]
    assert sheet[10, 20].tolist() == [1, 1, 1, 1]
    assert sheet[8, 0, 3] == 0
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dark", "light"]
    floats = plot_sheet(axes(), [np.full((1, 4, 4, 3), 0.5)]).images[0].get_array()
    assert floats[0, 0].tolist() == [0.5, 0.5, 0.5, 1]


def test_every_mixing_has_a_colour_of_its_own():
    colours = [colour_of(f"moco-v2 + {name}") for name in MIXINGS] + [
        colour_of("moco-v2"),
        colour_of("a + mixco + mochi"),
    ]
    assert len(set(colours)) == len(MIXINGS) + 2
    assert colour_of("n-pair + looc (turned)") == colour_of("moco-v2 + looc")


def luminance(colour):
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


@pytest.mark.parametrize("theme", INK)
def test_text_and_colours_stand_out_on_the_paper(theme):
    ink, paper, _ = INK[theme]

    def contrast(colour):
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    assert contrast(ink) > 7
    assert all(contrast(colour) > 1.6 for colour in COLOURS.values())


def test_png_has_the_theme_and_pyplot_is_not_touched():
    with style("dark"):
        drawn = figure(2, 1)
        drawn.add_subplot()
        content = png(drawn)
    assert content.startswith(b"\x89PNG")
    code = "import sys, mixviz.plots.style, mixviz.plots.curves, mixviz.plots.results, mixviz.plots.images;"
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_images_are_sent_as_one_sheet_without_gaps():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(png_sheet(images, columns=3, side=4))))
    assert sheet.shape == (8, 12, 3)
    for i, image in enumerate(images):
        top, left = i // 3 * 4, i % 3 * 4
        assert (sheet[top : top + 4, left : left + 4] == image).all()
    assert Image.open(io.BytesIO(png_sheet(images, columns=5, side=8))).size == (40, 8)


def test_a_smaller_png_shows_hardly_another_picture():
    drawn = figure()
    drawn.add_subplot().imshow(np.random.default_rng(0).random((20, 20, 3)))
    before = png(drawn)
    after = smaller(before)
    assert len(after) < len(before) / 2
    shown = [np.asarray(Image.open(io.BytesIO(one)).convert("RGB"), dtype=float) for one in (before, after)]
    assert np.abs(shown[0] - shown[1]).mean() < 5
