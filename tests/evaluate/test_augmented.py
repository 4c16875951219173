"""Probes on augmented images: torch's own SGD as reference, recipes by the table, and the guard during training."""

from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.evaluate import Inputs, LinearAugmented, LinearOnline, NotFrozen
from mixviz.evaluate import views as views_module
from mixviz.evaluate.augmented import RECIPES, RecipeName, read_together
from mixviz.evaluate.views import ProbeSchedule, fit_on_views, padded_crop, view_maker


def colours(n, seed, size=8):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 200, (n, size, size, 3))
    images[np.arange(n), :, :, labels] += 40
    return Dataset(name="colours", split="train", stored=images.astype(np.uint8), labels=labels)


TRAIN, TEST = colours(90, 0), colours(60, 1)
LABELS = torch.as_tensor(TRAIN.labels)
INPUTS = Inputs(None, TRAIN, TEST)


def embedder():
    return build_embedder(RunConfig.of(dtype="float32", device="cpu", dim=8, hidden=16), (3, 8, 8))


def fitted(settings, inputs=INPUTS, epochs=3, train_mask=None, watch=None, seed=5):
    rates = torch.tensor([[lr for lr, _ in settings]] * epochs)
    rates[1:] *= 0.5
    decays = torch.tensor([decay for _, decay in settings])
    train_mask = torch.ones(90, len(settings), dtype=torch.bool) if train_mask is None else train_mask
    return fit_on_views(
        inputs,
        LABELS,
        ProbeSchedule(epochs=epochs, batch_size=32, views="padded-crop"),
        rates,
        decays,
        train_mask,
        seed,
        watch,
    )


def test_recipe_names_are_those_of_the_table():
    assert get_args(RecipeName) == tuple(RECIPES)


def test_equals_torchs_sgd_on_the_same_views(monkeypatch):
    seen = []

    def spied(kind, size):
        make = view_maker(kind, size)

        def remember(images, generator):
            seen.append(make(images, generator))
            return seen[-1]

        return remember

    monkeypatch.setattr(views_module, "view_maker", spied)
    weights = fitted([(0.02, 1e-3)])[:, 0]
    generator = torch.Generator().manual_seed(5)
    start = 0.01 * torch.randn(193, 1, 3, generator=generator)[:, 0]
    order = []  # the batches, as labels tell them apart: drawn again, between the views' draws
    for _ in range(3):
        for index in torch.randperm(90, generator=generator).split(32):
            order.append(index)
            view_maker("padded-crop", 8)(torch.zeros(len(index), 3, 8, 8), generator)
    layer = torch.nn.Linear(192, 3)
    layer.weight.data, layer.bias.data = start[:-1].T.clone(), torch.zeros(3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    for i, (images, index) in enumerate(zip(seen, order, strict=True)):
        optimizer.param_groups[0]["lr"] = 0.02 if i < 3 else 0.01
        optimizer.zero_grad()
        F.cross_entropy(layer(images.permute(0, 2, 3, 1).flatten(1)), LABELS[index]).backward()
        optimizer.step()
    torch.testing.assert_close(weights[:-1].T, layer.weight.data, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights[-1], layer.bias.data, rtol=1e-4, atol=1e-5)


def test_a_sweep_equals_separate_runs():
    settings = [(lr, decay) for lr in (0.003, 0.01, 0.03) for decay in (0.0, 1e-2)]
    together = fitted(settings)
    for i, setting in enumerate(settings):
        torch.testing.assert_close(together[:, i], fitted([setting])[:, 0], rtol=0, atol=1e-6)


def test_images_that_do_not_count_leave_no_trace():
    train_mask = torch.ones(90, 1, dtype=torch.bool)
    train_mask[:30] = False
    changed = TRAIN.stored.copy()
    changed[:30] = 255 - changed[:30]
    other = Inputs(None, Dataset(name="x", split="train", stored=changed), TEST)
    torch.testing.assert_close(
        fitted([(0.02, 0.0)], train_mask=train_mask), fitted([(0.02, 0.0)], other, train_mask=train_mask)
    )
    assert not torch.allclose(fitted([(0.02, 0.0)]), fitted([(0.02, 0.0)], other))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("moco", {0: 30, 59: 30, 60: 3, 79: 3, 80: 0.3, 99: 0.3}),
        ("mixco", {0: 3, 60: 0.3, 80: 0.03}),
        ("mochi", {0: 10, 29: 10, 30: 1, 40: 0.1, 50: 0.01, 59: 0.01}),
        ("looc", {0: 30, 119: 30, 120: 3, 160: 0.3, 199: 0.3}),
        ("imix", {0: 1, 79: 1, 80: 0.2, 90: 0.04, 95: 0.008}),
    ],
)
def test_recipes_fall_as_the_papers_say(recipe, expected):
    rates = LinearAugmented(recipe=recipe).rates()
    assert len(rates) == RECIPES[recipe].epochs
    assert {epoch: float(rates[epoch, 0]) for epoch in expected} == pytest.approx(expected)


def test_scaled_epochs_keep_the_shape():
    one = LinearAugmented(scale=0.1)
    assert (one.schedule.epochs, one.rates()[:, 0].tolist()) == (10, pytest.approx([30.0] * 6 + [3.0] * 2 + [0.3] * 2))


def test_read_together_equals_read_separately():
    protocols = [
        LinearAugmented(scale=0.05, lrs=(0.01, 0.1)),
        LinearAugmented(scale=0.05, recipe="mixco"),
        LinearAugmented(scale=0.05, recipe="mixco", epoch="best-on-test"),
        LinearAugmented(scale=0.05, lrs=(0.01, 0.1), choose="best-on-test"),
    ]
    together = read_together(protocols, INPUTS, LABELS, seed=3)
    for one, (predicted, settings) in zip(protocols, together, strict=True):
        alone = one.read(INPUTS, LABELS, seed=3)
        assert (predicted.double() == alone[0]).double().mean() > 0.98
        assert settings.keys() == alone[1].keys()
    assert [predicted.shape for predicted, _ in together] == [(60,), (60,), (5, 60), (2, 60)]
    assert {"lr", "chosen_on", "validation_accuracy"} <= together[0][1].keys()


def test_the_choice_is_made_on_train():
    """Whatever is handed in as test images, and whatever the labels of train's validation part say decides."""
    sweep = LinearAugmented(scale=0.05, lrs=(1e-6, 0.05))
    blank = Inputs(None, TRAIN, Dataset(name="x", split="test", stored=np.zeros((4, 8, 8, 3), np.uint8)))
    assert sweep.read(INPUTS, LABELS)[1] == sweep.read(blank, LABELS)[1]
    assert sweep.read(INPUTS, LABELS)[1]["lr"] == 0.05


def test_online_probe_sees_pre_training_views_and_chooses_nothing(monkeypatch):
    asked = []

    def spied(inputs, labels, schedule, rates, decays, train_mask, seed):
        asked.append((schedule, rates, decays, bool(train_mask.all())))
        return torch.zeros(193, 1, 3)

    monkeypatch.setattr("mixviz.evaluate.augmented.fit_on_views", spied)
    predicted, _ = LinearOnline(epochs=4, lr=0.2).read(INPUTS, LABELS)
    assert predicted.shape == (60,)
    ((schedule, rates, decays, all_count),) = asked
    assert schedule == ProbeSchedule(epochs=4, batch_size=256, views="pre-training")
    assert (rates.flatten().tolist(), decays.tolist(), all_count) == (pytest.approx([0.2] * 4), [0.0], True)


def test_kinds_of_views_differ_in_what_they_change():
    """Crops keep a flat colour, a padded crop but for its margin; pre-training changes it, in most images."""
    grey = torch.full((40, 3, 16, 16), 0.6)
    grey[:, 0] = 0.2
    changed = {}
    for kind in ("resized-crop", "padded-crop", "pre-training"):
        views = view_maker(kind, 16)(grey, torch.Generator().manual_seed(0))
        assert views.shape == grey.shape
        changed[kind] = ((views[:, :, 8, 8] - grey[:, :, 8, 8]).abs().amax(dim=1) > 1e-3).float().mean()
    assert (changed["resized-crop"], changed["padded-crop"]) == (0, 0)
    assert changed["pre-training"] > 0.6


def unfrozen(encoder):
    encoder.backbone[0][0].weight.data[0, 0, 0, 0] += 1e-3


def moving_statistics(encoder):
    encoder.backbone.train()


@pytest.mark.parametrize("harm", [unfrozen, moving_statistics])
@pytest.mark.parametrize("one", [LinearAugmented(scale=0.02), LinearOnline(epochs=1)])
def test_the_guard_bites_while_a_probe_is_trained(one, harm):
    encoder = embedder()
    inputs = Inputs(encoder, TRAIN, TEST)
    inputs.features()
    clean = encoder.features

    def features(images):
        harm(encoder)
        return clean(images)

    encoder.features = features
    with pytest.raises(NotFrozen, match="keep its weights and BatchNorm statistics as they are"):
        one.read(inputs, LABELS)


def test_an_untouched_encoder_passes_and_stays_as_it_was():
    encoder = embedder().train()
    LinearAugmented(scale=0.02).read(Inputs(encoder, TRAIN, TEST), LABELS)
    assert encoder.training


def test_padded_crop_cuts_boxes_out_of_black_margins():
    images = torch.rand(20, 3, 6, 5)
    cut = padded_crop(images, 2, torch.Generator().manual_seed(0))
    padded = F.pad(images, [2] * 4)
    places = []
    for image, box in zip(padded, cut, strict=True):
        equal = [(i, j) for i in range(5) for j in range(5) if torch.equal(image[:, i : i + 6, j : j + 5], box)]
        assert len(equal) == 1
        places += equal
    assert len(set(places)) > 8
