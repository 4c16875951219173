"""Benchmarks report ratios of what they measured; how fast this machine is, no test says."""

import pytest
import torch

from mixviz.config import RunConfig
from mixviz.experiments.speed import augmentation_benchmark, step_benchmark


def test_augmentation_figures_hang_together():
    figures = augmentation_benchmark(batch=8, size=16, seconds_each=0.02)
    rates, ratios = figures["images_per_second"], figures["times_as_fast"]
    assert rates["mixviz"] > 0
    assert ratios["torchvision PIL"] == pytest.approx(rates["mixviz"] / rates["torchvision PIL"])
    assert figures["threads"] == torch.get_num_threads()


@pytest.mark.parametrize("settings", [{}, {"mixing": ["looc", "mixco"]}])
def test_step_figures_hang_together(settings):
    config = RunConfig.of(batch_size=16, bn_splits=2, queue_length=32, device="cpu", **settings)
    figures = step_benchmark(config, seconds_each=0.05, image_size=16)
    times = figures["milliseconds"]
    assert figures["times_the_bare_passes"] == pytest.approx(times["whole step"] / times["bare passes"])
    assert figures["images_per_second"] == pytest.approx(16_000 / times["whole step"])
