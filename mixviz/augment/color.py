"""Colour: jitter of brightness, contrast, saturation and hue in random order, and greyscale."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mixviz.augment.operation import Operation, Parameters, apply_where_chosen, check_colour, chosen, uniform
from mixviz.errors import UserError

GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue in luma (ITU-R BT.601)
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


@dataclass(frozen=True)
class JitterParameters(Parameters):
    """Three factors >= 0 (1 changes nothing), a shift of the hue in full turns, and the order of the four.

    brightness, contrast, saturation, hue: (n,). order: (n, 4), a permutation of 0 brightness, 1 contrast,
    2 saturation, 3 hue.
    """

    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor


@dataclass(frozen=True)
class ColorJitter(Operation):
    """Brightness, contrast, saturation and hue, each changed at random, in an order that is random for each image.

    A factor is uniform in [max(0, 1 - strength), 1 + strength], the shift of the hue in [-hue, hue] full turns.
    Values are clamped to [0, 1] after each of the four, as torchvision does.
    """

    name: ClassVar[str] = "jitter"
    group: ClassVar[str] = "color"

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    p: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.brightness, self.contrast, self.saturation) < 0 or not 0 <= self.hue <= 0.5:
            raise UserError("jitter: brightness, contrast and saturation are at least 0, and hue lies in [0, 0.5]")

    def sample(self, n: int, height: int, width: int, generator: Generator) -> JitterParameters:
        applied = chosen(n, self.p, generator)
        brightness, contrast, saturation = (
            uniform(n, max(0.0, 1 - strength), 1 + strength, generator)
            for strength in (self.brightness, self.contrast, self.saturation)
        )
        hue = uniform(n, -self.hue, self.hue, generator)
        order = uniform((n, 4), 0, 1, generator).argsort(dim=1)
        return JitterParameters(applied, brightness, contrast, saturation, hue, order)

    def apply(self, images: Tensor, parameters: JitterParameters) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        return apply_where_chosen(jitter, images, parameters)


def jitter(images: Tensor, parameters: JitterParameters) -> Tensor:
    """The four changes of every image (n, 3, H, W), in its own order.

    Brightness, contrast and saturation are one affine map of the colours, so that at every step all images are
    changed together, whichever of the three has its turn; the hue goes in between where its turn is.
    """
    hue_last = (parameters.order == HUE).byte().argsort(dim=1, stable=True)  # (n, 4) places
    others = parameters.order.gather(1, hue_last[:, :3])  # (n, 3), the order of the other three
    hue_turn = hue_last[:, 3]
    for turn in range(4):
        images = apply_where_chosen(shift_hue, images, HueParameters(hue_turn == turn, parameters.hue))
        if turn < 3:
            images = _adjust(images, others[:, turn], parameters)
    return images


def _adjust(images: Tensor, adjustment: Tensor, parameters: JitterParameters) -> Tensor:
    """Images (n, 3, H, W) with brightness, contrast or saturation changed, as ``adjustment`` (n,) says of each.

    All three blend the image by its factor with something: black, the mean of its grey, or its grey.
    """
    flat = images.flatten(2)
    grey = flat.new_tensor(GREY)
    factors = torch.stack([parameters.brightness, parameters.contrast, parameters.saturation], dim=1)
    factor = factors.gather(1, adjustment[:, None]).to(flat.dtype)  # (n, 1)
    mean_grey = flat.mean(dim=2) @ grey[:, None]  # (n, 1)
    offset = (1 - factor) * mean_grey * (adjustment == CONTRAST)[:, None]
    towards_grey = (1 - factor) * (adjustment == SATURATION)[:, None]
    matrix = factor[..., None] * torch.eye(3, dtype=flat.dtype, device=flat.device)
    matrix = matrix + towards_grey[..., None] * grey
    return torch.baddbmm(offset[..., None], matrix, flat).clamp_(0, 1).view_as(images)


@dataclass(frozen=True)
class HueParameters(Parameters):
    """A shift of the hue in full turns, (n,)."""

    hue: Tensor


def shift_hue(images: Tensor, parameters: HueParameters) -> Tensor:
    """Images (n, 3, H, W) with the hue of HSV turned by ``hue`` full turns; value and saturation are kept.

    Hues are counted in sixths of a turn, red 0, green 2, blue 4. A channel is at the image's maximum up to one
    sixth from its own hue, at the minimum beyond two sixths, and linear in between.
    """
    red, green, blue = images.unbind(1)
    low, high = images.amin(1), images.amax(1)  # (n, H, W)
    spread = high - low
    hue = torch.where(
        high == red,
        green - blue,
        torch.where(high == green, blue - red, red - green),
    )
    hue = hue / spread.clamp(min=torch.finfo(spread.dtype).tiny)
    hue = hue + torch.where(high == red, 0.0, torch.where(high == green, 2.0, 4.0))
    hue = hue + 6 * parameters.hue[:, None, None]
    own_hue = hue.new_tensor([0.0, 2.0, 4.0]).view(3, 1, 1)
    distance = hue[:, None] - own_hue  # (n, 3, H, W)
    distance = (distance - 6 * torch.round(distance / 6)).abs_()
    return (2 - distance).clamp_(0, 1).mul_(spread[:, None]).add_(low[:, None])


@dataclass(frozen=True)
class RandomGrayscale(Operation):
    """All colour taken away; part of the colour augmentation of LooC."""

    name: ClassVar[str] = "grayscale"
    group: ClassVar[str] = "color"

    p: float = 0.2

    def sample(self, n: int, height: int, width: int, generator: Generator) -> Parameters:
        return Parameters(chosen(n, self.p, generator))

    def apply(self, images: Tensor, parameters: Parameters) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        return apply_where_chosen(lambda images, _: to_grey(images).expand_as(images), images, parameters)


def to_grey(images: Tensor) -> Tensor:
    """(n, 3, H, W) -> (n, 1, H, W), the luma."""
    red, green, blue = images.split(1, dim=1)
    return red.mul(GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])
