"""The built-in glyphs: known factors, reproducible bytes, and a task that pixels alone do not solve."""

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mixviz.data.glyphs import (
    HUES,
    SHAPES,
    SIZE,
    TEXTURES,
    GlyphParameters,
    make_glyphs,
    oklch_to_srgb,
    render_glyphs,
    render_masks,
    sample_glyphs,
)
from mixviz.errors import UserError

LEVELS = {"shape": len(SHAPES), "hue": HUES, "texture": len(TEXTURES), "rotation": 4}


@pytest.fixture(scope="module")
def train():
    return make_glyphs("train", images=6000)


@pytest.fixture(scope="module")
def test():
    return make_glyphs("test")


def clean(**changes) -> GlyphParameters:
    """One upright glyph of each shape in the middle, without any nuisance; changes replace fields."""
    n = len(SHAPES)
    zeros, ones = np.zeros(n, np.float32), np.ones(n, np.float32)
    plain = GlyphParameters(
        shape=np.arange(n),
        hue=np.zeros(n, np.int64),
        texture=np.zeros(n, np.int64),
        rotation=np.zeros(n, np.int64),
        hue_offset=zeros,
        lightness=0.6 * ones,
        phase=np.zeros((n, 2), np.float32),
        tilt=zeros,
        size=np.full((n, 2), 10, np.float32),
        centre=np.full((n, 2), (SIZE - 1) / 2, np.float32),
        bend=np.zeros((n, 2, 3), np.float32),
        stroke=4 * ones,
        background=0.9 * ones,
        slope=np.zeros((n, 2), np.float32),
        noise_seed=0,
    )
    return replace(plain, **changes)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float(np.minimum(first, second).sum() / np.maximum(first, second).sum())


def linear_probe(train, test, target: str, count: int) -> float:
    """Test accuracy of logistic regression on ``count`` training images' standardised pixels."""

    def values(images):
        return images.labels if target == "shape" else images.factors[target]

    scaler = StandardScaler().fit(train.stored[:count].reshape(count, -1))
    probe = LogisticRegression(C=0.01, tol=1e-2, max_iter=200)
    probe.fit(scaler.transform(train.stored[:count].reshape(count, -1)), values(train)[:count])
    return probe.score(scaler.transform(test.stored.reshape(len(test.stored), -1)), values(test))


def test_default_sizes_types_and_time(capsys):
    start = time.process_time()
    sets = [make_glyphs("train"), make_glyphs("test")]
    seconds = time.process_time() - start
    with capsys.disabled():
        print(f" [12,000 glyphs in {seconds:.1f} s of CPU time]", end="")
    assert seconds < 30
    for images, count, split in zip(sets, (10_000, 2_000), ("train", "test"), strict=True):
        assert (images.name, images.split, images.skipped) == ("glyphs", split, 0)
        assert images.stored.shape == (count, SIZE, SIZE, 3)
        assert images.stored.dtype == np.uint8
        assert images.labels.shape == (count,)
        assert images.class_names == tuple(SHAPES)
        for values in (images.labels, *images.factors.values()):
            assert values.dtype == np.int64


def test_a_seed_gives_the_same_bytes():
    first, again = make_glyphs("train", seed=3, images=300), make_glyphs("train", seed=3, images=300)
    assert np.array_equal(first.stored, again.stored)
    assert np.array_equal(first.labels, again.labels)
    assert all(np.array_equal(first.factors[name], again.factors[name]) for name in first.factors)


def test_fewer_images_are_the_first_of_more():
    few, many = make_glyphs("train", images=70), make_glyphs("train", images=300)
    assert np.array_equal(few.stored, many.stored[:70])
    assert np.array_equal(few.labels, many.labels[:70])


def test_seeds_and_splits_share_no_image():
    sets = [make_glyphs("train", 0, 500), make_glyphs("test", 0, 500), make_glyphs("train", 1, 500)]
    assert len({image.tobytes() for images in sets for image in images.stored}) == 1500
    for first, second in combinations(sets, 2):
        assert not np.array_equal(first.labels, second.labels)


def test_every_level_of_every_factor_is_equally_frequent(train):
    for name, levels in LEVELS.items():
        counts = np.bincount(train.labels if name == "shape" else train.factors[name])
        assert len(counts) == levels
        assert chisquare(counts).pvalue > 1e-4, name


def test_factors_are_independent(train):
    values = {"shape": train.labels, **train.factors}
    for first, second in combinations(values, 2):
        table = np.zeros((LEVELS[first], LEVELS[second]), int)
        np.add.at(table, (values[first], values[second]), 1)
        assert chi2_contingency(table).pvalue > 1e-4, (first, second)


def test_no_shape_is_another_one_turned_or_mirrored():
    masks = render_masks(clean())
    poses = [(turns, flip) for flip in (False, True) for turns in range(4)]
    for i, j in combinations(range(len(masks)), 2):
        likest = max(
            overlap(masks[i], np.rot90(masks[j][:, ::-1] if flip else masks[j], turns)) for turns, flip in poses
        )
        assert likest < 0.75, (list(SHAPES)[i], list(SHAPES)[j])


def test_no_shape_is_symmetric_under_a_turn():
    for name, mask in zip(SHAPES, render_masks(clean()), strict=True):
        assert max(overlap(mask, np.rot90(mask, turns)) for turns in (1, 2, 3)) < 0.75, name


def test_rotation_turns_clockwise_by_quarters():
    upright = render_masks(clean())
    for turns in range(1, 4):
        turned = render_masks(clean(rotation=np.full(len(SHAPES), turns)))
        assert np.allclose(turned, np.rot90(upright, -turns, axes=(1, 2)), atol=1e-4)


def test_mask_of_a_straight_stroke_has_the_area_of_a_capsule():
    """The tick's two strokes: two capsules less what they share, which is less than one cap's square."""
    index = list(SHAPES).index("tick")
    parameters = clean()
    area = render_masks(parameters)[index].sum()
    corners = 10 * np.array(SHAPES["tick"][0])
    length = np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()
    capsule = 4 * length + np.pi * 2**2  # one path of width 4 with round ends
    assert capsule - 4 < area < capsule + 1


def test_glyph_stays_inside_the_image():
    """Ink covers more than five pixels of the border in less than a tenth of the images."""
    masks = render_masks(sample_glyphs(2000, 0))
    border = np.ones((SIZE, SIZE), bool)
    border[1:-1, 1:-1] = False
    assert (masks[:, border].sum(axis=1) > 5).mean() < 0.1


def test_colour_is_the_only_thing_that_hue_changes():
    first, second = (render_glyphs(clean(hue=np.full(len(SHAPES), hue))) for hue in (0, 4))
    changed = (first != second).any(axis=3)
    inside = render_masks(clean()) > 0
    assert not changed[~inside].any()
    assert changed[render_masks(clean()) == 1].mean() > 0.95


def test_textures_differ_inside_the_glyph_and_only_there():
    inside = render_masks(clean()) > 0
    images = [render_glyphs(clean(texture=np.full(len(SHAPES), t)), noise=0) for t in range(len(TEXTURES))]
    for first, second in combinations(images, 2):
        difference = np.abs(first.astype(int) - second).max(axis=3)
        assert not difference[~inside].any()
        assert (difference[inside] > 40).mean() > 0.1


def test_oklch_against_published_values():
    """sRGB's primary red and white in OKLCH, from the definition's own tables (CSS Color 4)."""
    red = oklch_to_srgb(np.array([0.62796]), 0.25768, np.deg2rad([29.234]))
    white = oklch_to_srgb(np.array([1.0]), 0.0, np.array([0.0]))
    assert np.allclose(red, [[1, 0, 0]], atol=0.02)
    assert np.allclose(white, 1, atol=1e-3)


def test_pixels_show_the_hue_but_not_the_shape(train, test):
    shape, hue = (linear_probe(train, test, target, 2000) for target in ("shape", "hue"))
    assert 1 / len(SHAPES) < shape < 0.45
    assert hue > 0.85


def test_bad_requests_name_the_cure():
    with pytest.raises(UserError, match="did you mean 'train'"):
        make_glyphs("trian")
    with pytest.raises(UserError, match="0 or more"):
        make_glyphs("test", seed=-1)
    with pytest.raises(UserError, match="at least 1"):
        make_glyphs("test", images=0)
