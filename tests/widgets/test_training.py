"""The panel trains what its controls ask for, beside the main thread, stops cleanly, and goes on as if it had not."""

import asyncio
import threading

import numpy as np
import pytest
import torch

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.mixing import MIXINGS
from mixviz.runs import Run
from mixviz.train import NonFiniteLoss, train
from mixviz.widgets import TrainingPanel, background
from mixviz.widgets.background import Training
from mixviz.widgets.controls import stops
from mixviz.widgets.training import SHOWN

SMALL = {"framework": "n-pair", "epochs": 2, "train_images": 500, "batch_size": 64, "knn_every": 1, "film_frames": 0}


@pytest.fixture
def panel(tmp_path) -> TrainingPanel:
    return TrainingPanel(root=tmp_path, **SMALL)


@pytest.fixture(scope="module")
def glyphs():
    """The images, loaded once for all tests."""
    return background._images(RunConfig.of(**SMALL).data)


def slow_down(monkeypatch, seconds: float = 0.05):
    """Makes each step take longer, so that there is time to stop."""
    watch = Training._watch

    def slowly(self, done, total):
        self._halt.wait(seconds)
        watch(self, done, total)

    monkeypatch.setattr(Training, "_watch", slowly)


def test_the_config_is_that_of_the_controls(panel):
    panel.set(framework="moco-v2", mixing=["mochi", "mixco"], temperature=0.1, lr=0.07, mochi_hardest=64, hue=0.3)
    wanted = {**SMALL, "framework": "moco-v2", "mixing": ["mixco", "mochi"], "temperature": 0.1, "lr": 0.07}
    assert panel.result.config == RunConfig.of(**wanted, mochi_hardest=64, hue=0.3)
    assert panel.numbers()["method"] == "moco-v2 + mixco + mochi"
    assert "lr 0.07" in panel.numbers()["settings"]


def test_it_trains_in_a_background_thread_and_equals_training_in_it(panel, glyphs, tmp_path):
    panel.start()
    assert any(thread.name == "training glyphs-n-pair-seed0" for thread in threading.enumerate())
    panel.wait()
    found = panel.numbers()
    wanted = train(RunConfig.of(**SMALL), "wanted", glyphs, tmp_path / "other", progress=False).metrics
    assert (found["training"], found["epochs done"]) == ("finished", 2)
    for name in ("loss", "proxy_accuracy_clean", "knn_accuracy"):
        assert found[name] == wanted[name].iloc[-1]
    assert not Training.latest.is_on


def test_a_stopped_run_keeps_its_checkpoint_and_continues_as_if_nothing_had_been(panel, glyphs, tmp_path, monkeypatch):
    slow_down(monkeypatch)
    panel.start()
    while not (tmp_path / "glyphs-n-pair-seed0" / "checkpoint.pt").exists():
        panel.training.wait(0.02)
    panel.stop()
    run = Run(tmp_path / "glyphs-n-pair-seed0")
    assert panel.training.state == "stopped"
    assert len(run.metrics) == run.load_checkpoint()["epoch"] == 1
    assert not panel._buttons["Resume"].disabled
    monkeypatch.undo()
    panel.resume()
    panel.wait()
    whole = train(RunConfig.of(**SMALL), "whole", glyphs, tmp_path / "other", progress=False)
    weights, wanted = run.encoder().state_dict(), whole.encoder().state_dict()
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)


def test_one_training_at_a_time_which_any_panel_can_stop(panel, tmp_path, monkeypatch, glyphs):
    slow_down(monkeypatch)
    other = TrainingPanel(root=tmp_path / "b", **SMALL)
    panel.start()
    with pytest.raises(UserError, match="glyphs-n-pair-seed0 is being trained: stop it"):
        other.start()
    other.stop()
    assert panel.training.state == "stopped"
    assert not panel.training.is_on


def test_an_event_loop_shows_progress_from_the_main_thread(panel, glyphs, monkeypatch):
    slow_down(monkeypatch, 0.01)
    monkeypatch.setattr("mixviz.widgets.training.LOOK_EVERY", 0.02)
    seen = []
    panel._bar.observe(lambda change: seen.append((change["new"], threading.current_thread())), "value")

    async def cell():
        panel.start()
        await panel._task

    asyncio.run(cell())
    shares, threads = zip(*seen, strict=True)
    assert len(shares) > 2
    assert list(shares) == sorted(shares)
    assert set(threads) == {threading.main_thread()}
    assert "finished, 2.0 of 2 epochs" in panel._status.value


def test_a_run_that_is_stopped_before_its_first_batch_does_not_keep_the_bar_of_the_last_one(panel, glyphs, monkeypatch):
    panel.set(epochs=1)
    panel.start()
    panel.wait()
    assert panel._bar.value == 1
    monkeypatch.setattr(Training, "_work", lambda training, threads: None)
    panel.start()
    panel.stop()
    assert panel._bar.value == 0


def test_what_goes_wrong_in_training_is_reported_and_raised(panel, glyphs):
    panel.set(lr=1e6)
    panel.start()
    with pytest.raises(NonFiniteLoss):
        panel.wait()
    assert "failed: the loss is not finite" in panel._status.value


def test_data_that_are_not_there_are_reported_and_leave_no_run(tmp_path):
    panel = TrainingPanel(f"folder:{tmp_path / 'nothing'}", root=tmp_path, epochs=1)
    panel._press(panel.start)
    with pytest.raises(UserError, match="there is nothing at"):
        panel.wait()
    assert not list(tmp_path.glob("*/config.json"))


def test_runs_get_names_of_their_own_and_are_drawn_side_by_side(panel, glyphs):
    panel.set(epochs=1)
    panel.start()
    panel.wait()
    panel.set(temperature=0.05).start()
    panel.wait()
    assert [run.name for run in panel.history.runs] == ["glyphs-n-pair-seed0", "glyphs-n-pair-seed0-2"]
    assert list(panel._shown()) == ["n-pair", "n-pair (temperature 0.05)"]
    again = TrainingPanel(root=panel.root, epochs=1)
    assert list(again._shown()) == list(panel._shown())
    picture = again.picture_widget.value
    assert list(again.set(beside=0)._shown()) == ["n-pair"]
    assert again.picture_widget.value != picture


@pytest.mark.parametrize(
    ("framework", "chosen", "impossible"),
    [("byol", [], {"mochi", "looc"}), ("moco-v2", ["imix"], {"mixco"}), ("simclr", [], set())],
)
def test_undefined_pairs_are_seen_disabled_with_the_reason(panel, framework, chosen, impossible):
    panel.set(framework=framework, mixing=chosen)
    boxes = {name for name in ("mixco", "imix", "mochi", "looc") if panel.controls[name].disabled}
    assert boxes == impossible
    for name in boxes:
        assert panel.controls[name].tooltip in panel._reasons.value.replace("&#x27;", "'")


def test_an_undefined_pair_that_is_requested_is_reported_and_not_trained(panel, tmp_path):
    panel.set(framework="byol", mixing=["mochi"])
    assert "BYOL has none" in panel.numbers()["trainable"]
    assert panel._buttons["Start"].disabled
    assert not panel.controls["mochi"].disabled
    with pytest.raises(UserError, match="BYOL has none"):
        panel.start()
    assert not list(tmp_path.iterdir())


def test_an_extension_is_called_so(panel):
    assert "extension" not in panel.set(framework="moco-v2", mixing=["mixco"]).caption()
    assert "extension" in panel.set(framework="moco-v2", mixing=["mixco", "mochi"]).caption()


def test_settings_that_have_no_say_are_greyed_out(panel):
    def idle() -> set[str]:
        return {name for name, control in panel.controls.items() if control.disabled}

    assert {"momentum", "queue_length", "mixco_weight", "decay_factor", "imix_inputmix_alpha"} <= idle()
    panel.set(framework="moco-v2", mixing=["mixco"], schedule="step", jitter=0.0)
    assert not {"momentum", "queue_length", "mixco_weight", "decay_factor"} & idle()
    assert {"hue", "brightness", "imix_alpha"} <= idle()
    panel.set(framework="byol", mixing=["imix"], imix_inputmix=2)
    assert "temperature" in idle()
    assert "imix_inputmix_alpha" not in idle()
    assert {"sample_rate", "target", "tabular_dropout", "audio_gain"} <= idle()
    panel.set(data="digits", jitter=0.3)
    assert not {"target", "tabular_dropout"} & idle()
    assert {"image_size", "sample_rate", "jitter", "hue"} <= idle()
    assert panel.result.config.data.domain == "tabular"


@pytest.mark.parametrize("mixing", MIXINGS)
def test_every_control_changes_what_is_requested_or_is_greyed_out_and_does_not(panel, mixing, monkeypatch):
    monkeypatch.setattr(panel, "picture", lambda: b"")
    panel.set(framework="moco-v2", mixing=[mixing], schedule="step", batch_size=256, mochi_hardest=64)
    written = {"data_name": ["own"], "decay_epochs": ["3 4"], "target": ["y"]}  # lines without suggestions
    for name in panel.controls.keys() - {"beside"}:
        control, before = panel.controls[name], panel.numbers()
        rest, idle, numbers = control.value, control.disabled, []
        for stop in stops(control) or written[name]:
            control.value = stop
            numbers.append(panel.numbers())
        control.value = rest
        if name in MIXINGS and idle:  # two mixings of one kind: a config can ask for them, and is refused
            assert "both change the queries" in numbers[-1]["trainable"]
        else:
            assert any(found != before for found in numbers) != idle, name


def test_a_drive_trains_nothing(panel, tmp_path):
    lines = panel.drive()
    assert len(lines) > 90
    assert not list(tmp_path.iterdir())
    assert panel.values == TrainingPanel(root=tmp_path, **SMALL).values


def test_state_comes_back_with_values_between_the_steps(panel, tmp_path):
    panel.set(mixing=["mixco"], lr=0.07, decay_epochs=(3, 4), symmetric=True, backbone="package.module:Class", hue=0.12)
    again = TrainingPanel.from_state(panel.state(), root=tmp_path)
    assert again.values == panel.values
    assert again.result.config == panel.result.config


@pytest.mark.parametrize("values", [{"lr": -1}, {"epoch": 3}, {"hue": 0.7}, {"framework": "moco"}])
def test_bad_values_are_a_line(panel, values):
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        panel.set(**values)


def test_the_few_that_matter_are_in_front_and_all_are_there(panel):
    inner, outer = panel.box.children
    (folded,) = outer.children
    front = [control for row in inner.children[0].children for control in row.children]
    behind = [control for box in folded.children for control in box.children]
    assert set(front) | set(behind) == set(panel.controls.values())
    assert len(front) + len(behind) == len(panel.controls)
    assert {panel.controls[name] for name in ("framework", "mochi", *SHOWN)} <= set(front)
    assert outer.selected_index is folded.selected_index is None


def test_noise_of_a_slider_in_a_browser_is_no_setting(panel):
    panel.controls["sgd_momentum"].value = 0.9000000000000001
    panel.controls["hue"].value = 0.30000000000000004
    assert panel.result.config.optimizer.sgd_momentum == 0.9
    assert panel.result.config.augment.hue == 0.3
    assert "hue 0.3" in panel.result.changed
    assert "sgd_momentum" not in panel.result.changed


def test_buttons_tell_what_is_wrong(panel):
    panel._press(panel.resume)
    assert "no run here is unfinished" in panel._status.value


def test_progress_is_reported_in_images_a_second_and_time_left(panel, glyphs):
    training = Training(Run(panel.root / "a"), RunConfig.of(**SMALL))
    training._watch(64, 896)
    assert training.seconds_left is None
    training._began = (training._began[0] - 2.0, 64)
    training._watch(192, 896)
    assert training.images_per_second == pytest.approx(64, rel=0.05)
    assert training.seconds_left == pytest.approx(11, rel=0.05)


def test_the_panel_of_a_folder_and_of_arrays_trains_on_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (64, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=images)
    panel = TrainingPanel(
        f"numpy:{tmp_path / 'own.npz'}", root=tmp_path / "runs", **(SMALL | {"epochs": 1, "batch_size": 16})
    )
    panel.start()
    panel.wait()
    assert panel.numbers()["run"] == "own-n-pair-seed0"
    assert len(panel.training.run.metrics) == 1
