"""Every slider of a widget moved: as the widget stands, or else where a list or a box brings the slider to life."""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from pages import Control, Widget

Setting = tuple[Control, str]


def move_sliders(widget: Widget, presses: int = 2) -> dict[str, list[float]]:
    """Latencies of each slider by its label, in ms; none where it never changed a picture.

    A slider that is greyed out, or of no consequence for what is shown, is tried wherever another choice in a list or
    a box, or in two of them, makes it live, until it changes a picture.
    """
    sliders = widget.controls("slider")
    moved = {slider.place: widget.slide(slider, presses) for slider in sliders if slider.enabled}
    for settings in states(widget):
        if all(moved.get(slider.place) for slider in sliders):
            break
        before = [(control, widget.value(control)) for control, _ in settings]
        put_all(widget, settings)
        for slider in widget.controls("slider"):
            if slider.enabled and not moved.get(slider.place):
                moved[slider.place] = widget.slide(slider, presses)
        put_all(widget, before)
    return {slider.label: moved.get(slider.place, []) for slider in sliders}


def move_choices(widget: Widget) -> dict[str, list[float]]:
    """Latencies of another choice in each list and box, by its label; none where it changed no picture."""
    chosen = {control.label: widget.choose(control) for control in lists_and_boxes(widget) if control.enabled}
    return {label: [] if latency is None else [latency] for label, latency in chosen.items()}


def lists_and_boxes(widget: Widget) -> list[Control]:
    return [*widget.controls("select-one"), *widget.controls("checkbox")]


def states(widget: Widget) -> Iterator[Sequence[Setting]]:
    """Settings of lists and boxes: each value of one of them, then each pair of values of two."""
    values = {control: widget.values(control) for control in lists_and_boxes(widget)}
    for size in (1, 2):
        for controls in combinations(values, size):
            for chosen in product(*(values[control] for control in controls)):
                yield list(zip(controls, chosen, strict=True))


def put_all(widget: Widget, settings: Sequence[Setting]) -> None:
    for control, value in settings:
        widget.put(control, value)
