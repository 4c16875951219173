"""Where the pixels come from: random resized crop, horizontal flip, rotation by quarter turns."""

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.augment.operation import Draw, Operation, Parameters, Shape, apply_to_marked, bernoulli, constant, uniform
from mixviz.errors import UserError

CROP_ATTEMPTS = 10  # boxes drawn for an image before it is cropped at its centre


@dataclass(frozen=True, kw_only=True)
class CropParameters(Parameters):
    """The box in whole pixels: (n,) long each."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor


@dataclass(frozen=True, kw_only=True)
class RandomResizedCrop(Operation):
    """A box of random area and aspect, resized to size x size (Szegedy et al. 2015, arXiv:1409.4842).

    scale is the range of the box's share of the area, ratio that of its width over its height (uniform in its
    logarithm). Draws as torchvision does: of ten boxes the first that fits, else the largest central one. Bilinear,
    with a filter that widens where the box is larger than the output (antialiasing).
    """

    name: ClassVar[str] = "crop"
    group: ClassVar[str] = "crop"

    size: int
    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"the size of a crop is at least 1 pixel, not {self.size}")
        if not 0 < self.scale[0] <= self.scale[1] or not 0 < self.ratio[0] <= self.ratio[1]:
            raise UserError(f"crop: scale {self.scale} and ratio {self.ratio} must be positive ranges (low, high)")

    def sample(self, n: int, shape: Shape, generator: Generator) -> CropParameters:
        height, width = shape[-2:]
        area = uniform((n, CROP_ATTEMPTS), *self.scale, generator).mul_(height * width)
        narrow, wide = map(math.log, self.ratio)
        aspect = uniform((n, CROP_ATTEMPTS), narrow, wide, generator).exp_()
        box_height = (area / aspect).sqrt_().round_()
        box_width = (area * aspect).sqrt_().round_()
        fits = (box_height > 0) & (box_height <= height) & (box_width > 0) & (box_width <= width)
        central_height, central_width = self._central_box(height, width)
        first = F.pad(fits, (0, 1), value=True).byte().argmax(dim=1, keepdim=True)  # the last one always fits
        box_height = F.pad(box_height, (0, 1), value=central_height).gather(1, first).squeeze(1)
        box_width = F.pad(box_width, (0, 1), value=central_width).gather(1, first).squeeze(1)
        central = first.squeeze(1) == CROP_ATTEMPTS

        def start(room: Tensor) -> Tensor:
            anywhere = (uniform(n, 0, 1, generator) * (room + 1)).floor().minimum(room)
            return torch.where(central, (room / 2).floor(), anywhere).long()

        top, left = start(height - box_height), start(width - box_width)
        return CropParameters(
            applied=torch.ones_like(central), top=top, left=left, height=box_height.long(), width=box_width.long()
        )

    def apply(self, images: Tensor, parameters: CropParameters, in_place: bool = False) -> Tensor:
        """(n, C, H, W) -> (n, C, size, size)."""
        return crop(images, parameters, torch.zeros_like(parameters.applied), self.size)

    def _central_box(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the largest box whose aspect is allowed."""
        low, high = self.ratio
        if width / height < low:
            return round(width / low), width
        if width / height > high:
            return height, round(height * high)
        return height, width


def crop(images: Tensor, box: CropParameters, flipped: Tensor, size: int) -> Tensor:
    """The boxes of images (n, C, H, W), resized to (n, C, size, size); flipped: (n,) bool, which are mirrored."""
    box, flipped = box.to(images.device), flipped.to(images.device)
    n, channels, height, width = images.shape
    if max(height, width) <= size:
        return enlarge(images, box, flipped, size)
    rows = resize_weights(box.top, box.height, height, size).to(images.dtype)
    columns = flip_marked(resize_weights(box.left, box.width, width, size).to(images.dtype), flipped)
    narrow = torch.bmm(images.reshape(n, channels * height, width), columns)
    return torch.matmul(rows.mT[:, None], narrow.view(n, channels, height, size))


def enlarge(images: Tensor, box: CropParameters, flipped: Tensor, size: int) -> Tensor:
    """The boxes of images (n, C, H, W), none larger than the output, as (n, C, size, size); flipped: (n,) bool.

    Antialiasing changes nothing here: a new pixel is a blend of the four around its place, or fewer at the box's edge.
    """
    rows = places_in(box.top, box.height, images.shape[2], size)
    columns = flip_marked(places_in(box.left, box.width, images.shape[3], size), flipped)
    grid = images.new_empty(len(images), size, size, 2)
    grid[..., 0], grid[..., 1] = columns[:, None, :], rows[:, :, None]
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)


def flip_marked(columns: Tensor, marked: Tensor) -> Tensor:
    """(n, ..., W) with the last axis reversed where ``marked``, (n,) bool, is True."""
    return torch.where(marked.view(-1, *[1] * (columns.dim() - 1)), columns.flip(-1), columns)


def places_in(start: Tensor, length: Tensor, size: int, new_size: int) -> Tensor:
    """(n, new_size): positions of the pixels of a resized piece of a line, from -1 to 1 along the line.

    start and length (n,) of the piece, without its outermost half pixels.
    """
    start, length = start[:, None], length[:, None]
    pixel = torch.arange(new_size, device=start.device) + 0.5
    place = (start + pixel * (length / new_size)).clamp(start + 0.5, start + length - 0.5)
    return place * (2 / size) - 1


def resize_weights(start: Tensor, length: Tensor, size: int, new_size: int) -> Tensor:
    """(n, size, new_size): how much of each pixel of a line goes into each pixel of a resized piece of it.

    start and length (n,) of the piece. The weights are a triangle two pixels wide, of the input or of the output,
    whichever are larger; each column sums to one.
    """
    start, length = start[:, None], length[:, None]
    scale = length / new_size
    unit = scale.clamp(min=1)  # half the width of the triangle
    centre = (start + scale * (torch.arange(new_size, device=start.device) + 0.5)) / unit  # (n, new_size)
    pixel = torch.arange(size, device=start.device)
    inside = (pixel >= start) & (pixel < start + length)
    place = torch.where(inside, (pixel + 0.5) / unit, torch.inf)  # (n, size)
    weights = (place[:, :, None] - centre[:, None]).abs_().neg_().add_(1).clamp_(min=0)
    return weights.div_(weights.sum(dim=1, keepdim=True))


@dataclass(frozen=True)
class HorizontalFlip(Operation):
    """A horizontal flip."""

    name: ClassVar[str] = "flip"
    group: ClassVar[str] = "flip"

    p: float = 0.5

    def sample(self, n: int, shape: Shape, generator: Generator) -> Parameters:
        return Parameters(applied=bernoulli(n, self.p, generator))

    def apply(self, images: Tensor, parameters: Parameters, in_place: bool = False) -> Tensor:
        return flip_marked(images, parameters.applied.to(images.device))

    def redraw_unlike(self, parameters: Parameters, other: Parameters, generator: Generator) -> Parameters:
        """There are two values, so this is always the opposite of the other view's."""
        return Parameters(applied=~other.applied)


@dataclass(frozen=True)
class CropAndFlip:
    """A crop and the flip after it, applied in one resampling, where the flip costs nothing."""

    crop: RandomResizedCrop
    flip: HorizontalFlip

    def apply_drawn(self, images: Tensor, draw: Draw, in_place: bool = False) -> Tensor:
        """(n, C, H, W) -> (n, C, size, size)."""
        box = draw[self.crop.name]
        assert isinstance(box, CropParameters)
        return crop(images, box, draw[self.flip.name].applied, self.crop.size)


@dataclass(frozen=True)
class RotationParameters(Parameters):
    """Quarter turns counter-clockwise, (n,) long: 1, 2 or 3, and 0 if the rotation is not applied."""

    turns: Tensor


def rotate(images: Tensor, parameters: Parameters, turns: int) -> Tensor:
    """All images by the same number of quarter turns."""
    return images.rot90(turns, (2, 3))


@dataclass(frozen=True)
class RandomRotation90(Operation):
    """With probability p a rotation by 90, 180 or 270 degrees, each as likely."""

    name: ClassVar[str] = "rotation"
    group: ClassVar[str] = "rotation"

    p: float = 0.5

    def sample(self, n: int, shape: Shape, generator: Generator) -> RotationParameters:
        applied = bernoulli(n, self.p, generator)
        turns = torch.randint(1, 4, (n,), generator=generator, device=generator.device)
        return RotationParameters(applied=applied, turns=turns * applied)

    def apply(self, images: Tensor, parameters: RotationParameters, in_place: bool = False) -> Tensor:
        """Raises UserError for images that are not square."""
        if images.shape[2] != images.shape[3]:
            raise UserError(f"rotation needs square images, not {images.shape[2]} x {images.shape[3]}: crop them first")
        for turns in (1, 2, 3):
            this_many = Parameters(applied=parameters.turns == turns)
            images = apply_to_marked(partial(rotate, turns=turns), images, this_many, in_place)
        return images

    def redraw_unlike(
        self, parameters: RotationParameters, other: RotationParameters, generator: Generator
    ) -> RotationParameters:
        """An angle that equals the other's is drawn again, among those that are left and as likely as they are."""
        chances = constant((1 - self.p, *[self.p / 3] * 3), torch.float32, other.turns.device)
        chances = chances.repeat(len(other), 1).scatter_(1, other.turns[:, None], 0.0)
        waiting = torch.empty_like(chances).exponential_(generator=generator) / chances
        again = waiting.argmin(dim=1)  # of exponential times with these rates, each is first with its own chance
        turns = torch.where(parameters.turns == other.turns, again, parameters.turns)
        return RotationParameters(applied=turns > 0, turns=turns)
