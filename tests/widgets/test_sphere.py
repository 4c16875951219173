"""The lab shows the playground as its controls say, plays in the kernel's loop, and leaves nothing running."""

import asyncio
import json
import time
from urllib.parse import parse_qsl

import numpy as np
import pytest

from mixviz.errors import UserError
from mixviz.widgets import SphereLab, sphere
from mixviz.widgets.controls import stops
from mixviz.widgets.playground import Playground, Settings

MOCHI = {"framework": "moco-v2", "mixing": "mochi", "towards": 8}


def trained(steps: int, **settings) -> Playground:
    playground = Playground(Settings(**settings))
    playground.run(steps)
    return playground


@pytest.fixture(scope="module")
def shared() -> SphereLab:
    return SphereLab()


@pytest.fixture
def lab(shared) -> SphereLab:
    shared.pause()
    return shared.set(**shared.defaults).reset()


def points_of(lab: SphereLab) -> np.ndarray:
    return np.frombuffer(lab.picture_widget.points, "<f4").reshape(-1, 3)


async def until(condition, seconds: float = 10.0) -> bool:
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


def look_at(lab: SphereLab) -> None:
    """A page that draws every frame."""
    lab.picture_widget.drawn = lab.picture_widget.frame
    lab.picture_widget.observe(lambda change: setattr(lab.picture_widget, "drawn", change["new"]), "frame")


def test_it_trains_what_the_controls_say(lab):
    lab.set(**MOCHI, temperature=0.3).run(12)
    wanted = trained(12, **MOCHI, temperature=0.3).frame()
    now = wanted.now
    measured = [now.step, now.loss, now.alignment, now.uniformity, now.effective_rank, now.purity]
    assert list(lab.numbers().values()) == pytest.approx(measured, rel=0.05)  # the queue was made of other keys
    fresh = SphereLab(**MOCHI, temperature=0.3).reset().run(12)
    assert list(fresh.numbers().values()) == measured
    np.testing.assert_allclose(points_of(fresh), wanted.points, atol=1e-6)


def test_the_same_seed_gives_the_same_numbers(lab):
    first = lab.run(6).numbers()
    assert lab.reset().run(6).numbers() == first
    assert lab.set(seed=4).run(6).numbers() != first


def test_the_circle_is_flat_and_stacked(lab):
    lab.set(dim=2).run(8)
    shown, points = points_of(lab), lab.result.points.numpy()
    radii = np.linalg.norm(shown, axis=1)
    assert (shown[:, 2] == 0).all()
    assert radii.min() == pytest.approx(1)
    assert radii.max() > 1
    np.testing.assert_allclose(shown[:, :2] / radii[:, None], points, atol=1e-6)


def test_it_continues_where_a_control_is_moved_and_restarts_with_seed_and_dimension(lab):
    lab.run(4)
    assert lab.set(temperature=0.5).numbers()["step"] == 4
    assert lab.set(framework="simclr").numbers()["step"] == 4
    assert lab.set(seed=1).numbers()["step"] == 0
    lab.run(4)
    assert lab.set(dim=2).numbers()["step"] == 0


@pytest.mark.parametrize("start", [{}, MOCHI, {"framework": "byol"}])
def test_every_control_changes_the_picture_and_the_training_or_is_unused(lab, start):
    lab.set(**start)
    for name, control in lab.controls.items():
        before, traits = control.value, dict(lab.scene())
        if control.disabled:
            assert control.tooltip == lab.unused(**lab.values)[name]
            continue
        for stop in [stop for stop in stops(control) if stop != before][-1:]:
            lab.set(**{name: stop})
            assert lab.problem or dict(lab.scene()) != traits, name
        lab.set(**{name: before})


def test_both_ends_of_each_control_train(lab):
    lab.set(**MOCHI)
    for name, control in lab.controls.items():
        before = control.value
        for stop in [] if control.disabled else stops(control):
            lab.set(**{name: stop})
            if not lab.problem:
                assert np.isfinite(lab.run(2).numbers()["loss"]), name
        lab.set(**{name: before})


def test_a_pair_without_meaning_is_reported_and_forgotten(lab):
    lab.set(framework="byol", mixing="mochi")
    assert "has none" in lab.problem
    assert lab.picture_widget.problem == lab.problem
    assert lab.set(mixing="mixco").problem == ""


def test_a_state_goes_there_and_back(lab):
    lab.set(dim=2, seed=3, **MOCHI)
    other = SphereLab.from_state(lab.state())
    assert other.values == lab.values
    assert dict(parse_qsl(lab.state()))["mixing"] == "mochi"


def test_bad_values_are_one_line():
    with pytest.raises(UserError, match="did you mean 'temperature'"):
        SphereLab(temperatur=0.3)
    with pytest.raises(UserError, match="out of range"):
        SphereLab(seed=11)


def test_a_drive_shows_a_few_steps_at_each_stop_and_leaves_no_trace(lab):
    lab.run(3)
    before = lab.numbers()
    lines = lab.drive()
    wanted = trained(16, temperature=1.0).frame().now
    (line,) = [line for line in lines if line.startswith("temperature 1:")]
    assert f"loss {wanted.loss:.3g}, alignment {wanted.alignment:.3g}" in line
    assert lines == lab.drive()
    assert lab.numbers() == before


def test_an_export_trains_every_stop_from_the_start(lab, monkeypatch):
    seen = []
    monkeypatch.setenv(sphere.SWITCH, "1")
    monkeypatch.setitem(sphere.STILL, "page", 2)
    monkeypatch.setattr("mixviz.widgets.base.page", lambda widget: seen.append(widget.set(seed=2).numbers()) or "")
    lab.run(5)
    lab._repr_mimebundle_()
    assert seen[0]["step"] == 2
    assert lab.values["seed"] == 2


def test_buttons_train_and_restart(lab):
    lab.once.click()
    assert lab.numbers()["step"] == 10
    lab.again.click()
    assert lab.numbers()["step"] == 0


def test_the_still_picture_and_the_sentence_tell_a_collapse(lab):
    lab.set(framework="byol", predictor=False, momentum=0.0).run(60)
    assert lab.numbers()["uniformity"] > -0.1
    assert "collapse" in lab.caption()
    assert lab.picture_widget.about == lab.caption()
    assert lab.picture().startswith(b"\x89PNG")
    assert "collapse" not in lab.set(framework="n-pair", predictor=True).reset().caption()


def test_what_is_sent_is_small_and_can_be_sent(lab):
    lab.run(8)
    traits = dict(lab.scene())
    assert sum(len(value) for value in traits.values() if isinstance(value, bytes)) < 20_000
    json.dumps(traits["curves"])
    history = np.frombuffer(traits["history"], "<f4").reshape(4, -1)
    assert history[0].tolist() == [0, 4, 8]
    assert history[3, -1] == pytest.approx(lab.numbers()["uniformity"])


def test_playing_trains_and_answers_controls_in_between(lab):
    async def story():
        look_at(lab)
        lab.play.value = True
        assert lab.play.description == "pause"
        assert await until(lambda: lab.picture_widget.frame >= 3)
        lab.controls["temperature"].value = 0.5
        step = lab.playground.step
        assert await until(lambda: lab.playground.step > step)
        assert lab.playground.method.framework.temperature == 0.5
        lab.play.value = False
        step = lab.playground.step
        await asyncio.sleep(0.2)
        assert lab.playground.step == step == lab.numbers()["step"]

    asyncio.run(story())
    lab.picture_widget.unobserve_all("frame")


def test_it_pauses_where_no_one_looks(lab, monkeypatch):
    monkeypatch.setattr(sphere, "PATIENCE", 0.3)

    async def story():
        lab.play.value = True
        frame = lab.picture_widget.drawn
        assert await until(lambda: not lab.play.value)
        assert lab.picture_widget.frame - frame == sphere.AHEAD
        assert not lab.ticker.is_on

    asyncio.run(story())


@pytest.mark.parametrize("end", [SphereLab.close, lambda lab: SphereLab()])
def test_nothing_continues_after_it_is_closed_or_made_again(end):
    async def story():
        one = SphereLab()
        look_at(one)
        one.play.value = True
        assert await until(lambda: one.playground.step)
        end(one)
        step = one.playground.step
        await asyncio.sleep(0.2)
        assert not one.ticker.is_on
        assert one.playground.step == step

    asyncio.run(story())


def test_two_take_turns():
    async def story():
        one, two = SphereLab(), SphereLab()
        one.play.value = True
        two.play.value = True
        assert (one.play.value, two.play.value) == (False, True)
        two.close()

    asyncio.run(story())


def test_what_breaks_while_playing_reaches_the_reader_as_a_line(lab, monkeypatch):
    def broken(steps: int) -> None:
        raise RuntimeError("no such layer\nand more")

    async def story():
        look_at(lab)
        monkeypatch.setattr(lab.playground, "run", broken)
        lab.play.value = True
        assert await until(lambda: not lab.play.value)

    asyncio.run(story())
    assert lab.problem == "training stopped, RuntimeError: no such layer"
    assert lab.picture_widget.problem == lab.problem
    lab.controls["temperature"].value = 0.5
    assert lab.problem == ""
    lab.picture_widget.unobserve_all("frame")


def test_playing_without_a_notebook_says_what_to_do(lab):
    lab.play.value = True
    assert "run(steps)" in lab.problem
    assert not lab.play.value


def test_a_frame_is_fast(lab):
    lab.run(4)
    began = time.process_time()
    for _ in range(5):
        lab._train(4)
    assert (time.process_time() - began) / 5 < 0.15  # some 20 ms where nothing else runs
