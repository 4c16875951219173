"""Controls of widgets: each with a name for screen readers, keyboard access, and ends for tests."""

from collections.abc import Iterable, Mapping
from typing import Any

import ipywidgets

from mixviz.errors import UserError, unknown

Slider = ipywidgets.IntSlider | ipywidgets.FloatSlider
Listed = ipywidgets.SelectionSlider | ipywidgets.Dropdown
Control = Slider | Listed | ipywidgets.Checkbox | ipywidgets.Combobox
LABEL = {"description_width": "9.5em"}
WIDTH = "23em"


def slider(label: str, low: float, high: float, value: float, step: float = 0.01, about: str = "") -> Slider:
    """A slider over real numbers, or over integers if ends, value and step are integers. about: its tooltip."""
    whole = all(isinstance(number, int) for number in (low, high, value, step))
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return kind(value=value, min=low, max=high, step=step, **_named(label, about))


def steps(label: str, values: Iterable[Any], value: Any, about: str = "") -> ipywidgets.SelectionSlider:
    """A slider over a few values, such as powers of two."""
    options = [(written(option), option) for option in values]
    return ipywidgets.SelectionSlider(options=options, value=value, **_named(label, about))


def choice(label: str, options: Iterable[str] | Mapping[str, Any], value: Any, about: str = "") -> ipywidgets.Dropdown:
    """A list to choose one from. options: the values, or label -> value."""
    listed = list(options.items()) if isinstance(options, Mapping) else list(options)
    return ipywidgets.Dropdown(options=listed, value=value, **_named(label, about))


def toggle(label: str, value: bool = False, about: str = "") -> ipywidgets.Checkbox:
    """A box to tick."""
    return ipywidgets.Checkbox(value=value, indent=True, **_named(label, about))


def text(label: str, value: str = "", suggestions: Iterable[str] = (), about: str = "") -> ipywidgets.Combobox:
    """A text field with suggestions; its value counts when it loses focus or Enter is pressed."""
    return ipywidgets.Combobox(
        value=value, options=list(suggestions), ensure_option=False, continuous_update=False, **_named(label, about)
    )


def written(value: Any) -> str:
    """A value as text in controls, states and drives."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def choices(control: Control) -> list[Any] | None:
    """The choices of a list; None if the control is no list, or takes other words as well."""
    return _listed(control) if isinstance(control, Listed) else None


def _listed(control: Listed) -> list[Any]:
    return [option[1] if isinstance(option, tuple) else option for option in control.options]


def stops(control: Control) -> list[Any]:
    """The values in a drive: all of a list's choices, both of a box's, both ends of a slider.

    A text field takes all its suggestions.
    """
    if isinstance(control, ipywidgets.Combobox):
        return list(control.options)
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True]
    if isinstance(control, Slider):
        return [control.min, control.max]
    listed = _listed(control)
    return [listed[0], listed[-1]] if isinstance(control, ipywidgets.SelectionSlider) else listed


def put(name: str, control: Control, value: Any) -> None:
    """Set a control to a possible value. Raises UserError with the possible ones."""
    listed = choices(control)
    if listed is not None:
        if value not in listed:
            raise unknown(name, written(value), map(written, listed))
    elif isinstance(control, Slider) and not control.min <= value <= control.max:
        raise UserError(f"{name} {written(value)} is out of range: take {control.min:g} to {control.max:g}")
    control.value = value


def parse(control: Control, text: str) -> Any:
    """The value with this text, or the text itself if there is none."""
    listed = choices(control)
    if listed is not None:
        return next((option for option in listed if written(option) == text), text)
    if isinstance(control, ipywidgets.Checkbox):
        return text == "True"
    if isinstance(control, ipywidgets.Combobox):
        return text
    try:
        return int(text) if isinstance(control, ipywidgets.IntSlider) else float(text)
    except ValueError as error:
        raise UserError(f"{text!r} is not a number for {control.description}: give one") from error


def _named(label: str, about: str) -> dict[str, Any]:
    return {"description": label, "tooltip": about or label, "style": LABEL, "layout": {"width": WIDTH}}
