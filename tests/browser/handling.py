"""A widget in a page, whose controls are moved as a reader moves them: by keys, and by mouse."""

from dataclasses import dataclass
from typing import Any

QUIET, LIMIT = 80, 10_000  # milliseconds without an event after which a widget has answered; and at most
GAP = 45  # milliseconds between the keys of a burst
BACK = {"ArrowRight": "ArrowLeft", "ArrowLeft": "ArrowRight"}
VALUE = "control => control.ariaValueNow ?? (control.type === 'checkbox' ? control.checked : control.selectedIndex)"


@dataclass(frozen=True)
class Control:
    """One control of a widget.

    kind: slider, select-one, checkbox, button, ... stops: how many a slider has. stop: where it stood among them.
    place: among the widget's controls.
    """

    label: str
    kind: str
    enabled: bool
    stops: int
    stop: int
    place: int


@dataclass(frozen=True)
class Answer:
    """When keys were pressed, and when the picture then changed; in ms of the page's clock."""

    keys: list[float]
    frames: list[float]

    @property
    def latency(self) -> float | None:
        """From the first key to the first changed frame; None if nothing changed."""
        return self.frames[0] - self.keys[0] if self.keys and self.frames else None

    @property
    def tail(self) -> float | None:
        """From the last key to the last changed frame."""
        return max(0.0, self.frames[-1] - self.keys[-1]) if self.keys and self.frames else None


@dataclass
class Widget:
    """One widget of a page. place: among the page's widgets. quiet: ms without an event after which it has answered."""

    page: Any
    place: int
    quiet: int = QUIET

    @property
    def name(self) -> str:
        return self.page.evaluate("place => mixviz.name(place)", self.place)

    @property
    def box(self) -> Any:
        return self.page.locator(".mixviz-widget").nth(self.place)

    def controls(self, kind: str | None = None) -> list[Control]:
        """All of them as they stand, or those of one kind."""
        found = self.page.evaluate("place => mixviz.controls(place)", self.place)
        controls = [Control(**control, place=place) for place, control in enumerate(found)]
        return [control for control in controls if kind in (None, control.kind)]

    def element(self, control: Control) -> Any:
        return self.box.locator(self.page.evaluate("() => mixviz.CONTROLS")).nth(control.place)

    def value(self, control: Control) -> str:
        """Where a slider, a list or a box stands."""
        return str(self.element(control).evaluate(VALUE))

    def values(self, control: Control) -> list[str]:
        """Where a list or a box can stand."""
        if control.kind == "checkbox":
            return ["False", "True"]
        return [str(place) for place in range(self.element(control).evaluate("list => list.options.length"))]

    def press(self, control: Control, *keys: str) -> Answer:
        """Press keys on a control, as a burst if there are several, and wait until the widget has answered."""
        self.element(control).focus()
        self.page.evaluate("place => mixviz.start(place)", self.place)
        for turn, key in enumerate(keys):
            if turn:
                self.page.wait_for_timeout(GAP)
            self.page.keyboard.press(key)
        return self.answer()

    def answer(self) -> Answer:
        """What happened until the widget was still."""
        return Answer(**self.page.evaluate("times => mixviz.settled(...times)", [self.quiet, LIMIT]))

    def choose(self, control: Control) -> float | None:
        """Latency of a list's other choice, or of a box's other state, by keyboard; and back to where it was.

        Of a list's neighbours the first that changes the picture counts: two choices may well show the same.
        """
        start = self.value(control)
        if control.kind == "checkbox":
            latency = self.press(control, "Space").latency
            self.put(control, start)
            return latency
        for way in 2 * ("ArrowDown", "ArrowUp"):  # a busy browser may open the list too late for the first key
            answer = self.press(control, "Space", way, "Enter")
            moved = self.value(control) != start
            self.put(control, start)
            if moved and answer.frames:
                return answer.frames[0] - answer.keys[-1]
        return None

    def slide(self, slider: Control, presses: int = 2) -> list[float]:
        """Latencies of arrow keys on a slider, to and fro, and back to where it was; empty if no picture changed."""
        start, key, latencies = self.value(slider), "ArrowRight", []
        for turn in range(presses):
            if turn == presses // 2:
                key = BACK[key]
            before = self.value(slider)
            answer = self.press(slider, key)
            if self.value(slider) == before:  # it stands at its end
                key = BACK[key]
                answer = self.press(slider, key)
            latencies.append(answer.latency)
        self.put(slider, start)
        return [latency for latency in latencies if latency is not None]

    def jump(self, slider: Control) -> list[float]:
        """Latencies of a slider's jumps to its ends, and back to where it was; empty if no picture changed."""
        start = self.value(slider)
        latencies = [self.press(slider, end).latency for end in ("Home", "End")]
        self.put(slider, start)
        return [latency for latency in latencies if latency is not None]

    def burst(self, slider: Control, presses: int = 12) -> Answer:
        """Many arrow keys in a row, each of which moves the slider: it turns at its ends; and back to where it was."""
        start, stop, way, keys = self.value(slider), slider.stop, 1, []
        for _ in range(presses):
            if not 0 <= stop + way < slider.stops:
                way = -way
            stop += way
            keys.append("ArrowRight" if way > 0 else "ArrowLeft")
        answer = self.press(slider, *keys)
        self.put(slider, start)
        return answer

    def put(self, control: Control, value: str) -> None:
        """Bring a control to a value where it can stand."""
        if self.value(control) == value:
            return
        element = self.element(control)
        if control.kind == "select-one":
            element.select_option(index=int(value))
        elif control.kind == "checkbox":
            element.set_checked(value == "True")
        else:
            element.focus()
            for _ in range(500):
                if (now := self.value(control)) == value:
                    break
                self.page.keyboard.press("ArrowRight" if float(now) < float(value) else "ArrowLeft")
        self.page.evaluate("place => mixviz.start(place)", self.place)
        self.answer()

    def drag(self, slider: Control, share: float = 0.3) -> Answer:
        """Drag a slider's handle by a share of its track, to the side with more room; by mouse, in steps."""
        self.element(slider).scroll_into_view_if_needed()
        handle, track = self.element(slider).bounding_box(), self.track(slider)
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        way = share * track["width"] * (1 if x < track["x"] + track["width"] / 2 else -1)
        self.page.evaluate("place => mixviz.start(place)", self.place)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + way, y, steps=8)
        self.page.mouse.up()
        return self.answer()

    def track(self, slider: Control) -> dict[str, float]:
        return self.element(slider).locator("xpath=ancestor::*[contains(@class, 'noUi-base')]").bounding_box()
