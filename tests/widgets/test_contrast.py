"""The contrast table's widget shows the table that the core makes of the same network and images."""

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from mixviz.analysis.targets import NONE, contrast_table
from mixviz.frameworks import FRAMEWORKS
from mixviz.mixing import MIXINGS, MoCHi
from mixviz.widgets import ContrastTable, Widget
from mixviz.widgets.base import STATIC_KEPT
from mixviz.widgets.networks import GLYPHS, network

CANDIDATES = {  # of a query in a batch of 8, with a queue of 256, 16 synthetic negatives, and LooC's 3 key views
    "moco-v2": {"none": 1 + 256, "mixco": 8 + 256, "imix": 8 + 256, "mochi": 1 + 256 + 16, "looc": 3 + 256},
    "simclr": {"none": 2 * 8 - 1, "mixco": 8, "imix": 8, "looc": 3 * 8 + 7},
    "n-pair": {"none": 8, "mixco": 8, "imix": 8, "looc": 3 * 8},
    "byol": {"none": 1, "mixco": 2, "imix": 2},
}


@pytest.fixture(scope="module")
def table() -> ContrastTable:
    return ContrastTable()


@pytest.fixture(autouse=True)
def as_at_first(table):
    table.set(**table.defaults)


@pytest.mark.parametrize("framework", list(FRAMEWORKS))
def test_it_shows_the_terms_of_the_framework(table, framework):
    table.set(framework=framework)
    glyphs = network(GLYPHS)
    method = glyphs.method(framework, temperature=0.2, queue_length=256)
    (term,) = method.terms(glyphs.views(list(range(8))))
    wanted = contrast_table(method.framework, term)
    torch.testing.assert_close(table.result.table.similarities, wanted.similarities)
    torch.testing.assert_close(table.result.table.probabilities, wanted.probabilities, equal_nan=True)


@pytest.mark.parametrize("mixing", ["mixco", "imix"])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_the_share_is_what_the_slider_says(table, mixing, lam):
    table.set(framework="moco-v2", mixing=mixing, lam=lam)
    targets = table.result.table.targets[:, :8]  # over the keys of the batch; the queue has none
    own, rest = targets.diagonal(), targets.sum(dim=1) - targets.diagonal()
    blended = rest > 0 if lam < 1 else torch.ones(len(own), dtype=torch.bool)  # i-Mix may pair an image with itself
    assert blended.sum() >= len(own) - 2
    torch.testing.assert_close(own[blended], torch.full_like(own[blended], lam))
    torch.testing.assert_close(rest[blended], torch.full_like(own[blended], 1 - lam))
    torch.testing.assert_close(own[~blended], torch.ones_like(own[~blended]))


def test_mochi_synthesises_as_many_as_the_sliders_say(table):
    table.set(framework="moco-v2", mixing="mochi", hardest=32, pairs=64, towards=16)
    assert table.result.table.groups["synthetic"] == 80
    glyphs = network(GLYPHS)
    mochi = MoCHi(hardest=32, pairs=64, towards_query=16)
    method = glyphs.method("moco-v2", mochi, temperature=0.2, queue_length=256)
    (term,) = method.terms(glyphs.views(list(range(8))), Generator().manual_seed(1))
    torch.testing.assert_close(table.result.table.similarities, contrast_table(method.framework, term).similarities)


@pytest.mark.parametrize("framework", list(FRAMEWORKS))
@pytest.mark.parametrize("mixing", ["none", *MIXINGS])
def test_every_pair_is_shown_or_says_why_not(table, framework, mixing):
    table.set(framework=framework, mixing=mixing, hardest=16, batch=8)
    if mixing in CANDIDATES.get(framework, {}):
        is_candidate = table.result.table.kind != NONE
        assert table.numbers()["queries"] == len(is_candidate) == (4 if mixing == "mixco" else 8)
        assert is_candidate.sum(dim=1).max() == CANDIDATES[framework][mixing]
    elif not table.problem:
        assert (framework, mixing) not in itertools.product(CANDIDATES, CANDIDATES["moco-v2"])
        assert table.numbers()["queries"] == len(table.result.table.kind)
    else:
        assert MIXINGS[mixing].needs_negatives
        assert ": " in table.problem
        assert "\n" not in table.problem


def test_a_sharper_temperature_gives_the_hardest_more(table):
    table.set(framework="moco-v2", temperature=1.0)
    flat = table.result.table.probabilities[:, 1:].amax(dim=1)
    table.set(temperature=0.02)
    assert (table.result.table.probabilities[:, 1:].amax(dim=1) > flat).all()


def test_the_weight_of_the_blends_is_their_part_of_the_loss(table):
    table.set(framework="moco-v2", mixing="mixco", weight=1.0)
    before, picture = table.numbers(), table.picture()
    table.set(weight=2.0)
    after = table.numbers()
    assert after["loss of blends"] == pytest.approx(2 * before["loss of blends"])
    assert after["loss of clean queries"] == pytest.approx(before["loss of clean queries"])
    assert table.picture() != picture
    assert "from blends" in table.caption()


def test_a_dark_page_gets_dark_pictures(monkeypatch):
    monkeypatch.setattr(Widget, "theme", "dark")
    pixels = np.asarray(Image.open(io.BytesIO(ContrastTable(what="targets").picture())).convert("L"))
    assert pixels[0, 0] < 40
    assert np.median(pixels) < 40


def test_a_stage_that_was_left_is_found_again(table):
    table.set(framework="moco-v2")
    first = table.picture()
    for batch in (4, 16, 8):
        table.controls["batch"].value = batch
    assert table.picture() == first
    assert 3 <= len(table._static) <= STATIC_KEPT


def test_controls_that_do_not_matter_are_greyed_out(table):
    assert {name for name, control in table.controls.items() if control.disabled} == {
        *("lam", "weight", "queue", "hardest", "pairs", "towards")
    }
    table.set(framework="moco-v2", mixing="mixco")
    assert {name for name, control in table.controls.items() if control.disabled} == {"hardest", "pairs", "towards"}


def test_looc_on_a_run_without_its_spaces_is_refused():
    assert "LooC needs a run with LooC" in ContrastTable(GLYPHS, mixing="looc").problem
