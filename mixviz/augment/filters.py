"""Convolutions with a different kernel for each image: Gaussian blur and random texture."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.augment.operation import (
    Operation,
    Parameters,
    Shape,
    apply_to_marked,
    bernoulli,
    check_colour,
    constant,
    uniform,
)
from mixviz.errors import UserError


@dataclass(frozen=True)
class BlurParameters(Parameters):
    """Standard deviation of the Gaussian in pixels, (n,)."""

    sigma: Tensor


@dataclass(frozen=True)
class GaussianBlur(Operation):
    """Blur by a Gaussian of random width, uniform in ``sigma`` pixels (SimCLR, arXiv:2002.05709, appendix A).

    kernel_size is odd; None is about a tenth of the image, at least 3. The image is mirrored at its edges.
    """

    name: ClassVar[str] = "blur"
    group: ClassVar[str] = "blur"

    kernel_size: int | None = None
    sigma: tuple[float, float] = (0.1, 2.0)
    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size is not None and (self.kernel_size < 1 or self.kernel_size % 2 == 0):
            raise UserError(f"blur: the kernel size is a positive odd number, not {self.kernel_size}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise UserError(f"blur: sigma {self.sigma} must be a positive range (low, high)")

    def sample(self, n: int, shape: Shape, generator: Generator) -> BlurParameters:
        return BlurParameters(applied=bernoulli(n, self.p, generator), sigma=uniform(n, *self.sigma, generator))

    def apply(self, images: Tensor, parameters: BlurParameters, in_place: bool = False) -> Tensor:
        """Raises UserError if the kernel is too large for the image."""
        smaller = min(images.shape[2:])
        size = self.kernel_size or default_kernel_size(smaller)
        if size // 2 >= smaller:
            raise UserError(f"blur: a kernel of {size} pixels is too large for images of {smaller} pixels")
        return apply_to_marked(lambda part, blur: gaussian_blur(part, blur.sigma, size), images, parameters, in_place)


def default_kernel_size(image_size: int) -> int:
    """The odd number of pixels nearest to a tenth of the image, at least 3."""
    return max(3, 2 * (image_size // 20) + 1)


def gaussian_blur(images: Tensor, sigma: Tensor, size: int) -> Tensor:
    """Images (n, C, H, W) convolved with a Gaussian of ``sigma`` (n,) pixels, cut to ``size`` taps a side.

    Sums shifted images, tap by tap: a grouped convolution would be planned again for every batch size.
    """
    reach = size // 2
    offset = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.softmax(-0.5 * (offset / sigma[:, None]) ** 2, dim=1).to(images.dtype)
    taps = kernel[:, reach:].view(len(images), reach + 1, 1, 1, 1)  # from the middle outwards
    for axis in (3, 2):
        length, source, images = images.shape[axis], images, images * taps[:, 0]
        for i in range(1, reach + 1):
            mirrored = (source.narrow(axis, start, i).flip(axis) for start in (1, length - 1 - i))
            parts = (source.narrow(axis, i, length - i), source.narrow(axis, 0, length - i), *mirrored)
            for part, start in zip(parts, (0, i, 0, length - i), strict=True):
                images.narrow(axis, start, part.shape[axis]).addcmul_(part, taps[:, i])
    return images


@dataclass(frozen=True, kw_only=True)
class TextureParameters(Parameters):
    """A random convolution for each image.

    size: (n,) long, sides of the kernels. weights: (n, 3, 3, K, K), K the largest size, zero outside the middle
    size x size. share: (n,) in [0, 1), of the original image in the result.
    """

    size: Tensor
    weights: Tensor
    share: Tensor


@dataclass(frozen=True)
class RandomTexture(Operation):
    """A random convolution mixed with the original (RandConv, Xu et al. 2021, arXiv:2007.13003).

    It keeps shapes and replaces local texture. The kernel size k is one of ``kernel_sizes``; weights are
    N(0, 1 / (3 k^2)); the original's share is uniform in [0, 1), or 0 if ``mix`` is False. The convolution sees
    the image minus 0.5, with zeros beyond its edges, and 0.5 is added again: as in the paper, where images are
    centred, and unlike a convolution of positive values, which would send half of the channels below 0. The result
    is clamped to [0, 1].
    """

    name: ClassVar[str] = "texture"
    group: ClassVar[str] = "texture"

    kernel_sizes: tuple[int, ...] = (1, 3, 5, 7)
    mix: bool = True
    p: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernel_sizes or any(size < 1 or size % 2 == 0 for size in self.kernel_sizes):
            raise UserError(f"texture: kernel sizes are positive odd numbers, not {self.kernel_sizes}")

    def sample(self, n: int, shape: Shape, generator: Generator) -> TextureParameters:
        device, largest = generator.device, max(self.kernel_sizes)
        applied = bernoulli(n, self.p, generator)
        which = torch.randint(len(self.kernel_sizes), (n,), generator=generator, device=device)
        size = constant(self.kernel_sizes, torch.long, device)[which]
        side = size.view(n, 1, 1, 1, 1)
        weights = torch.randn(n, 3, 3, largest, largest, generator=generator, device=device) / (3**0.5 * side)
        from_middle = (torch.arange(largest, device=device) - largest // 2).abs()
        weights = weights * (torch.maximum(from_middle[:, None], from_middle) <= side // 2)
        return TextureParameters(
            applied=applied, size=size, weights=weights, share=uniform(n, 0, float(self.mix), generator)
        )

    def apply(self, images: Tensor, parameters: TextureParameters, in_place: bool = False) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        for size in sorted(set(self.kernel_sizes)):
            of_this_size = replace(parameters, applied=parameters.applied & (parameters.size == size))
            images = apply_to_marked(partial(new_texture, size=size), images, of_this_size, in_place)
        return images


def new_texture(images: Tensor, parameters: TextureParameters, size: int) -> Tensor:
    """Images (n, 3, H, W) convolved with the middle size x size of their weights and mixed with the originals."""
    margin = (parameters.weights.shape[-1] - size) // 2
    middle = slice(margin, margin + size)
    weights = parameters.weights[..., middle, middle].to(images.dtype).flatten(0, 1)  # (3 n, 3, size, size)
    centred = images.sub(0.5).flatten(0, 1)[None]
    texture = F.conv2d(centred, weights, padding=size // 2, groups=len(images)).view_as(images).add_(0.5)
    share = parameters.share.to(images.dtype)[:, None, None, None]
    return texture.lerp_(images, share).clamp_(0, 1)
