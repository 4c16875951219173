"""Crop, flip and rotation against torchvision, image by image, and their draws against torchvision's."""

import math

import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from mixviz.augment import HorizontalFlip, RandomResizedCrop, RandomRotation90
from mixviz.augment.geometry import CropParameters, RotationParameters
from mixviz.errors import UserError

SIGNIFICANCE = 1e-3  # of every test of a distribution; seeds are fixed, so each is passed or failed for good


def images(n: int, height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, 32), (28, 28, 28), (64, 64, 32), (64, 64, 28), (28, 28, 64), (40, 25, 32), (33, 71, 17), (5, 3, 8)],
)
def test_crop_equals_torchvision(height, width, size, generator):
    crop = RandomResizedCrop(size, scale=(0.05, 1.0))
    pictures = images(24, height, width)
    box = crop.sample(24, (3, height, width), generator)
    expected = [
        reference.resized_crop(picture, *place, size=[size, size], antialias=True)
        for picture, *place in zip(
            pictures, *(x.tolist() for x in (box.top, box.left, box.height, box.width)), strict=True
        )
    ]
    torch.testing.assert_close(crop.apply(pictures, box), torch.stack(expected), atol=5e-6, rtol=0)


def test_crop_of_one_channel_and_double_precision(generator):
    crop, pictures = RandomResizedCrop(16), images(4, 20, 20, channels=1)
    box = crop.sample(4, (3, 20, 20), generator)
    torch.testing.assert_close(crop.apply(pictures.double(), box).float(), crop.apply(pictures, box), atol=2e-6, rtol=0)


def test_crop_of_everything_is_the_identity():
    zero, size = torch.zeros(3, dtype=torch.long), torch.full((3,), 32)
    pictures = images(3, 32, 32)
    box = CropParameters(applied=torch.ones(3, dtype=torch.bool), top=zero, left=zero, height=size, width=size)
    assert torch.equal(RandomResizedCrop(32).apply(pictures, box), pictures)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 25)])
def test_boxes_are_drawn_as_torchvision_draws_them(height, width, generator):
    n = 4000
    box = RandomResizedCrop(32, (0.2, 1.0), (3 / 4, 4 / 3)).sample(n, (3, height, width), generator)
    random_crop = v2.RandomResizedCrop(32, (0.2, 1.0), (3 / 4, 4 / 3), antialias=True)
    picture = images(1, height, width)[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        drawn = [random_crop.make_params([picture]) for _ in range(n)]
    theirs = {name: torch.tensor([float(draw[name]) for draw in drawn]) for name in drawn[0]}
    ours = {name: getattr(box, name).float() for name in theirs}
    for draws in (ours, theirs):
        draws["area"] = draws["height"] * draws["width"]
        draws["aspect"] = draws["width"] / draws["height"]
    for name in ours:
        assert ks_2samp(ours[name], theirs[name]).pvalue > SIGNIFICANCE, name


def test_boxes_lie_inside_and_start_anywhere(generator):
    box = RandomResizedCrop(8, scale=(0.01, 0.02), ratio=(1.0, 1.0)).sample(3000, (3, 32, 32), generator)
    assert (box.top >= 0).all()
    assert (box.top + box.height <= 32).all()
    assert (box.left + box.width <= 32).all()
    assert box.top.min() == 0
    assert (box.top + box.height).max() == 32


@pytest.mark.parametrize(("height", "width"), [(10, 60), (60, 10), (30, 31)])
def test_box_that_never_fits_is_the_largest_central_one(height, width, generator):
    scale = (1.5, 1.6)  # more than there is, so that no attempt fits
    box = RandomResizedCrop(8, scale).sample(5, (3, height, width), generator)
    expected = v2.RandomResizedCrop(8, scale, antialias=True).make_params([images(1, height, width)[0]])
    for name, value in expected.items():
        assert getattr(box, name).tolist() == [value] * 5, name


def test_flip_mirrors_the_marked_images_only(generator):
    flip, pictures = HorizontalFlip(0.5), images(64, 9, 12)
    parameters = flip.sample(64, (3, 9, 12), generator)
    flipped = flip.apply(pictures, parameters)
    for picture, result, applied in zip(pictures, flipped, parameters.applied, strict=True):
        assert torch.equal(result, reference.horizontal_flip(picture) if applied else picture)
    assert 0 < parameters.applied.sum() < 64


def test_rotation_equals_torchvision(generator):
    rotation, pictures = RandomRotation90(0.7), images(64, 11, 11)
    parameters = rotation.sample(64, (3, 11, 11), generator)
    expected = [reference.rotate(x, 90.0 * turns) for x, turns in zip(pictures, parameters.turns.tolist(), strict=True)]
    assert torch.equal(rotation.apply(pictures, parameters), torch.stack(expected))
    assert set(parameters.turns.tolist()) == {0, 1, 2, 3}


def test_rotation_draws_each_angle_equally_often(generator):
    parameters = RandomRotation90(0.6).sample(6000, (3, 8, 8), generator)
    counts = parameters.turns.bincount(minlength=4).numpy()
    assert chisquare(counts, [2400, 1200, 1200, 1200]).pvalue > SIGNIFICANCE
    assert torch.equal(parameters.applied, parameters.turns > 0)


@pytest.mark.parametrize("p", [0.6, 1.0, 0.01])
def test_rotation_drawn_again_differs_and_keeps_the_chances_of_what_is_left(p, generator):
    rotation = RandomRotation90(p)
    query = rotation.sample(8000, (3, 8, 8), generator)
    key = rotation.sample(8000, (3, 8, 8), generator)
    again = rotation.redraw_unlike(key, query, generator)
    assert (again.turns != query.turns).all()
    assert torch.equal(again.applied, again.turns > 0)
    differed = key.turns != query.turns
    assert torch.equal(again.turns[differed], key.turns[differed])
    chances = torch.tensor([1 - p, p / 3, p / 3, p / 3], dtype=torch.float64)
    for turns in query.turns.unique().tolist():
        left = [other for other in range(4) if other != turns and chances[other] > 0]
        counts = again.turns[query.turns == turns].bincount(minlength=4)[left]
        expected = chances[left] / chances[left].sum() * counts.sum()
        assert chisquare(counts.numpy(), expected.numpy()).pvalue > SIGNIFICANCE


def test_flip_drawn_again_is_the_opposite(generator):
    flip = HorizontalFlip(0.5)
    query, key = flip.sample(100, (3, 8, 8), generator), flip.sample(100, (3, 8, 8), generator)
    assert torch.equal(flip.redraw_unlike(key, query, generator).applied, ~query.applied)


def test_rotation_of_images_that_are_not_square_is_refused():
    parameters = RotationParameters(torch.tensor([True]), torch.tensor([1]))
    with pytest.raises(UserError, match="square images, not 8 x 9"):
        RandomRotation90().apply(images(1, 8, 9), parameters)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 8, "scale": (0.5, 0.2)}, {"size": 8, "ratio": (0.0, 1.0)}])
def test_crop_refuses_what_is_out_of_range(options):
    with pytest.raises(UserError, match="crop"):
        RandomResizedCrop(**options)


def test_aspect_is_uniform_in_its_logarithm(generator):
    """Large images, where rounding to pixels does not matter, and areas that always fit."""
    box = RandomResizedCrop(8, (0.1, 0.3), (0.5, 2.0)).sample(4000, (3, 4000, 4000), generator)
    log_aspect = (box.width / box.height).log()
    uniform = torch.linspace(-math.log(2), math.log(2), 4000)
    assert ks_2samp(log_aspect, uniform).pvalue > SIGNIFICANCE
