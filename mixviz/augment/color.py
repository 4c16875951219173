"""Colour: jitter of brightness, contrast, saturation and hue in random order, and greyscale."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from mixviz.augment.operation import Operation, Parameters, apply_where_chosen, check_colour, chosen, uniform
from mixviz.errors import UserError

LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue in the grey value (ITU-R BT.601)
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

    Brightness, contrast and saturation are affine maps of the colours, so that all images are changed together,
    whichever of the three has its turn; the hue is shifted in between, in those images where its turn has come.
    """
    hue_last = (parameters.order == HUE).byte().argsort(dim=1, stable=True)  # (n, 4) turns, that of the hue at the end
    hue_turn = hue_last[:, 3]
    matrices, towards_mean = _colour_maps(parameters, parameters.order.gather(1, hue_last[:, :3]), images)
    luma = images.new_tensor(LUMA)
    for turn in range(4):
        images = apply_where_chosen(shift_hue, images, HueParameters(hue_turn == turn, parameters.hue))
        if turn < 3:
            colours = images.flatten(2)  # (n, 3, H W)
            offset = towards_mean[:, turn] * (colours.mean(dim=2) @ luma)
            colours = torch.baddbmm(offset[:, None, None], matrices[:, turn], colours)
            images = colours.clamp_(0, 1).view_as(images)
    return images


def _colour_maps(parameters: JitterParameters, order: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices (n, 3, 3, 3) on the colours, and weights (n, 3) of the image's mean grey, by the turn in ``order``.

    All three changes blend an image, by their factor, with something: with black, with its mean grey, with its grey.
    """
    factors = torch.stack([parameters.brightness, parameters.contrast, parameters.saturation], dim=1)
    factor = factors.gather(1, order).to(images.dtype)
    rest = 1 - factor
    towards_grey = (rest * (order == SATURATION))[..., None, None] * images.new_tensor(LUMA)
    identity = torch.eye(3, dtype=images.dtype, device=images.device)
    return factor[..., None, None] * identity + towards_grey, rest * (order == CONTRAST)


@dataclass(frozen=True)
class HueParameters(Parameters):
    """A shift of the hue in full turns, (n,)."""

    hue: Tensor


def shift_hue(images: Tensor, parameters: HueParameters) -> Tensor:
    """Images (n, 3, H, W) with the hue of HSV turned by ``hue`` full turns; value and saturation are kept.

    Hues are counted in sixths of a turn: red 0, green 2, blue 4. A channel is at the pixel's maximum up to one sixth
    from its own hue, at the minimum beyond two sixths, and linear in between. No step chooses between cases: where
    two channels are equal the cases agree, and arithmetic is far faster than ``where`` on a CPU.
    """
    red, green, blue = images.unbind(1)
    low = torch.minimum(red, green).minimum(blue)
    high = torch.maximum(red, green).maximum(blue)
    spread = high - low  # (n, H, W)
    share = (images - low[:, None]).div_(spread.clamp(min=torch.finfo(spread.dtype).tiny)[:, None])
    red, green, blue = share.unbind(1)  # 1 in the largest channel, 0 in the smallest
    hue = green - blue
    hue = hue.lerp_((blue - red).add_(2), green.floor())
    hue = hue.lerp_((red - green).add_(4), blue.floor())
    hue = hue.div_(6).add_(parameters.hue.to(hue.dtype)[:, None, None])
    hue = hue.sub_(hue.floor()).mul_(6)  # in [0, 6]
    centres = hue.new_tensor([3.0, 2.0, 4.0]).view(3, 1, 1)  # of cyan, where red is at its minimum, of green, of blue
    bump = (hue[:, None] - centres).abs_().neg_().add_(2).clamp_(0, 1).mul_(spread[:, None])
    return torch.stack([high - bump[:, 0], low + bump[:, 1], low + bump[:, 2]], dim=1)


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
    return red.mul(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
