"""Linear classifiers trained on random views of images: all candidates of a sweep share each view's features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mixviz.augment import Augmentation, HorizontalFlip, RandomResizedCrop, build_augmentation, crop_and_flip
from mixviz.evaluate.features import Inputs, Layer, frozen, read
from mixviz.evaluate.linear import gradient, with_bias

Views = Literal["resized-crop", "padded-crop", "pre-training"]


@dataclass(frozen=True, kw_only=True)
class ProbeSchedule:
    """What candidates share that are trained together."""

    epochs: int
    batch_size: int
    views: Views
    layer: Layer = "backbone"


def fit_on_views(
    inputs: Inputs,
    labels: Tensor,
    schedule: ProbeSchedule,
    rates: Tensor,
    decays: Tensor,
    train_mask: Tensor,
    seed: int = 0,
    watch: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Weights of S softmax regressions on a frozen encoder's features of augmented images, (F + 1, S, C).

    SGD with momentum 0.9, weights drawn from N(0, 0.01) as in MoCo's probe. All see the same views in the same batches,
    have the same initial weights, and are independent of one another: they share the encoder's passes, which dominate
    the cost.

    labels: (N,) from 0; rates: (E, S), learning rate of each epoch; decays: (S,), weight decay; train_mask: (N, S)
    bool, the images of each. watch: called with the weights after every epoch. Raises NotFrozen.
    """
    with frozen(inputs.embedder):
        return _fit(inputs, labels, schedule, rates, decays, train_mask, seed, watch)


@torch.no_grad()
def _fit(
    inputs: Inputs,
    labels: Tensor,
    schedule: ProbeSchedule,
    rates: Tensor,
    decays: Tensor,
    train_mask: Tensor,
    seed: int,
    watch: Callable[[Tensor], None] | None,
) -> Tensor:
    device, generator = inputs.device, Generator(inputs.device).manual_seed(seed)
    pixels = inputs.train.tensor().to(device).permute(0, 3, 1, 2)
    labels, train_mask, rates, decays = (part.to(device) for part in (labels, train_mask, rates, decays[:, None]))
    one_hot = F.one_hot(labels).float()
    width = inputs.features(schedule.layer)[0].shape[1]
    weights = 0.01 * torch.randn(width + 1, 1, one_hot.shape[1], device=device, generator=generator)
    weights[-1] = 0
    weights = weights.repeat(1, rates.shape[1], 1)
    velocity = torch.zeros_like(weights)
    views = view_maker(schedule.views, pixels.shape[2])
    for epoch in range(schedule.epochs):
        for index in torch.randperm(len(labels), device=device, generator=generator).split(schedule.batch_size):
            images = views(pixels[index].float() / 255, generator)
            batch = with_bias(read(inputs.embedder, images, schedule.layer))
            slope = gradient(batch, one_hot[index], weights, train_mask[index])
            velocity.mul_(0.9).add_(slope + decays * weights)
            weights -= rates[epoch][:, None] * velocity
        if watch:
            watch(weights)
    return weights


def view_maker(views: Views, size: int) -> Callable[[Tensor, Generator], Tensor]:
    """(n, C, size, size) in [0, 1] -> one random view of each.

    resized-crop: a box of 8 to 100 % of the area, resized, and a flip, as in MoCo's probe. padded-crop: moved by up
    to an eighth of the size, and a flip, as in i-Mix's on CIFAR. pre-training: MoCo-v2's augmentation, without blur.
    """
    if views == "padded-crop":
        flip = Augmentation((HorizontalFlip(),))
        return lambda images, generator: augmented(flip, padded_crop(images, max(1, size // 8), generator), generator)
    if views == "resized-crop":
        augmentation = crop_and_flip(RandomResizedCrop(size=size, scale=(0.08, 1.0)), HorizontalFlip())
    else:
        augmentation = build_augmentation(size, blur=0.0)
    return lambda images, generator: augmented(augmentation, images, generator)


def augmented(augmentation: Augmentation, images: Tensor, generator: Generator) -> Tensor:
    """Images (n, C, H, W), each with its own random choices."""
    return augmentation.apply(images, augmentation.sample(len(images), images.shape[1:], generator))


def padded_crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Images (n, C, H, W) padded with black on all sides, and a random box of H x W cut out of each."""
    n, channels, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    top, left = (
        torch.randint(2 * padding + 1, (n,), device=images.device, generator=generator)[:, None] for _ in range(2)
    )
    rows = (top + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (left + torch.arange(width, device=images.device))[:, None, None, :]
    image = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows, columns]
