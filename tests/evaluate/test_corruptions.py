"""Corruptions: equal bytes for equal arguments in any batch, statistics as stated, and each severity stronger."""

import io
from typing import get_args

import numpy as np
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image
from scipy import ndimage, stats
from torchvision.transforms.v2 import functional as transforms

from mixviz.data.glyphs import make_glyphs
from mixviz.errors import UserError
from mixviz.evaluate.corruptions import CHUNK, SEVERITIES, Corruption, corrupt, draws, elastic_transform, soft_disk
from mixviz.evaluate.weather import plasma

GLYPHS = make_glyphs("test", images=120).stored
GREY = np.full((40, 32, 32, 3), 128, np.uint8)
WIDE = np.random.default_rng(0).integers(0, 256, (3, 20, 28, 3)).astype(np.uint8)


def test_names_are_those_of_the_table():
    assert get_args(Corruption) == tuple(SEVERITIES)


def random_images(n=4, size=32, seed=0):
    """Smooth colour images that use all levels."""
    noise = np.random.default_rng(seed).standard_normal((n, size, size, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2, 0), mode="wrap")
    return (255 * stats.norm.cdf(smooth / smooth.std())).astype(np.uint8)


@pytest.mark.parametrize("kind", SEVERITIES)
def test_bytes_do_not_depend_on_the_batch(kind):
    together = corrupt(GLYPHS, kind, 4, seed=3)
    for rows in ([7], [7, 3], list(range(60, 7, -1))):
        np.testing.assert_array_equal(corrupt(GLYPHS[rows], kind, 4, seed=3), together[rows])
    assert together.shape == GLYPHS.shape
    assert together.dtype == np.uint8


def test_chunks_make_no_difference(monkeypatch):
    whole = corrupt(GLYPHS, "zoom_blur", 2)
    monkeypatch.setattr("mixviz.evaluate.corruptions.CHUNK", 7)
    np.testing.assert_array_equal(corrupt(GLYPHS, "zoom_blur", 2), whole)
    assert len(GLYPHS) < CHUNK


@pytest.mark.parametrize(
    "kind",
    ["gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog", "elastic_transform", "speckle_noise",
     "glass_blur", "snow", "synthetic_frost", "spatter"],
)  # fmt: skip
def test_what_is_drawn_depends_on_seed_and_image(kind):
    images = random_images()
    assert (corrupt(images, kind, 3, seed=0) != corrupt(images, kind, 3, seed=1)).any()
    np.testing.assert_array_equal(corrupt(images, kind, 3, seed=1), corrupt(images, kind, 3, seed=1))
    (first,), (second,) = draws(images[:1], kind, 0), draws(images[1:2], kind, 0)
    assert first.random() != second.random()


@pytest.mark.parametrize("kind", SEVERITIES)
def test_the_input_stays_and_other_sizes_work(kind):
    before = WIDE.copy()
    for severity in (1, 5):
        assert corrupt(WIDE, kind, severity).shape == WIDE.shape
    np.testing.assert_array_equal(WIDE, before)
    assert corrupt(WIDE[:0], kind, 1).shape == (0, 20, 28, 3)


def test_gaussian_noise_has_the_stated_deviation():
    noise = (corrupt(GREY + np.arange(40, dtype=np.uint8)[:, None, None, None], "gaussian_noise", 3) / 255.0).std()
    assert noise == pytest.approx(np.hypot(0.08, np.arange(40).std() / 255), rel=0.01)


def test_shot_noise_is_poisson():
    """Mean and variance of counts at grey 100 with 50 photons; a grey of 0 stays."""
    images = np.concatenate([np.full((32, 32, 32, 3), 100, np.uint8), np.zeros((1, 32, 32, 3), np.uint8)])
    images[:32, 0, 0, 0] = np.arange(32)  # so that no two images are alike
    values = corrupt(images, "shot_noise", 5)[:, 1:] / 255.0
    assert values[:32].mean() == pytest.approx(100 / 255, rel=0.01)
    assert values[:32].var() == pytest.approx(100 / 255 / 50, rel=0.03)
    assert not values[32].any()


def test_impulse_noise_is_salt_and_pepper():
    images = GREY + np.arange(40, dtype=np.uint8)[:, None, None, None]
    changed = corrupt(images, "impulse_noise", 5)
    assert np.mean(changed == 0) == pytest.approx(0.035, abs=0.003)
    assert np.mean(changed == 255) == pytest.approx(0.035, abs=0.003)
    assert (changed[(changed != 0) & (changed != 255)] == images[(changed != 0) & (changed != 255)]).all()


def test_defocus_is_a_convolution_with_a_disk():
    images = random_images()
    kernel = soft_disk(1.5, 0.1)
    np.testing.assert_allclose(kernel[1:4, 1:4], 1 / 9, atol=1e-6)  # a disk of 1.5 pixels is a square of nine
    expected = ndimage.convolve(images / 255.0, kernel[None, :, :, None], mode="mirror")
    np.testing.assert_allclose(corrupt(images, "defocus_blur", 5), 255 * expected, atol=0.51)


def test_motion_blur_follows_its_path():
    """A point becomes a line of falling weights to the left of it, within 45 degrees, and its light is kept."""
    point = np.zeros((1, 32, 32, 3), np.uint8)
    point[0, 16, 16] = 255
    blurred = corrupt(point, "motion_blur", 5)[0, :, :, 0]
    down, right = np.nonzero(blurred)
    assert blurred.sum() == pytest.approx(255, abs=len(down) / 2)
    assert right.max() == 16
    assert right.min() < 13
    assert (np.abs(down - 16) <= 16 - right + 1e-9).all()
    order = np.argsort(-right)
    assert (np.diff(blurred[down, right][order].astype(int)) <= 0).all()


def test_zoom_blur_keeps_the_middle_and_smears_the_rim():
    """A ring at radius r becomes the mean of rings at r times each zoom: the mean radius grows by the mean zoom."""
    axis = np.arange(32) - 15.5
    radius = np.hypot(axis, axis[:, None])
    images = np.repeat((255 * np.exp(-0.5 * (radius - 9) ** 2))[None, :, :, None], 3, axis=3).astype(np.uint8)

    def mean_radius(image):
        """Of a ring that is spread by zooming: light grows with the radius, which is divided out."""
        weights = image[:, :, 0] / np.maximum(radius, 1)
        return (weights * radius).sum() / weights.sum()

    zooms = np.append(np.arange(1, 1.255, 0.01), 1)
    grown = mean_radius(corrupt(images, "zoom_blur", 5)[0]) / mean_radius(images[0])
    assert grown == pytest.approx((zooms**2).mean() / zooms.mean(), rel=0.01)


def test_fog_brightens_dark_images_up_to_their_own_maximum():
    images = random_images() // 2
    foggy = corrupt(images, "fog", 5)
    assert (foggy.max(axis=(1, 2, 3)) <= images.max(axis=(1, 2, 3))).all()
    clouds = plasma(draws(random_images(30), "fog", 0), 32, 3.0)
    np.testing.assert_allclose(clouds.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(clouds.max(axis=(1, 2)), 1)


def test_clouds_are_rougher_where_detail_decays_slower():
    smooth, rough = (plasma(draws(random_images(30), "fog", 0), 32, decay) for decay in (3.0, 1.75))
    steps = [np.abs(np.diff(clouds, axis=1)).mean() for clouds in (smooth, rough)]
    assert steps[1] > 1.5 * steps[0]
    seam = np.abs(smooth[:, 0] - smooth[:, -1]).mean()  # on a torus the seam is a step as any other
    assert seam == pytest.approx(steps[0], rel=0.5)


def test_brightness_is_hsv_value():
    images = random_images()
    changed = corrupt(images, "brightness", 4)
    before, after = (np.array(Image.fromarray(part[0]).convert("HSV")).astype(int) for part in (images, changed))
    np.testing.assert_allclose(after[..., 2], np.minimum(before[..., 2] + 51, 255), atol=1)
    coloured = (before[..., 1] > 40) & (before[..., 2] > 40)
    assert np.abs(after[..., 1] - before[..., 1])[coloured].max() <= 4
    black = np.zeros((1, 32, 32, 3), np.uint8)
    assert (corrupt(black, "brightness", 4) == 51).all()


def test_contrast_draws_each_channel_to_its_mean():
    images = random_images()
    mean = images.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(corrupt(images, "contrast", 5), mean + 0.15 * (images - mean), atol=0.51)


def test_elastic_samples_as_torchvision_does():
    """No affine part: against torchvision's elastic with the same displacements, away from its other edges."""
    images = random_images(1)
    height, deviation, smoothness = 32, 0.6, 1.0
    (draw,) = draws(images, "elastic_transform", 0)
    draw.uniform(0, 0, (3, 2))
    noise = draw.uniform(-1, 1, (2, height, height))
    wave = ndimage.gaussian_filter(noise, (0, smoothness, smoothness), mode="reflect", truncate=3)
    wave *= deviation / wave.std()
    displacement = torch.from_numpy(wave * 2 / height).permute(1, 2, 0)[None].float()
    image = torch.from_numpy(images[0]).permute(2, 0, 1)
    expected = transforms.elastic(image, displacement).permute(1, 2, 0).numpy().astype(int)
    found = elastic_transform(images, (0, deviation, smoothness), draws(images, "elastic_transform", 0))[0]
    inside = slice(4, -4)
    difference = np.abs(found.astype(int) - expected)[inside, inside]
    assert difference.mean() < 1.5  # the displacement's deviation is that of its distribution, not of this draw
    assert np.abs(images[0].astype(int) - expected)[inside, inside].mean() > 4 * difference.mean()


def test_elastic_displaces_by_the_stated_deviation():
    """A ramp shows its displacement; three random points move the middle too."""
    ramp = np.repeat(np.repeat(np.arange(4, 228, 7, dtype=np.uint8)[None, None, :, None], 32, axis=1), 3, axis=3)
    ramps = np.repeat(ramp, 60, axis=0) + np.arange(60, dtype=np.uint8)[:, None, None, None] // 3
    inside = slice(6, -6)

    def moved(parameters):
        changed = elastic_transform(ramps, parameters, draws(ramps + np.arange(3, dtype=np.uint8), "elastic", 0))
        return ((changed.astype(float) - ramps) / 7)[:, inside, inside]

    assert moved((0, 0.6, 1.0)).std() == pytest.approx(0.6, rel=0.05)
    assert np.abs(moved((0, 0, 1.0))).max() == 0
    middle = moved((1.8, 0, 1.0))[:, 9:11, 9:11].mean(axis=(1, 2))
    assert middle[::3].std() == pytest.approx(1.8 / np.sqrt(3) / np.sqrt(2), rel=0.4)  # mean of two of the points


def test_pixelate_makes_blocks():
    images = random_images(size=40)
    changed = corrupt(images, "pixelate", 4)  # 40 pixels of 30: each third pixel is repeated
    assert len(np.unique(changed[0, :, 0, 0])) <= 30
    repeated = (np.diff(changed[0].astype(int), axis=0) == 0).all(axis=(1, 2)).sum()
    assert repeated == 10


def test_jpeg_is_that_of_the_quality():
    """Its tables are those of the quality, and the image is that of a second way to write it."""
    image = random_images(1)
    buffer = io.BytesIO()
    coloured = Image.fromarray(image[0])
    coloured.save(buffer, "JPEG", quality=40, subsampling="4:2:0", optimize=True)
    expected = np.asarray(Image.open(buffer))
    np.testing.assert_array_equal(corrupt(image, "jpeg_compression", 5)[0], expected)
    assert (corrupt(image, "jpeg_compression", 4)[0] != expected).any()


def test_speckle_noise_is_in_proportion_to_the_value():
    images = np.concatenate([np.full((32, 32, 32, 3), 100, np.uint8), np.zeros((1, 32, 32, 3), np.uint8)])
    images[:32, 0, 0, 0] = np.arange(32)  # so that no two images are alike
    values = corrupt(images, "speckle_noise", 5)[:, 1:] / 255.0
    assert values[:32].std() == pytest.approx(0.2 * 100 / 255, rel=0.02)
    assert not values[32].any()


def test_gaussian_blur_is_torchvisions():
    images = random_images()
    expected = transforms.gaussian_blur(torch.from_numpy(images).permute(0, 3, 1, 2).double(), 9, 1.0)
    found = torch.from_numpy(corrupt(images, "gaussian_blur", 5)).permute(0, 3, 1, 2)
    torch.testing.assert_close(found.double()[..., 5:-5, 5:-5], expected[..., 5:-5, 5:-5], atol=0.6, rtol=0)


@pytest.mark.parametrize("severity", [3, 5])
def test_glass_blur_by_a_loop_over_pixels(severity):
    images = random_images(2)
    deviation, _, rounds = SEVERITIES["glass_blur"][severity - 1]
    found = corrupt(images, "glass_blur", severity)
    for image, (draw,), one in zip(
        images, [draws(images[i : i + 1], "glass_blur", 0) for i in (0, 1)], found, strict=True
    ):
        blurred = ndimage.gaussian_filter(image / 255.0, (deviation, deviation, 0), mode="nearest")
        pixels = np.floor(255 * blurred + 0.501).astype(np.uint8)
        offsets = draw.integers(-1, 1, (rounds, 30, 30, 2))
        for turn in range(rounds):
            for row in range(31, 1, -1):
                for column in range(31, 1, -1):
                    down, right = offsets[turn, 31 - row, 31 - column]
                    here = pixels[row, column].copy()
                    pixels[row, column] = pixels[row + down, column + right]
                    pixels[row + down, column + right] = here
        expected = ndimage.gaussian_filter(pixels / 255.0, (deviation, deviation, 0), mode="nearest")
        np.testing.assert_allclose(one, 255 * expected, atol=0.52)


def test_glass_blur_without_a_blur_only_moves_pixels():
    images = random_images(3)
    found = corrupt(images, "glass_blur", 1)  # a blur of 0.05 pixels is none
    for before, after in zip(images, found, strict=True):
        assert sorted(map(tuple, before.reshape(-1, 3))) == sorted(map(tuple, after.reshape(-1, 3)))
    assert (found != images).mean() > 0.5


@pytest.mark.parametrize("severity", [1, 4])
def test_snow_by_a_loop_over_flakes(severity):
    """Each flake is smeared to one side of it, and lies there a second time, turned by 180 degrees."""
    images = random_images(1)
    mean, deviation, zoom, least, radius, spread, kept = SEVERITIES["snow"][severity - 1]
    (draw,) = draws(images, "snow", 0)
    noise = draw.normal(mean, deviation, (32, 32))
    middle = (np.arange(32) - 15.5) / zoom + 15.5
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"))
    flakes = ndimage.map_coordinates(noise, grid, order=1)
    angle = np.deg2rad(draw.uniform(-135, -45))
    weights = np.exp(-0.5 * (np.arange(min(3 * spread, 2 * radius) + 1) / spread) ** 2)
    layer = np.zeros((32, 32))
    for row in range(32):
        for column in range(32):
            for step, weight in enumerate(weights / weights.sum()):
                down = np.clip(row + round(step * np.sin(angle)), 0, 31)
                right = np.clip(column + round(step * np.cos(angle)), 0, 31)
                layer[row, column] += weight * (min(flakes[down, right], 1) if flakes[down, right] >= least else 0)
    x = images[0] / 255.0
    grey = x @ [0.299, 0.587, 0.114]
    expected = kept * x + (1 - kept) * np.maximum(x, 1.5 * grey[..., None] + 0.5)
    expected = np.clip(expected + layer[..., None] + layer[::-1, ::-1, None], 0, 1)
    np.testing.assert_allclose(corrupt(images, "snow", severity)[0], 255 * expected, atol=0.6)


def test_synthetic_frost_lies_in_veins_that_are_bluish():
    black = np.zeros((1, 64, 64, 3), np.uint8)
    ice = corrupt(black, "synthetic_frost", 5)[0] / 255.0
    np.testing.assert_allclose(ice[..., 0], 0.85 * ice[..., 2], atol=0.004)
    assert ice.max() == pytest.approx(0.65, abs=0.02)  # the share of the ice, on a ridge
    assert ice.min() < 0.01
    assert corrupt(black + np.uint8(100), "synthetic_frost", 1)[0].min() == 100


def test_mud_covers_and_water_brightens():
    images = random_images(2)
    muddy = corrupt(images, "spatter", 5)
    for image, after, one in zip(images, muddy, range(2), strict=True):
        (draw,) = draws(images[one : one + 1], "spatter", 0)
        liquid = ndimage.gaussian_filter(draw.normal(0.65, 0.1, (32, 32)), 0.5, mode="nearest")
        cover = ndimage.gaussian_filter((liquid >= 0.68).astype(float), 0.6, mode="nearest")[..., None]
        cover[cover < 0.8] = 0
        np.testing.assert_allclose(after, image * (1 - cover) + cover * [63, 42, 20], atol=0.6)
    wet = corrupt(images, "spatter", 2)
    assert (wet >= images).all()
    shares = (wet > images).any(axis=3).mean(axis=(1, 2))
    assert ((shares > 0.05) & (shares < 0.95)).all()


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_saturation_is_that_of_hsv(severity):
    images = random_images()
    images[0, 0, :16] = np.arange(16)[:, None]  # greys, and black
    hsv = rgb_to_hsv(images / 255.0)
    factor, added = SEVERITIES["saturate"][severity - 1]
    hsv[..., 1] = np.clip(factor * hsv[..., 1] + added, 0, 1)
    np.testing.assert_allclose(corrupt(images, "saturate", severity), 255 * hsv_to_rgb(hsv), atol=0.6)


@pytest.mark.parametrize(
    ("images", "kind", "severity", "message"),
    [
        (GREY, "gausian_noise", 1, "gaussian_noise"),
        (GREY, "fog", 6, "1, 2, 3, 4 or 5"),
        (GREY, "fog", 0, "1, 2, 3, 4 or 5"),
        (GREY / 255, "fog", 1, "uint8"),
        (GREY[..., :1], "fog", 1, "uint8"),
    ],
)
def test_what_a_person_may_get_wrong(images, kind, severity, message):
    with pytest.raises(UserError, match=message) as caught:
        corrupt(images, kind, severity)
    assert "\n" not in str(caught.value)
