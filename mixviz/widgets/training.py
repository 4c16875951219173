"""A training panel: every setting is a control, and curves grow while the notebook stays responsive."""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from html import escape
from itertools import count
from pathlib import Path
from textwrap import wrap
from typing import Any, Self

import ipywidgets
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixviz.errors import UserError
from mixviz.method import Method
from mixviz.mixing import MIXINGS
from mixviz.paths import runs_root
from mixviz.plots.curves import SHORT, plot_runs
from mixviz.plots.style import COLOURS
from mixviz.runs import Run, default_name
from mixviz.widgets.background import Training
from mixviz.widgets.base import Widget
from mixviz.widgets.controls import Control
from mixviz.widgets.fields import coerce
from mixviz.widgets.history import History, log_of
from mixviz.widgets.plans import FLAGS, Plan, called_of, controls, idle, plan, undefined

SHOWN = ("data", "epochs", "train_images", "batch_size", "lr", "temperature", "seed", "knn_every")  # the others fold
WRAP = {"flex_flow": "row wrap", "max_width": "100%"}
LOOK_EVERY = 0.3  # seconds
COLUMNS = 2  # of the curves' legend


class TrainingPanel(Widget):
    """Choose a config, start, watch, stop, resume, and compare with other runs below the same root.

    data: as ``--data``: glyphs, cifar10, folder:PATH, numpy:PATH.npz. root: folder of the runs; by default that of
    the command line, which then evaluates and reports them. values: of controls; settings by their flat names.
    ``start``, ``wait``, ``stop`` and ``resume`` do what the buttons do.
    """

    size = (8.0, 3.5)
    animated = frozenset(FLAGS) | frozenset(MIXINGS)

    def __init__(self, data: str | None = None, root: Path | str | None = None, **values: Any):
        self.root = Path(root) if root else runs_root()
        self.history = History(self.root)
        self.training: Training | None = None
        self._task: asyncio.Task | None = None
        self._drawn_runs: Hashable = None
        self._buttons = {name: ipywidgets.Button(description=name) for name in ("Start", "Stop", "Resume")}
        for button, work in zip(self._buttons.values(), (self.start, self.stop, self.resume), strict=True):
            button.add_class(f"mixviz-{button.description.lower().replace(' ', '-')}")
            button.on_click(lambda _, work=work: self._press(work))
        self._bar = ipywidgets.FloatProgress(max=1.0, layout={"width": "100%", "max_width": "40em"})
        self._status, self._reasons = ipywidgets.HTML(), ipywidgets.HTML()  # progress and errors
        self._error = ""
        super().__init__(controls(), values | ({"data": data} if data else {}))
        first, folded = self._layout()
        self.box.children = [first, self._reasons, self._buttons_row(), *self.box.children[1:]]
        self.box = ipywidgets.VBox([self.box, folded])

    def compute(self, **values: Any) -> Plan:
        return plan(values, self.defaults)

    def unused(self, **values: Any) -> Mapping[str, str]:
        impossible = undefined(values)
        self._reasons.value = "<br>".join(f"{called_of(name)}: {escape(reason)}" for name, reason in impossible.items())
        return idle(values) | impossible

    def numbers(self) -> dict[str, Any]:
        asked, training = self.result, self.training
        found: dict[str, Any] = {"method": asked.method, "settings": asked.changed or "defaults"}
        found["trainable"] = asked.problem or "yes" + (f", but {asked.warning}" if asked.warning else "")
        if training is not None:
            log = log_of(training.run)
            found |= {"training": training.state, "run": training.run.name, "epochs done": len(log)}
            found |= {name: float(log[name].dropna().iloc[-1]) for name in SHORT if name in log and log[name].any()}
        return found

    def draw_static(self, figure: Figure) -> dict[str, Axes]:
        figure.set_layout_engine("none")  # all places are known, and looking for them takes longer than drawing
        logs = {label: log_of(run) for label, run in self._shown().items()}
        named = -(-len(logs) // COLUMNS)  # lines of the legend
        place = {"left": 0.06, "right": 0.985, "top": 0.8, "bottom": 0.16 + 0.055 * named, "wspace": 0.24}
        first, middle, *others = figure.subplots(1, len(SHORT), gridspec_kw=place)
        curves = first, middle, *others
        for axes, column in zip(curves, SHORT, strict=True):
            plot_runs(axes, logs, column)
        lines = {line.get_label(): line for axes in curves for line in axes.get_lines()}
        if lines:
            figure.legend(lines.values(), lines, loc="lower center", ncols=COLUMNS, fontsize=8)
        else:
            for axes in curves:
                axes.set(xticks=[], yticks=[])
            middle.text(0.5, 0.5, "nothing trained yet:\npress Start", ha="center", transform=middle.transAxes)
        return {"first": first}

    def draw(self, figure: Figure, first: Axes) -> None:
        asked = self.result
        amiss = asked.problem or asked.warning
        text = amiss or f"next: {asked.method}; {asked.changed or 'all settings as usual'}"
        colour = COLOURS["mochi"] if amiss else mpl.rcParams["text.color"]
        place = {"transform": figure.transFigure, "va": "top", "fontsize": 8, "color": colour}
        first.text(0.012, 0.985, "\n".join(wrap(text, 120)[:3]), **place)

    def picture(self, dots: float = 1.0) -> bytes:
        """The picture as a PNG."""
        self._drawn_runs = self._stands()
        return super().picture(dots)

    def static_for(self) -> Hashable:
        return self._drawn_runs

    def caption(self) -> str:
        config = self.result.config
        if config is None:
            return f"This cannot be trained: {self.result.problem}."
        extension = Method.is_extension(config.method.framework, config.method.mixings())
        note = " An extension: no paper reports this combination." if extension else ""
        epochs = f"{config.train.epochs} epoch{'s' * (config.train.epochs > 1)}"
        return f"Start trains {self.result.method} for {epochs}, in batches of {config.train.batch_size}.{note}"

    def set(self, **values: Any) -> Self:
        """Move controls, and draw once. A setting can have any value that the config takes. Raises UserError."""
        if "mixing" in values:
            chosen = values.pop("mixing")
            values |= {name: name in chosen for name in MIXINGS}
        with self._hold():
            values = {n: coerce(FLAGS[n], self.controls[n], v) if n in FLAGS else v for n, v in values.items()}
        return super().set(**values)

    def refresh(self) -> None:
        """Analyse and draw again, and show the progress of training."""
        super().refresh()
        self._tell()

    def start(self) -> None:
        """Train the config of the controls, in a new run. Raises UserError if it is not valid."""
        config = self.result.config
        if config is None:
            raise UserError(self.result.problem)
        name = default_name(config)
        names = (name if i == 1 else f"{name}-{i}" for i in count(1))
        free = next(one for one in names if not (self.root / one / "config.json").exists())
        self._follow(Training.begin(config, free, self.root))

    def stop(self) -> None:
        """End the training after the current step; ``resume`` resumes from its last complete epoch."""
        if Training.latest is not None:
            Training.latest.stop()
        self.refresh()

    def resume(self) -> None:
        """Resume the newest run that is not finished. Raises UserError if there is none."""
        run = self.history.unfinished()
        if run is None:
            raise UserError("no run here is unfinished: start one")
        self._follow(Training.resume(run))

    def wait(self) -> None:
        """Wait until the training ends, while its curves grow. Raises its error.

        An interrupt ends the training as well.
        """
        if self.training is None:
            return
        try:
            while self.training.is_on:
                self.training.wait(LOOK_EVERY)
                self._tell_news()
        except KeyboardInterrupt:
            self.stop()
            raise
        self.refresh()
        if self.training.failure is not None:
            raise self.training.failure

    def _follow(self, training: Training) -> None:
        """Show a training, from the kernel's event loop if there is one: widgets are not thread-safe."""
        self.training, self._error = training, ""
        self.history.add(training.run, training.config)
        self.refresh()
        try:
            self._task = asyncio.get_running_loop().create_task(self._look_on(training))
        except RuntimeError:
            self._task = None  # ``wait`` shows it

    async def _look_on(self, training: Training) -> None:
        while training.is_on:
            await asyncio.sleep(LOOK_EVERY)
            self._tell_news()
        self.refresh()

    def _tell_news(self) -> None:
        """Redraw after each epoch; in between move only the bar."""
        (self._tell if self._drawn_runs == self._stands() else self.refresh)()

    def _tell(self) -> None:
        training, on = self.training, Training.latest is not None and Training.latest.is_on
        for name, ready in {"Start": not on and self.result.config is not None, "Stop": on, "Resume": not on}.items():
            self._buttons[name].disabled = not ready
        self._buttons["Resume"].disabled |= self.history.unfinished() is None
        text = self._error or (training.status if training is not None else "")
        self._status.value = f"<span aria-live='polite'>{escape(text)}</span>"
        if training is not None:
            self._bar.value = training.done / max(training.total, 1)

    def _press(self, work: Callable[[], None]) -> None:
        try:
            self._error = ""
            work()
        except UserError as error:
            self._error = str(error)
            self._tell()

    def _shown(self) -> dict[str, Run]:
        """The drawn runs by label, the newest last."""
        data = self.training.config.data.data if self.training else self.values["data"]
        return self.history.newest(data, 1 + self.values["beside"])

    def _stands(self) -> Hashable:
        """What the curves depend on."""
        return tuple((label, len(log_of(run))) for label, run in self._shown().items())

    def _layout(self) -> tuple[ipywidgets.Widget, ipywidgets.Widget]:
        """The most important settings; and all others, folded by section."""
        method = ipywidgets.Box([self.controls[name] for name in ("framework", *MIXINGS)], layout=WRAP)
        first = ipywidgets.Box([self.controls[name] for name in (*SHOWN, "beside")], layout=WRAP)
        sections: dict[str, list[Control]] = {}
        for name, flag in FLAGS.items():
            if self.controls[name] not in (*method.children, *first.children):
                sections.setdefault(called_of(flag.path[-2]), []).append(self.controls[name])
        boxes = [ipywidgets.Box(controls, layout=WRAP) for controls in sections.values()]
        folded = ipywidgets.Accordion(boxes, titles=tuple(sections))
        return ipywidgets.VBox([method, first]), ipywidgets.Accordion([folded], titles=("all other settings",))

    def _buttons_row(self) -> ipywidgets.Widget:
        row = ipywidgets.Box(list(self._buttons.values()), layout=WRAP)
        return ipywidgets.VBox([row, self._bar, self._status])
