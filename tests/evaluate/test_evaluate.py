"""A result says what it is a result of; test labels stay sealed; what is missing is refused before any work."""

import json
import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import DEFAULTS, PROTOCOLS, Protocol, SealRefused, Source, evaluate, protocol

STORED = ("linear-features", "knn", "logistic")
SHORT = {
    "linear-augmented": {"recipe": "imix", "scale": 0.05},
    "linear-online": {"epochs": 60, "lr": 1.0},
    "few-labels": {"share": 0.3},
    "fine-tuning": {"epochs": 5, "batch_size": 16, "least_steps": 1},
    "corruptions": {"kinds": ("brightness", "pixelate"), "severities": (1, 3)},
}


def stripes(n, split, seed, labels=(3, 7, 40), labelled=True):
    """Images whose colour says the label, and whose upper half says a factor."""
    random = np.random.default_rng(seed)
    kind, hue = random.integers(0, 3, n), random.integers(0, 2, n)
    images = random.integers(0, 40, (n, 16, 16, 3))
    images[np.arange(n), :, :, kind] += 100
    images[:, :8] += 60 * hue[:, None, None, None]
    shown = np.asarray(labels)[kind] if labelled else None
    return Dataset(name="stripes", split=split, stored=images.astype(np.uint8), labels=shown, factors={"hue": hue})


def small_embedder():
    return build_embedder(RunConfig.of(dtype="float32", device="cpu", dim=8, hidden=16), (3, 16, 16))


TRAIN, TEST = stripes(120, "train", 0), stripes(60, "test", 1)
PIXELS = Source(train=TRAIN, test=TEST, encoder="pixels")


@pytest.mark.parametrize("name", STORED)
def test_raw_pixels_read_out(name):
    results = evaluate(replace(PIXELS, seed=4, run="mine"), ["label", "hue"], [name])
    assert [result.target for result in results] == ["label", "hue"]
    assert results[0].accuracy > 0.9
    label = results[0].to_dict()
    expected = {"protocol": name, "encoder": "pixels", "data": "stripes", "split": "test", "seed": 4, "classes": 3}
    assert {key: label[key] for key in expected} == expected
    assert (label["train_images"], label["test_images"], label["run"]) == (120, 60, "mine")
    assert label["versions"]["numpy"] == np.__version__
    assert PROTOCOLS[name].options.keys() <= label["settings"].keys()
    assert json.loads(json.dumps(label))["accuracy"] == label["accuracy"]


def test_an_encoder_is_read_out_by_every_protocol():
    short = [protocol(name, **SHORT.get(name, {})) for name in PROTOCOLS]
    results = evaluate(replace(PIXELS, embedder=small_embedder()), protocols=short)
    assert [result.protocol for result in results] == list(PROTOCOLS)
    assert [result.label for result in results if result.accuracy <= 0.5] == []  # chance: 0.33
    assert all(result.comparable for result in results)
    assert [result.protocol for result in results if result.table is not None] == ["few-shot", "corruptions"]
    predicted = [result for result in results if result.protocol != "retrieval"]
    assert all((result.table is None) == (result.confusion is not None) for result in predicted)
    json.dumps([result.to_dict() for result in results])


def test_a_result_holds_the_confusion_that_its_accuracy_is_of():
    named = replace(TRAIN, labels=TRAIN.factors["hue"], class_names=("dark", "bright"))
    named_test = replace(TEST, labels=TEST.factors["hue"], class_names=named.class_names)
    by_label, by_factor = evaluate(Source(train=named, test=named_test), ["label", "hue"], ["knn"])
    assert by_label.confusion.names == ("dark", "bright")
    assert by_factor.confusion.names == ("0", "1")
    assert by_label.confusion.counts.sum(axis=1).tolist() == np.bincount(named_test.labels).tolist()
    assert by_label.accuracy == by_label.confusion.accuracy == by_factor.accuracy
    assert not {"confusion", "table"} & by_label.to_dict().keys()


def test_a_result_has_what_scikit_learn_makes_of_its_predictions():
    from sklearn.metrics import balanced_accuracy_score, f1_score, top_k_accuracy_score

    random = np.random.default_rng(0)
    labels, test_labels = np.arange(210) % 7, random.choice(7, 90, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05, 0])
    images = np.zeros((210, 8, 8, 3), np.uint8)
    features = torch.eye(7)[labels] + 0.8 * torch.as_tensor(random.standard_normal((210, 7))).float()
    shown = torch.eye(7)[test_labels] + 0.8 * torch.as_tensor(random.standard_normal((90, 7))).float()
    source = Source(
        features=(features, shown),
        train=Dataset(name="x", split="train", stored=images, labels=labels),
        test=Dataset(name="x", split="test", stored=images[:90] + 1, labels=test_labels),
    )
    for name in ("knn", "linear-features"):
        (result,) = evaluate(source, protocols=[name])
        ranked = PROTOCOLS[name](features, torch.as_tensor(labels), shown, 0)[1]["ranked"]
        given = ranked[:, 0].numpy()
        assert result.accuracy == pytest.approx((given == test_labels).mean())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class is predicted that does not occur
            balanced = balanced_accuracy_score(test_labels, given)
        scores = np.zeros((90, 7))
        np.put_along_axis(scores, ranked.numpy(), np.arange(5, 0, -1)[None].repeat(90, 0), axis=1)
        assert result.settings["balanced_accuracy"] == pytest.approx(balanced)
        assert result.settings["macro_f1"] == pytest.approx(f1_score(test_labels, given, average="macro"))
        top = top_k_accuracy_score(test_labels, scores, k=5, labels=range(7))
        assert result.settings["top_5"] == pytest.approx(top)
        assert "ranked" not in result.settings
    assert "top_5" not in evaluate(PIXELS, protocols=["knn"])[0].settings  # of three classes


def test_without_a_choice_two_protocols_of_seconds_are_taken():
    assert [result.label for result in evaluate(PIXELS)] == list(DEFAULTS) == ["linear-features", "knn"]


def test_accuracy_is_the_share_of_hits():
    """Features that are the labels themselves, but for a known share of wrong test labels."""
    features = torch.eye(3)[torch.arange(90) % 3]
    wrong = np.arange(90) % 3
    wrong[:9] = (wrong[:9] + 1) % 3
    images = np.zeros((90, 8, 8, 3), np.uint8)
    train, test = (
        Dataset(name="x", split="train", stored=images, labels=np.arange(90) % 3),
        Dataset(name="x", split="test", stored=images + 1, labels=wrong),
    )
    for name in STORED:
        (result,) = evaluate(Source(features=(features, features), train=train, test=test), protocols=[name])
        assert result.accuracy == pytest.approx(0.9)


def test_what_is_missing_is_refused_before_any_work():
    unlabelled = stripes(20, "train", 0, labelled=False)
    with pytest.raises(UserError, match="label"):
        evaluate(replace(PIXELS, train=unlabelled))
    with pytest.raises(UserError, match="hue"):
        evaluate(PIXELS, targets=["hues"])
    with pytest.raises(UserError, match="unknown protocol 'kn'"):
        evaluate(PIXELS, protocols=["kn"])


def test_stored_features_cannot_be_augmented_nor_be_another_layer():
    source = replace(PIXELS, features=(torch.zeros(120, 4), torch.zeros(60, 4)))
    for name in ("linear-augmented", "linear-online", "corruptions"):
        with pytest.raises(UserError, match="stored features have none: evaluate the encoder"):
            evaluate(source, protocols=[name])
    with pytest.raises(UserError, match="of one layer only"):
        evaluate(source, protocols=["knn:layer=head"])
    with pytest.raises(UserError, match="raw pixels have no head"):
        evaluate(PIXELS, protocols=["knn:layer=head"])


def test_the_head_is_the_embedding_of_the_first_space():
    embedder = small_embedder().eval()
    images = torch.from_numpy(np.array(TRAIN.stored)).permute(0, 3, 1, 2) / 255
    shown = torch.from_numpy(np.array(TEST.stored)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        features = embedder(images)[:, 0], embedder(shown)[:, 0]
    (expected,) = evaluate(replace(PIXELS, features=features), protocols=["knn"])
    (found,) = evaluate(replace(PIXELS, embedder=embedder), protocols=["knn:layer=head"])
    assert found.accuracy == expected.accuracy
    assert (found.protocol, found.options, found.label) == ("knn", {"layer": "head"}, "knn (layer head)")


@dataclass(frozen=True)
class Spy(Protocol):
    """Returns what it is told, and keeps what it was shown."""

    name: ClassVar[str] = "spy"
    seen: ClassVar[list] = []

    answers: int = 1

    def read(self, inputs, labels, seed=0):
        self.seen.append(inputs)
        return torch.zeros(self.answers, 60, dtype=torch.long)[0 if self.answers == 1 else slice(None)], {}


def test_a_protocol_is_shown_no_test_label():
    evaluate(PIXELS, protocols=[Spy()])
    for images in (Spy.seen[-1].train, Spy.seen[-1].test):
        assert images.labels is None
        assert not images.factors


def test_a_protocol_that_leaves_a_choice_to_the_test_labels_is_refused():
    with pytest.raises(SealRefused, match="ask for best-on-test"):
        evaluate(PIXELS, protocols=[Spy(answers=2)])


def test_best_on_test_can_be_requested_and_says_so_in_its_name():
    names = [f"linear-features:epochs=3{more}" for more in ("", ",choose=best-on-test")]
    honest, flattering = evaluate(PIXELS, targets=["hue"], protocols=names)
    assert flattering.label == "linear-features (epochs 3, choose best-on-test)"
    assert flattering.accuracy >= honest.accuracy
    assert (honest.comparable, flattering.comparable) == (True, False)
    assert (flattering.settings["chosen_on"], flattering.settings["of"]) == ("test: best-on-test", 25)
