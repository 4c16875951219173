"""Protocols that augment the training images: the papers' linear evaluations, and online probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from mixviz.evaluate.base import ON_TRAIN, Choice, Count, Decays, Epoch, Positive, Protocol, Readout
from mixviz.evaluate.features import Inputs
from mixviz.evaluate.linear import Setting, grid, predict, split
from mixviz.evaluate.views import ProbeSchedule, Views, fit_on_views


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a paper trains its probe: SGD with momentum 0.9, learning rate falling by ``factor`` at ``decay_epochs``."""

    lrs: tuple[float, ...]
    epochs: int
    decay_epochs: tuple[int, ...]
    factor: float
    batch_size: int
    views: Views
    reported: str  # which number the paper reports, and how we know


RecipeName = Literal["moco", "mixco", "mochi", "looc", "imix"]
RECIPES: Mapping[RecipeName, Recipe] = {
    "moco": Recipe(
        lrs=(30.0,),
        epochs=100,
        decay_epochs=(60, 80),
        factor=0.1,
        batch_size=256,
        views="resized-crop",
        reported="authors' code",
    ),
    "mixco": Recipe(
        lrs=(3.0,),
        epochs=100,
        decay_epochs=(60, 80),
        factor=0.1,
        batch_size=256,
        views="resized-crop",
        reported="best epoch on test (authors' code)",
    ),
    "mochi": Recipe(
        lrs=(10.0,),
        epochs=60,
        decay_epochs=(30, 40, 50),
        factor=0.1,
        batch_size=128,
        views="resized-crop",
        reported="ImageNet-100, unverified",
    ),
    "looc": Recipe(
        lrs=(30.0,),
        epochs=200,
        decay_epochs=(120, 160),
        factor=0.1,
        batch_size=256,
        views="resized-crop",
        reported="ImageNet-100, secondary source",
    ),
    "imix": Recipe(
        lrs=(1.0, 3.0, 5.0, 10.0, 30.0, 50.0, 70.0),
        epochs=100,
        decay_epochs=(80, 90, 95),
        factor=0.2,
        batch_size=256,
        views="padded-crop",
        reported="best learning rate on test, last epoch (authors' code, CIFAR)",
    ),
}


@dataclass(frozen=True, kw_only=True)
class LinearAugmented(Protocol):
    """The papers' linear evaluation: a new random crop and flip of every training image in each epoch.

    recipe: MoCo (arXiv:1911.05722), MixCo (2010.06300), MoCHi (2010.01028), LooC (2008.05659), i-Mix (2010.08887),
    each with its learning rates, epochs, steps and batch. Features are not standardised; no weight decay by default.
    Several candidates are trained together, each on all of train and, to be chosen, on four fifths of it. Test images
    are used as they are, without the papers' enlarged centre crop.

    As in the papers' code the loss is a mean, the encoder in evaluation mode, and features keep their own lengths, for
    which the learning rates were found. A step is stable below about 3.8 / (c e), where e is the largest eigenvalue
    of E[x x^T] and c grows from 1 / classes to 1/2 as the probe learns. The recorded moco-v2 convnets have e = 36 on
    glyphs and 9 on CIFAR-10 (JPEG), nearly all of it a mean that all features share: at lr 30 the probe does not
    settle (on glyphs a loss of 250 to 470 nats, 8 to 13 % right) before the rate falls, and then does. With 10,000
    training and 2,000 test images, lr 0.3, 1, 3, 10, 30 end, in %, at

    - glyphs: 33 40 40 40 39 after a tenth of the epochs, 52 54 54 53 53 after all,
    - CIFAR-10: 50 51 52 51 51 after a tenth.

    So a rate far too large costs a point, one too small costs more. The gap to ``linear-features`` (82 and 57) comes
    from the crops (without: 67 and 57 after as few epochs, 82 and 57 after all) and, on glyphs, too few steps for
    features that are not standardised (standardised, without crops: 80). A small ``scale`` skips decays: 0.1 i-Mix's
    last, 0.03 MoCo's second, 0.01 both, and a probe whose rate stays at 30 is left near chance.
    """

    name: ClassVar[str] = "linear-augmented"
    domains: ClassVar[tuple[str, ...] | None] = ("image",)

    recipe: RecipeName = "moco"
    scale: Positive = 1.0  # of the recipe's epochs and of the epochs at which its learning rate falls
    lrs: tuple[Positive, ...] = ()  # none: the recipe's
    weight_decays: Decays = (0.0,)
    choose: Choice = "on-train"  # learning rate and weight decay, if there are several
    epoch: Epoch = "last"

    @property
    def schedule(self) -> ProbeSchedule:
        recipe = RECIPES[self.recipe]
        return ProbeSchedule(
            epochs=max(1, round(recipe.epochs * self.scale)),
            batch_size=recipe.batch_size,
            views=recipe.views,
            layer=self.layer,
        )

    @property
    def settings(self) -> list[Setting]:
        return grid(self.lrs or RECIPES[self.recipe].lrs, self.weight_decays)

    def rates(self) -> Tensor:
        """(E, S), the learning rate of every setting in every epoch."""
        recipe, epochs = RECIPES[self.recipe], torch.arange(self.schedule.epochs)
        steps = torch.stack([epochs >= round(at * self.scale) for at in recipe.decay_epochs]).sum(dim=0)
        return recipe.factor ** steps.float()[:, None] * torch.tensor([lr for lr, _ in self.settings])

    def read(self, inputs: Inputs, labels: Tensor, seed: int = 0) -> Readout:
        return read_together([self], inputs, labels, seed)[0]

    def choice(self, trained: "Trained", first: int) -> Readout:
        """The predictions, from the columns of all probes trained together; this protocol's begin at ``first``."""
        about = {"epochs": self.schedule.epochs, "batch_size": self.schedule.batch_size, "views": self.schedule.views}
        columns = list(range(first, first + len(self.settings)))
        if self.choose == "on-train" and len(columns) > 1:
            best = int(trained.validation[columns].argmax())
            columns = columns[best : best + 1]
            about |= {"chosen_on": ON_TRAIN, "validation_accuracy": float(trained.validation[columns])}
        if len(columns) == 1:
            about |= dict(zip(("lr", "weight_decay"), self.settings[columns[0] - first], strict=True))
        candidates = trained.predicted[-1 if self.epoch == "last" else slice(None)][..., columns, :]
        return (candidates.flatten(0, -2) if self.selects_on_test else candidates[0]), about


@dataclass(frozen=True)
class Trained:
    """What probes that were trained together predict."""

    predicted: Tensor  # (E, S, n) after every epoch of training on all of train
    validation: Tensor  # (S,) accuracy on a fifth of train of the same settings, trained on the rest


def read_together(protocols: Sequence[LinearAugmented], inputs: Inputs, labels: Tensor, seed: int = 0) -> list[Readout]:
    """Several protocols that share their passes, at the price of one; each result is as if it were computed alone."""
    (schedule,) = {protocol.schedule for protocol in protocols}
    rates = torch.cat([protocol.rates() for protocol in protocols], dim=1)
    decays = torch.tensor([decay for protocol in protocols for _, decay in protocol.settings])
    trained = _train(inputs, labels, schedule, rates, decays, seed)
    firsts = [sum(len(before.settings) for before in protocols[:i]) for i in range(len(protocols))]
    return [protocol.choice(trained, first) for protocol, first in zip(protocols, firsts, strict=True)]


def _train(
    inputs: Inputs, labels: Tensor, schedule: ProbeSchedule, rates: Tensor, decays: Tensor, seed: int
) -> Trained:
    """Every setting on all of train and, if there are several, once more on four fifths of it."""
    features, test_features = inputs.features(schedule.layer)
    count = rates.shape[1]
    train_mask = torch.ones(len(labels), count, dtype=torch.bool)
    training, validation = split(len(labels), Generator().manual_seed(seed))
    if count > 1:
        chosen_by = torch.zeros_like(train_mask)
        chosen_by[training] = True
        train_mask, rates, decays = torch.cat([train_mask, chosen_by], dim=1), rates.repeat(1, 2), decays.repeat(2)
    after: list[Tensor] = []

    def watch(weights: Tensor) -> None:
        after.append(predict(weights[:, :count], test_features).to("cpu", torch.int32))

    weights = fit_on_views(inputs, labels, schedule, rates, decays, train_mask, seed, watch)[:, -count:]
    hits = predict(weights, features[validation]) == labels[validation].to(features.device)
    return Trained(torch.stack(after), hits.cpu().double().mean(dim=1))


@dataclass(frozen=True, kw_only=True)
class LinearOnline(Protocol):
    """Like the online probes of solo-learn and others: trained on pre-training's strong views, nothing chosen.

    A true online probe is trained along with the encoder and sees the same views. Here the encoder is frozen, and the
    probe sees ``epochs`` passes of MoCo-v2's views (without blur), by SGD with momentum 0.9 and one constant learning
    rate. It is tested on clean images, as theirs are.
    """

    name: ClassVar[str] = "linear-online"
    domains: ClassVar[tuple[str, ...] | None] = ("image",)

    lr: Positive = 0.1
    epochs: Count = 10
    batch_size: Count = 256

    def read(self, inputs: Inputs, labels: Tensor, seed: int = 0) -> Readout:
        schedule = ProbeSchedule(epochs=self.epochs, batch_size=self.batch_size, views="pre-training", layer=self.layer)
        rates, everything = torch.full((self.epochs, 1), self.lr), torch.ones(len(labels), 1, dtype=torch.bool)
        weights = fit_on_views(inputs, labels, schedule, rates, torch.zeros(1), everything, seed)
        return predict(weights, inputs.features(self.layer)[1])[0].cpu(), {}
