"""The map shows the layout, the neighbours and the hard negatives of the embeddings that the network makes."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from mixviz.analysis.heads import heads
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.plots.projection import class_mark, hue_marks
from mixviz.widgets import ProjectionExplorer, networks, projection
from mixviz.widgets.networks import GLYPHS, GLYPHS_LOOC, network
from mixviz.widgets.projection import COLUMNS, NEAREST, POINTS


@pytest.fixture(scope="module")
def widget() -> ProjectionExplorer:
    return ProjectionExplorer()


@pytest.fixture(autouse=True)
def as_at_first(widget):
    widget.set(**widget.defaults)


@pytest.fixture(scope="module")
def embedded():
    looc = network(GLYPHS_LOOC)
    return heads(looc.encoder, looc.pixels(np.arange(POINTS), test=True), looc.heads)


def integers(sent: bytes) -> np.ndarray:
    return np.frombuffer(sent, np.int32)


def floats(sent: bytes) -> np.ndarray:
    return np.frombuffer(sent, np.float32)


@pytest.mark.parametrize(("head", "factor"), [("backbone", "label"), ("color", "hue"), ("rotation", "rotation")])
def test_the_page_gets_neighbours_and_negatives_by_cosine(widget, embedded, head, factor):
    widget.set(head=head, factor=factor)
    x, labels = embedded[head], integers(widget.picture_widget.labels)
    cosine = x @ x.T
    near, far = integers(widget.picture_widget.near), integers(widget.picture_widget.far)
    for row in (0, 57, POINTS - 1):
        others = cosine[row].clone()
        others[row] = -2
        wanted = others.topk(NEAREST)
        assert near.reshape(POINTS, -1)[row].tolist() == wanted.indices.tolist()
        sent = floats(widget.picture_widget.near_cosine).reshape(POINTS, -1)[row]
        assert sent == pytest.approx(wanted.values.numpy(), abs=1e-5)
        others[torch.from_numpy(labels == labels[row])] = -2
        assert far.reshape(POINTS, -1)[row].tolist() == others.topk(NEAREST).indices.tolist()


def test_a_map_of_hues_has_their_colours_and_says_hue(widget):
    widget.set(head="color", factor="hue")
    assert [named["colour"] for named in widget.picture_widget.classes] == [colour for colour, _ in hue_marks()]
    assert widget.picture_widget.factor == "hue"
    widget.set(factor="rotation")
    assert widget.picture_widget.factor == "orientation"
    assert [named["colour"] for named in widget.picture_widget.classes] == [class_mark(i)[0] for i in range(4)]


def test_points_lie_as_their_principal_components_do_and_the_trait_counts_from_above(widget, embedded):
    centred = embedded["backbone"].double() - embedded["backbone"].double().mean(dim=0)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    wanted = (left * values)[:, :2]
    points = floats(widget.picture_widget.points).reshape(-1, 2)
    assert (points.min(), points.max()) == (0, 1)
    for axis, sign in ((0, 1), (1, -1)):
        seen = np.corrcoef(points[:, axis], sign * wanted[:, axis])[0, 1]
        assert abs(seen) == pytest.approx(1, abs=1e-4)
    upper = int(widget.result.layout[:, 1].argmax())
    assert points[upper, 1] == 0


def test_the_sheet_has_every_image_at_its_place(widget):
    sheet = np.asarray(Image.open(io.BytesIO(widget.picture_widget.sheet)))
    side = widget.picture_widget.tile
    for row in (0, 26, POINTS - 1):
        top, left = row // COLUMNS * side, row % COLUMNS * side
        assert (sheet[top : top + side, left : left + side] == network(GLYPHS_LOOC).test.stored[row]).all()


def test_numbers_tell_of_the_picked_image(widget, embedded):
    widget.set(pick=57, head="all")
    test = network(GLYPHS_LOOC).test
    labels = test.labels[:POINTS]
    others = embedded["all"] @ embedded["all"][57]
    others[57] = -2
    nearest = others.topk(NEAREST)
    found = widget.numbers()
    assert found["image"] == test.class_names[labels[57]]
    assert found["nearest"] == [test.class_names[labels[i]] for i in nearest.indices]
    assert found["nearest, cosine"] == pytest.approx(nearest.values.tolist(), abs=0.0051)
    assert found["image"] not in found["hardest negatives"]
    assert found["share of alike: of its nearest, of all"][0] == pytest.approx(
        (labels[nearest.indices] == labels[57]).mean()
    )


def test_heads_keep_what_they_are_for(widget):
    def alike(head: str, factor: str) -> float:
        return widget.set(head=head, factor=factor).numbers()["share of alike: of its nearest, of all"][1]

    assert alike("color", "hue") > 0.9 > 0.3 > alike("rotation", "hue")
    assert alike("rotation", "rotation") > 0.6 > 0.35 > alike("all", "rotation")


def test_a_pick_on_the_canvas_moves_the_slider_and_sends_nothing_but_itself(widget):
    before = {name: widget.picture_widget.trait_values()[name] for name in ("points", "near", "sheet")}
    widget.picture_widget.picked = 99
    assert widget.controls["pick"].value == 99
    assert "Image 99" in widget.picture_widget.about
    assert all(widget.picture_widget.trait_values()[name] is value for name, value in before.items() if name == "sheet")
    assert {name: widget.picture_widget.trait_values()[name] for name in before} == before


def test_the_still_picture_follows_every_control(widget):
    seen = {bytes(widget.picture())}
    for name, value in {"pick": 0, "head": "color", "factor": "hue"}.items():
        widget.set(**{name: value})
        seen.add(bytes(widget.picture()))
    assert len(seen) == 4
    widget.set(pick=POINTS - 1)
    assert not widget.problem


def test_umap_is_laid_out_on_demand_and_once(monkeypatch):
    asked = []
    monkeypatch.setitem(projection.LAYOUTS, "umap", lambda x: asked.append(len(x)) or x[:, :2])
    both = ProjectionExplorer(GLYPHS, layouts=("pca", "umap"), head="all")
    assert asked == []
    both.set(layout="umap", pick=3)
    both.set(layout="pca", pick=4)
    both.set(layout="umap", factor="hue")
    assert asked == [POINTS]
    assert not both.controls["layout"].disabled


def test_a_single_layout_says_how_to_get_the_other(widget):
    assert widget.controls["layout"].disabled
    assert "layouts=('pca', 'umap')" in widget.controls["layout"].tooltip
    with pytest.raises(UserError, match="unknown layout 'tsne'"):
        ProjectionExplorer(layouts=("tsne",))


def test_images_of_which_nothing_is_known_have_neighbours_only(monkeypatch):
    glyphs = network(GLYPHS)
    bare = Dataset(name="bare", split="test", stored=glyphs.test.stored[:40])
    monkeypatch.setattr(networks.Network, "test", bare)
    monkeypatch.setattr(networks, "network", lambda run: dataclasses.replace(glyphs))  # its embeddings are not cached
    unknown = ProjectionExplorer(GLYPHS)
    assert unknown.picture_widget.far == b""
    assert "hardest negatives" not in unknown.numbers()
    assert unknown.controls["factor"].disabled
    assert "nearest image has a cosine" in unknown.caption()
    assert unknown.picture().startswith(b"\x89PNG")


def test_states_go_there_and_back(widget):
    widget.set(head="rotation", factor="hue", pick=17)
    again = ProjectionExplorer.from_state(widget.state())
    assert again.values == widget.values
    assert again.numbers() == widget.numbers()
