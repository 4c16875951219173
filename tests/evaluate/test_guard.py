"""What no protocol can do, an own one neither: train the encoder, choose on test unnamed, meet train in test."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import NotFrozen, Protocol, Source, evaluate, protocol
from mixviz.evaluate.base import MultiTrialProtocol
from mixviz.evaluate.protocol_comparison import NamedProtocol, compare_protocols


def stripes(n, split, seed):
    """Images whose colour says the label, and their upper half a factor."""
    random = np.random.default_rng(seed)
    labels, hue = random.integers(0, 3, n), random.integers(0, 2, n)
    images = random.integers(0, 40, (n, 16, 16, 3))
    images[np.arange(n), :, :, labels] += 100
    images[:, :8] += 60 * hue[:, None, None, None]
    return Dataset(name="stripes", split=split, stored=images.astype(np.uint8), labels=labels, factors={"hue": hue})


def small_embedder():
    return build_embedder(RunConfig.of(dtype="float32", device="cpu", dim=8, hidden=16), (3, 16, 16))


TRAIN, TEST = stripes(120, "train", 0), stripes(60, "test", 1)
PIXELS = Source(train=TRAIN, test=TEST)


@dataclass(frozen=True)
class Trials(MultiTrialProtocol):
    """Predicts each class in turn for all images, and tells the best of them."""

    name: ClassVar[str] = "trials"

    def read(self, inputs, labels, seed=0):
        return torch.arange(3)[:, None].expand(3, len(inputs.test)), {}

    def table(self, accuracies):
        return pd.DataFrame({"trial": [1, 2, 3], "accuracy": accuracies})

    def summary(self, table):
        return float(table["accuracy"].max()), {}

    def more_settings(self, table):
        return {"accuracy": float(table["accuracy"].max()), "best": 1}


@dataclass(frozen=True)
class Boasting(Trials):
    """Gives the best as if all had been as good."""

    def table(self, accuracies):
        accuracies[:] = accuracies.max()
        return super().table(accuracies)


@dataclass(frozen=True)
class Hiding(Trials):
    """Has the test labels choose and does not call it so."""

    name: ClassVar[str] = "hiding"
    selects_on_test: ClassVar[bool] = True


def test_the_accuracy_of_several_predictions_is_their_mean_whatever_the_protocol_says():
    (result,) = evaluate(PIXELS, protocols=[Trials()])
    assert result.accuracy == pytest.approx(1 / 3)
    assert result.table["accuracy"].max() > 0.34
    assert result.settings["best"] == 1
    with pytest.raises(UserError, match="trials: its table does not have the measured accuracies"):
        evaluate(PIXELS, protocols=[Boasting()])


def test_what_test_labels_chose_is_called_so_whatever_the_protocol_says():
    (result,) = evaluate(PIXELS, protocols=[Hiding()])
    assert result.label == "hiding (best-on-test)"
    assert not result.comparable


def test_a_reading_that_test_labels_chose_is_called_so_whatever_it_says():
    class Modest(NamedProtocol):
        def __post_init__(self):
            pass

    modest = Modest(name="modest", protocols=(Hiding(),), reported_by="me", effect="none")
    (row,) = compare_protocols(PIXELS, readings=[modest]).itertuples()
    assert (row.reading, row.comparable) == ("modest (best-on-test)", False)


def test_no_test_label_is_looked_at_before_all_protocols_have_predicted():
    """So that none can learn from the verdict on another."""
    told = []

    class Telling(Trials):
        def more_settings(self, table):
            told.append(table)
            return {}

    class Listening(Trials):
        def read(self, inputs, labels, seed=0):
            assert not told
            return super().read(inputs, labels, seed)

    evaluate(PIXELS, protocols=[Telling(), Listening()])
    assert len(told) == 1


@dataclass(frozen=True)
class FineTuned(Protocol):
    """Trains the backbone with the labels, and reads it out."""

    name: ClassVar[str] = "fine-tuned"

    statistics: bool = False  # the statistics of BatchNorm alone

    def read(self, inputs, labels, seed=0):
        encoder, pixels = inputs.embedder, inputs.train.tensor().permute(0, 3, 1, 2) / 255
        if self.statistics:
            with torch.no_grad():
                encoder.train().features(pixels)
        else:
            torch.nn.functional.cross_entropy(encoder.features(pixels), labels).backward()
            torch.optim.SGD([p for p in encoder.parameters() if p.grad is not None], lr=0.1).step()
        return protocol("knn").read(inputs, labels, seed)


ENTRANCES = {
    "evaluate": lambda source, own: evaluate(source, protocols=["knn", own]),
    "transfer": lambda source, own: evaluate(
        replace(source, train=replace(TRAIN, name="home")).on((TRAIN, TEST)), protocols=[own]
    ),
    "comparison": lambda source, own: compare_protocols(
        source, readings=[NamedProtocol(name="mine", protocols=(own,), reported_by="me", effect="all")]
    ),
}


@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("entrance", ENTRANCES.values(), ids=ENTRANCES)
def test_a_protocol_that_trains_the_backbone_is_refused(entrance, statistics):
    encoder = small_embedder().train()
    with pytest.raises(NotFrozen, match="the backbone changed while it was evaluated"):
        entrance(replace(PIXELS, embedder=encoder), FineTuned(statistics=statistics))
    assert encoder.training


def test_weights_are_hashed_twice_whatever_the_protocols(monkeypatch):
    calls = []
    monkeypatch.setattr("mixviz.evaluate.features.fingerprint", lambda module: calls.append(module) or "same")
    corrupted = protocol("corruptions", kinds=("brightness", "pixelate"), severities=(1,))
    source = replace(PIXELS, embedder=small_embedder())
    evaluate(source, ["label", "hue"], ["knn", "knn:layer=head", corrupted])
    assert len(calls) == 2


def test_train_and_test_that_share_images_are_refused():
    with pytest.raises(UserError, match=r"^60 of 60 test examples are training examples too: remove them") as caught:
        evaluate(replace(PIXELS, train=TEST))
    assert "\n" not in str(caught.value)
    stored = torch.zeros(60, 4), torch.zeros(60, 4)
    for entrance in (compare_protocols, lambda source: evaluate(replace(source, features=stored))):
        with pytest.raises(UserError, match="test examples are training examples too"):
            entrance(replace(PIXELS, train=TEST))


def test_few_shared_images_are_tolerated_and_reported():
    test = stripes(200, "test", 1)
    for shared, told in ((2, 2), (0, None)):
        images = np.concatenate([TRAIN.stored[:shared], test.stored[shared:]])
        results = evaluate(replace(PIXELS, test=replace(test, stored=images)))
        assert [result.settings.get("images_in_both") for result in results] == [told, told]
    images = np.concatenate([TRAIN.stored[:3], test.stored[3:]])
    with pytest.raises(UserError, match=r"^3 of 200 test examples"):
        evaluate(replace(PIXELS, test=replace(test, stored=images)))
