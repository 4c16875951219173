"""Views of a batch: a query, and key views that share chosen augmentations with it (LooC) or none."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mixviz.augment.color import ColorJitter, RandomGrayscale
from mixviz.augment.filters import GaussianBlur, RandomTexture
from mixviz.augment.geometry import HorizontalFlip, RandomResizedCrop, RandomRotation90
from mixviz.augment.operation import Operation, Parameters
from mixviz.errors import UserError

CHUNK = 2**20  # pixels that take each step together on a CPU: fewer share the work badly, more leave its cache

Draw = dict[str, Parameters]  # by the operation's name


@dataclass(frozen=True)
class View:
    """One augmented view of N images."""

    images: Tensor  # (N, C, H, W) float in [0, 1]
    parameters: Draw


@dataclass(frozen=True)
class Augmentation:
    """Operations in the order in which they are applied."""

    operations: tuple[Operation, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """What a key view may share with the query: the groups of the operations that are switched on."""
        return tuple(dict.fromkeys(operation.group for operation in self.operations if operation.p > 0))

    def sample(self, n: int, height: int, width: int, generator: Generator) -> Draw:
        """The random choices for n images of height x width, on the generator's device."""
        return {op.name: op.sample(n, height, width, generator) for op in self.operations}

    @torch.no_grad()
    def apply(self, images: Tensor, parameters: Draw) -> Tensor:
        """Images (n, C, H, W) float in [0, 1], each changed by its own parameters; the input stays as it is.

        Raises UserError for images that are not float.
        """
        if not images.is_floating_point() or images.dim() != 4:
            raise UserError(
                f"images are (n, C, H, W) float in [0, 1], not {tuple(images.shape)} {images.dtype}: to_float"
            )
        size = len(images) if images.is_cuda else max(1, CHUNK // (images.shape[2] * images.shape[3]))
        if len(images) <= size:
            return self._apply(images, parameters)
        pieces = [slice(start, start + size) for start in range(0, len(images), size)]
        return torch.cat([self._apply(images[piece], _part(parameters, piece)) for piece in pieces])

    def _apply(self, images: Tensor, parameters: Draw) -> Tensor:
        own, operations = False, self.operations  # once images are its own, the next operation may write into them
        match operations:
            case [RandomResizedCrop() as crop, HorizontalFlip() as flip, *operations]:
                own, images = True, crop.apply(images, parameters[crop.name], flip=parameters[flip.name])
        for operation in operations:
            changed = operation.apply(images, parameters[operation.name], in_place=own)
            own, images = own or changed is not images, changed
        return images


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
    """MoCo-v2's augmentation (arXiv:2003.04297) to size x size pixels, with rotation and texture for LooC if wanted.

    flip, jitter_p, grayscale, blur, rotation and texture are probabilities, 0 leaves one out. jitter: strengths of
    brightness, contrast, saturation and hue. Raises UserError where a value is out of range.

    Geometry comes first, the rotation after the flip, so that "up" in a view tells the angle it was turned by; then
    texture, so that the colours that jitter makes are the view's; blur is last.
    """
    brightness, contrast, saturation, hue = jitter
    operations = (
        RandomResizedCrop(size, crop_scale, crop_ratio),
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
    return Augmentation(tuple(operation for operation in operations if operation.p > 0))


@torch.no_grad()
def make_views(
    images: Tensor, augmentation: Augmentation, generator: Generator, shared: tuple[str | None, ...] = (None,)
) -> list[View]:
    """The query view of images (N, C, H, W), then one key view for each entry of ``shared`` (LooC, arXiv:2008.05659).

    None: a key view of which everything is drawn anew. A group: a key view that copies the query's parameters for
    that group, the decision to apply it included, while everything else is drawn anew. What takes few values is
    drawn again in the other key views until it differs from the query's, as they are negatives in that group's space.
    The draws of the query and of the first key view do not depend on the entries after it, but for that.
    Raises UserError for a group that is unknown or switched off.
    """
    _check_shared(shared, augmentation)
    n, size = len(images), images.shape[2:]
    early = min(2, 1 + len(shared))  # the query and the first key view are drawn together: many small steps, once
    together = augmentation.sample(early * n, *size, generator)
    draws = [_part(together, slice(i * n, (i + 1) * n)) for i in range(early)]
    draws += [augmentation.sample(n, *size, generator) for _ in shared[1:]]
    query, *keys = draws
    for key, group in zip(keys, shared, strict=True):
        for operation in augmentation.operations:
            if operation.group == group:
                key[operation.name] = query[operation.name]
            elif operation.group in shared:
                key[operation.name] = operation.redraw_unlike(key[operation.name], query[operation.name], generator)
    all_views = augmentation.apply(images.repeat(len(draws), 1, 1, 1), _join(draws))
    return [View(view, draw) for view, draw in zip(all_views.split(n), draws, strict=True)]


def _part(draw: Draw, images: slice) -> Draw:
    """The draw of some of the images."""
    return {name: parameters[images] for name, parameters in draw.items()}


def _join(draws: list[Draw]) -> Draw:
    """The draws of several views as one, of the first view's images, then the next one's."""
    return {name: parameters.join([draw[name] for draw in draws]) for name, parameters in draws[0].items()}


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
