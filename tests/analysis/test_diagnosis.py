"""The line that says whether a run learns: each fault on a made-up log, and the bundled runs by their own."""

import re
import time

import numpy as np
import pandas as pd
import pytest

from mixviz.analysis.diagnosis import diagnosis
from mixviz.commands.train import summary
from mixviz.config import RunConfig
from mixviz.experiments.failures.cases import CASES
from mixviz.film import Film
from mixviz.pretrained import ROOT
from mixviz.runs import Run

LOG = {"loss": 3.0, "loss_clean": 3.0, "proxy_accuracy_clean": 0.4, "chance_loss": 6.0, "queue_gap": 0.0}
CURVES = {
    "proxy_accuracy": [0.02, 0.4],
    "uniformity/all": [-0.05, -2.5],
    "knn_accuracy/backbone": [0.2, 0.5],
}


def verdict(
    settings: dict | None = None, curves: dict | None = None, epochs: int = 10, probes: int = 400, **log
) -> str:
    """Of a healthy run of MoCo with these settings, curves and values of its log in place of its own."""
    rows = pd.DataFrame({"epoch": np.arange(1, epochs + 1), **LOG, **log})
    film = Film(
        epochs=np.array([0, epochs]),
        rows=np.arange(probes),
        labels=None,
        embeddings={},
        kept={},
        curves={name: np.array(values) for name, values in (CURVES | (curves or {})).items()},
    )
    return diagnosis(rows, RunConfig.of(**(settings or {})), film)


def test_a_healthy_run():
    values = "loss 3.00 of 6.00 at chance, 40% of keys found, kNN on the backbone 50%, 20% before training"
    assert verdict() == f"Is it learning? Yes: {values}."


def test_a_stale_queue_is_named_before_what_follows_from_it():
    found = verdict({"queue_length": 4096}, {"uniformity/all": [-0.05, -0.05]}, queue_gap=0.3, loss_clean=5.9)
    assert re.search("queue is stale.*cosine of 0.30.*--queue-length 2560 or --momentum 0.994", found)
    assert found.endswith("failures stale-queue")
    assert "Yes" in verdict(queue_gap=[0.3, *[0.05] * 9])  # in the first epoch the queue holds its random start


def test_keys_that_are_found_in_training_only():
    shortcut = {"proxy_accuracy_clean": 0.99, "curves": {"proxy_accuracy": [0.02, 0.15]}}
    assert re.search("99% of keys are found in training, 15% on held-out.*same-crop", verdict(**shortcut))
    assert re.search("BatchNorm.*--bn-splits 2.*batchnorm-leak", verdict({"bn_splits": 1}, **shortcut))
    assert "BatchNorm" not in verdict({"framework": "n-pair"}, **shortcut)


def test_a_task_that_is_too_easy():
    easy = {"proxy_accuracy_clean": 0.999, "curves": {"proxy_accuracy": [0.9, 0.999]}}
    assert "No longer, its task is too easy: 99.9%" in verdict(**easy)
    assert "Try stronger augmentations." in verdict({"hue": 0.3, "jitter": 1.0}, **easy)
    assert "Try --crop-min 0.2 --jitter 0.8." in verdict({"crop_min": 1.0, "jitter": 0.0}, **easy)
    assert "Try --tabular-dropout 0.2." in verdict({"data": "wine", "tabular_dropout": 0.0}, **easy)


def test_a_collapse_is_put_down_to_the_setting_that_is_furthest_off():
    collapsed = {"uniformity/all": [-0.05, -0.02]}
    assert re.search("collapsed.*-0.02.*--temperature 0.2;.*cold-temp", verdict({"temperature": 0.01}, collapsed))
    assert re.search("collapsed.*--momentum 0.99;.*no-momentum", verdict({"momentum": 0.0}, collapsed))
    assert "--momentum 0.99" in verdict({"framework": "byol", "momentum": 0.1}, collapsed)
    assert "Try --temperature 0.2." in verdict({"temperature": 2.0}, collapsed)
    assert "Try --lr 0.25, or more --epochs." in verdict({"lr": 1.0}, collapsed)
    assert "Try more --epochs." in verdict({}, collapsed, epochs=1)


def test_a_loss_that_stays_at_chance():
    assert "the loss 5.90 is near that of chance, 6.00. Try --momentum" in verdict({"momentum": 0.5}, loss_clean=5.9)
    assert "Yes" in verdict(
        loss_clean=6.5, loss_clean_without_synthetic=3.0, proxy_accuracy_clean_without_synthetic=0.5
    )
    blends = diagnosis(pd.DataFrame([{"epoch": 9, "loss_mixed": 5.9, "chance_loss": 6.0}]), RunConfig())
    assert "near that of chance" in blends


def test_features_that_are_no_better_than_untrained():
    assert "20% on the backbone, 20% before training" in verdict(curves={"knn_accuracy/backbone": [0.2, 0.204]})
    assert "Yes" in verdict(curves={"knn_accuracy/backbone": [0.95, 0.955]})  # little was left to gain
    few = verdict(curves={"knn_accuracy/backbone": [0.2, 0.1]}, probes=100)
    assert "Yes" in few
    assert "kNN" not in few


def test_it_costs_nothing_that_can_be_measured():
    began = time.process_time()
    for _ in range(10):
        verdict(epochs=1000)
    assert time.process_time() - began < 0.5  # once at the end of a training of minutes


def test_what_is_not_known_is_not_claimed():
    log = pd.DataFrame([{"epoch": 1, "loss": 0.1, "loss_clean": 0.1}])
    assert "Not known" in diagnosis(log, RunConfig.of(framework="byol"))
    assert "Not known" in diagnosis(pd.DataFrame(), RunConfig())


def test_the_cases_that_are_named_exist():
    shown = [verdict({"temperature": 0.01}, {"uniformity/all": [0.0, 0.0]}), verdict(queue_gap=0.3)]
    assert {line.rpartition(" ")[2] for line in shown} <= {case.name for case in CASES}


EXPECTED = {
    "cold-temperature": "--temperature 0.2",
    "no-momentum": "--momentum 0.99",
    "same-crop": "shortcut",
    "stale-queue": "stale",
}
EXPECTED |= {f"cifar-10-jpeg-moco-v2-no-augmentation-seed{seed}": "too easy" for seed in (1, 2, 3)}
EXPECTED |= {"cifar-10-jpeg-moco-v2+imix-no-augmentation-seed3": "no gain"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("metrics.csv")), ids=lambda path: path.parent.name)
def test_the_bundled_runs(path):
    """Healthy ones, and faults that a single run shows; the other failure cases show beside their control alone."""
    line = summary(Run(path.parent)).splitlines()[1]
    assert EXPECTED.get(path.parent.name, "? Yes: ") in line
