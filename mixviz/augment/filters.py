"""Convolutions with a kernel of its own for each image: Gaussian blur and random texture."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.augment.operation import Operation, Parameters, apply_where_chosen, check_colour, chosen, uniform
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

    def sample(self, n: int, height: int, width: int, generator: Generator) -> BlurParameters:
        return BlurParameters(chosen(n, self.p, generator), uniform(n, *self.sigma, generator))

    def apply(self, images: Tensor, parameters: BlurParameters) -> Tensor:
        """Raises UserError where the kernel is too large for the image."""
        smaller = min(images.shape[2:])
        size = self.kernel_size or max(3, 2 * (smaller // 20) + 1)
        if size // 2 >= smaller:
            raise UserError(f"blur: a kernel of {size} pixels is too large for images of {smaller} pixels")
        return apply_where_chosen(lambda images, chosen: gaussian_blur(images, chosen.sigma, size), images, parameters)


def gaussian_blur(images: Tensor, sigma: Tensor, size: int) -> Tensor:
    """Images (n, C, H, W) convolved with a Gaussian of ``sigma`` (n,) pixels, cut to ``size`` taps a side."""
    reach = size // 2
    offset = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.softmax(-0.5 * (offset / sigma[:, None]) ** 2, dim=1).to(images.dtype)  # (n, size)
    kernel = kernel.repeat_interleave(images.shape[1], dim=0)  # (n C, size)
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect").flatten(0, 1)[None]  # (1, n C, H, W)
    rows = F.conv2d(padded, kernel[:, None, None, :], groups=len(kernel))
    return F.conv2d(rows, kernel[:, None, :, None], groups=len(kernel)).view_as(images)


@dataclass(frozen=True)
class TextureParameters(Parameters):
    """The random convolution's weights (n, 3, 3, K, K), zero beyond an image's own kernel size, and its share.

    share: (n,) in [0, 1), of the original image in the result.
    """

    weights: Tensor
    share: Tensor


@dataclass(frozen=True)
class RandomTexture(Operation):
    """A random convolution mixed with the original (RandConv, Xu et al. 2021, arXiv:2007.13003): shapes stay, texture goes.

    The kernel size k is one of ``kernel_sizes``; weights are N(0, 1 / (3 k^2)); the original's share is uniform in
    [0, 1), or 0 where ``mix`` is False. It is applied to the images minus 0.5, which is added again afterwards, as
    networks see images that are centred; the result is clamped to [0, 1]. Beyond the edges there is mid-grey.
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

    def sample(self, n: int, height: int, width: int, generator: Generator) -> TextureParameters:
        device, largest = generator.device, max(self.kernel_sizes)
        applied = chosen(n, self.p, generator)
        which = torch.randint(len(self.kernel_sizes), (n,), generator=generator, device=device)
        size = torch.tensor(self.kernel_sizes, device=device)[which].view(n, 1, 1, 1, 1)
        weights = torch.randn(n, 3, 3, largest, largest, generator=generator, device=device) / (3**0.5 * size)
        from_centre = (torch.arange(largest, device=device) - largest // 2).abs()
        inside = torch.maximum(from_centre[:, None], from_centre) <= size // 2  # (n, 1, 1, K, K)
        share = uniform(n, 0, float(self.mix), generator)
        return TextureParameters(applied, weights * inside, share)

    def apply(self, images: Tensor, parameters: TextureParameters) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        return apply_where_chosen(new_texture, images, parameters)


def new_texture(images: Tensor, parameters: TextureParameters) -> Tensor:
    """Images (n, 3, H, W) convolved with weights of their own and mixed with what they were."""
    n = len(images)
    weights = parameters.weights.to(images.dtype).flatten(0, 1)  # (3 n, 3, K, K)
    centred = images.sub(0.5).flatten(0, 1)[None]
    texture = F.conv2d(centred, weights, padding="same", groups=n).view_as(images).add_(0.5)
    share = parameters.share.to(images.dtype)[:, None, None, None]
    return texture.lerp_(images, share).clamp_(0, 1)
