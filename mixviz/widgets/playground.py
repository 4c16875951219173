"""A toy world to train on live: images of eight numbers, and an encoder onto circle or sphere."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from mixviz.analysis.geometry import alignment, effective_rank, uniformity
from mixviz.analysis.neighbours import nearest, purity
from mixviz.build import seeded
from mixviz.encoders import Embedder, Head, SpaceWise
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS, Framework, FrameworkSettings
from mixviz.method import Method
from mixviz.mixing import MIXINGS, Mixing
from mixviz.terms import replace_known
from mixviz.widgets.fields import has

CLASSES = 6  # the corners of an octahedron
CONTENT, STYLE = 3, 5  # numbers for the content of an image, and numbers that every view redraws
IMAGES, PROBES, BATCH, NEIGHBOURS = 1200, 240, 64, 10
WIDTH = 64
LONGEST_HISTORY = 200
MIXABLE = {name: kind for name, kind in MIXINGS.items() if kind.slot != "views"}  # those need augmentations
OF_FRAMEWORKS = {"temperature": "temperature", "momentum": "momentum", "queue": "queue_length"}  # setting here -> there
OF_MIXINGS = {"hardest": "hardest", "pairs": "pairs", "towards": "towards_query"}
REBUILT = ("framework", "queue", "predictor")  # settings that are built into a framework


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be changed during training; ``dim`` and ``seed`` restart it."""

    framework: str = "n-pair"
    mixing: str = "none"
    dim: int = 3  # 2: the circle, 3: the sphere
    temperature: float = 0.2
    rate: float = 0.005  # Adam's learning rate
    momentum: float = 0.9  # of the key encoder, if there is one
    predictor: bool = True  # of a framework that has one; without it the query itself is compared
    queue: int = 64
    hardest: int = 16
    pairs: int = 16
    towards: int = 0
    seed: int = 0

    @property
    def title(self) -> str:
        """All relevant settings in one line."""
        name = self.framework if self.mixing == "none" else f"{self.framework} + {self.mixing}"
        counts = [getattr(self, count) for count, field in OF_MIXINGS.items() if has(MIXINGS.get(self.mixing), field)]
        if counts:
            name += f" ({', '.join(map(str, counts))})"
        kind = FRAMEWORKS[self.framework]
        if kind.predicts and not self.predictor:
            name += " without predictor"
        values = {"temperature": f"τ {self.temperature:.2f}", "momentum": f"momentum {self.momentum:g}"}
        values |= {"queue_length": f"K {self.queue}"}
        parts = [name, *(value for field, value in values.items() if has(kind, field))]
        return ", ".join([*parts, f"learning rate {self.rate:g}", f"seed {self.seed}"])


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measures of the probes after a number of steps."""

    step: int
    loss: float  # mean of the last steps; NaN before the first
    alignment: float  # of two views, in [0, 4]; lower is better
    uniformity: float  # in [-8, 0]; lower is better
    effective_rank: float  # in [1, D]
    purity: float  # share of the nearest probes that have a probe's class, in [0, 1]; 1/6 by chance


@dataclass(frozen=True, eq=False)
class World:
    """Images and their classes. A view keeps the content, with a little noise, and redraws the style."""

    images: Tensor  # (N, 8): content first, then style
    labels: Tensor  # (N,)

    @classmethod
    def draw(cls, n: int, seed: int) -> "World":
        """n images, equally many of each class: a corner of the octahedron with some scatter."""
        generator = Generator().manual_seed(seed)
        labels = torch.arange(n) % CLASSES
        corners = torch.cat([torch.eye(CONTENT), -torch.eye(CONTENT)])
        content = corners[labels] + 0.2 * normal(n, CONTENT, generator)
        return cls(torch.cat([content, normal(n, STYLE, generator)], dim=1), labels)

    def views(self, rows: Tensor, generator: Generator) -> list[Tensor]:
        """A query view and a key view of these images, (n, 8) each."""

        def view() -> Tensor:
            noise = 0.15 * normal(len(rows), CONTENT, generator)
            return torch.cat([self.images[rows, :CONTENT] + noise, normal(len(rows), STYLE, generator)], dim=1)

        return [view(), view()]


def normal(n: int, size: int, generator: Generator) -> Tensor:
    """(n, size) standard normal numbers in float64, which are the same on every machine."""
    return torch.randn(n, size, generator=generator, dtype=torch.float64)


class SmallEmbedder(Embedder):
    """Three layers, (n, 8) -> (n, 1, D), for any framework."""

    def __init__(self, dim: int):
        sizes = [(CONTENT + STYLE, WIDTH), (WIDTH, WIDTH)]
        hidden = [nn.Sequential(nn.Linear(*size), nn.BatchNorm1d(size[1]), nn.ReLU()) for size in sizes]
        super().__init__(nn.Identity(), nn.Sequential(*hidden), [Head("linear", WIDTH, WIDTH, dim)])


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """The state shown after a number of steps."""

    points: Tensor  # (P, D) unit vectors of the probes
    labels: Tensor  # (P,)
    now: Measure
    history: tuple[Measure, ...]  # from before training until now


class Playground:
    """Training that can be changed while it runs, and shown after any step.

    It computes in float64, so that results are the same on every machine.
    """

    def __init__(self, settings: Settings):
        self.train, self.probes = World.draw(IMAGES, 1), World.draw(PROBES, 2)
        self.pairs = self.probes.views(torch.arange(PROBES), Generator().manual_seed(3))
        self.generator = Generator().manual_seed(settings.seed)
        with seeded(settings.seed):
            self.embedder = SmallEmbedder(settings.dim).double()
        self.settings, self.method, self.optimizer = settings, *self._build(settings)
        self.step, self.losses = 0, [float("nan")]  # since the last measure of the history
        self.every = 4  # steps from measure to measure
        self.history: list[Measure] = []
        self.history.append(self.frame().now)

    def change(self, settings: Settings) -> None:
        """Continue with other settings; a new framework or queue starts from the current embedder.

        Raises UserError, and IncompatibleMixing, if they do not fit; then nothing changes.
        """
        if any(getattr(settings, name) != getattr(self.settings, name) for name in REBUILT):
            method, optimizer = self._build(settings)
        else:
            method, optimizer = Method(self.method.framework, *mixings(settings)), self.optimizer
        method.framework.settings = framework_settings(settings)
        optimizer.param_groups[0]["lr"] = settings.rate
        self.settings, self.method, self.optimizer = settings, method, optimizer

    def run(self, steps: int) -> None:
        """Train. Raises UserError if the loss is not finite any more, or a mixing needs too many negatives."""
        self.method.train()
        for _ in range(steps):
            rows = torch.randint(IMAGES, (BATCH,), generator=self.generator)
            output = self.method.training_step(self.train.views(rows, self.generator), self.generator)
            if not output.loss.isfinite():
                raise UserError("the loss is not finite any more: lower the learning rate, then reset")
            self.optimizer.zero_grad()
            output.loss.backward()
            self.optimizer.step()
            self.method.update(output)
            self.losses = [*(self.losses if self.step % self.every else ()), output.loss.item()]
            self.step += 1
            if self.step % self.every == 0:
                self._remember()

    def frame(self) -> Frame:
        """The current probes, and the measures so far."""
        points, first, second = self._embed(self.probes.images, *self.pairs)
        now = Measure(
            step=self.step,
            loss=sum(self.losses) / len(self.losses),
            alignment=float(alignment(first, second).mean()),
            uniformity=uniformity(points),
            effective_rank=effective_rank(points),
            purity=float(purity(nearest(points, NEIGHBOURS).index, self.probes.labels).mean()),
        )
        past = [measure for measure in self.history if measure.step < self.step]
        return Frame(points=points, labels=self.probes.labels, now=now, history=(*past, now))

    def _remember(self) -> None:
        self.history.append(self.frame().now)
        if len(self.history) > LONGEST_HISTORY:  # every second measure suffices
            self.history, self.every = self.history[::2], 2 * self.every

    @torch.no_grad()
    def _embed(self, *batches: Tensor) -> list[Tensor]:
        """(n, D) unit vectors of each batch, in evaluation mode."""
        self.embedder.eval()
        embedded = F.normalize(self.embedder(torch.cat(batches))[:, 0], dim=1)
        self.embedder.train()
        return list(embedded.split([len(batch) for batch in batches]))

    def _build(self, settings: Settings) -> tuple[Method, torch.optim.Optimizer]:
        """A framework around the current embedder; momentum encoder, predictor and queue are new."""
        with seeded(settings.seed + 1):
            method = Method(framework_of(settings, self.embedder), *mixings(settings)).double()
        trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
        return method, torch.optim.Adam(trained, settings.rate)


def framework_of(settings: Settings, embedder: Embedder) -> Framework:
    """The framework that the settings name, around an embedder."""
    kind, predictor = FRAMEWORKS[settings.framework], None
    if kind.predicts and settings.predictor:
        predictor = SpaceWise([Head("mlpbn1", settings.dim, 32, settings.dim)])
    return kind(embedder, framework_settings(settings), predictor)


def framework_settings(settings: Settings) -> FrameworkSettings:
    """Those of the framework that the settings name."""
    own = {field: getattr(settings, name) for name, field in OF_FRAMEWORKS.items()}
    return replace_known(FRAMEWORKS[settings.framework].Settings(), **own)


def mixings(settings: Settings) -> list[Mixing]:
    """The mixing that the settings name, or none; its own temperature is the framework's."""
    if settings.mixing == "none":
        return []
    own = {field: getattr(settings, name) for name, field in OF_MIXINGS.items()}
    return [replace_known(MIXINGS[settings.mixing](), temperature=settings.temperature, **own)]
