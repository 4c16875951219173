"""Each kind of prediction, guessed by mouse and by keyboard in JupyterLab: the answer comes after the guess only.

And what all pictures do in a page: they follow its theme, and say when the kernel is busy.
"""

import io
import json

import numpy as np
import pytest
from making import write
from pages import opened
from PIL import Image
from reports import Measured

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELLS = (
    "from mixviz.lessons.question import Question\nfrom mixviz.widgets import ContrastTable, Prediction, Predictions",
    'asked = Question(text="Which way does it go?", why="It is *steep*.", options=("flatter", "steeper"))\n'
    "words = Prediction(asked, asked.options[int(1)])\nwords",
    'asked = Question(text="How often is it right?", why="It is.", unit="%", given="untrained")\n'
    'bars = Prediction(asked, {"shape": 245 / 4, "hue": 80 / 4}, given=[30, 90])\nbars',
    'asked = Question(text="How many compete?", why="Few.", high=512, unit="negatives", across="epoch")\n'
    "curve = Prediction(asked, {epoch: 400 / (1 + epoch) for epoch in range(6)})\ncurve",
    "predictions = Predictions(words, bars, curve)\npredictions",
    "table = ContrastTable()\ntable",
)
ANSWERS = ("61.2", "66.7", "steep.")
WORDS, BARS, CURVE, SUMMARY, TABLE = range(5)  # of the page's widgets


@pytest.fixture(scope="module")
def shown(browser, lab, tmp_path_factory):
    with opened(browser, lab, write(tmp_path_factory.mktemp("asked"), *CELLS, name="predictions")) as shown:
        yield shown


@pytest.fixture
def widgets(shown):
    return shown.widgets


def saved(shown, lab) -> str:
    """The notebook's file after it was saved, and everything in the page."""
    shown.page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    shown.page.wait_for_timeout(500)
    return json.dumps(json.loads((lab.work / "predictions.ipynb").read_text())["cells"])


def commit(widget) -> float:
    """Commit by keyboard; returns how long the answer took, ms."""
    button = widget.controls("button")[-1]
    assert button.enabled
    answer = widget.press(button, "Enter")
    assert answer.latency is not None
    return answer.latency


def click(widget, across: float, down: float) -> None:
    """Click at a place of the plot, as shares of its sides."""
    box = widget.box.locator(".mixviz-plot").bounding_box()
    widget.page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


def test_nothing_of_an_answer_is_there_before_a_guess(shown, lab, artifacts):
    text = shown.page.inner_text(".jp-Notebook")
    outputs = [cell["outputs"] for cell in json.loads(saved(shown, lab)) if cell["cell_type"] == "code"]
    assert not [answer for answer in ANSWERS if answer in text or answer in json.dumps(outputs)]
    assert all(not widget.controls("button")[-1].enabled for widget in shown.widgets[:SUMMARY])
    shots(shown, artifacts, "before")


def test_a_statement_is_chosen_by_keyboard(widgets, measured):
    words = widgets[WORDS]
    flatter, steeper, _ = words.controls("button")
    moved = words.press(flatter, "Enter").latency
    assert words.element(flatter).get_attribute("aria-pressed") == "true"
    words.element(steeper).click()
    assert words.element(flatter).get_attribute("aria-pressed") == "false"
    measured += [Measured("predictions", "statements", *row) for row in rows(moved, commit(words))]
    assert "Measured: steeper. Your guess: right." in words.box.inner_text()
    assert "It is steep." in words.box.inner_text()


def test_bars_are_placed_by_mouse_and_keyboard(widgets, measured):
    bars = widgets[BARS]
    click(bars, 0.6, 0.2)
    assert not bars.controls("button")[-1].enabled  # one bar is missing
    shape, hue = bars.controls("range")
    moved = bars.press(hue, "ArrowRight").latency
    assert bars.element(hue).input_value() == "51"
    assert 40 < float(bars.element(shape).input_value()) < 60
    measured += [Measured("predictions", "bars", *row) for row in rows(moved, commit(bars))]
    assert "Measured: shape: 61.2; hue: 20 %." in bars.box.inner_text()


def test_a_curve_is_sketched_by_mouse_and_corrected_by_keyboard(widgets, measured):
    curve = widgets[CURVE]
    box = curve.box.locator(".mixviz-plot").bounding_box()
    curve.page.mouse.move(box["x"] + 0.12 * box["width"], box["y"] + 0.1 * box["height"])
    curve.page.mouse.down()
    curve.page.mouse.move(box["x"] + 0.95 * box["width"], box["y"] + 0.6 * box["height"], steps=12)
    curve.page.mouse.up()
    points = curve.controls("range")
    values = [float(curve.element(point).input_value()) for point in points]
    assert values == sorted(values, reverse=True)
    assert values[0] > 350 > 150 > values[-1]
    moved = curve.press(points[2], "ArrowUp").latency
    assert float(curve.element(points[2]).input_value()) == values[2] + 1
    measured += [Measured("predictions", "curve", *row) for row in rows(moved, commit(curve))]
    assert "66.7 negatives" in curve.box.inner_text()


def rows(moved, committed):
    assert moved is not None
    return ("guess", "choice", (moved,)), ("commit", "choice", (committed,))


def test_guesses_are_summed_up_and_not_in_the_file(shown, lab, artifacts):
    said = shown.widgets[SUMMARY].box.inner_text()
    assert "3 of 3 predictions made" in said
    assert "right" in said
    outputs = [cell["outputs"] for cell in json.loads(saved(shown, lab)) if cell["cell_type"] == "code"]
    assert not [answer for answer in ANSWERS if answer in json.dumps(outputs)]
    shots(shown, artifacts, "after")
    assert shown.all_errors() == []


def test_pictures_follow_the_theme(shown, artifacts):
    theme(shown.page, "JupyterLab Dark")
    try:
        assert corner(shown.widgets[TABLE]) < 60
        shots(shown, artifacts, "dark")
    finally:
        theme(shown.page, "JupyterLab Light")
    assert corner(shown.widgets[TABLE]) > 240


def test_a_busy_kernel_is_shown(shown):
    """A sum that does not let other threads of the kernel run, as widgets have a thread of their own in JupyterLab."""
    page, table = shown.page, shown.widgets[TABLE]
    execute = "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.requestExecute"
    page.evaluate(f"() => {{ {execute}({{ code: 'sum(range(2 * 10**8))' }}); }}")
    slider = table.controls("slider")[1]
    table.element(slider).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".mixviz-busy", timeout=5000)
    page.wait_for_selector(".mixviz-busy", state="detached", timeout=20_000)
    assert shown.all_errors() == []


def theme(page, name: str) -> None:
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
    page.wait_for_timeout(2500)


def corner(widget) -> float:
    """How bright the picture's corner is, 0 to 255."""
    picture = Image.open(io.BytesIO(widget.box.locator("img.mixviz-picture").screenshot())).convert("L")
    return float(np.asarray(picture)[3, 3])


def shots(shown, artifacts, state: str) -> None:
    for name, widget in zip(("statements", "bars", "curve", "summary", "table"), shown.widgets, strict=True):
        widget.box.screenshot(path=artifacts / f"prediction, {name}, {state}.png")
