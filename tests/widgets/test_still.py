"""What a page shows without a kernel is what the widget shows with one."""

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mixviz.errors import UserError
from mixviz.widgets import Widget
from mixviz.widgets.controls import choice, slider, steps, text, toggle
from mixviz.widgets.still import SWITCH, combinations, frames, grid, page


class Wave(Widget):
    """A wave."""

    size = (2.0, 1.0)

    def __init__(self, **values: Any):
        controls = {
            "kind": choice("kind", ["sine", "cosine", "none"], "sine"),
            "height": slider("height", 0.0, 2.0, 1.0, 0.1),
            "turns": steps("turns", [1, 2, 4], 2),
            "dotted": toggle("dotted"),
        }
        super().__init__(controls, values)

    def compute(self, kind: str, height: float, turns: int, dotted: bool) -> np.ndarray:
        if kind == "none":
            raise UserError("there is no wave: take </script> another kind")
        return height * getattr(np, {"sine": "sin", "cosine": "cos"}[kind])(np.linspace(0, turns * 6.28, 50))

    def numbers(self) -> dict[str, Any]:
        return {"peak": float(self.result.max()), "mean": float("nan")}

    def draw(self, figure) -> None:
        figure.add_subplot().plot(self.result, ":" if self.values["dotted"] else "-")

    def caption(self) -> str:
        return f"a wave of height {self.result.max():.2f}"

    def unused(self, kind: str, **_: Any) -> dict[str, str]:
        return {"height": "there is no wave"} if kind == "none" else {}


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return frames(Wave())


def test_a_ladder_has_both_ends_and_where_the_control_rests():
    rungs = grid(slider("height", 0.0, 2.0, 0.3, 0.1))
    assert rungs[0] == 0.0
    assert rungs[-1] == 2.0
    assert 0.3 in rungs
    assert all(round(rung * 10) == pytest.approx(rung * 10) for rung in rungs)
    assert grid(slider("count", 1, 4, 2, 1)) == [1, 2, 3, 4]
    assert grid(steps("turns", [1, 2, 4], 2)) == [1, 2, 4]
    assert grid(text("data", "glyphs", ["glyphs", "cifar10"])) == ["glyphs", "cifar10"]
    assert grid(toggle("dotted")) == [False, True]


def test_each_control_moves_by_itself_and_the_partner_with_each():
    grids = [[0, 1], [0, 1, 2], [0, 1]]
    alone = combinations(grids, (0, 1, 0), None)
    assert set(alone) == {(0, 1, 0), (1, 1, 0), (0, 0, 0), (0, 2, 0), (0, 1, 1)}
    paired = combinations(grids, (0, 1, 0), 0)
    assert set(paired) == set(alone) | {(1, 0, 0), (1, 2, 0), (1, 1, 1)}


def test_too_many_pairs_are_left_out():
    grids = [list(range(20)), list(range(20))]
    assert len(combinations(grids, (0, 0), 0)) == 39


def test_every_frame_is_what_the_widget_shows_there(content):
    wave = Wave()
    grids = [grid(control) for control in wave.controls.values()]
    assert len(content["frames"]) > 30
    for places, frame in list(content["frames"].items())[::5]:
        chosen = [values[int(place)] for values, place in zip(grids, places.split(","), strict=True)]
        wave.set(**dict(zip(wave.controls, chosen, strict=True)))
        assert frame["caption"] == (wave.problem or wave.caption())
        if not wave.problem:
            assert frame["numbers"] == {"peak": wave.numbers()["peak"], "mean": None}
        shown = Image.open(io.BytesIO(base64.b64decode(frame["image"].partition(",")[2])))
        wanted = Image.open(io.BytesIO(wave.picture())).convert("RGB")
        assert (np.asarray(shown) == np.asarray(wanted)).all()


def test_what_changes_nothing_is_known_frame_by_frame(content):
    assert content["frames"]["2,4,1,0"]["disabled"] == [1]
    assert content["frames"]["0,4,1,0"]["disabled"] == []


def test_drawing_leaves_the_widget_as_it_was():
    wave = Wave(kind="cosine", height=0.4)
    frames(wave)
    assert wave.values == Wave(kind="cosine", height=0.4).values


def test_the_page_carries_all_frames_and_asks_for_nothing(content):
    html = page(Wave())
    data = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL).group(1)
    assert json.loads(data)["frames"].keys() == content["frames"].keys()
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?http", html)


def test_in_an_export_a_widget_shows_its_page(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    bundle = Wave()._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "text/html"}
    assert "mixviz-still" in bundle["text/html"]
