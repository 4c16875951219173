"""Widgets without a mouse, without sight of the picture, and on half the page's width."""

import io
import re

import numpy as np
import pytest
from pages import WIDE
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HALF = {"width": WIDE["width"] // 2, "height": 1600}  # zooming to 200 % leaves half the width
AROUND = 6  # px about a control in which its focus can show


def test_every_control_is_named(notebook):
    nameless = [
        f"{widget.name}, {control.kind} {control.place + 1}"
        for widget in notebook.widgets
        for control in widget.controls()
        if not re.search(r"\w", control.label)
    ]
    assert nameless == []


def test_every_control_is_reached_by_tab_and_shows_its_focus(notebook):
    missed, unseen = [], []
    for widget in notebook.widgets:
        wanted = {control.place: control for control in widget.controls() if control.enabled}
        if not wanted:
            continue
        reached = walk(notebook.page, widget, list(wanted.values()))
        missed += [f"{widget.name}: {control.label}" for place, control in wanted.items() if place not in reached]
        unseen += [f"{widget.name}: {wanted[place].label}" for place, seen in reached.items() if not seen]
    assert missed == []
    assert unseen == []


def walk(page, widget, controls) -> dict[int, bool]:
    """Tab through a widget from its first control: place -> whether the focus is to be seen there."""
    page.keyboard.press("Shift")  # focus is shown if the last thing that one did was to press a key
    widget.element(controls[0]).focus()
    assert widget.element(controls[0]).evaluate("element => element.tabIndex") >= 0
    live, reached = {control.place: control for control in controls}, {}
    for _ in range(3 * len(widget.controls())):
        place = page.evaluate("place => mixviz.focused(place)", widget.place)
        if place in live and place not in reached:
            control = live[place]
            focused = shot(page, widget, control)
            page.evaluate("() => document.activeElement.blur()")
            reached[place] = differs(shot(page, widget, control), focused)
            widget.element(control).focus()
        page.keyboard.press("Tab")
    return reached


def shot(page, widget, control) -> np.ndarray:
    """What is to be seen of a control and around it, (height, width, 3)."""
    widget.element(control).scroll_into_view_if_needed()
    box = widget.element(control).bounding_box()
    x, y = max(0, box["x"] - AROUND), max(0, box["y"] - AROUND)
    clip = {"x": x, "y": y, "width": box["width"] + 2 * AROUND, "height": box["height"] + 2 * AROUND}
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"), dtype=int)


def differs(resting: np.ndarray, focused: np.ndarray) -> bool:
    """Whether at least 10 pixels changed by a tenth of the range: about the outline of the smallest control."""
    return int((abs(resting - focused).max(axis=2) > 25).sum()) >= 10


def test_nothing_is_cut_off_at_twice_the_size(notebook, artifacts):
    page = notebook.page
    page.set_viewport_size(HALF)
    page.wait_for_timeout(500)
    cut = []
    for widget in notebook.widgets:
        widget.box.scroll_into_view_if_needed()
        widget.box.screenshot(path=artifacts / f"{notebook.name} {widget.place + 1} {widget.name}, zoomed.png")
        cut += [f"{widget.name}: {what}" for what in page.evaluate("place => mixviz.cut(place)", widget.place)]
    page.set_viewport_size(WIDE)
    page.wait_for_timeout(500)
    assert cut == []
