"""Colours that stand for different things stay apart for those who see fewer colours."""

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import pytest

from mixviz.plots.hardness import KINDS
from mixviz.plots.invariance import HEAD_COLOURS
from mixviz.plots.projection import CLASS_COLOURS
from mixviz.plots.style import COLOURS
from mixviz.plots.targets import KIND_COLOURS

PALETTES: Mapping[str, Iterable[str]] = {
    "methods": COLOURS.values(),
    "candidates": KIND_COLOURS.values(),
    "synthetic negatives": [colour for colour, _ in KINDS.values()],
    "heads": HEAD_COLOURS.values(),
    "classes": CLASS_COLOURS,
}
# Machado, Oliveira & Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), of
# full severity: linear RGB as it is -> as it is seen.
SIGHT = {
    "all colours": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
LEAST = 16.0  # as far apart as the two closest of Okabe & Ito's colours, 16.1 (of Tol's bright ones, 13.1)


def linear(colour: str) -> np.ndarray:
    """An sRGB colour such as #e69f00 as linear RGB, (3,), in [0, 1]."""
    encoded = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB as CIELAB under D65, (3,)."""
    ratios = TO_XYZ @ rgb / (TO_XYZ @ np.ones(3))
    x, y, z = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), ratios / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, sight: str) -> float:
    """Distance in CIELAB (CIE 1976) of two colours as they are seen; 2.3 can just be noticed side by side."""
    seen = [lab(np.clip(SIGHT[sight] @ linear(colour), 0, 1)) for colour in (first, second)]
    return float(np.linalg.norm(seen[0] - seen[1]))


def closest(colours: Iterable[str]) -> tuple[float, str, str, str]:
    """The two of them that are seen closest: their distance, both, and by whom."""
    pairs = combinations(colours, 2)
    return min((distance(*pair, sight), *pair, sight) for pair in pairs for sight in SIGHT)


@pytest.mark.parametrize("name", PALETTES)
def test_colours_stay_apart(name):
    apart, first, second, sight = closest(PALETTES[name])
    assert apart >= LEAST, f"{first} and {second} are {apart:.1f} apart with {sight}"


def test_the_measure_is_cielab():
    np.testing.assert_allclose(lab(linear("#ff0000")), [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose(lab(linear("#ffffff")), [100, 0, 0], atol=0.01)


def test_greys_look_the_same_to_all_and_red_and_green_do_not():
    for sight in SIGHT.values():
        np.testing.assert_allclose(sight.sum(axis=1), 1, atol=1e-5)
    assert distance("#b04000", "#5a7000", "all colours") > 60
    assert distance("#b04000", "#5a7000", "deuteranopia") < 20


def test_okabe_and_ito_set_the_bar():
    assert closest(OKABE_ITO)[0] == pytest.approx(16.1, abs=0.05)
