"""How contrastive learning arranges points: a small encoder trained live on the circle or the sphere."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self
from weakref import WeakSet

import ipywidgets
import numpy as np
import traitlets
from matplotlib.figure import Figure

from mixviz.analysis.geometry import even_uniformity
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.plots.projection import CLASS_COLOURS
from mixviz.plots.sphere import plot_progress, plot_sphere, stacked
from mixviz.widgets.base import Drive
from mixviz.widgets.canvas import Canvas, CanvasWidget, packed
from mixviz.widgets.controls import choice, slider, steps, toggle
from mixviz.widgets.fields import idle_controls, only_for
from mixviz.widgets.playground import (
    MIXABLE,
    NEIGHBOURS,
    OF_FRAMEWORKS,
    OF_MIXINGS,
    Frame,
    Playground,
    Settings,
)
from mixviz.widgets.screen import script
from mixviz.widgets.still import SWITCH
from mixviz.widgets.ticker import Ticker

INTERVAL = 0.04  # seconds from frame to frame while it plays
PACE = 4  # steps a frame
AHEAD = 3  # most frames on their way to the page
PATIENCE = 5.0  # seconds after which it pauses if no page draws its frames
CAPTIONED = 10  # frames between updates of the caption
STILL = {"drive": 16, "page": 100}  # steps from the start at each stop
COUNTS = [0, 8, 16, 32, 64, 128]
COLLAPSED = -0.1  # uniformity above which all points are nearly the same
CURVES = {  # measure -> name, and the smallest range of its axis
    "loss": ("loss", None, None),
    "alignment": ("alignment (lower is better)", 0.0, 0.6),
    "uniformity": ("uniformity (lower is better)", None, 0.0),
}


class SphereCanvas(Canvas):
    """Points on the circle or the sphere, and curves."""

    _esm = script("sphere.js")
    title = traitlets.Unicode().tag(sync=True)
    dim = traitlets.Int(3).tag(sync=True)
    points = traitlets.Bytes().tag(sync=True)  # (P, 3); on the circle the third is 0
    labels = traitlets.Bytes().tag(sync=True)  # (P,)
    inks = traitlets.List(list(CLASS_COLOURS)).tag(sync=True)  # of the classes
    history = traitlets.Bytes().tag(sync=True)  # (1 + curves, measures), the steps first
    curves = traitlets.List().tag(sync=True)  # name, low, high, best of each
    frame = traitlets.Int().tag(sync=True)  # increases while it plays
    drawn = traitlets.Int().tag(sync=True)  # the last frame that a page drew


class SphereLab(CanvasWidget):
    """Play, and move the controls while it trains: points move, alignment and uniformity follow.

    Images are eight numbers, three of content in six classes and five of style, which every view redraws. A small
    network is trained on them by the project's own frameworks and mixings. ``run(steps)`` trains without a page.
    """

    canvas = SphereCanvas
    picture_widget: SphereCanvas
    size = (8.0, 4.6)
    _made: ClassVar[WeakSet["SphereLab"]] = WeakSet()

    def __init__(self, **values: Any):
        for other in SphereLab._made:  # the cell was run before
            other.pause()
        start = Settings()
        controls = {
            "framework": choice("framework", list(FRAMEWORKS), start.framework, "what a query is compared with"),
            "mixing": choice("mixing", ["none", *MIXABLE], start.mixing, "what is mixed"),
            "dim": choice("trained on", {"the circle": 2, "the sphere": 3}, start.dim, "restarts training"),
            "temperature": slider("temperature τ", 0.02, 1.0, start.temperature, 0.02, "small values are sharp"),
            "rate": steps("learning rate", [0.001, 0.002, 0.005, 0.01, 0.02], start.rate, "of Adam"),
            "momentum": steps("momentum", [0.0, 0.5, 0.9, 0.99, 0.999], start.momentum, "of the key encoder"),
            "queue": steps("queue length K", [64, 128, 256, 512, 1024], start.queue, "MoCo's stored keys"),
            "predictor": toggle("BYOL's predictor", start.predictor, "between the query and the comparison"),
            "hardest": steps("MoCHi's N", [2, 4, 8, 16, 32], start.hardest, "how many of the hardest are mixed"),
            "pairs": steps("MoCHi's s", COUNTS, start.pairs, "mixtures of two hard negatives"),
            "towards": steps("MoCHi's s′", COUNTS, start.towards, "mixtures of the query and a hard negative"),
            "seed": slider("seed", 0, 9, start.seed, 1, "of weights and batches; restarts training"),
        }
        self.playground = Playground(start)
        self.ticker = Ticker(self._tick, INTERVAL)
        self._from_start = 0  # steps that every analysis trains from the start; 0: it continues from the current state
        self._frames, self._drew_at = 0, 0.0  # frames played, and when a page drew its last one
        self._failure = ""
        super().__init__(controls, values)
        self.play = ipywidgets.ToggleButton(description="play", tooltip="train, until pressed again")
        self.once = ipywidgets.Button(description="10 steps", tooltip="train ten steps")
        self.again = ipywidgets.Button(description="reset", tooltip="restart with this seed")
        self.play.observe(self._played, "value")
        self.once.on_click(lambda _: self._train(10))
        self.again.on_click(lambda _: self.reset())
        self.picture_widget.observe(self._drew, "drawn")
        self.box.children = (ipywidgets.HBox([self.play, self.once, self.again]), *self.box.children)
        SphereLab._made.add(self)

    def compute(self, **values: Any) -> Frame:
        if self._failure:
            raise UserError(self._failure)
        settings, now = Settings(**values), self.playground.settings
        if self._from_start or (settings.dim, settings.seed) != (now.dim, now.seed):
            self.playground = Playground(settings)
            self.playground.run(self._from_start)
        else:
            self.playground.change(settings)
        return self.playground.frame()

    def unused(self, framework: str, mixing: str, **_: Any) -> Mapping[str, str]:
        kind = FRAMEWORKS[framework]
        reasons = idle_controls(kind, FRAMEWORKS.values(), OF_FRAMEWORKS)
        if not kind.predicts:
            reasons["predictor"] = only_for(kind for kind in FRAMEWORKS.values() if kind.predicts)
        return reasons | idle_controls(MIXABLE.get(mixing), MIXABLE.values(), OF_MIXINGS)

    def run(self, steps: int = 100) -> Self:
        """Train this number of steps, and show the result. Raises UserError."""
        self.pause()
        self.playground.run(steps)
        self.refresh()
        return self

    def reset(self) -> Self:
        """Back to before training, with the weights of this seed."""
        self.playground = Playground(Settings(**self.values))
        self.refresh()
        return self

    def pause(self) -> None:
        """Stop playing."""
        self.play.value = False

    def close(self) -> None:
        """Stop playing, and remove the widget from the page."""
        self.pause()
        for part in (*self.controls.values(), self.play, self.once, self.again, self.picture_widget, self.box):
            part.close()

    def numbers(self) -> dict[str, Any]:
        now = self.result.now
        return {
            "step": now.step,
            "loss": now.loss,
            "alignment": now.alignment,
            "uniformity": now.uniformity,
            "effective rank": now.effective_rank,
            "purity": now.purity,
        }

    def scene(self) -> Mapping[str, Any]:
        points, labels = self.result.points.numpy(), self.result.labels.numpy()
        dim = points.shape[1]
        if dim == 2:
            points = np.pad(points * stacked(points, labels)[:, None], ((0, 0), (0, 1)))
        history = [[getattr(measure, name) for measure in self.result.history] for name in ("step", *CURVES)]
        named = zip(CURVES, CURVES.values(), strict=True)
        curves = [
            {"name": name, "low": low, "high": high, "best": self._best(measure)}
            for measure, (name, low, high) in named
        ]
        traits = {"points": packed(points), "labels": packed(labels), "history": packed(np.array(history, float))}
        about = {"title": self.playground.settings.title, "dim": dim, "curves": curves}
        return {**about, **traits, "frame": self._frames}

    def draw(self, figure: Figure) -> None:
        figure.suptitle(self.playground.settings.title, x=0.01, ha="left", fontsize=10)
        grid = figure.add_gridspec(3, 2, width_ratios=(1.45, 1))
        plot_sphere(figure.add_subplot(grid[:, 0]), self.result.points.numpy(), self.result.labels.numpy())
        past = [measure.step for measure in self.result.history]
        for row, (measure, (name, *_)) in enumerate(CURVES.items()):
            values = [getattr(one, measure) for one in self.result.history]
            ax = plot_progress(figure.add_subplot(grid[row, 1]), past, values, name, self._best(measure))
            ax.tick_params(labelbottom=row == len(CURVES) - 1)
        ax.set_xlabel("step", fontsize=9)

    def caption(self) -> str:
        now, dim = self.result.now, self.result.points.shape[1]
        where, when = {2: "circle", 3: "sphere"}[dim], "Around step" if self.ticker.is_on else "At step"
        said = (
            f"{when} {now.step} on the {where}: alignment {now.alignment:.2f}, uniformity {now.uniformity:.2f} "
            f"(points that are spread evenly have {even_uniformity(dim):.2f}). Of an image's {NEIGHBOURS} nearest "
            f"neighbours {now.purity:.0%} are of its class."
        )
        return f"{said} All points are nearly the same: a collapse." if now.uniformity > COLLAPSED else said

    def drive(self) -> Drive:
        """At each stop it is trained a few steps from the start. Afterwards its state is restored."""
        with self._rehearsed(STILL["drive"]):
            return super().drive()

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        if not os.environ.get(SWITCH):
            return super()._repr_mimebundle_(**more)
        with self._rehearsed(STILL["page"]):
            return super()._repr_mimebundle_(**more)

    def _best(self, measure: str) -> float | None:
        return even_uniformity(self.result.points.shape[1]) if measure == "uniformity" else None

    @contextmanager
    def _rehearsed(self, steps: int) -> Iterator[None]:
        """The result depends only on the controls: it is trained this number of steps from the start."""
        self.pause()
        kept, self._from_start = self.playground, steps
        self.refresh()
        try:
            yield
        finally:
            self.playground, self._from_start = kept, 0
            self.refresh()

    def _played(self, change: Mapping[str, Any]) -> None:
        self.play.description = "pause" if change["new"] else "play"
        if not change["new"]:
            self.ticker.stop()
            self.refresh()
            return
        for other in SphereLab._made - {self}:
            other.pause()
        self._drew_at = time.monotonic()
        try:
            self.ticker.start()
        except UserError as error:
            self._tell(error)

    def _drew(self, _: Mapping[str, Any]) -> None:
        self._drew_at = time.monotonic()

    def _tick(self) -> None:
        """One frame of playing."""
        if self._frames - self.picture_widget.drawn >= AHEAD:  # the page is slow, hidden or gone
            if time.monotonic() - self._drew_at > PATIENCE:
                self.pause()
        elif self.problem:
            self.pause()
        else:
            self._frames += 1
            self._train(PACE)

    def _train(self, steps: int) -> None:
        """Train where no caller catches errors: show them."""
        try:
            self.playground.run(steps)
        except Exception as error:
            self._tell(error)
            return
        if self.ticker.is_on and self._frames % CAPTIONED:
            self.result = self.playground.frame()
            self._show()
        else:
            self.refresh()

    def _tell(self, error: Exception) -> None:
        """Stop, and show the reason instead of the picture; the next move of a control clears it."""
        self.pause()
        said = str(error).partition("\n")[0]
        self._failure = said if isinstance(error, UserError) else f"training stopped, {type(error).__name__}: {said}"
        self.refresh()
        self._failure = ""
