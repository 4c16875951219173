"""Every notebook in JupyterLab: it runs, its widgets answer to keys and mouse, and nothing breaks on the way."""

import pytest
from measure import measure
from pages import WIDE

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HIGHEST = 15_000  # px of a screenshot


def test_it_runs_without_an_error(notebook, artifacts):
    page = notebook.page
    page.evaluate("() => { document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; }")
    height = page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
    page.set_viewport_size({**WIDE, "height": min(height + 200, HIGHEST)})
    page.wait_for_timeout(500)
    page.screenshot(path=artifacts / f"{notebook.name}.png")
    page.set_viewport_size(WIDE)
    assert notebook.all_errors() == []


def test_every_drive_cell_has_its_widget(notebook):
    assert len(notebook.widgets) == notebook.drives


def test_every_control_redraws(notebook, measured):
    found = list(measure(notebook, presses=2, bursts=1))
    measured += found
    assert [one.row for one in found if not one.times] == []


def test_a_slider_follows_the_mouse(notebook):
    for widget in notebook.widgets:
        for slider in [slider for slider in widget.controls("slider") if slider.enabled][:1]:
            before = widget.value(slider)
            answer = widget.drag(slider)
            assert widget.value(slider) != before
            assert answer.frames
            widget.put(slider, before)


def test_widgets_at_their_ends(notebook, artifacts):
    for widget in notebook.widgets:
        name = f"{notebook.name} {widget.place + 1} {widget.name}"
        widget.box.screenshot(path=artifacts / f"{name}, default.png")
        for state, key in {"low": "Home", "high": "End"}.items():
            for slider in widget.controls("slider"):
                if slider.enabled:
                    widget.press(slider, key)
            widget.box.screenshot(path=artifacts / f"{name}, {state}.png")


def test_nothing_broke_on_the_way(notebook):
    assert notebook.all_errors() == []
