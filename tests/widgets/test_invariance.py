"""The fingerprint's widget shows what the analysis finds of the same image, augmentation and strength."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mixviz.analysis.heads import heads
from mixviz.analysis.invariance import invariance, reference_table
from mixviz.errors import UserError
from mixviz.report.overview import AUGMENTATIONS
from mixviz.widgets import InvarianceFingerprint
from mixviz.widgets.invariance import AMONG, GLYPHS_TURNED, MOVED, NEAREST
from mixviz.widgets.networks import GLYPHS, GLYPHS_LOOC, network


@pytest.fixture(scope="module")
def widget() -> InvarianceFingerprint:
    return InvarianceFingerprint()


@pytest.fixture(autouse=True)
def as_at_first(widget):
    widget.set(**widget.defaults)


@pytest.fixture(scope="module")
def looc():
    return network(GLYPHS_LOOC)


def embed(asked, images):
    return heads(asked.encoder, images, asked.heads)


def pixels(widget) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(bytes(widget.picture_widget.value))))


def test_each_head_has_the_cosine_of_the_image_and_the_image_turned(widget, looc):
    widget.set(augmentation="rotation", strength=0.3, image=18)
    image = looc.pixels([18], test=True)
    before, after = embed(looc, image), embed(looc, image.rot90(1, (2, 3)))
    for head in ("backbone", "all", "color", "rotation"):
        cosine = float((before[head] * after[head]).sum())
        assert widget.numbers()[f"{head}: cosine, distance"][0] == pytest.approx(cosine, abs=0.0051)
    assert widget.numbers()["quarter turns"] == 1


def test_looc_heads_follow_their_own_augmentation_only(widget):
    moved = {}
    for augmentation in ("rotation", "hue"):
        widget.set(augmentation=augmentation, strength=0.6)
        moved[augmentation] = {
            head: widget.numbers()[f"{head}: cosine, distance"][1] for head in ("all", "color", "rotation")
        }
    assert moved["rotation"]["rotation"] > 0.4 > 0.2 > max(moved["rotation"][head] for head in ("all", "color"))
    assert moved["hue"]["color"] > 0.4 > 0.2 > max(moved["hue"][head] for head in ("all", "rotation"))


def test_the_curve_and_the_fingerprint_are_the_analysis_of_many_images(widget, looc):
    images = looc.pixels(np.arange(MOVED), test=True)
    widget.set(augmentation="grayscale")
    wanted = invariance(lambda x: embed(looc, x), images, "grayscale").fall_off.mean(dim=2)
    assert widget.numbers()["color: mean distances"] == pytest.approx(wanted[2].tolist(), abs=0.0051)
    widget.set(panel="fingerprint")
    wanted = reference_table(lambda x: embed(looc, x), images, AUGMENTATIONS).set_index("head")["fall_off"]
    assert widget.numbers()["rotation: mean distances"] == pytest.approx(wanted["rotation"].tolist(), abs=0.0051)


def test_neighbours_are_those_of_the_changed_image(widget, looc):
    widget.set(panel="neighbours", augmentation="rotation", strength=1.0, image=7)
    among = embed(looc, looc.pixels(np.arange(AMONG), test=True))
    changed = embed(looc, looc.pixels([7], test=True).rot90(3, (2, 3)))
    hue = looc.test.factors["hue"]
    for head, found in widget.result.neighbours.items():
        wanted = (among[head] @ changed[head][0]).topk(NEAREST).indices
        assert found.tolist() == wanted.tolist()
        assert widget.numbers()[f"{head}: same hue"] == pytest.approx((hue[wanted] == hue[7]).mean())


def test_at_no_strength_no_head_moves_and_the_image_is_its_own_nearest(widget):
    for augmentation in AUGMENTATIONS:
        widget.set(augmentation=augmentation, strength=0.0, panel="neighbours")
        torch.testing.assert_close(widget.result.perturbed.image, widget.result.image, atol=1e-5, rtol=0)
        for head in ("backbone", "all", "color", "rotation"):
            assert widget.numbers()[f"{head}: cosine, distance"] == [1.0, 0.0]
            assert widget.result.neighbours[head][0] == widget.values["image"]


@pytest.mark.parametrize("panel", ["curve", "neighbours", "fingerprint"])
def test_every_control_changes_the_picture(widget, panel):
    widget.set(panel=panel)
    moves = {"image": [0, 99], "strength": [0.0, 1.0], "augmentation": ["hue", "crop"], "network": [GLYPHS_TURNED]}
    for name, values in moves.items():
        for value in values:
            widget.set(**{**widget.defaults, "panel": panel})
            before = pixels(widget)
            widget.controls[name].value = value
            assert not widget.problem
            assert (pixels(widget) != before).any()


def test_a_base_without_looc_has_no_heads_of_its_own(widget):
    widget.set(network=GLYPHS_TURNED)
    assert list(widget.result.perturbed.embeddings) == ["backbone", "all"]
    assert "head: all" in widget.caption()
    assert "rotation" not in widget.caption().partition(":")[2]


def test_one_network_alone_leaves_nothing_to_choose():
    alone = InvarianceFingerprint(GLYPHS)
    assert alone.controls["network"].disabled
    assert "name a base" in alone.controls["network"].tooltip
    assert alone.numbers()["all: cosine, distance"][1] > 0


def test_states_go_there_and_back_and_what_is_unknown_is_reported(widget):
    widget.set(augmentation="hue", strength=0.7, panel="neighbours", image=5)
    again = InvarianceFingerprint.from_state(widget.state())
    assert again.values == widget.values
    assert again.numbers() == widget.numbers()
    with pytest.raises(UserError, match="augmentation"):
        widget.set(augmentation="jpeg")
    with pytest.raises(UserError, match="unknown run"):
        InvarianceFingerprint("no-such-run")


def test_the_strength_has_the_stops_of_its_augmentation(widget):
    widget.set(augmentation="rotation", strength=0.4)
    assert widget.controls["strength"].step == pytest.approx(1 / 3)
    assert widget.values["strength"] == pytest.approx(1 / 3)
    widget.set(augmentation="hue")
    assert widget.controls["strength"].step == 0.1
    assert widget.values["strength"] == 0.3
