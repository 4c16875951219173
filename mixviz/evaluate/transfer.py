"""Transfer to another data set: resizing its images for the encoder, and the classes that both sets have."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mixviz.data import Dataset


def shared_classes(first: Dataset, second: Dataset) -> tuple[str, ...]:
    """Names of classes that both sets have, in the first one's order; case, blanks, - and _ are ignored.

    Only names are compared: "automobile" and "car" count as two classes.
    """
    known = {plain(name) for name in second.class_names}
    return tuple(name for name in first.class_names if plain(name) in known)


def plain(name: str) -> str:
    """The name in lower case, words separated by one blank."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def resized(images: Dataset, size: tuple[int, int], batch_size: int = 1024) -> Dataset:
    """The set with images of size (height, width), bilinear, with antialiasing.

    Images of another aspect are cropped to it around their centre first. A set of this size is returned unchanged.
    """
    if images.stored.shape[1:3] == tuple(size):
        return images
    from torchvision.transforms.v2 import functional as transforms  # slow to import

    parts = []
    for part in torch.arange(len(images)).split(batch_size):
        channels_first = images.select(part).tensor().permute(0, 3, 1, 2)
        cut = transforms.center_crop(channels_first, list(_largest_box(channels_first.shape[2:], size)))
        parts.append(transforms.resize(cut, list(size), antialias=True).permute(0, 2, 3, 1).numpy())
    return replace(images, stored=np.concatenate(parts))


def _largest_box(shape: Sequence[int], size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the largest box in an image of this shape that has the aspect of ``size``."""
    scale = min(shape[0] / size[0], shape[1] / size[1])
    return round(scale * size[0]), round(scale * size[1])
