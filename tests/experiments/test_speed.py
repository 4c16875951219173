"""Benchmarks measure all that they say, and nothing else: by a clock that moves only where the work is done."""

from types import SimpleNamespace

import pytest
import torch

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments import overheads, peers, speed
from mixviz.experiments.overheads import LIMITS, STEP, WATCHING, overhead_rows, overheads_benchmark
from mixviz.experiments.peers import peer_rows, peers_benchmark
from mixviz.experiments.speed import augmentation_benchmark, prepare, step_benchmark
from mixviz.frameworks import MoCoV2
from mixviz.mixing import MoCHi


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
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock.now, process_time=lambda: clock.now))
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


@pytest.fixture
def slow_steps(clock, monkeypatch):
    """A step of MoCo-v2 takes 20 ms, half of them its passes."""
    monkeypatch.setattr(speed, "make_views", clock.slow(speed.make_views, 0.002))
    monkeypatch.setattr(MoCoV2, "embed", clock.slow(MoCoV2.embed, 0.01))
    monkeypatch.setattr(speed, "optimize", clock.slow(speed.optimize, 0.003))
    monkeypatch.setattr(MoCoV2, "update", clock.slow(MoCoV2.update, 0.005))


SMALL = {"batch_size": 16, "bn_splits": 2, "device": "cpu"}


@pytest.mark.parametrize("settings", [{}, {"mixing": ["looc", "mixco"]}])
def test_a_whole_step_is_views_passes_and_optimiser_and_the_bare_passes_are_passes_only(slow_steps, settings):
    figures = step_benchmark(RunConfig.of(**SMALL, queue_length=32, **settings), seconds_each=0.05)
    assert figures["milliseconds"] == pytest.approx({"whole step": 20, "bare passes": 10})
    assert figures["times_the_bare_passes"] == pytest.approx(2)
    assert figures["examples_per_second"] == pytest.approx(16 / 0.02)
    assert (figures["data"], figures["examples"]) == ("glyphs", "images")


def test_overheads_are_over_the_step_without_mixing_and_over_a_run_without_film_and_monitor(
    clock, slow_steps, monkeypatch
):
    monkeypatch.setattr(overheads.Recorder, "take", clock.slow(lambda *arguments: 0.0, 3))
    monkeypatch.setattr(overheads, "knn_monitor", clock.slow(lambda *arguments: 0.0, 2))
    monkeypatch.setattr(MoCHi, "negatives", clock.slow(MoCHi.negatives, 0.01))
    figures = overheads_benchmark(0.05, **SMALL, train_images=200, epochs=10, knn_every=4, film_frames=4)
    assert figures["ratios"].keys() == LIMITS.keys()
    assert figures["milliseconds"]["bare passes"] == pytest.approx(10)
    assert figures["ratios"][STEP] == pytest.approx(2)
    assert figures["ratios"]["mochi"] == pytest.approx(1.5)
    assert figures["ratios"]["imix"] == pytest.approx(1)
    assert figures["ratios"][WATCHING] == pytest.approx(
        1 + (4 * 3 + 3 * 2) / (10 * 11 * 0.02)
    )  # 11 steps of 180 images
    header, rows = overhead_rows(figures)
    assert [len(row) for row in rows] == [len(header)] * len(LIMITS)


def test_other_libraries_take_turns_with_ours(clock, slow_steps, monkeypatch):
    monkeypatch.setattr(peers, "PEERS", {"torch": lambda ours: clock.slow(lambda: None, 0.05), "nowhere": None})
    monkeypatch.setattr(peers, "METHODS", ("moco-v2",))
    figures = peers_benchmark(0.05, **SMALL)
    (step,) = figures["steps"]
    assert step["milliseconds"] == pytest.approx({"mixviz": 20, "torch": 50})
    assert step["times_as_fast"] == pytest.approx({"torch": 2.5})
    assert figures["versions"].keys() == {"torch", "torchvision"}
    assert peer_rows(figures)[1] == [["moco-v2", "mixviz", "20", "1.0"], ["moco-v2", "torch", "50", "2.5"]]


def test_without_another_library_there_is_nothing_to_compare(monkeypatch):
    monkeypatch.setattr(peers, "PEERS", {"nowhere": None})
    with pytest.raises(UserError, match="there is no library to compare with: pip install nowhere"):
        peers_benchmark()


@pytest.mark.parametrize("framework", peers.METHODS)
def test_a_step_of_lightly_trains_a_copy_of_our_encoder(framework):
    pytest.importorskip("lightly")
    ours = prepare(RunConfig.of(framework=framework, **SMALL))
    before = [parameter.clone() for parameter in ours.method.parameters()]
    step = peers.PEERS["lightly"](ours)
    step()
    assert all(torch.equal(*pair) for pair in zip(before, ours.method.parameters(), strict=True))
