"""The faults: arguments of ``train``, a backbone, and a probe that is not linear."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mixviz.augment import Augmentation, View, make_views
from mixviz.build import seeded
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.encoders import Embedder, SplitBatchNorm2d, convnet
from mixviz.evaluate import NotFrozen, frozen
from mixviz.mixing import IMix, IMixDraw
from mixviz.terms import Query
from mixviz.train import batches


def views_of_one_crop(
    images: Tensor, augmentation: Augmentation, generator: Generator, shared: tuple[str | None, ...] = (None,)
) -> list[View]:
    """Like ``make_views``, but a key view that should share nothing has the query's crop."""
    return make_views(images, augmentation, generator, tuple(group or "crop" for group in shared))


def views_that_share_the_rest(
    images: Tensor, augmentation: Augmentation, generator: Generator, shared: tuple[str | None, ...] = (None,)
) -> list[View]:
    """Like ``make_views``, but the key view of a group copies everything from the query except that group.

    So the space of that group learns to ignore it.
    """
    draws = [augmentation.sample(len(images), images.shape[1:], generator) for _ in range(1 + len(shared))]
    for key, group in zip(draws[1:], shared, strict=True):
        for operation in augmentation.operations:
            if group is not None and operation.group != group:
                key[operation.name] = draws[0][operation.name]
    return [View(augmentation.apply(images, draw), draw) for draw in draws]


class WrongPartners(IMix):
    """i-Mix whose inputs are blended by the permutation and whose targets are blended by its inverse."""

    def queries(self, view: Tensor, draw: IMixDraw) -> list[Query]:
        inverse = draw._replace(partner=draw.partner.argsort())
        pairs = zip(super().queries(view, draw), super().queries(view, inverse), strict=True)
        return [replace(blended, targets=labelled.targets) for blended, labelled in pairs]


def imagenet_stem() -> nn.Sequential:
    """``convnet`` whose first layer is that of a ResNet for 224 px: 7x7 with stride 2, then a max-pool with stride 2.

    Images of 32 px reach the last stage as 2x2, not as 4x4.
    """
    backbone = convnet(SplitBatchNorm2d, (3, 32, 32))
    stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    first = backbone[0]
    assert isinstance(first, nn.Sequential)
    first[0] = stem
    first.append(nn.MaxPool2d(3, stride=2, padding=1))
    return backbone


def learn_along(
    embedder: Embedder, images: Dataset, seed: int = 0, epochs: int = 3, batch_size: int = 64, lr: float = 0.05
) -> nn.Linear:
    """A "linear probe" that trains the backbone as well; the classifier.

    The line that should freeze it occurs in practice: it sets an attribute of the module and freezes nothing.
    """
    inputs, labels = clean(images), torch.as_tensor(images.targets("label"))
    embedder.requires_grad_(True)  # the mode of a newly built network
    embedder.requires_grad = False  # pyright: ignore[reportArgumentType]  # for requires_grad_(False)
    with seeded(seed), torch.no_grad():
        classifier = nn.Linear(embedder.features(inputs[:2]).shape[1], int(labels.max()) + 1)
    parameters = [*embedder.backbone.parameters(), *classifier.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=0.9)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - epoch / epochs)
        for index in batches(len(inputs), min(batch_size, len(inputs)), seed, epoch):
            loss = F.cross_entropy(classifier(embedder.features(inputs[index])), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return classifier


def unfrozen_probe(embedder: Embedder, images: Dataset, test: Dataset, seed: int = 0, epochs: int = 3) -> float:
    """Test accuracy, in [0, 1], of a probe that also trains the backbone; the embedder passed in does not change."""
    learner = copy.deepcopy(embedder).train()
    classifier = learn_along(learner, images, seed, epochs)
    learner.eval()
    with torch.no_grad():
        parts = [classifier(learner.features(batch)) for batch in clean(test).split(512)]
    return float((torch.cat(parts).argmax(dim=1).numpy() == test.targets("label")).mean())


def guard_message(embedder: Embedder, images: Dataset) -> str | None:
    """The freeze guard's message for such a probe, after one batch; None if there is none."""
    learner = copy.deepcopy(embedder)
    try:
        with frozen(learner):
            learn_along(learner, images.select(range(min(64, len(images)))), epochs=1)
    except NotFrozen as error:
        return str(error)
    return None
