"""Transfer: an encoder trained on one data set, read out on another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from mixviz.data import Dataset
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate import DEFAULTS, Protocol, Result, evaluate


def transfer(
    embedder: Embedder,
    train: Dataset,
    test: Dataset,
    trained_on: Dataset,
    encoder: str = "backbone",
    targets: Sequence[str] = ("label",),
    protocols: Sequence[str | Protocol] = DEFAULTS,
    seed: int = 0,
    run: str = "",
) -> list[Result]:
    """Read a frozen encoder out on a data set that it was not trained on: train and test of that other set.

    trained_on: the images that the encoder was trained on; its name goes into the results' settings as
    ``encoder_trained_on``, with the names of classes that both sets have as ``shared_classes``. Images of another
    size than these are resized to it, which ``resized_from`` tells. The target names the other set, as in
    ``label of CIFAR-100``, so that no transfer is taken for a result on the encoder's own data.
    Raises UserError where the other set is the same one, or its test has classes that its train lacks; NotFrozen.
    """
    check_transfer(train, test, trained_on, targets)
    size = trained_on.stored.shape[1:3]
    settings = {"encoder_trained_on": trained_on.name, "shared_classes": list(shared_classes(trained_on, train))}
    if train.stored.shape[1:3] != size:
        settings["resized_from"] = list(train.stored.shape[1:3])
    train, test = resized(train, size), resized(test, size)
    results = evaluate(embedder, train, test, encoder, targets, protocols, seed, run)
    return [
        replace(result, target=f"{result.target} of {train.name}", settings={**result.settings, **settings})
        for result in results
    ]


def check_transfer(train: Dataset, test: Dataset, trained_on: Dataset, targets: Sequence[str]) -> None:
    """Raises UserError where the read-out would be no transfer, or could not be right."""
    if train.name != test.name:
        raise UserError(f"train is from {train.name} but test from {test.name}: use one data set for both")
    if train.name == trained_on.name:
        raise UserError(f"the encoder was trained on {trained_on.name} itself: evaluate it, or take another data set")
    if train.domain != trained_on.domain:
        raise UserError(f"{train.name} is {train.domain} data and the encoder was trained on {trained_on.domain} data")
    if train.domain != "image" and train.stored.shape[1:] != trained_on.stored.shape[1:]:
        raise UserError(f"{train.name} is of another shape than {trained_on.name}, and images alone can be resized")
    for target in targets:
        missing = np.setdiff1d(test.targets(target), train.targets(target))
        if len(missing):
            raise UserError(f"{train.name}: train has no {target} {missing[0]}, and test has: take splits of one set")


def shared_classes(first: Dataset, second: Dataset) -> tuple[str, ...]:
    """Names of classes that both sets have, in the first one's order; cases, blanks, - and _ make no difference.

    Only names are compared: "automobile" and "car" count as two classes.
    """
    known = {plain(name) for name in second.class_names}
    return tuple(name for name in first.class_names if plain(name) in known)


def plain(name: str) -> str:
    """The name in small letters, words apart by one blank."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def resized(images: Dataset, size: tuple[int, int], batch_size: int = 1024) -> Dataset:
    """The set with images of size (height, width), bilinear, with a filter that widens where they shrink.

    Images of another aspect are cut to it around their centre first. A set of this size is given back as it is.
    """
    if images.stored.shape[1:3] == tuple(size):
        return images
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
