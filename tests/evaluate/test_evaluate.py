"""A result says what it is a result of; labels of any values work; what is missing is refused before any work."""

import numpy as np
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import ImageSet
from mixviz.errors import UserError
from mixviz.evaluate import PROTOCOLS, evaluate, read_out


def stripes(n, split, seed, labels=(3, 7, 40), labelled=True):
    """Images whose colour says the label, and whose upper half says a factor."""
    random = np.random.default_rng(seed)
    kind, hue = random.integers(0, 3, n), random.integers(0, 2, n)
    images = random.integers(0, 40, (n, 16, 16, 3))
    images[np.arange(n), :, :, kind] += 100
    images[:, :8] += 60 * hue[:, None, None, None]
    shown = np.asarray(labels)[kind] if labelled else None
    return ImageSet("stripes", split, images.astype(np.uint8), shown, factors={"hue": hue})


TRAIN, TEST = stripes(120, "train", 0), stripes(60, "test", 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_raw_pixels_read_out(protocol):
    results = evaluate(None, TRAIN, TEST, "pixels", ["label", "hue"], [protocol], seed=4)
    assert [result.target for result in results] == ["label", "hue"]
    assert results[0].accuracy > 0.9
    label = results[0].to_dict()
    expected = {"protocol": protocol, "encoder": "pixels", "data": "stripes", "split": "test", "seed": 4, "classes": 3}
    assert {key: label[key] for key in expected} == expected
    assert (label["train_images"], label["test_images"]) == (120, 60)


def test_an_encoder_is_read_out_by_every_protocol():
    embedder = build_embedder(RunConfig.of(dtype="float32", device="cpu"), 16)
    results = evaluate(embedder, TRAIN, TEST)
    assert [result.protocol for result in results] == list(PROTOCOLS)
    assert all(result.accuracy > 0.6 for result in results)


def test_accuracy_is_the_share_of_hits():
    """Features that are the labels themselves, but for a known share of wrong test labels."""
    features = torch.eye(3)[torch.arange(90) % 3]
    wrong = np.arange(90) % 3
    wrong[:9] = (wrong[:9] + 1) % 3
    images = np.zeros((90, 8, 8, 3), np.uint8)
    train, test = (
        ImageSet("x", split, images, labels) for split, labels in (("train", np.arange(90) % 3), ("test", wrong))
    )
    for protocol in PROTOCOLS:
        (result,) = read_out(features, features, train, test, "x", ["label"], [protocol])
        assert result.accuracy == pytest.approx(0.9)


def test_what_is_missing_is_refused_before_any_work():
    unlabelled = stripes(20, "train", 0, labelled=False)
    with pytest.raises(UserError, match="label"):
        evaluate(None, unlabelled, TEST)
    with pytest.raises(UserError, match="hue"):
        evaluate(None, TRAIN, TEST, targets=["hues"])
    with pytest.raises(UserError, match="unknown protocol 'kn'"):
        evaluate(None, TRAIN, TEST, protocols=["kn"])
