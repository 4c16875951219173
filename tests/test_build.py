"""From config to method: the right parts, on the right device, from one seed, without touching the global generator."""

import pytest
import torch

from mixviz.build import build_embedder, build_method, find_device, seeded
from mixviz.config import RunConfig
from mixviz.encoders import SpaceWise, SplitBatchNorm1d, SplitBatchNorm2d
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS

CPU = {"device": "cpu", "dtype": "float32"}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_framework_is_built_with_its_settings(name):
    config, kind = RunConfig.of(framework=name, symmetric=True, dim=16, **CPU), FRAMEWORKS[name]
    framework = build_method(config, 16).framework
    assert type(framework) is kind
    assert framework.settings == kind.Settings(**{**kind.defaults()["method"], "symmetric": True})
    assert framework.online.dim == 16
    assert isinstance(framework.predictor, SpaceWise) == kind.predicts
    if name == "moco-v2":
        assert framework.queue.keys.shape == (1, config.method.queue_length, 16)


def test_looc_gets_a_projector_for_each_space():
    method = build_method(RunConfig.of(mixing=["looc"], looc_left_out=["color", "flip"], **CPU), 16)
    assert method.framework.online.spaces == 3
    assert method.framework.queue.keys.shape[0] == 3
    assert method.shared == (None, "color", "flip")


def test_looc_plus_plus_gets_branches_and_longer_features():
    embedder = build_embedder(RunConfig.of(mixing=["looc"], looc_plus_plus=True, **CPU), 16)
    assert len(embedder.branches) == 2
    assert embedder.features(torch.rand(2, 3, 16, 16)).shape == (2, 512)
    assert embedder(torch.rand(16, 3, 16, 16)).shape == (16, 2, 128)


def test_splits_reach_every_batch_norm():
    method = build_method(RunConfig.of(bn_splits=4, projector="mlpbn", **CPU), 16)
    layers = [m for m in method.modules() if isinstance(m, SplitBatchNorm1d | SplitBatchNorm2d)]
    assert {layer.splits for layer in layers} == {4}
    assert len(layers) == 2 * (4 + 2)


def test_momentum_encoder_starts_as_the_online_one_and_has_no_gradient():
    framework = build_method(RunConfig.of(**CPU), 16).framework
    pairs = zip(framework.target.parameters(), framework.online.parameters(), strict=True)
    assert all(torch.equal(t, o) and not t.requires_grad and o.requires_grad for t, o in pairs)


def test_one_seed_gives_one_method_and_leaves_the_global_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (build_method(RunConfig.of(seed=3, **CPU), 16).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_method(RunConfig.of(seed=4, **CPU), 16).state_dict()
    assert not torch.equal(first["framework.online.backbone.0.0.weight"], other["framework.online.backbone.0.0.weight"])


def test_seeded_restores():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    with seeded(9):
        inside = torch.rand(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    with seeded(9):
        assert torch.equal(torch.rand(1), inside)


def test_devices():
    assert find_device("cpu").type == "cpu"
    assert find_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "cuda:77"):
        with pytest.raises(UserError, match=f"--device {name} cannot be used .*: take auto or cpu"):
            find_device(name)
