"""Features are frozen: the guard bites on weights and on BatchNorm statistics."""

import numpy as np
import pytest
import torch

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.evaluate import features
from mixviz.evaluate.features import NotFrozen, extract, fingerprint, frozen, raw_pixels


def pictures(n=10):
    return Dataset(
        name="noise", split="train", stored=np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
    )


def embedder():
    return build_embedder(RunConfig.of(dtype="float32", device="cpu"), (3, 16, 16))


def test_extract_gives_the_features_of_clean_images_in_order():
    encoder, images = embedder().eval(), pictures()
    floats = torch.from_numpy(images.stored.copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = encoder.features(floats)
    torch.testing.assert_close(extract(encoder, images), expected)
    torch.testing.assert_close(extract(encoder, images, batch_size=3), expected)


def test_extract_works_in_evaluation_mode_and_restores_training():
    encoder = embedder().train()
    before = fingerprint(encoder)
    extract(encoder, pictures())
    assert encoder.training
    assert fingerprint(encoder) == before


def test_guard_bites_on_changed_weights():
    encoder = embedder()
    with pytest.raises(NotFrozen), frozen(encoder), torch.no_grad():
        encoder.backbone[0][0].weight[0, 0, 0, 0] += 1e-3


def test_guard_bites_on_moving_batch_norm_statistics():
    encoder, images = embedder(), torch.rand(16, 3, 16, 16)
    with pytest.raises(NotFrozen), frozen(encoder):
        encoder.train()(images)


def test_guard_lets_an_untouched_module_pass():
    encoder = embedder().train()
    with frozen(encoder) as module:
        assert not module.training
    assert encoder.training


def test_one_guard_within_another_leaves_the_look_to_that_one(monkeypatch):
    encoder, images = embedder().train(), pictures()
    reference, looks = fingerprint(encoder), []
    monkeypatch.setattr(features, "fingerprint", lambda module: looks.append(module) or fingerprint(module))
    with frozen(encoder):
        for _ in range(3):
            extract(encoder, images)
        with frozen(None) as nothing:
            assert nothing is None
        assert not encoder.training
    assert (len(looks), encoder.training, fingerprint(encoder)) == (2, True, reference)
    with frozen(encoder), frozen(embedder()):  # another module has a guard of its own
        pass
    assert len(looks) == 6


def test_a_guard_is_gone_once_it_has_refused():
    encoder = embedder()
    for _ in range(2):
        with pytest.raises(NotFrozen), frozen(encoder), frozen(encoder), torch.no_grad():
            encoder.backbone[0][0].weight += 1e-3


def test_raw_pixels_are_the_images():
    images = pictures()
    np.testing.assert_allclose(raw_pixels(images).numpy(), images.stored.reshape(10, -1) / 255, rtol=1e-6)
