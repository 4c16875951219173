"""The upper bound: the same backbone trained with labels, by the same parts of the loop."""

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from mixviz.augment import make_views
from mixviz.build import TrainSets, build_embedder, seeded, seeded_generator
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of, domain_of, inputs_of
from mixviz.encoders import Embedder
from mixviz.train import batches, learning_rate, optimize, sgd


def train_supervised(config: RunConfig, images: Dataset, progress: bool = True) -> Embedder:
    """An embedder whose backbone was trained by cross entropy on labels; config as for a run, its method unused.

    It is trained on the run's images, one augmented view of each. Raises UserError without labels.
    """
    classes = len(set(images.targets("label").tolist()))
    training = TrainSets(data=config.data, all_train=images).train
    domain, seed = domain_of(training), config.train.seed
    embedder = build_embedder(config.but(framework="simclr", mixing=()), *inputs_of(training))
    device = embedder.device
    stored, labels = training.tensor().to(device), torch.as_tensor(training.labels, device=device)
    with seeded(seed):
        classifier = nn.LazyLinear(classes).to(device)
        classifier(embedder.features(domain.clean(stored[:2])))
    optimizer = sgd(nn.ModuleList([embedder.backbone, classifier]), config.optimizer)
    augmentation = augmentation_of(config.augment, training)
    steps = len(stored) // config.train.batch_size
    with tqdm(total=config.train.epochs * len(stored), desc="supervised", unit=" images", disable=not progress) as bar:
        for epoch in range(config.train.epochs):
            for i, index in enumerate(batches(len(stored), config.train.batch_size, seed, epoch)):
                index = index.to(device)
                crops = seeded_generator(device, seed, "crops", epoch * steps + i)
                view = make_views(domain.prepare(stored[index]), augmentation, crops, shared=())[0]
                loss = F.cross_entropy(classifier(embedder.features(view.inputs)), labels[index])
                optimize(optimizer, loss, learning_rate(config.optimizer, epoch + i / steps, config.train.epochs))
                bar.update(len(index))
    return embedder.eval().requires_grad_(False)
