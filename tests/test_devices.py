"""What a GPU would mind in a training step, shown by one that is pretended: no GPU is needed, and none is tested."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretended import DEVICE, OnDevice, PretendedDevice, move
from tqdm.auto import tqdm

from mixviz.augment import make_views
from mixviz.build import find_device, fixed_generator, seeded_generator
from mixviz.commands import doctor
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of
from mixviz.encoders import fast_dtype
from mixviz.environment import environment
from mixviz.recorder import Recorder
from mixviz.train import Loop, batches, knn_monitor, set_up, sgd

SMALL = {"backbone": "convnet-narrow", "dim": 8, "hidden": 16, "holdout": 8, "dtype": "float32", "batch_size": 16}
MOCHI = {"mochi_hardest": 4, "mochi_pairs": 3, "mochi_towards_query": 2}
CASES = [
    {"framework": "moco-v2", "mixing": ["mixco"], "symmetric": True},
    {"framework": "moco-v2", "mixing": ["imix", "mochi"], "imix_inputmix": 2, **MOCHI},
    {"framework": "moco-v2", "mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
    {"framework": "moco-v2", "mixing": ["mochi"], "oracle": True, **MOCHI},
    {"framework": "simclr", "mixing": ["unmix", "mochi"], **MOCHI},
    {"framework": "n-pair", "mixing": ["imix"], "imix_kind": "cutmix"},
    {"framework": "byol", "mixing": ["unmix"]},
    {"framework": "vicreg"},
]


def loop_on_device(settings: dict) -> Loop:
    """A loop whose weights, keys and images are on the device."""
    random = np.random.default_rng(0)
    shown = random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    config = RunConfig.of(**{**SMALL, **settings})
    method, data = set_up(config, Dataset(name="noise", split="train", stored=shown, labels=np.arange(60) % 8))
    move(method)
    data = replace(data, stored=OnDevice(data.stored), labels=OnDevice(data.labels))
    return Loop(
        config=config,
        method=method.train(),
        optimizer=sgd(method, config.optimizer),
        data=data,
        augmentation=augmentation_of(config.augment, data.bank),
        views=make_views,
    )


def steps(loop: Loop) -> list[dict]:
    return [loop.step(5, 100 + i, index, 0.05) for i, index in enumerate(batches(32, 16, 0, 0))]


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_a_step_makes_no_float64_on_the_device(settings):
    """Apple's GPUs have none: what is drawn in double precision is drawn on the CPU."""
    loop = loop_on_device(settings)
    with PretendedDevice(float64=False):
        for row in steps(loop):
            assert all(value.device == DEVICE for value in row.values())
            assert row["loss"].isfinite()


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_a_step_does_not_wait_for_the_device(settings):
    loop = loop_on_device(settings)
    with PretendedDevice(draws=True) as device:
        steps(loop)  # the first one may make what is kept
        device.waits.clear()
        steps(loop)
    counts = "mochi" in loop.config.method.mixing and (loop.config.method.oracle or settings["framework"] != "moco-v2")
    assert {wait.partition(":")[0] for wait in device.waits} == ({"_local_scalar_dense"} if counts else set())
    assert all("usable = " in wait for wait in device.waits)  # MoCHi, where not all negatives are a query's


def test_the_loss_is_read_at_the_end_of_an_epoch_and_every_20_steps():
    loop = loop_on_device({"framework": "moco-v2"})
    with PretendedDevice(draws=True) as device:
        loop.epoch(5, tqdm(disable=True))  # steps 15 to 17
    assert sum('float(sums["loss"])' in wait for wait in device.waits) == 1
    assert all(wait.startswith("_local_scalar_dense: train.py") for wait in device.waits)


def test_the_film_and_the_monitor_make_no_float64_on_the_device(tmp_path):
    loop = loop_on_device({"framework": "moco-v2", "mixing": ["mochi"], **MOCHI})
    data = loop.data
    recorder = Recorder(tmp_path / "film.npz", loop.config, data.held_out, data.held_rows, loop.augmentation)
    with PretendedDevice(float64=False):
        recorder.take(loop.method, 0)
        assert 0 <= knn_monitor(loop.method, data) <= 1
    assert len(recorder.frames) == 1


def test_auto_finds_an_apple_gpu_and_draws_are_made_on_the_cpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("auto") == torch.device("mps")
    assert seeded_generator("mps", 0, "mix", 1).device == fixed_generator("mps").device == torch.device("cpu")
    assert fast_dtype(torch.device("mps")) == torch.float32
    assert environment()["device"].startswith("Apple GPU")
    doctor.main([])
    assert "Apple GPU (mps)" in capsys.readouterr().out


def test_the_stand_in_minds_what_a_gpu_minds():
    with PretendedDevice(float64=False) as device:
        numbers = torch.ones(3, device=DEVICE)
        with pytest.raises(TypeError, match="float64"):
            numbers.double()
        with pytest.raises(RuntimeError, match="on the CPU"):
            numbers + torch.ones(3)
        assert device.waits == []
        for wait in (numbers.cpu, numbers.sum().item, numbers.nonzero, lambda: numbers[numbers > 0]):
            wait()
            assert device.waits
            device.waits.clear()
