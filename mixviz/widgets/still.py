"""A widget without a kernel: its pictures for its controls' values, drawn in advance, in self-contained HTML."""

import base64
import io
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Protocol

import ipywidgets
import numpy as np
from PIL import Image

from mixviz.widgets.controls import Control, Slider, choices, stops, written

SCRIPT = Path(__file__).with_name("still.js").read_text(encoding="utf-8")
STYLE = """
.mixviz-still { display: grid; gap: 0.4em; max-width: 820px; margin: 0.5em 0; font: 14px system-ui, sans-serif }
.mixviz-still fieldset { display: flex; flex-wrap: wrap; gap: 0.3em 1.5em; border: 0; padding: 0; margin: 0 }
.mixviz-still label { display: grid; grid-template-columns: 9.5em 9em 4em; align-items: center; gap: 0.4em }
.mixviz-still input[type=range], .mixviz-still select { width: 100% }
.mixviz-still :disabled { opacity: 0.4 }
.mixviz-still img { width: 100%; height: auto; background: white }
.mixviz-still p { margin: 0; line-height: 1.4 }
"""
SWITCH = "MIXVIZ_EXPORT"  # if set, widgets are displayed as pages
MAX_STEPS = 9  # most drawn values of a slider, including its ends and its current one
MOST = 160  # frames of a widget

Places = tuple[int, ...]  # of every control, on its grid


class Drawable(Protocol):
    """The interface of a widget."""

    controls: dict[str, Control]
    problem: str

    @property
    def values(self) -> dict[str, Any]: ...
    def set(self, **values: Any) -> Any: ...
    def numbers(self) -> dict[str, Any]: ...
    def caption(self) -> str: ...
    def picture(self) -> bytes: ...


def grid(control: Control) -> list[Any]:
    """The values at which a control is drawn: all of a list's, both of a box's, some of a slider's."""
    if not isinstance(control, Slider):
        return choices(control) or stops(control)
    assert control.step is not None
    steps = round((control.max - control.min) / control.step)
    places = {round(place) for place in np.linspace(0, steps, min(MAX_STEPS, steps + 1))}
    places.add(round((control.value - control.min) / control.step))
    kind = type(control.value)
    return [kind(round(control.min + place * control.step, 10)) for place in sorted(places)]


def combinations(grids: list[list[Any]], rest: Places, partner: int | None) -> list[Places]:
    """Which places are drawn: each control along its grid with the others at rest.

    If a partner is named, a control with few values, all of this at each of its values, up to ``MOST`` frames.
    """

    def star(centre: Places) -> Iterator[Places]:
        for which, values in enumerate(grids):
            for place in range(len(values)):
                yield (*centre[:which], place, *centre[which + 1 :])

    single = list(dict.fromkeys([rest, *star(rest)]))
    if partner is None:
        return single
    centres = [(*rest[:partner], place, *rest[partner + 1 :]) for place in range(len(grids[partner]))]
    paired = list(dict.fromkeys([*single, *(places for centre in centres for places in star(centre))]))
    return paired if len(paired) <= MOST else single


def frames(widget: Drawable) -> dict[str, Any]:
    """What is drawn: the controls with their grids, their current places, and a frame for each combination of places.

    A frame: image (a data URL), caption, numbers, and which controls have no effect there. The widget does not change.
    """
    before = dict(widget.values)
    controls = {name: control for name, control in widget.controls.items() if hasattr(control, "description")}
    grids = [grid(control) for control in controls.values()]
    rest = tuple(values.index(control.value) for values, control in zip(grids, controls.values(), strict=True))
    lists = [which for which, control in enumerate(controls.values()) if isinstance(control, ipywidgets.Dropdown)]
    drawn = {}
    for places in combinations(grids, rest, lists[0] if lists else None):
        chosen = {name: values[place] for name, values, place in zip(controls, grids, places, strict=True)}
        widget.set(**chosen)
        drawn[",".join(map(str, places))] = {
            "image": _data_url(widget.picture()),
            "caption": widget.problem or widget.caption(),
            "numbers": {} if widget.problem else {name: _plain(value) for name, value in widget.numbers().items()},
            "disabled": [which for which, control in enumerate(controls.values()) if control.disabled],
        }
    widget.set(**before)
    shown = [_shown(control, values) for control, values in zip(controls.values(), grids, strict=True)]
    return {"controls": shown, "rest": list(rest), "partner": lists[0] if lists else None, "frames": drawn}


def page(widget: Drawable) -> str:
    """The widget as HTML: native controls, the picture, the caption; without any request."""
    content = frames(widget)
    controls = "".join(
        _control(which, shown, content["rest"][which]) for which, shown in enumerate(content["controls"])
    )
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c")  # no tag or comment inside a script
    name = escape(type(widget).__name__)
    return (
        f'<style>{STYLE}</style><div class="mixviz-still" role="group" aria-label="{name}">'
        f"<fieldset>{controls}</fieldset>"
        f'<img alt=""><p aria-live="polite"></p><script type="application/json">{data}</script></div>'
        f"<script>{SCRIPT}</script>"
    )


def _shown(control: Control, values: list[Any]) -> dict[str, Any]:
    options = getattr(control, "options", None)
    is_list = isinstance(control, (ipywidgets.Dropdown, ipywidgets.Checkbox))
    texts = [option[0] if isinstance(option, tuple) else str(option) for option in options] if options else None
    if isinstance(control.value, bool):
        texts = ["off", "on"]
    return {"label": control.description, "list": is_list, "values": texts or [written(value) for value in values]}


def _control(which: int, shown: dict[str, Any], rest: int) -> str:
    if shown["list"]:
        options = "".join(
            f"<option value={place}{' selected' * (place == rest)}>{escape(text)}</option>"
            for place, text in enumerate(shown["values"])
        )
        entry = f"<select>{options}</select><span></span>"
    else:
        entry = (
            f"<input type=range min=0 max={len(shown['values']) - 1} value={rest}>"
            f"<output>{escape(shown['values'][rest])}</output>"
        )
    return f"<label><span>{escape(shown['label'])}</span>{entry}</label>"


def _data_url(png: bytes) -> str:
    """Smaller than PNG, and pixel for pixel the same."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "webp", lossless=True)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _plain(value: Any) -> Any:
    """A value for JSON, which has no NaN."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
