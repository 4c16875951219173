"""The film's widget says at each epoch what the films say there."""

import asyncio

import numpy as np
import pytest

from mixviz.errors import UserError
from mixviz.pretrained import available
from mixviz.widgets import FilmScrubber
from mixviz.widgets.film import ALL_OTHERS, CIFAR, NO_OTHER, PANELS

FILMS = {run.config.method.name: run.film for run in available() if run.name in CIFAR}
MOCO, MOCHI = "moco-v2", "moco-v2 + mochi"
FRAMES = [int(epoch) for epoch in FILMS[MOCO].epochs]


@pytest.fixture(scope="module")
def scrubber() -> FilmScrubber:
    return FilmScrubber()


@pytest.fixture(autouse=True)
def as_at_first(scrubber):
    if scrubber.values != scrubber.defaults:
        scrubber.set(**scrubber.defaults)


@pytest.fixture
def undrawn(monkeypatch):
    """For what asks numbers alone."""
    monkeypatch.setattr(FilmScrubber, "picture", lambda self: b"")


def picture(scrubber) -> bytes:
    return bytes(scrubber.picture_widget.value)


@pytest.mark.parametrize("epoch", [0, 1, 8, 20])
@pytest.mark.parametrize("space", ["backbone", "all"])
def test_numbers_are_the_films_own(undrawn, scrubber, epoch, space):
    scrubber.set(epoch=epoch, space=space, left="kNN", middle="alignment, uniformity", right="proxy task")
    found = scrubber.numbers()
    assert found["films"] == f"{MOCO}, {MOCHI}"
    for name, curve in {"kNN": f"knn_accuracy/{space}", "uniformity": f"uniformity/{space}"}.items():
        assert found[name] == pytest.approx(
            [float(FILMS[film].curve(curve)[FRAMES.index(epoch)]) for film in (MOCO, MOCHI)]
        )
    with_synthetic = FILMS[MOCHI].curve("proxy_accuracy_with_synthetic")[FRAMES.index(epoch)]
    assert found["with synthetic"] == pytest.approx([np.nan, float(with_synthetic)], nan_ok=True)


def test_every_epoch_has_a_picture_of_its_own_and_the_same_again(scrubber):
    pictures = []
    for epoch in FRAMES:
        scrubber.controls["epoch"].value = epoch
        pictures.append(picture(scrubber))
    assert len(set(pictures)) == len(FRAMES)
    scrubber.controls["epoch"].value = 3
    assert picture(scrubber) == pictures[FRAMES.index(3)]


def test_the_stage_is_drawn_again_for_other_panels_only(scrubber):
    stages = list(scrubber._static.values())
    scrubber.controls["epoch"].value = 2
    assert list(scrubber._static.values()) == stages
    scrubber.controls["left"].value = "kNN"
    assert len(scrubber._static) == len(stages) + 1


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_is_drawn_for_all_films(scrubber, panel):
    before = picture(scrubber)
    scrubber.set(left=panel, right=panel, beside=ALL_OTHERS)
    assert not scrubber.problem
    assert picture(scrubber) != before


def test_who_is_shown(undrawn, scrubber):
    scrubber.set(film="moco-v2 + looc", beside=NO_OTHER)
    assert list(scrubber.shown) == ["moco-v2 + looc"]
    scrubber.set(beside=ALL_OTHERS)
    assert set(scrubber.shown) == set(FILMS)
    assert list(scrubber.shown)[-1] == "moco-v2 + looc"


def test_the_sentence_says_the_epoch_and_the_harder_task(undrawn, scrubber):
    scrubber.set(epoch=8)
    real, harder = (FILMS[MOCHI].curve(f"proxy_accuracy{end}")[FRAMES.index(8)] for end in ("", "_with_synthetic"))
    assert scrubber.caption().startswith("After epoch 8, moco-v2: ")
    assert f"{real:.0%} of keys rank first ({harder:.0%} with synthetic negatives)" in scrubber.caption()


def test_play_goes_from_epoch_to_epoch_and_stops_at_the_last(undrawn, scrubber, monkeypatch):
    monkeypatch.setattr(scrubber.ticker, "seconds", 0.001)
    epoch, seen = scrubber.controls["epoch"], []
    epoch.observe(lambda change: seen.append(change["new"]), "value")

    async def story():
        scrubber.play.value = True
        assert scrubber.play.description == "pause"
        for _ in range(500):
            if not scrubber.play.value:
                return
            await asyncio.sleep(0.01)

    asyncio.run(story())
    assert seen == FRAMES  # it stood at the end, and starts anew
    assert scrubber.play.description == "play"
    assert not scrubber.ticker.is_on


def test_play_is_paused_where_it_is(undrawn, scrubber):
    async def story():
        scrubber.set(epoch=4)
        scrubber.play.value = True
        await asyncio.sleep(0.05)
        scrubber.play.value = False
        await asyncio.sleep(0.05)

    asyncio.run(story())
    assert 4 <= scrubber.values["epoch"] < FRAMES[-1]
    assert not scrubber.ticker.is_on


def test_state_goes_there_and_back(undrawn, scrubber):
    scrubber.set(epoch=4, film="moco-v2 + imix", beside=ALL_OTHERS, right="purity")
    again = FilmScrubber.from_state(scrubber.state())
    assert again.values == scrubber.values
    assert again.numbers() == scrubber.numbers()


def test_a_drive_tells_each_stop_and_comes_back(undrawn, scrubber):
    before = scrubber.values
    lines = scrubber.drive()
    assert lines[1].startswith("epoch 0: epoch 0, ")
    assert scrubber.values == before
    assert not any("choose another" in line for line in lines)


def test_one_run_and_runs_of_one_method(undrawn):
    alone = FilmScrubber("glyphs-moco-v2-seed1", left="purity")
    assert list(alone.shown) == [MOCO]
    assert alone.controls["epoch"].options[-1][1] == 12
    both = FilmScrubber(["glyphs-moco-v2-seed1", "cifar-10-jpeg-moco-v2-seed1"], left="purity", epoch=20)
    assert list(both.films) == [f"{MOCO} (glyphs-moco-v2-seed1)", f"{MOCO} (cifar-10-jpeg-moco-v2-seed1)"]
    assert len(both.result["purity"].shares) == 1  # other classes cannot be compared


def test_what_cannot_be_shown_is_one_clear_line(scrubber):
    with pytest.raises(UserError, match="unknown run"):
        FilmScrubber("no-such-run")
    with pytest.raises(UserError, match="unknown film"):
        scrubber.set(film="moco-v3")
    with pytest.raises(UserError, match="unknown epoch"):
        scrubber.set(epoch=21)


def test_a_film_without_labels_or_negatives_says_so(undrawn, monkeypatch):
    from dataclasses import replace

    from mixviz.widgets import film as module

    film = FILMS[MOCO]
    bare = {name: values for name, values in film.curves.items() if name.startswith(("alignment", "uniformity"))}
    monkeypatch.setattr(module, "films_of", lambda *runs: {"byol": replace(film, labels=None, curves=bare)})
    for panel in ("hardness", "kNN", "proxy task", "false negatives", "purity"):
        widget = FilmScrubber("byol", left=panel)
        assert "choose another picture" in widget.problem
        assert "\n" not in widget.problem
    fine = FilmScrubber("byol", left="projection", right="alignment, uniformity")
    assert not fine.problem
    assert fine.caption() == "After epoch 20, byol: ."
