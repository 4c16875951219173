"""Blur against torchvision and texture against plain convolutions, image by image, and the draws of both."""

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare, kstest
from torchvision.transforms.v2 import functional as reference

from mixviz.augment import GaussianBlur, RandomTexture
from mixviz.errors import UserError

SIGNIFICANCE = 1e-3  # of every test of a distribution; seeds are fixed, so each is passed or failed for good


def images(n: int, height: int, width: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize(
    ("height", "width", "kernel_size", "expected_size"),
    [(32, 32, None, 3), (28, 28, None, 3), (64, 64, None, 7), (64, 40, None, 5), (224, 224, None, 23), (20, 9, 5, 5)],
)
def test_blur_equals_torchvision(height, width, kernel_size, expected_size, generator):
    blur, pictures = GaussianBlur(kernel_size, p=0.6), images(8, height, width)
    parameters = blur.sample(8, (3, height, width), generator)
    result = blur.apply(pictures, parameters)
    for picture, blurred, applied, sigma in zip(pictures, result, parameters.applied, parameters.sigma, strict=True):
        expected = reference.gaussian_blur(picture, [expected_size] * 2, [sigma.item()] * 2) if applied else picture
        torch.testing.assert_close(blurred, expected, atol=1e-6, rtol=0)
    assert 0 < parameters.applied.sum() < 8


def test_blur_of_one_channel_is_that_of_each_of_three(generator):
    blur, pictures = GaussianBlur(p=1.0), images(4, 16, 16)
    parameters = blur.sample(4, (3, 16, 16), generator)
    whole = blur.apply(pictures, parameters)
    assert torch.equal(blur.apply(pictures[:, 1:2].contiguous(), parameters), whole[:, 1:2])


def test_sigma_is_uniform(generator):
    sigma = GaussianBlur(sigma=(0.1, 2.0)).sample(4000, (3, 32, 32), generator).sigma
    assert kstest(sigma, "uniform", args=(0.1, 1.9)).pvalue > SIGNIFICANCE


@pytest.mark.parametrize(("options", "match"), [({"kernel_size": 4}, "odd"), ({"sigma": (0.0, 1.0)}, "sigma")])
def test_blur_refuses_what_is_out_of_range(options, match):
    with pytest.raises(UserError, match=match):
        GaussianBlur(**options)


def test_blur_refuses_a_kernel_that_reaches_over_the_whole_image(generator):
    blur = GaussianBlur(9, p=1.0)
    with pytest.raises(UserError, match="a kernel of 9 pixels is too large for images of 4"):
        blur.apply(images(1, 4, 4), blur.sample(1, (3, 4, 4), generator))


@pytest.mark.parametrize("mix", [True, False])
def test_texture_equals_a_convolution_and_a_blend(mix, generator):
    texture, pictures = RandomTexture(p=0.8, mix=mix), images(48, 14, 18)
    parameters = texture.sample(48, (3, 14, 18), generator)
    result = texture.apply(pictures, parameters)
    for i, picture in enumerate(pictures):
        k, share = parameters.size[i].item(), parameters.share[i] if mix else 0.0
        weights = parameters.weights[i, :, :, 3 - k // 2 : 4 + k // 2, 3 - k // 2 : 4 + k // 2]
        convolved = F.conv2d(picture[None] - 0.5, weights, padding=k // 2)[0] + 0.5
        expected = (share * picture + (1 - share) * convolved).clamp(0, 1) if parameters.applied[i] else picture
        torch.testing.assert_close(result[i], expected, atol=1e-5, rtol=0)
    assert set(parameters.size.tolist()) == {1, 3, 5, 7}


def test_texture_keeps_mid_grey():
    """It changes texture and there is none, away from the edges and at them."""
    texture = RandomTexture(p=1.0)
    grey = torch.full((8, 3, 16, 16), 0.5)
    assert torch.equal(texture.apply(grey, texture.sample(8, (3, 16, 16), torch.Generator().manual_seed(3))), grey)


def test_texture_weights_are_normal_with_the_variance_of_the_paper(generator):
    draws = RandomTexture(kernel_sizes=(1, 3, 7)).sample(900, (3, 8, 8), generator)
    counts = draws.size.bincount()[[1, 3, 7]].numpy()
    assert chisquare(counts).pvalue > SIGNIFICANCE
    for size in (1, 3, 7):
        weights = draws.weights[draws.size == size]
        margin = (7 - size) // 2
        inside = F.pad(torch.ones(size, size, dtype=torch.bool), (margin,) * 4)
        assert (weights[..., ~inside] == 0).all()
        scaled = weights[..., inside].flatten() * (3**0.5 * size)
        assert kstest(scaled[:5000], "norm").pvalue > SIGNIFICANCE
    assert kstest(draws.share, "uniform").pvalue > SIGNIFICANCE


def test_texture_without_mixing_keeps_nothing_of_the_image(generator):
    assert (RandomTexture(mix=False).sample(10, (3, 8, 8), generator).share == 0).all()


def test_texture_refuses_even_kernels():
    with pytest.raises(UserError, match="odd numbers"):
        RandomTexture(kernel_sizes=(1, 4))
