"""Trainings and widgets keep their memory, however long they run, and close their figures, threads and files.

With MIXVIZ_LONG=1 over 10,000 steps and 500 moves of each widget; otherwise over fewer, after which the caches of a
widget are not full yet, so that its memory is not judged.
"""

import json
import os
import threading
import time
from pathlib import Path
from random import Random

import pytest
from victim import NAME, config_of, exit_code, pictures

STATUS = Path("/proc/self/statm")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not STATUS.exists(), reason="only Linux says how much memory a process has"),
]
LONG = bool(os.environ.get("MIXVIZ_LONG"))
STEPS, MOVES = (10_000, 500) if LONG else (750, 50)
STEP_LEAK, MOVE_LEAK = 0.3 if LONG else 40.0, 10.0  # KB; a lost batch has 12, a lost graph or picture some 100
LONGEST = 3600 if LONG else 600  # seconds
WIDGETS = (
    "BlendedSounds",
    "ContrastTable",
    "FailureCases",
    "FilmScrubber",
    "HardnessMicroscope",
    "InvarianceFingerprint",
    "MixingLab",
    "ProjectionExplorer",
    "ProtocolComparison",
    "SeedVerdict",
    "SphereLab",
)


def memory() -> float:
    """KB that the process has in memory."""
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e3


def growth(kb: list[float]) -> float:
    """KB for each place, between the medians of quarters; the least of the last two: a leak grows in each of them.

    A cache that fills late, or a block that the system gives, grows in one.
    """
    quarter = len(kb) // 4
    medians = [sorted(kb[i * quarter : (i + 1) * quarter])[quarter // 2] for i in range(4)]
    return min(medians[2] - medians[1], medians[3] - medians[2]) / quarter


def train_long(root: Path, out: Path) -> None:
    """Measures memory after each step of MoCo-v2 with MoCHi and MixCo, with film, monitor and checkpoints."""
    import torch

    from mixviz.train import train

    torch.set_num_threads(1)
    found: list[float] = []
    images = pictures(count=8 + 250 * 16)  # 8 are held out
    config = config_of(epochs=STEPS // 250, film_frames=3, knn_every=10)
    train(config, NAME, images, root, progress=False, watch=lambda seen, wanted: found.append(memory()))
    out.write_text(
        json.dumps({"kb": found, "threads": threading.active_count(), "files": len(os.listdir("/proc/self/fd"))})
    )


def move_often(widget: str, out: Path) -> None:
    """Measures memory after each move of a random control to a random place."""
    import matplotlib.pyplot as plt
    import torch

    from mixviz import widgets
    from mixviz.widgets.controls import Slider, stops

    torch.set_num_threads(1)
    random, shown, found = Random(0), getattr(widgets, widget)(), []
    if LONG:
        shown.drive()  # to everything that can be chosen, which fills the caches
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    times = []
    for _ in range(MOVES):
        control = random.choice([one for one in shown.controls.values() if not one.disabled])
        if isinstance(control, Slider):
            places = [
                control.min + i * control.step for i in range(round((control.max - control.min) / control.step) + 1)
            ]
        else:
            places = stops(control)
        began = time.perf_counter()
        control.value = random.choice(places)
        times.append(time.perf_counter() - began)
        found.append(memory())
    after = threading.active_count(), len(os.listdir("/proc/self/fd"))
    out.write_text(
        json.dumps({"kb": found, "figures": plt.get_fignums(), "before": before, "after": after, "times": times})
    )


def test_memory_of_a_training_is_flat(tmp_path):
    assert exit_code(train_long, tmp_path, tmp_path / "out.json", longest=LONGEST) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["kb"]) == STEPS
    assert growth(found["kb"]) < STEP_LEAK


@pytest.mark.parametrize("widget", WIDGETS)
def test_memory_of_a_widget_is_flat(tmp_path, widget):
    assert exit_code(move_often, widget, tmp_path / "out.json", longest=LONGEST) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found["kb"]) == MOVES
    assert not LONG or growth(found["kb"]) < MOVE_LEAK
    assert found["figures"] == []
    assert found["before"] == found["after"]


def test_every_widget_is_moved():
    from mixviz import widgets

    without_controls = {"Prediction", "Predictions"}
    assert set(WIDGETS) == set(widgets.__all__) - {"Widget", "TrainingPanel"} - without_controls  # the panel trains
