"""Views of a batch: a query, and key views that share chosen augmentations with it (LooC) or none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from mixviz.augment.color import ColorJitter, RandomGrayscale
from mixviz.augment.filters import GaussianBlur, RandomTexture
from mixviz.augment.geometry import CropAndFlip, HorizontalFlip, RandomResizedCrop, RandomRotation90
from mixviz.augment.operation import Draw, Operation, Parameters, Shape
from mixviz.errors import UserError

CHUNK = (
    2**20
)  # pixels or samples that take each step together on a CPU: fewer share the work badly, more leave its cache


@dataclass(frozen=True)
class View:
    """One augmented view of N inputs."""

    inputs: Tensor  # (N, *shape) float; images in [0, 1]
    parameters: Draw


class Step(Protocol):
    """What applies one operation, or several in one go."""

    def apply_drawn(self, inputs: Tensor, draw: Draw, /, in_place: bool = False) -> Tensor: ...


@dataclass(frozen=True)
class Augmentation:
    """Operations in the order in which they are applied; steps: what applies them, if not each by itself."""

    operations: tuple[Operation, ...]
    steps: tuple[Step, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """What a key view may share with the query: the groups of the operations that are switched on."""
        return tuple(dict.fromkeys(operation.group for operation in self.operations if operation.p > 0))

    def sample(self, n: int, shape: Shape, generator: Generator) -> dict[str, Parameters]:
        """The random choices for n inputs of this shape, on the generator's device."""
        return {op.name: op.sample(n, shape, generator) for op in self.operations}

    @torch.no_grad()
    def apply(self, inputs: Tensor, parameters: Draw, in_place: bool = False) -> Tensor:
        """Inputs (n, *shape) float, each changed by its own parameters; in_place: they may be written over.

        Raises UserError for inputs that are not float.
        """
        _check_float(inputs)
        on_cpu = inputs.device.type == "cpu"
        size = max(1, CHUNK // math.prod(inputs.shape[2:] or inputs.shape[1:])) if on_cpu else len(inputs)
        if len(inputs) <= size:
            return self._apply(inputs, parameters, in_place)
        pieces = [slice(start, start + size) for start in range(0, len(inputs), size)]
        return torch.cat([self._apply(inputs[piece], _part(parameters, piece), in_place) for piece in pieces])

    def _apply(self, inputs: Tensor, parameters: Draw, own: bool) -> Tensor:
        """own: the next step may write into the inputs, as it always may into what a step has made."""
        for step in self.steps or self.operations:
            changed = step.apply_drawn(inputs, parameters, in_place=own)
            own, inputs = own or changed is not inputs, changed
        return inputs


def crop_and_flip(crop: RandomResizedCrop, flip: HorizontalFlip, *operations: Operation) -> Augmentation:
    """A crop and a flip in one resampling, then other operations; those of probability 0 are left out."""
    operations = tuple(operation for operation in operations if operation.p > 0)
    if flip.p == 0:
        return Augmentation((crop, *operations))
    return Augmentation((crop, flip, *operations), (CropAndFlip(crop, flip), *operations))


def build_augmentation(
    size: int,
    *,
    crop_scale: tuple[float, float] = (0.2, 1.0),
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1),
    jitter_p: float = 0.8,
    grayscale: float = 0.2,
    blur: float = 0.5,
    blur_sigma: tuple[float, float] = (0.1, 2.0),
    rotation: float = 0.0,
    texture: float = 0.0,
) -> Augmentation:
    """MoCo-v2's augmentation (arXiv:2003.04297) to size x size pixels, optionally with LooC's rotation and texture.

    flip, jitter_p, grayscale, blur, rotation and texture are probabilities, 0 leaves one out. jitter: strengths of
    brightness, contrast, saturation and hue. Raises UserError if a value is out of range.

    Geometry comes first, the rotation after the flip, so that the orientation of a view shows the angle of rotation;
    then texture, so that the colours that jitter makes are the view's; blur is last.
    """
    brightness, contrast, saturation, hue = jitter
    return crop_and_flip(
        RandomResizedCrop(size=size, scale=crop_scale, ratio=crop_ratio),
        HorizontalFlip(flip),
        RandomRotation90(rotation),
        RandomTexture(p=texture),
        ColorJitter(
            brightness=brightness,
            contrast=contrast,
            saturation=saturation,
            hue=hue,
            p=jitter_p if any(jitter) else 0.0,
        ),
        RandomGrayscale(grayscale),
        GaussianBlur(sigma=blur_sigma, p=blur),
    )


@torch.no_grad()
def make_views(
    inputs: Tensor, augmentation: Augmentation, generator: Generator, shared: tuple[str | None, ...] = (None,)
) -> list[View]:
    """The query view of inputs (N, *shape), then one key view for each entry of ``shared`` (LooC, arXiv:2008.05659).

    None: a key view whose parameters are all drawn independently. A group: a key view that copies the query's
    parameters for that group, including the decision to apply it, and draws all others independently. A parameter with
    few values is redrawn in the other key views until it differs from the query's, as they are negatives in that
    group's space. Apart from that, the draws of the query and of the first key view do not depend on later entries.
    Raises UserError for a group that is unknown or switched off, and for inputs that are not float.
    """
    _check_shared(shared, augmentation)
    _check_float(inputs)
    n, shape = len(inputs), tuple(inputs.shape[1:])
    early = min(2, 1 + len(shared))  # the query and the first key view are drawn together: many small steps, once
    together = augmentation.sample(early * n, shape, generator)
    draws = [_part(together, slice(i * n, (i + 1) * n)) for i in range(early)]
    draws += [augmentation.sample(n, shape, generator) for _ in shared[1:]]
    query, *keys = draws
    for key, group in zip(keys, shared, strict=True):
        for operation in augmentation.operations:
            if operation.group == group:
                key[operation.name] = query[operation.name]
            elif operation.group in shared:
                key[operation.name] = operation.redraw_unlike(key[operation.name], query[operation.name], generator)
    joined = together if shared in ((), (None,)) else _join(draws)  # unless a key copies from the query
    all_views = augmentation.apply(inputs.repeat(len(draws), *[1] * len(shape)), joined, in_place=True)
    return [View(view, draw) for view, draw in zip(all_views.split(n), draws, strict=True)]


def _part(draw: Draw, rows: slice) -> dict[str, Parameters]:
    """The draw of some of the inputs."""
    return {name: parameters[rows] for name, parameters in draw.items()}


def _join(draws: Sequence[Draw]) -> Draw:
    """The draws of several views as one, of the first view's inputs, then the next one's."""
    return {name: parameters.join([draw[name] for draw in draws]) for name, parameters in draws[0].items()}


def _check_float(inputs: Tensor) -> None:
    if not inputs.is_floating_point():
        raise UserError(
            f"augmentations change floats, not {inputs.dtype}: prepare the inputs first, images by to_float"
        )


def _check_shared(shared: tuple[str | None, ...], augmentation: Augmentation) -> None:
    groups = augmentation.groups
    for group in shared:
        if group is not None and group not in groups:
            raise UserError(
                f"no augmentation {group!r} to share between views: it is unknown or its probability is 0; "
                f"switched on are {', '.join(groups)}"
            )


def to_float(images: Tensor) -> Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, H, W) float32 in [0, 1], contiguous."""
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)
