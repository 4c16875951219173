"""Benchmarks measure all that they say, and nothing else: by a clock that moves only where the work is done."""

from types import SimpleNamespace

import pytest
import torch

from mixviz.config import RunConfig
from mixviz.experiments import speed
from mixviz.experiments.speed import augmentation_benchmark, step_benchmark
from mixviz.frameworks import MoCoV2


class Clock:
    """Stands still until some work says how long it took."""

    def __init__(self):
        self.now = 0.0

    def slow(self, work, seconds):
        """The same work, which takes this long by the clock."""

        def slowly(*args, **options):
            self.now += seconds
            return work(*args, **options)

        return slowly


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    return clock


def test_every_contestant_augments_the_same_batch():
    figures = augmentation_benchmark(batch=8, size=16, seconds_each=0.02)
    rates = figures["images_per_second"]
    assert {"mixviz", "torchvision PIL", "torchvision tensor"} <= {name for name, rate in rates.items() if rate}
    assert figures["times_as_fast"].keys() == {name for name, rate in rates.items() if rate} - {"mixviz"}
    assert figures["threads"] == torch.get_num_threads()


def test_rates_are_images_by_time_and_ratios_say_how_much_faster_mixviz_is(clock, monkeypatch):
    monkeypatch.setattr(speed, "find_spec", lambda name: None)
    for name, seconds in {"_mixviz": 0.001, "_torchvision_pil": 0.01, "_torchvision_tensor": 0.002}.items():
        monkeypatch.setattr(speed, name, lambda pixels, seconds=seconds: clock.slow(pixels.clone, seconds))
    figures = augmentation_benchmark(batch=8, size=16, seconds_each=0.1)
    rates = figures["images_per_second"]
    assert rates.pop("kornia") is None
    assert rates == pytest.approx({"mixviz": 8000, "torchvision PIL": 800, "torchvision tensor": 4000})
    assert figures["times_as_fast"] == pytest.approx({"torchvision PIL": 10, "torchvision tensor": 2})


@pytest.mark.parametrize("settings", [{}, {"mixing": ["looc", "mixco"]}])
def test_a_whole_step_is_views_passes_and_optimiser_and_the_bare_passes_are_passes_only(clock, monkeypatch, settings):
    monkeypatch.setattr(speed, "make_views", clock.slow(speed.make_views, 0.002))
    monkeypatch.setattr(MoCoV2, "embed", clock.slow(MoCoV2.embed, 0.01))
    monkeypatch.setattr(speed, "optimize", clock.slow(speed.optimize, 0.003))
    monkeypatch.setattr(MoCoV2, "update", clock.slow(MoCoV2.update, 0.005))
    config = RunConfig.of(batch_size=16, bn_splits=2, queue_length=32, device="cpu", **settings)
    figures = step_benchmark(config, seconds_each=0.05)
    assert figures["milliseconds"] == pytest.approx({"whole step": 20, "bare passes": 10})
    assert figures["times_the_bare_passes"] == pytest.approx(2)
    assert figures["examples_per_second"] == pytest.approx(16 / 0.02)
    assert (figures["data"], figures["examples"]) == ("glyphs", "images")
