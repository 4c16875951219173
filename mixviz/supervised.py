"""The ceiling: the same backbone trained with labels, by the same parts of the loop."""

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from mixviz.augment import make_views, to_float
from mixviz.build import build_embedder, seeded
from mixviz.config import RunConfig
from mixviz.data import ImageSet
from mixviz.encoders import Embedder
from mixviz.train import augmentation_of, batches, hold_out, learning_rate, optimize, seeded_generator, sgd, statistics


def train_supervised(config: RunConfig, images: ImageSet, progress: bool = True) -> Embedder:
    """An embedder whose backbone was trained by cross entropy on labels; config as for a run, its method unused.

    It sees the images that a run of this config would see, one augmented view of each. Raises UserError without labels.
    """
    classes = len(set(images.targets("label").tolist()))
    _, kept = hold_out(len(images), config.data.holdout)
    training = images.select(kept)
    pixels, labels = training.tensor(), torch.as_tensor(training.labels)
    image_size, seed = pixels.shape[1], config.train.seed
    embedder = build_embedder(config.but(framework="simclr", mixing=()), image_size, *statistics(pixels))
    device = embedder.device
    pixels, labels = pixels.to(device), labels.to(device)
    with seeded(seed):
        classifier = nn.LazyLinear(classes).to(device)
        classifier(embedder.features(to_float(pixels[:2])))
    optimizer = sgd(nn.ModuleList([embedder.backbone, classifier]), config.optimizer)
    augmentation = augmentation_of(config.augment, image_size)
    steps = len(pixels) // config.train.batch_size
    with tqdm(total=config.train.epochs * len(pixels), desc="supervised", unit=" images", disable=not progress) as bar:
        for epoch in range(config.train.epochs):
            for i, index in enumerate(batches(len(pixels), config.train.batch_size, seed, epoch)):
                index = index.to(device)
                crops = seeded_generator(device, seed, "crops", epoch * steps + i)
                view = make_views(to_float(pixels[index]), augmentation, crops, shared=())[0]
                loss = F.cross_entropy(classifier(embedder.features(view.inputs)), labels[index])
                optimize(optimizer, loss, learning_rate(config.optimizer, epoch + i / steps, config.train.epochs))
                bar.update(len(index))
    return embedder.eval().requires_grad_(False)
