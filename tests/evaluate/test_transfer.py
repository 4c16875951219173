"""Transfer: results say where the encoder comes from; sizes are met; what is no transfer is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate
from mixviz.evaluate.features import extract
from mixviz.evaluate.transfer import resized, shared_classes


def colours(n, split, seed, size=(16, 16), name="colours"):
    """Images whose colour is their label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 40, (n, *size, 3))
    images[np.arange(n), :, :, labels] += 100
    return Dataset(
        name=name, split=split, stored=images.astype(np.uint8), labels=labels, class_names=("red", "green", "blue")
    )


HOME = replace(colours(4, "train", 9, name="home"), class_names=("Red", "dark_blue", "cat"))


@pytest.fixture(scope="module")
def embedder():
    return build_embedder(RunConfig.of(dtype="float32", device="cpu"), (3, 16, 16))


def at_home(embedder, **about):
    return Source(embedder=embedder, train=HOME, test=HOME, **about)


def test_results_say_where_the_encoder_comes_from(embedder):
    train, test = colours(120, "train", 0), colours(60, "test", 1)
    results = evaluate(at_home(embedder, seed=3, run="mine").on((train, test)))
    assert [result.protocol for result in results] == ["linear-features", "knn"]
    for result in results:
        assert (result.data, result.settings["encoder_trained_on"]) == ("colours", "home")
        assert (result.target, result.run, result.is_transfer) == ("label", "mine", True)
        assert result.settings["shared_classes"] == ["Red"]
        assert "resized_from" not in result.settings
        assert result.accuracy > 0.8
    assert "k" in results[1].settings  # the protocol's own stay
    features = extract(embedder, train), extract(embedder, test)
    (alone,) = evaluate(Source(features=features, train=train, test=test, seed=3), protocols=["knn"])
    assert not alone.is_transfer
    assert results[1].accuracy == alone.accuracy


def test_images_of_another_size_are_resized(embedder):
    train, test = colours(60, "train", 0, (24, 30)), colours(30, "test", 1, (24, 30))
    (result,) = evaluate(at_home(embedder).on((train, test)), protocols=["knn"])
    assert result.settings["resized_from"] == [24, 30]
    small_train, small_test = resized(train, (16, 16)), resized(test, (16, 16))
    features = extract(embedder, small_train), extract(embedder, small_test)
    (expected,) = evaluate(Source(features=features, train=small_train, test=small_test), protocols=["knn"])
    assert result.accuracy == expected.accuracy


def test_resizing_cuts_to_the_centre_and_keeps_the_rest():
    wide = colours(5, "train", 0, (24, 40))
    small = resized(wide, (12, 12))
    middle = torch.from_numpy(wide.stored[:, :, 8:32].astype(np.float32)).permute(0, 3, 1, 2)
    expected = F.interpolate(middle, (12, 12), mode="bilinear", antialias=True).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(small.stored, expected, atol=1.01)  # bytes are resized in whole numbers
    assert (small.labels == wide.labels).all()
    assert small.stored.dtype == np.uint8
    assert resized(small, (12, 12)) is small


def test_shared_classes_are_by_name_in_any_spelling():
    assert shared_classes(HOME, replace(HOME, class_names=("Dark blue", "dog", "CAT"))) == ("dark_blue", "cat")
    assert shared_classes(HOME, replace(HOME, class_names=())) == ()


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (colours(30, "train", 0, name="home"), colours(30, "test", 1, name="home"), "trained on home itself"),
        (colours(30, "train", 0), colours(30, "test", 1, name="other"), "use one data set for both"),
        (colours(30, "train", 0).select(range(3)), replace(colours(30, "test", 1), labels=np.arange(30)), "no label"),
    ],
)
def test_what_is_no_transfer_is_refused(embedder, train, test, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate(at_home(embedder).on((train, test)))
    assert "\n" not in str(caught.value)
