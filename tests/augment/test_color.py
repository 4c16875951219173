"""Jitter and greyscale against torchvision, image by image, and their draws against torchvision's."""

from itertools import permutations

import pytest
import torch
from scipy.stats import chisquare, ks_2samp
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from mixviz.augment import ColorJitter, RandomGrayscale
from mixviz.augment.color import JitterParameters, shift_hue
from mixviz.augment.operation import Parameters
from mixviz.errors import UserError

SIGNIFICANCE = 1e-3  # of every test of a distribution; seeds are fixed, so each is passed or failed for good
ADJUST = (reference.adjust_brightness, reference.adjust_contrast, reference.adjust_saturation, reference.adjust_hue)


def images(n: int, height: int = 16, width: int = 16, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(7))


def torchvision_jitter(picture: torch.Tensor, parameters: JitterParameters, i: int) -> torch.Tensor:
    values = [parameters.brightness, parameters.contrast, parameters.saturation, parameters.hue]
    for adjustment in parameters.order[i].tolist():
        picture = ADJUST[adjustment](picture, values[adjustment][i].item())
    return picture


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=lambda order: "".join(map(str, order)))
def test_jitter_equals_torchvision_in_every_order(order, generator):
    """Hues of almost grey pixels are divisions by almost 0, but count for as little: the error stays below 1e-5."""
    n = 6
    strong = ColorJitter(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.5, p=1.0).sample(n, (3, 16, 12), generator)
    parameters = JitterParameters(
        applied=strong.applied,
        brightness=strong.brightness,
        contrast=strong.contrast,
        saturation=strong.saturation,
        hue=strong.hue,
        order=torch.tensor([order] * n),
    )
    pictures = images(n, 16, 12)
    expected = [torchvision_jitter(picture, parameters, i) for i, picture in enumerate(pictures)]
    torch.testing.assert_close(ColorJitter().apply(pictures, parameters), torch.stack(expected), atol=1e-5, rtol=0)


def test_jitter_changes_the_marked_images_only_and_each_by_its_own_order(generator):
    jitter, pictures = ColorJitter(p=0.7), images(96)
    parameters = jitter.sample(96, (3, 16, 16), generator)
    result = jitter.apply(pictures, parameters)
    for i, picture in enumerate(pictures):
        expected = torchvision_jitter(picture, parameters, i) if parameters.applied[i] else picture
        torch.testing.assert_close(result[i], expected, atol=1e-5, rtol=0)
    assert 0 < parameters.applied.sum() < 96
    assert len(parameters.order.unique(dim=0)) > 15


@pytest.mark.parametrize("shift", [-0.5, -0.21, 0.0, 1 / 6, 0.1, 1 / 3, 0.5])
def test_hue_of_pixels_with_equal_channels(shift):
    """Every triple of the values 0, 1/2 and 1: greys, ties of two channels, pure colours."""
    values = torch.tensor([0.0, 0.5, 1.0])
    pixels = torch.cartesian_prod(values, values, values).T.reshape(1, 3, 27, 1)
    expected = reference.adjust_hue(pixels, shift)
    shift_hue(pixels, torch.tensor([shift]))
    torch.testing.assert_close(pixels, expected, atol=2e-6, rtol=0)


def test_hue_by_a_third_of_a_turn_moves_the_channels_on():
    pictures = images(2)
    turned = pictures.clone()
    shift_hue(turned, torch.tensor([1 / 3, 1 / 3]))
    torch.testing.assert_close(turned, pictures.roll(1, dims=1))


def test_factors_are_drawn_as_torchvision_draws_them(generator):
    n = 3000
    strengths = {"brightness": 0.4, "contrast": 1.5, "saturation": 0.2, "hue": 0.1}  # 1 - 1.5 is cut off at 0
    ours = ColorJitter(**strengths, p=1.0).sample(n, (3, 8, 8), generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        drawn = [v2.ColorJitter(**strengths).make_params([]) for _ in range(n)]
    for name in strengths:
        theirs = torch.tensor([draw[f"{name}_factor"] for draw in drawn])
        assert ks_2samp(getattr(ours, name), theirs).pvalue > SIGNIFICANCE, name
    assert ours.contrast.min() >= 0


def test_all_orders_are_equally_frequent_and_independent_of_the_factors(generator):
    draws = ColorJitter(p=1.0).sample(4800, (3, 8, 8), generator)
    code = (draws.order * torch.tensor([64, 16, 4, 1])).sum(dim=1)
    counts = code.unique(return_counts=True)[1]
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > SIGNIFICANCE
    hue_first = draws.order[:, 0] == 3
    assert ks_2samp(draws.brightness[hue_first], draws.brightness[~hue_first]).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("operation", [ColorJitter(p=0.8), RandomGrayscale(0.2)])
def test_rate_of_application(operation, generator):
    applied = operation.sample(5000, (3, 8, 8), generator).applied.sum().item()
    assert chisquare([applied, 5000 - applied], [5000 * operation.p, 5000 * (1 - operation.p)]).pvalue > SIGNIFICANCE


def test_grayscale_equals_torchvision():
    pictures, applied = images(4), torch.tensor([True, False, True, False])
    result = RandomGrayscale().apply(pictures, Parameters(applied))
    expected = reference.rgb_to_grayscale(pictures, num_output_channels=3)
    torch.testing.assert_close(result[applied], expected[applied], atol=1e-6, rtol=0)
    assert torch.equal(result[~applied], pictures[~applied])


@pytest.mark.parametrize("operation", [ColorJitter(p=1.0), RandomGrayscale(1.0)])
def test_grey_images_are_refused(operation, generator):
    with pytest.raises(UserError, match=f"{operation.name} needs 3 colour channels and the images have 1"):
        operation.apply(images(2, channels=1), operation.sample(2, (3, 16, 16), generator))


@pytest.mark.parametrize("options", [{"p": 1.2}, {"brightness": -0.1}, {"hue": 0.6}])
def test_jitter_refuses_what_is_out_of_range(options):
    with pytest.raises(UserError, match="jitter"):
        ColorJitter(**options)
