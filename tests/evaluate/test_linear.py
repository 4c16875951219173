"""The linear probe: against scikit-learn, a sweep against separate runs, and blind to test labels."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mixviz.evaluate.linear import (
    LEARNING_RATES,
    WEIGHT_DECAYS,
    fit,
    fit_lbfgs,
    gradient,
    grid,
    linear_classifier,
    linear_probe,
    predict,
    split,
    with_bias,
)


def clouds(n=600, features=8, classes=3, spread=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + spread * torch.randn(n, features, generator=generator), labels


def test_agrees_with_scikit_learn():
    (features, labels), (test_features, test_labels) = clouds(2000), clouds(2000, seed=1)
    probe = linear_probe(features, labels, test_features)
    reference = LogisticRegression(C=1e3, max_iter=500).fit(features.numpy(), labels.numpy())
    accuracy = float((probe.predicted == test_labels).double().mean())
    assert accuracy == pytest.approx(reference.score(test_features.numpy(), test_labels.numpy()), abs=0.01)
    assert (probe.predicted.numpy() == reference.predict(test_features.numpy())).mean() > 0.97


def test_a_sweep_equals_separate_runs():
    """To 1e-6 for weights of about 1, in single precision as in double."""
    features, labels = clouds()
    settings = grid(LEARNING_RATES, WEIGHT_DECAYS)
    for kind, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        together, *alone = (
            fit(features.to(kind), labels, chosen, torch.Generator().manual_seed(3), epochs=5, batch_size=100)
            for chosen in (settings, *[[setting] for setting in settings])
        )
        torch.testing.assert_close(together, torch.cat(alone, dim=1), rtol=tolerance, atol=tolerance)


def test_the_strongest_weight_decay_settles_at_the_highest_rate():
    """The loss is convex: both rates end in its one minimum, also where features are correlated."""
    features, labels = clouds(2000)
    correlated = torch.cat([features, features + 0.1 * features.flip(0)], dim=1)
    correlated = (correlated - correlated.mean(dim=0)) / correlated.std(dim=0)
    assert max(WEIGHT_DECAYS) == 0.1
    fast, slow = (
        fit(correlated, labels, [(lr, 0.1)], torch.Generator().manual_seed(0), epochs=50, batch_size=500)
        for lr in (max(LEARNING_RATES), 0.1)
    )
    torch.testing.assert_close(fast, slow, rtol=0, atol=0.01)


def test_rows_that_do_not_count_are_left_out_of_the_gradient():
    (features, labels), weights = clouds(20), torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(0))
    batch, one_hot = with_bias(features), torch.nn.functional.one_hot(labels).float()
    train_mask = torch.rand(20, 2, generator=torch.Generator().manual_seed(1)) < 0.5
    found = gradient(batch, one_hot, weights, train_mask)
    for i in range(2):
        rows = train_mask[:, i]
        expected = gradient(batch[rows], one_hot[rows], weights[:, i : i + 1])
        torch.testing.assert_close(found[:, i : i + 1], expected)


def test_lbfgs_finds_scikit_learns_minimum():
    features, labels = clouds()
    decays = [1e-3, 1e-1, 1e-2]
    found = fit_lbfgs(features.double(), labels, decays)
    for i, decay in enumerate(decays):
        reference = LogisticRegression(C=1 / (len(features) * decay), tol=1e-8, max_iter=5000)
        reference.fit(features.double().numpy(), labels.numpy())
        np.testing.assert_allclose(found[:-1, i].T, reference.coef_, atol=2e-4)
        np.testing.assert_allclose(found[-1, i] - found[-1, i].mean(), reference.intercept_, atol=2e-4)


def test_watch_is_shown_every_epoch():
    features, labels = clouds(50)
    seen = []
    last = fit(
        features, labels, [(0.1, 0.0)], torch.Generator().manual_seed(0), 4, 25, lambda w: seen.append(w.clone())
    )
    assert len(seen) == 4
    assert torch.equal(seen[-1], last)
    assert not torch.equal(seen[0], seen[1])


def test_gradient_is_that_of_the_cross_entropy():
    """One full-batch step from zero, against autograd."""
    features, labels = clouds(50)
    weights = torch.zeros(features.shape[1] + 1, 3, requires_grad=True)
    torch.nn.functional.cross_entropy(with_bias(features) @ weights, labels).backward()
    stepped = fit(features, labels, [(0.3, 0.0)], torch.Generator().manual_seed(0), epochs=1, batch_size=50)
    torch.testing.assert_close(stepped[:, 0], -0.3 * weights.grad, rtol=1e-4, atol=1e-6)


def test_settings_are_chosen_on_a_split_of_train():
    """Whatever is handed in as test features, the choice stays the same."""
    features, labels = clouds()
    probes = [linear_probe(features, labels, test, epochs=5) for test in (features[:9], torch.zeros(4, 8))]
    assert (probes[0].lr, probes[0].weight_decay) == (probes[1].lr, probes[1].weight_decay)
    assert [len(probe.predicted) for probe in probes] == [9, 4]


def test_features_of_any_scale_give_the_same():
    features, labels = clouds()
    scale = torch.logspace(-3, 3, 8)
    plain = linear_probe(features, labels, features, epochs=5).predicted
    scaled = linear_probe(features * scale + 5, labels, features * scale + 5, epochs=5).predicted
    assert (plain == scaled).float().mean() > 0.99


def test_constant_features_do_no_harm():
    features, labels = clouds()
    padded = torch.cat([features, torch.ones(len(features), 2)], dim=1)
    assert torch.isfinite(linear_probe(padded, labels, padded, epochs=2).predicted.float()).all()


def test_one_seed_one_result():
    features, labels = clouds(spread=4)
    first, second = (linear_probe(features, labels, features, seed=1, epochs=3) for _ in range(2))
    assert torch.equal(first.predicted, second.predicted)


def test_predict_takes_the_largest_logit():
    weights = torch.tensor([[[1.0, -1.0]], [[0.0, 0.5]]])  # (F + 1 = 2, S = 1, C = 2)
    np.testing.assert_array_equal(predict(weights, torch.tensor([[1.0], [-1.0], [0.2]])).numpy(), [[0, 1, 1]])


def test_of_few_images_one_is_for_choosing():
    features = torch.tensor([[0.0, 1.0], [1.0, 0.0]] * 2)
    classifier = linear_classifier(features, torch.tensor([0, 1] * 2), epochs=2)
    assert 0 <= classifier.validation_accuracy <= 1
    parts = split(4, torch.Generator().manual_seed(0))
    assert [len(part) for part in parts] == [3, 1]
