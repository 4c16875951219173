"""Protocols by name: options, labels and refusals; and each against an independent reference."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mixviz.errors import UserError
from mixviz.evaluate import PROTOCOLS, Knn, LinearAugmented, LinearFeatures, Logistic, protocol
from mixviz.evaluate.linear import linear_probe


def clouds(n=300, features=6, classes=3, spread=1.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(classes, (n,), generator=generator)
    return centres[labels] + spread * torch.randn(n, features, generator=generator), labels


(FEATURES, LABELS), (SHOWN, _) = clouds(), clouds(200, seed=1)


def test_options_behind_the_name_are_fields():
    assert protocol("knn") == Knn()
    assert protocol("knn:k=20,layer=head,temperature=none") == Knn(k=20, layer="head", temperature=None)
    assert protocol("linear-features:lrs=0.1/1,solver=lbfgs") == LinearFeatures(lrs=(0.1, 1.0), solver="lbfgs")
    assert protocol("linear-augmented", recipe="imix", scale=0.1) == LinearAugmented(recipe="imix", scale=0.1)


def test_the_label_names_what_is_not_the_default():
    assert [one.label for one in PROTOCOLS.values()] == list(PROTOCOLS)
    assert Knn(k=20, temperature=None, metric="euclidean").label == "knn (k 20, temperature none, metric euclidean)"
    assert LinearFeatures(lrs=(0.1, 1.0)).label == "linear-features (lrs 0.1/1)"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kn", "unknown protocol 'kn': did you mean 'knn'"),
        ("knn:n=3", "unknown option of knn 'n': valid are layer, k"),
        ("knn:k=0", "knn: k 0: input should be greater than or equal to 1"),
        ("knn:k=many", "knn: k many"),
        ("knn:metric=cosinus", "'cosine' or 'euclidean'"),
        ("linear-features:lrs=-1", "linear-features: lrs -1"),
        ("linear-augmented:recipe=moko", "'moco'"),
        ("few-shot:trials=1", "few-shot: trials 1: input should be greater than or equal to 2"),
        ("few-labels:share=0", "few-labels: share 0: input should be greater than 0"),
        ("corruptions:kinds=fog/frog", "'gaussian_noise'"),
        ("corruptions:severities=0/1", "corruptions: severities 0: input should be greater than or equal to 1"),
    ],
)
def test_refusals_are_one_line(name, reason):
    with pytest.raises(UserError) as caught:
        protocol(name)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_protocols_are_frozen_and_take_stored_features_as_functions():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PROTOCOLS["knn"].k = 3
    predicted, settings = PROTOCOLS["knn"](FEATURES, LABELS, SHOWN, 0)
    assert predicted.shape == (200,)
    assert settings["k"] == 6


def test_linear_features_is_the_linear_probe():
    predicted, settings = LinearFeatures(epochs=5)(FEATURES, LABELS, SHOWN, seed=3)
    probe = linear_probe(FEATURES, LABELS, SHOWN, seed=3, epochs=5)
    assert torch.equal(predicted, probe.predicted)
    assert (settings["lr"], settings["weight_decay"]) == (probe.lr, probe.weight_decay)


def test_best_on_test_gives_all_that_may_be_chosen_from():
    one = LinearFeatures(epochs=4, lrs=(0.1, 1.0), weight_decays=(0.0,))
    shapes = {
        key: tuple(dataclasses.replace(one, **dict.fromkeys(key, "best-on-test"))(FEATURES, LABELS, SHOWN)[0].shape)
        for key in (("epoch",), ("choose",), ("epoch", "choose"))
    }
    assert shapes == {("epoch",): (4, 200), ("choose",): (2, 200), ("epoch", "choose"): (8, 200)}


def test_lbfgs_predicts_as_scikit_learn_and_chooses_on_train():
    decays = (1e-1, 1e-3)
    predicted, settings = LinearFeatures(solver="lbfgs", weight_decays=decays)(FEATURES, LABELS, SHOWN)
    mean, std = FEATURES.mean(dim=0), FEATURES.std(dim=0)
    inputs, shown = ((part - mean).div(std).numpy() for part in (FEATURES, SHOWN))
    reference = LogisticRegression(C=1 / (300 * settings["weight_decay"]), tol=1e-6, max_iter=500)
    assert (reference.fit(inputs, LABELS.numpy()).predict(shown) == predicted.numpy()).mean() > 0.99
    with pytest.raises(UserError, match="no epochs"):
        LinearFeatures(solver="lbfgs", epoch="best-on-test")(FEATURES, LABELS, SHOWN)


def test_logistic_agrees_with_scikit_learn():
    predicted, settings = Logistic()(FEATURES, LABELS, SHOWN, seed=2)
    mean, std = FEATURES.mean(dim=0), FEATURES.std(dim=0)
    inputs, shown = ((part - mean).div(std).numpy() for part in (FEATURES, SHOWN))
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2)).numpy()
    held, rest = order[:60], order[60:]

    def fitted(penalty, rows):
        return LogisticRegression(C=penalty, max_iter=1000).fit(inputs[rows], LABELS.numpy()[rows])

    scores = [fitted(penalty, rest).score(inputs[held], LABELS.numpy()[held]) for penalty in Logistic().penalties]
    assert settings["C"] == Logistic().penalties[int(np.argmax(scores))]
    assert settings["validation_accuracy"] == pytest.approx(max(scores))
    assert settings["converged"]
    np.testing.assert_array_equal(predicted.numpy(), fitted(settings["C"], order).predict(shown))
    assert not Logistic(iterations=1)(FEATURES, LABELS, SHOWN)[1]["converged"]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_one_vote_each_is_scikit_learns_nearest_neighbours(k, metric):
    predicted, _ = Knn(k=k, temperature=None, metric=metric)(FEATURES.double(), LABELS, SHOWN.double())
    reference = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(FEATURES.double().numpy(), LABELS.numpy())
    np.testing.assert_array_equal(predicted.numpy(), reference.predict(SHOWN.double().numpy()))
