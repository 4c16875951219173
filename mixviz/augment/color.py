"""Colour: jitter of brightness, contrast, saturation and hue in random order, and greyscale."""

from dataclasses import dataclass
from typing import ClassVar

import torch
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

LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue in the grey value (ITU-R BT.601)
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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
            raise UserError("jitter: brightness, contrast and saturation are at least 0, and hue is in [0, 0.5]")

    def sample(self, n: int, shape: Shape, generator: Generator) -> JitterParameters:
        applied = bernoulli(n, self.p, generator)
        brightness, contrast, saturation = (
            uniform(n, max(0.0, 1 - strength), 1 + strength, generator)
            for strength in (self.brightness, self.contrast, self.saturation)
        )
        hue = uniform(n, -self.hue, self.hue, generator)
        order = uniform((n, 4), 0, 1, generator).argsort(dim=1)
        return JitterParameters(
            applied=applied, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue, order=order
        )

    def apply(self, images: Tensor, parameters: JitterParameters, in_place: bool = False) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        return apply_to_marked(jitter, images, parameters, in_place, order=hue_turn(parameters))


def hue_turn(parameters: JitterParameters) -> Tensor:
    """(n,): at which of the four positions the hue is changed."""
    return (parameters.order == HUE).byte().argmax(dim=1)


def jitter(images: Tensor, parameters: JitterParameters) -> Tensor:
    """The four changes of every image (n, 3, H, W), in its own order.

    All images take every step together: the other three changes, the shift of the hue, the other three again. Each
    change is applied either before or after the hue shift, as that image's order says; in the other pass it is the
    identity. On a CPU the images are a copy of those to change, sorted by ``hue_turn``: those that a change affects are
    contiguous, and it skips the others. On a GPU, where counting them would force a synchronisation, all images are
    passed, and each change takes all.
    """
    hue_last = (parameters.order == HUE).byte().argsort(dim=1, stable=True)  # (n, 4) turns, that of the hue moved last
    others = parameters.order.gather(1, hue_last[:, :3])  # (n, 3)
    factors = torch.stack([parameters.brightness, parameters.contrast, parameters.saturation], dim=1)
    factors = factors.gather(1, others).to(images.dtype)
    before_hue = torch.arange(3, device=images.device) < hue_turn(parameters)[:, None]
    if images.device.type != "cpu":
        images, before = images.clone(), [slice(None)] * 3
        after = before
    else:
        counts = (~before_hue).sum(dim=0).tolist()
        before, after = [slice(count, None) for count in counts], [slice(count) for count in counts]
    blend_in_turn(images, torch.where(before_hue, factors, 1.0), others, before)
    shift_hue(images, parameters.hue)
    blend_in_turn(images, torch.where(before_hue, 1.0, factors), others, after)
    return images


def blend_in_turn(images: Tensor, factors: Tensor, order: Tensor, parts: list[slice]) -> None:
    """Change brightness, contrast and saturation in place, by ``factors`` (n, 3) in the ``order`` (n, 3) of each image.

    Each blends the image by its factor with black, with its mean grey, or with its grey. parts: the images that each of
    the three passes affects.
    """
    shares = 1 - factors[..., None, None, None]  # of what it is blended with, (n, 3, 1, 1, 1)
    is_mean = (order == CONTRAST).to(images.dtype)[..., None, None, None]
    is_grey = (order == SATURATION).to(images.dtype)[..., None, None, None]
    for turn, part in enumerate(parts):
        grey = to_grey(images[part])
        mean = grey.mean(dim=(2, 3), keepdim=True)
        other = grey.mul_(is_grey[part, turn]).add_(mean * is_mean[part, turn])
        images[part].lerp_(other, shares[part, turn]).clamp_(0, 1)


def shift_hue(images: Tensor, shift: Tensor) -> None:
    """Turn the hue of HSV of images (n, 3, H, W), in place, by ``shift`` (n,) full turns; value and saturation stay.

    Hues are counted in sixths of a turn: red 0, green 2, blue 4. With each pixel stretched to the range 0 to 1, the
    hue is 1 - red + green + blue away from red, towards green if there is more green than blue. A channel is 1 up
    to one sixth from its own hue, 0 beyond two sixths, and linear in between. No step branches on cases: arithmetic is
    far faster than ``where`` on a CPU.
    """
    red, green, blue = images.unbind(1)
    low = torch.minimum(red, green).minimum(blue)
    high = torch.maximum(red, green).maximum(blue)
    spread = high - low  # (n, H, W)
    from_red = (green + blue).sub_(red).add_(high).sub_(low, alpha=2)
    from_red.div_(spread.clamp(min=torch.finfo(spread.dtype).tiny))
    hue = torch.copysign(from_red, green - blue)
    hue = hue.div_(6).add_(1 + shift.to(hue.dtype)[:, None, None]).frac_().mul_(6)  # in [0, 6)
    centre, slope, offset = (
        constant(values, hue.dtype, hue.device)[:, None, None]
        for values in ((3.0, 2.0, 4.0), (1.0, -1.0, -1.0), (-1.0, 2.0, 2.0))  # from cyan, where red is lowest
    )
    stretched = torch.sub(hue[:, None], centre, out=images).abs_().mul_(slope).add_(offset).clamp_(0, 1)
    stretched.mul_(spread[:, None]).add_(low[:, None])


@dataclass(frozen=True)
class RandomGrayscale(Operation):
    """Greyscale; part of LooC's colour augmentation."""

    name: ClassVar[str] = "grayscale"
    group: ClassVar[str] = "color"

    p: float = 0.2

    def sample(self, n: int, shape: Shape, generator: Generator) -> Parameters:
        return Parameters(applied=bernoulli(n, self.p, generator))

    def apply(self, images: Tensor, parameters: Parameters, in_place: bool = False) -> Tensor:
        """Raises UserError for images that do not have three channels."""
        check_colour(images, self)
        return apply_to_marked(lambda images, _: to_grey(images).expand_as(images), images, parameters, in_place)


def to_grey(images: Tensor) -> Tensor:
    """(n, 3, H, W) -> (n, 1, H, W), the luma."""
    red, green, blue = images.split(1, dim=1)
    return red.mul(LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
