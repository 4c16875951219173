"""From config to method: the right parts, on the right device, from one seed, without touching the global generator."""

import dataclasses
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import mixviz
from mixviz import build
from mixviz.build import TrainSets, build_embedder, build_method, find_device, fitted, load_sets, seeded
from mixviz.config import DataConfig, RunConfig
from mixviz.data import Dataset, load
from mixviz.encoders import SpaceWise, SplitBatchNorm1d, SplitBatchNorm2d
from mixviz.environment import check_memory, memory_errors
from mixviz.errors import MissingData, NoTestSplit, UserError
from mixviz.frameworks import FRAMEWORKS

CPU = {"device": "cpu", "dtype": "float32"}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_framework_is_built_with_its_settings(name):
    config, kind = RunConfig.of(framework=name, symmetric=True, dim=16, **CPU), FRAMEWORKS[name]
    framework = build_method(config, (3, 16, 16)).framework
    assert type(framework) is kind
    assert framework.settings == kind.Settings(**{**kind.defaults()["method"], "symmetric": True})
    assert framework.online.dim == 16
    assert isinstance(framework.predictor, SpaceWise) == kind.predicts
    if name == "moco-v2":
        assert framework.queue.keys.shape == (1, config.method.queue_length, 16)


def test_looc_gets_a_projector_for_each_space():
    method = build_method(RunConfig.of(mixing=["looc"], looc_left_out=["color", "flip"], **CPU), (3, 16, 16))
    assert method.framework.online.spaces == 3
    assert method.framework.queue.keys.shape[0] == 3
    assert method.shared == (None, "color", "flip")


def test_looc_plus_plus_gets_branches_and_longer_features():
    embedder = build_embedder(RunConfig.of(mixing=["looc"], looc_plus_plus=True, **CPU), (3, 16, 16))
    assert len(embedder.branches) == 2
    assert embedder.features(torch.rand(2, 3, 16, 16)).shape == (2, 512)
    assert embedder(torch.rand(16, 3, 16, 16)).shape == (16, 2, 128)


def test_splits_reach_every_batch_norm():
    method = build_method(RunConfig.of(bn_splits=4, projector="mlpbn", **CPU), (3, 16, 16))
    layers = [m for m in method.modules() if isinstance(m, SplitBatchNorm1d | SplitBatchNorm2d)]
    assert {layer.splits for layer in layers} == {4}
    assert len(layers) == 2 * (4 + 2)


def test_momentum_encoder_starts_as_the_online_one_and_has_no_gradient():
    framework = build_method(RunConfig.of(**CPU), (3, 16, 16)).framework
    pairs = zip(framework.target.parameters(), framework.online.parameters(), strict=True)
    assert all(torch.equal(t, o) and not t.requires_grad and o.requires_grad for t, o in pairs)


def test_one_seed_gives_one_method_and_leaves_the_global_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (build_method(RunConfig.of(seed=3, **CPU), (3, 16, 16)).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_method(RunConfig.of(seed=4, **CPU), (3, 16, 16)).state_dict()
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


def test_a_batch_size_that_is_not_given_fits_the_data(capsys):
    few, many = (Dataset(name="photos", split="train", stored=np.zeros((n, 8, 8, 3), np.uint8)) for n in (300, 2000))
    config = fitted(RunConfig.of(), few)
    assert (config.train.batch_size, config.method.settings.queue_length, config.encoder.bn_splits) == (32, 128, 2)
    assert "batches of 32, which fit 270 training images" in capsys.readouterr().err
    assert fitted(RunConfig.of(), many).train.batch_size == 256
    assert fitted(RunConfig.of(batch_size=200), few).train.batch_size == 200


def test_data_without_a_test_split_are_looked_at_by_their_held_out_images():
    images = Dataset(name="photos", split="train", stored=np.zeros((50, 8, 8, 3), np.uint8))
    sets = TrainSets(data=DataConfig(data="folder:nowhere"), all_train=images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixviz.build._load_split", raise_no_test)
        assert len(sets.unseen) == 5
        with pytest.raises(UserError, match="or train with --holdout above 0"):
            _ = TrainSets(data=DataConfig(holdout=0), all_train=images).unseen


def raise_no_test(*_):
    raise NoTestSplit("photos has neither labels nor a test split")


def test_sets_follow_the_data_settings_and_test_is_loaded_when_it_is_requested(tmp_path, write_colours, monkeypatch):
    loaded = []
    monkeypatch.setattr(build, "load", lambda *given, **settings: loaded.append(given[1]) or load(*given, **settings))
    data = DataConfig(
        data=write_colours(tmp_path / "c.npz", 120), data_name="C", image_size=8, train_images=80, holdout=6
    )
    sets = load_sets(data, progress=False)
    assert [len(part) for part in (sets.all_train, sets.train, sets.held_out)] == [80, 74, 6]
    assert np.array_equal(sets.held_out.stored, sets.all_train.stored[sets.held_rows])
    assert not {image.tobytes() for image in sets.held_out.stored} & {image.tobytes() for image in sets.train.stored}
    assert (sets.all_train.name, sets.all_train.stored.shape[1:]) == ("C", (8, 8, 3))
    assert loaded == ["train"]
    assert (len(sets.test), sets.test.name, sets.test.stored.shape[1]) == (40, "C", 8)
    assert loaded == ["train", "test"]
    with pytest.raises(MissingData, match="there is nothing at"):
        load_sets(DataConfig(data=f"numpy:{tmp_path / 'nowhere.npz'}"))


def test_dataclasses_of_more_than_three_fields_are_keyword_only():
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(mixviz.__path__, "mixviz.")]
    classes = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    ours = [kind for kind in classes if dataclasses.is_dataclass(kind) and kind.__module__.startswith("mixviz")]
    assert len(ours) > 100
    for kind in ours:
        fields = [field for field in dataclasses.fields(kind) if field.init]
        assert len(fields) <= 3 or all(field.kw_only for field in fields), kind


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (MemoryError("Unable to allocate 7 PiB"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 512 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_memory_that_runs_out_names_what_to_lower(error, named):
    kind, match = (UserError, "lower --batch-size") if named else (RuntimeError, "shapes")
    with pytest.raises(kind, match=match), memory_errors():
        raise error


def test_a_size_that_cannot_be_allocated_is_refused_before(monkeypatch):
    monkeypatch.setattr("mixviz.environment.free_memory", lambda: 2e9)
    check_memory(1.9e9, "images", "lower it")
    with pytest.raises(UserError, match=r"images take 2\.1 GB of memory, and 2\.0 GB are free: lower it"):
        check_memory(2.1e9, "images", "lower it")
