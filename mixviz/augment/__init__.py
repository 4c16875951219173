"""Batched augmentation: every image has its own parameters, drawn in ``sample`` and used in ``apply``."""

from mixviz.augment.color import ColorJitter, RandomGrayscale
from mixviz.augment.filters import GaussianBlur, RandomTexture
from mixviz.augment.geometry import HorizontalFlip, RandomResizedCrop, RandomRotation90
from mixviz.augment.operation import Operation, Parameters, Shape
from mixviz.augment.views import Augmentation, View, build_augmentation, crop_and_flip, make_views, to_float

__all__ = [
    "Augmentation",
    "ColorJitter",
    "GaussianBlur",
    "HorizontalFlip",
    "Operation",
    "Parameters",
    "RandomGrayscale",
    "RandomResizedCrop",
    "RandomRotation90",
    "RandomTexture",
    "Shape",
    "View",
    "build_augmentation",
    "crop_and_flip",
    "make_views",
    "to_float",
]
