"""Few shots: together as alone, nested draws, intervals that cover, and what a person may get wrong."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.errors import UserError
from mixviz.evaluate.fewshot import LinearFewLabels, LinearFewShot, draw_shots, few_shot, fit_trials, label_fraction
from mixviz.evaluate.linear import with_bias


def clouds(n=300, features=6, classes=4, spread=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + spread * torch.randn(n, features, generator=generator), labels


def one_trial(features, labels, classes):
    """A layer of torch's own, trained by Adam on one trial."""
    layer = torch.nn.Linear(features.shape[1], classes).to(features.dtype)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(250):
        optimiser.zero_grad()
        F.cross_entropy(layer(features), labels).backward()
        optimiser.step()
    return torch.cat([layer.weight.T, layer.bias[None]]).detach()


def test_all_trials_together_equal_each_separately():
    features, labels = (tensor.double() for tensor in clouds())
    labels = labels.long()
    chosen = draw_shots(labels, shots=5, trials=3, seed=3)
    together = fit_trials(with_bias(features)[chosen], labels[chosen])
    for weights, rows in zip(together, chosen, strict=True):
        torch.testing.assert_close(weights, one_trial(features[rows], labels[rows], 4), rtol=0, atol=1e-5)


def test_predictions_are_those_of_the_trials():
    (features, labels), (test_features, test_labels) = clouds(), clouds(seed=1)
    features, test_features = 50 * features + 7, 50 * test_features + 7
    found = few_shot(features, labels, test_features, shots=5, trials=3, seed=2)
    mean, std = features.mean(dim=0), features.std(dim=0)
    for predicted, rows in zip(found.predicted, found.chosen, strict=True):
        weights = one_trial((features[rows] - mean) / std, labels[rows], 4)
        alone = (with_bias((test_features - mean) / std) @ weights).argmax(dim=1)
        assert (predicted == alone).double().mean() > 0.99
    assert (found.predicted == test_labels).double().mean() > 0.6
    predicted, _ = LinearFewShot(trials=3)(features, labels, test_features, seed=2)
    assert torch.equal(predicted, found.predicted)


def test_trials_are_summed_up_by_students_t():
    hits = np.array([0.6, 0.65, 0.61])
    one = LinearFewShot(trials=3)
    table = one.table(hits)
    assert table["trial"].tolist() == [1, 2, 3]
    half = 4.302652729911275 * np.std(hits, ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    told = one.more_settings(table)
    assert (told["low"], told["high"]) == pytest.approx((np.mean(hits) - half, np.mean(hits) + half))
    assert one.counted(3).all()


def test_draws_have_equally_many_of_each_class_and_are_nested():
    _, labels = clouds()
    ten = draw_shots(labels, shots=10, trials=6, seed=1)
    assert (labels[ten] == torch.arange(4).repeat_interleave(10)).all()
    assert all(len(row.unique()) == 40 for row in ten)
    five = draw_shots(labels, shots=5, trials=2, seed=1)
    assert torch.equal(five.view(2, 4, 5), ten[:2].view(2, 4, 10)[:, :, :5])
    assert not torch.equal(ten[0], ten[1])
    assert not torch.equal(ten, draw_shots(labels, shots=10, trials=6, seed=2))


def test_every_image_is_as_likely():
    labels = torch.arange(40) % 2
    chosen = draw_shots(labels, shots=5, trials=4000)
    counts = chosen.flatten().bincount(minlength=40).double()
    assert ((counts - 1000).abs() < 5 * (4000 * 0.25 * 0.75) ** 0.5).all()


def test_one_seed_one_result():
    features, labels = clouds()
    first, second, other = (few_shot(features, labels, features, trials=2, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.predicted, second.predicted)
    assert not torch.equal(first.predicted, other.predicted)


def test_intervals_cover_the_truth_at_their_rate():
    """Trials whose chance of a hit varies about 0.6; 4,000 intervals, each of ten trials on 500 test images."""
    random = np.random.default_rng(0)
    chances = np.clip(random.normal(0.6, 0.05, (4000, 10)), 0, 1)
    one, covered = LinearFewShot(), []
    for chance in chances:
        told = one.more_settings(one.table(random.binomial(500, chance) / 500))
        covered.append(told["low"] <= 0.6 <= told["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)  # 0.3 points are one standard error


@pytest.mark.parametrize(("shots", "message"), [(5, "class 1 has 3 images"), (0, "at least 1")])
def test_too_few_images_of_a_class(shots, message):
    features, labels = torch.zeros(23, 2), torch.tensor([0] * 20 + [1] * 3)
    with pytest.raises(UserError, match=message) as caught:
        few_shot(features, labels, features, shots)
    assert "\n" not in str(caught.value)


def test_a_fraction_has_its_part_of_each_class():
    (features, labels), (test_features, test_labels) = clouds(2000), clouds(seed=1)
    rare = torch.cat([labels, torch.full((3,), 4)])
    features = torch.cat([features, torch.full((3, 6), 9.0)])
    found = label_fraction(features, rare, test_features, 0.1, seed=1)
    counts = rare[found.chosen].bincount().tolist()
    assert counts == [round(0.1 * count) for count in labels.bincount().tolist()] + [1]
    assert (found.predicted == test_labels).double().mean() > 0.6
    assert torch.equal(found.chosen, label_fraction(features, rare, test_features, 0.1, seed=1).chosen)
    predicted, settings = LinearFewLabels(share=0.1)(features, rare, test_features, seed=1)
    assert torch.equal(predicted, found.predicted)
    assert (settings["labels"], settings["lr"]) == (sum(counts), found.lr)
    assert not torch.equal(found.chosen, label_fraction(features, rare, test_features, 0.1, seed=2).chosen)


def test_a_fraction_sees_no_other_label():
    (features, labels), (test_features, _) = clouds(2000), clouds(seed=1)
    found = label_fraction(features, labels, test_features, 0.05)
    moved = features.clone()
    hidden = torch.ones(len(features), dtype=torch.bool)
    hidden[found.chosen] = False
    moved[hidden] = 1e3
    assert torch.equal(found.predicted, label_fraction(moved, labels, test_features, 0.05).predicted)


@pytest.mark.parametrize(("fraction", "message"), [(0, "above 0"), (1.5, "above 0"), (0.01, "too few")])
def test_fractions_that_leave_nothing(fraction, message):
    features, labels = clouds(200)
    with pytest.raises(UserError, match=message):
        label_fraction(features, labels, features, fraction)
