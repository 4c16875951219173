"""Every slider of a widget moved: as the widget stands, or else where a list or a box brings the slider to life."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product

from handling import Control, Widget

State = Mapping[Control, str]  # where each list and each box stands


def move_sliders(widget: Widget, presses: int = 2) -> dict[str, list[float]]:
    """Latencies of each slider by its label, in ms; none where it never changed a picture.

    A slider that is greyed out, or of no consequence for what is shown, is tried wherever another choice in a list or
    a box, or in two of them, makes it live, until it changes a picture; then it jumps to its ends.
    """
    sliders = widget.controls("slider")
    moved: dict[int, list[float]] = {}
    start, *others = states(widget)
    for state in (start, *others):
        put_all(widget, state)
        for slider in widget.controls("slider"):
            if slider.enabled and not moved.get(slider.place):
                moved[slider.place] = widget.slide(slider, presses)
        if all(moved.get(slider.place) for slider in sliders):
            break
    put_all(widget, start)
    return {slider.label: moved.get(slider.place) or jump(widget, slider) for slider in sliders}


def jump(widget: Widget, slider: Control) -> list[float]:
    return widget.jump(slider) if slider.enabled else []


def move_choices(widget: Widget) -> dict[str, list[float]]:
    """Latencies of another choice in each list and box, by its label; none where it changed no picture."""
    chosen = {control.label: widget.choose(control) for control in lists_and_boxes(widget) if control.enabled}
    return {label: [] if latency is None else [latency] for label, latency in chosen.items()}


def lists_and_boxes(widget: Widget) -> list[Control]:
    return [*widget.controls("select-one"), *widget.controls("checkbox")]


def states(widget: Widget) -> Iterator[State]:
    """Where lists and boxes can stand: as they do, then with another value of one of them, then of two."""
    start = {control: widget.value(control) for control in lists_and_boxes(widget)}
    for size in (0, 1, 2):
        for controls in combinations(start, size):
            others = [[value for value in widget.values(control) if value != start[control]] for control in controls]
            for values in product(*others):
                yield start | dict(zip(controls, values, strict=True))


def put_all(widget: Widget, state: State) -> None:
    """Bring lists and boxes there, those that are live; twice, since one may bring another to life."""
    for _ in range(2):
        for control, value in state.items():
            live = {one.place for one in widget.controls() if one.enabled}  # the last one may have changed it
            if control.place in live:
                widget.put(control, value)
