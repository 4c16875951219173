"""The loop: one device per process, data and augmentation on it, every random choice from the seed.

Each step seeds its own generators from (seed, stream, step). So a resumed run equals an uninterrupted one bit for
bit, nothing that watches changes the training, and runs of one seed share initial weights, order and crops
whatever their mixing.
"""

import math
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm.auto import tqdm

from mixviz.augment import Augmentation, Shape, View, make_views
from mixviz.build import (
    TrainSets,
    build_method,
    fixed_generator,
    load_sets,
    seeded_generator,
)
from mixviz.config import OptimizerConfig, Origin, RunConfig, TrainConfig
from mixviz.data import Dataset, draw
from mixviz.data.checks import say
from mixviz.data.rows import Ahead, Rows, Stored, parts
from mixviz.distributed import World
from mixviz.domains import Domain, augmentation_of, domain_of, inputs_of
from mixviz.encoders import recompute_statistics
from mixviz.environment import memory_errors
from mixviz.errors import UserError
from mixviz.evaluate import extract, read_out_knn
from mixviz.faults import BATCH, Fault, faulty_gradient, faulty_weight, first_layer
from mixviz.loggers import Logger
from mixviz.method import Method, StepOutput
from mixviz.mixing import Mixing
from mixviz.model_zoo import published_weights
from mixviz.recorder import Recorder
from mixviz.runs import Run

Watch = Callable[[int, int], None]  # called after each step with the numbers of images so far and of the whole training
ViewMaker = Callable[[Tensor, Augmentation, Generator, tuple[str | None, ...]], list[View]]  # such as ``make_views``

ALONE = World()
CHECK_EVERY = 20  # steps between looks at the loss; each look waits for the device
MONITOR_BANK = 10_000  # training images that the kNN monitor compares with, at most


class NonFiniteLoss(UserError):
    """The loss became NaN or infinite; the last good checkpoint is kept."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """Training examples on the device, or too large for it, and the held-out part that the monitor queries with."""

    stored: Tensor | Ahead  # (N, ...), of images (N, H, W, 3) uint8
    domain: Domain
    shape: Shape  # of the encoder's inputs
    labels: Tensor | None  # (N,)
    fingerprint: str  # of the whole training split, to tell whether it was changed
    held_out: Dataset
    held_rows: Tensor  # where they are in the training split
    bank: Dataset

    def batches(self, settings: TrainConfig, epoch: int) -> Iterator[Tensor]:
        """Rows of the batches of an epoch, (n,) each; large data are gathered a batch ahead."""
        order = batches(len(self.stored), settings.batch_size, settings.seed, epoch)
        return self.stored.batches(order) if isinstance(self.stored, Ahead) else order


@memory_errors()
def train(
    config: RunConfig,
    name: str | None = None,
    images: Dataset | None = None,
    root: Path | None = None,
    progress: bool = True,
    watch: Watch | None = None,
    views: ViewMaker = make_views,
    mixings: Sequence[Mixing] | None = None,
    init: Run | Literal["published"] | None = None,
    loggers: Sequence[Logger] = (),
    world: World = ALONE,
) -> Run:
    """Train a new run, from its config to its last epoch.

    name: of its folder. images: the training split, instead of loading ``config.data``. root: the folder of runs.
    watch: called after each step; what it raises ends the training, and the checkpoint of the last epoch is kept.
    views: draws the views of a batch. mixings: used instead of the config's. init: a run or recording to start from,
    see ``load_initial``; published: those that torchvision or timm publish. loggers: are given each epoch's row once
    the epoch is saved. world: the processes that train it. Raises UserError on bad input before anything is written,
    and NonFiniteLoss.

    >>> run = train(RunConfig.of(data="digits", framework="n-pair", mixing=["imix"], epochs=1), progress=False)
    >>> run.name, len(run.metrics)
    ('digits-n-pair+imix-seed0', 1)
    """
    run, config = Run.check_new(config, name, root), world.divide(config)
    if images is None:
        with world.leader_first():
            images = load_sets(config.data, progress and world.leads).all_train
    method, data = set_up(config, images, mixings)
    state = None
    if init is not None:
        name_of_init = init.name if isinstance(init, Run) else init
        load_initial(method, _weights_of(init, config, data.shape), name_of_init)
        config = config.model_copy(update={"origin": Origin(init=name_of_init)})
        state = _state(method, sgd(method, config.optimizer), 0, data)
    world.wait()  # until all have checked that the run is new
    if world.leads:
        Run.create(config, name, root)
    world.wait()
    with _locked(run, world):
        if state is not None and world.leads:
            run.save_checkpoint(state)  # for resuming, whatever happens to the other run
        return _fit(run, method, data, progress, watch, views, state, loggers, world)


def _weights_of(init: Run | Literal["published"], config: RunConfig, shape: Shape) -> dict[str, Tensor]:
    """Of an embedder. Raises UserError."""
    if isinstance(init, Run):
        return init.encoder(device="cpu").state_dict()
    return {f"backbone.{name}": value for name, value in published_weights(config.encoder.backbone, shape).items()}


def load_initial(method: Method, weights: Mapping[str, Tensor], name: str) -> None:
    """Start from the weights of another embedder: its backbone, and its heads if they have the same shapes.

    Statistics of the data, predictor and queue stay the method's own; a momentum encoder gets the same
    weights. name: of the other run. Raises UserError if the backbone is another one.
    """
    online = method.framework.online
    own = online.state_dict()

    def taken(*parts: str) -> dict[str, Tensor] | None:
        there, here = ({k: v for k, v in state.items() if k.startswith(parts)} for state in (weights, own))
        same = {k: v.shape for k, v in there.items()} == {k: v.shape for k, v in here.items()}
        return there if same else None

    if (backbone := taken("backbone.", "branches.")) is None:
        raise UserError(f"the weights of {name} are of another backbone or image size: train with the same ones")
    state = own | backbone | (taken("projectors.") or {})
    for embedder in (online, getattr(method.framework, "target", None)):
        if embedder is not None:
            embedder.load_state_dict(state)


@memory_errors()
def resume(
    run: Run,
    images: Dataset | None = None,
    progress: bool = True,
    watch: Watch | None = None,
    views: ViewMaker = make_views,
    mixings: Sequence[Mixing] | None = None,
    epochs: int | None = None,
    loggers: Sequence[Logger] = (),
    world: World = ALONE,
) -> Run:
    """Continue from the run's last epoch; equals training without a break, if views, mixings and epochs are the same.

    epochs: more than the run's. From the next one on, the schedule is that of a run with this number of epochs, as in
    timm and Hugging Face's Trainer: a cosine that has ended begins again at the height that it has there, since at the
    rate 0 nothing more would be learned. If the run was opened with another place of its data, that is written into its
    config.json. world: the processes that train it, however many did before.
    Raises UserError, also while another training holds the run, and NonFiniteLoss.
    """
    with _locked(run, world):
        config = world.divide(run.config_on())
        state = world.from_leader(run.rewind() if world.leads else None)
        if state is None and config.origin.init is not None:
            raise UserError(f"the run {run.name} was cut off before it had its initial weights: train it again")
        if images is None:
            with world.leader_first():
                images = run.find_sets(progress and world.leads).all_train
        method, data = set_up(config, images, mixings)
        run.check_data(data.fingerprint, state or {})
        if run.data is not None and world.leads:
            run.write_json("config.json", run.config.model_dump(mode="json"))
        if epochs is not None and world.leads:
            run.extend(epochs, state["epoch"] if state else 0)
        if state and world.leads and state["epoch"] < run.config.train.epochs:
            run.note_machine(state["epoch"])
        world.wait()
        return _fit(run, method, data, progress, watch, views, state, loggers, world)


def trained(
    config: RunConfig,
    name: str,
    root: Path,
    images: Dataset,
    views: ViewMaker = make_views,
    mixings: Sequence[Mixing] | None = None,
) -> Run:
    """The finished run of this config: reused, resumed, or trained from scratch. Arguments as for ``train``."""
    folder = root / name
    if (folder / "config.json").exists() and Run(folder).config == config:
        return resume(Run(folder, trusted=True), images, views=views, mixings=mixings)
    shutil.rmtree(folder, ignore_errors=True)
    return train(config, name, images, root, views=views, mixings=mixings)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Everything that the steps of a training need, on the run's device."""

    config: RunConfig
    method: Method
    optimizer: torch.optim.Optimizer
    data: TrainingData
    augmentation: Augmentation
    views: ViewMaker
    world: World = ALONE

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self.data.stored) // self.config.train.batch_size

    def epoch(self, epoch: int, bar: tqdm, watch: Watch | None = None) -> dict[str, float]:
        """One pass over the data, epochs counted from 0; its row of the log. Raises NonFiniteLoss."""
        settings, rate = self.config.train, 0.0
        sums: dict[str, Tensor | float] = defaultdict(float)
        counts: Counter[str] = Counter()
        self.method.train()
        for i, index in enumerate(self.data.batches(settings, epoch)):
            step = epoch * self.steps + i
            rate = learning_rate(self.config.optimizer, epoch + i / self.steps, settings.epochs)
            for name, value in self.step(epoch, step, index, rate).items():
                sums[name] = sums[name] + value
                counts[name] += 1
            if step % CHECK_EVERY == 0 or i == self.steps - 1:
                loss = float(sums["loss"]) / (i + 1)
                bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
                if not math.isfinite(loss):
                    raise _non_finite(epoch, i, rate)
            bar.update(len(index))
            if watch is not None:
                watch((step + 1) * len(index), settings.epochs * self.steps * len(index))
        return {"epoch": epoch + 1, "lr": rate, **{name: float(value) / counts[name] for name, value in sums.items()}}

    def step(self, epoch: int, step: int, index: Tensor, rate: float) -> dict[str, Tensor]:
        """One step on the images with these indices, (n,); the loss and the diagnostics, one number each."""
        output = self.forward(epoch, step, index)
        backward(self.optimizer, output.loss, self.world)
        descend(self.optimizer, rate)
        self.method.update(output)
        return {"loss": output.loss.detach(), **output.diagnostics}

    def forward(self, epoch: int, step: int, index: Tensor) -> StepOutput:
        """The loss of a step, which draws the same whenever it is computed."""
        seed, data = self.config.train.seed, self.data
        device = data.stored.device
        rows, index = index, index.to(device)
        stored = data.stored[rows if isinstance(data.stored, Ahead) else index]
        crops, mixing = (seeded_generator(device, seed, stream, step) for stream in ("crops", "mix"))
        views = self.views(data.domain.prepare(stored), self.augmentation, crops, self.method.shared)
        labels = None if data.labels is None else data.labels[index]  # for an oracle, and for diagnostics of the queue
        current = self.method.at_step(epoch, step, len(index))
        with self.world.encoding(self.method.framework):
            return current.training_step([view.inputs for view in views], mixing, labels)

    def fault(self, epoch: int) -> Fault | None:
        """Train an epoch again, from the state at its beginning, up to the first number that is not finite."""
        settings, method = self.config.train, self.method
        method.train()
        for i, index in enumerate(self.data.batches(settings, epoch)):
            step = epoch * self.steps + i
            output = self.forward(epoch, step, index)
            backward(self.optimizer, output.loss)
            gradient, place = faulty_gradient(method), ""
            if gradient or not output.loss.isfinite():
                layer = first_layer(method, partial(self.forward, epoch, step, index))
                finite = (
                    f"the gradient of {gradient}" if output.loss.isfinite() else "the loss, though no layer's output"
                )
                place = f"the output of {layer}" if layer else finite
            else:
                descend(self.optimizer, learning_rate(self.config.optimizer, epoch + i / self.steps, settings.epochs))
                method.update(output)
                if weight := faulty_weight(method):
                    place = f"the weights {weight}, after the step"
            if place:
                rows = index.to(self.data.stored.device)
                return Fault(epoch=epoch, step=i, place=place, rows=rows, stored=self.data.stored[rows])
        return None


def _fit(
    run: Run,
    method: Method,
    data: TrainingData,
    progress: bool,
    watch: Watch | None,
    views: ViewMaker,
    state: dict[str, Any] | None = None,
    loggers: Sequence[Logger] = (),
    world: World = ALONE,
) -> Run:
    """Train from a state, or from the beginning. The lock of the run must be held, by the leading process."""
    config = run.config
    optimizer = sgd(method, config.optimizer)
    if state:
        run.load_into(method, state["method"])
        optimizer.load_state_dict(state["optimizer"])
    start, epochs = state["epoch"] if state else 0, config.train.epochs
    augmentation = augmentation_of(config.augment, data.bank)
    loop = Loop(
        config=config,
        method=method,
        optimizer=optimizer,
        data=data,
        augmentation=world.share_augmentation(augmentation),
        views=views,
        world=world,
    )
    world.divide_norms(method.framework)
    initial = deepcopy(method.state_dict()) if state is None else None
    recorder = Recorder(run.path / "film.npz", config, data.held_out, data.held_rows, augmentation)
    if world.leads:
        recorder.rewind(start)
    if world.leads and start == 0:
        recorder.take(method, 0)
    per_epoch, progress = loop.steps * config.train.batch_size, progress and world.leads  # images
    shown = {"desc": run.name, "unit": f" {data.domain.examples}", "unit_scale": True, "mininterval": 0.5}
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(total=epochs * per_epoch, initial=start * per_epoch, disable=not progress, **shown)
        )
        for logger in loggers:
            stack.callback(logger.close)
        for epoch in range(start, epochs):
            began = time.perf_counter()
            try:
                row = loop.epoch(epoch, bar, watch)
                if faulty_weight(method):
                    raise _non_finite(epoch, loop.steps - 1, row["lr"])
            except NonFiniteLoss as error:
                bar.close()
                raise _explained(error, run, loop, epoch, initial) from error
            initial = None
            world.average_statistics(method.framework)
            if not world.leads:
                continue
            if config.train.clean_statistics and epoch + 1 == epochs:
                recompute_statistics(method.framework.online, clean_batches(data.stored, data.domain))
            seconds = time.perf_counter() - began
            row |= {"seconds": seconds, "images_per_second": per_epoch / seconds}
            if _is_due(epoch, config):
                row["knn_accuracy"] = knn_monitor(method, data)
            row["film_seconds"] = recorder.take(method, epoch + 1)
            run.log(row)
            every = config.train.keep_every
            keep = bool(every) and (epoch + 1) % every == 0
            run.save_checkpoint(_state(method, optimizer, epoch + 1, data), keep)  # last: it makes the epoch whole
            for logger in loggers:
                logger.log(epoch + 1, row)
    world.wait()
    return run


def _locked(run: Run, world: World) -> AbstractContextManager[None]:
    """The lock of the run, which the leading process holds."""
    return run.locked() if world.leads else nullcontext()


def set_up(config: RunConfig, images: Dataset, mixings: Sequence[Mixing] | None = None) -> tuple[Method, TrainingData]:
    """The untrained method and its data, on the run's device. mixings: instead of the config's. Raises UserError."""
    sets = TrainSets(data=config.data, all_train=images)
    if config.train.batch_size > len(sets.train):
        held = f", of which {len(sets.held_out)} are held out" if len(sets.held_out) else ""
        raise UserError(
            f"--batch-size {config.train.batch_size} is larger than the {len(sets.train)} training "
            f"{domain_of(images).examples} ({len(images)}{held}): "
            + (f"take {len(sets.train)} or fewer" if len(sets.train) > 1 else "add some, 2 at least")
        )
    if note := config.method.settings.too_long(config.train.batch_size, len(sets.train)):
        say(note)
    if config.method.oracle:
        images.targets("label")
    shape, normalise = inputs_of(sets.train)
    method = build_method(config, shape, normalise, mixings)
    device = method.framework.online.device
    labels = None if sets.train.labels is None else torch.as_tensor(sets.train.labels, device=device)
    bank = sets.train.select(np.sort(draw(sets.train.labels, len(sets.train), MONITOR_BANK)))
    return method, TrainingData(
        stored=_on(device, sets.train.stored),
        domain=domain_of(sets.train),
        shape=shape,
        labels=labels,
        fingerprint=images.fingerprint(),
        held_out=sets.held_out,
        held_rows=sets.held_rows,
        bank=bank,
    )


def _on(device: torch.device, stored: Stored) -> Tensor | Ahead:
    """Examples on the device or, of large data, those that half of a GPU's memory cannot hold, gathered when needed."""
    if isinstance(stored, Rows) and (device.type != "cuda" or 2 * stored.nbytes > torch.cuda.mem_get_info(device)[0]):
        return Ahead(stored, device)
    if not isinstance(stored, Rows):
        return torch.from_numpy(np.asarray(stored)).to(device)  # which ``select`` has copied already
    return torch.cat([torch.from_numpy(part).to(device) for part in parts(stored)])


def clean_batches(stored: Tensor | Ahead, domain: Domain, batch_size: int = 512) -> Iterator[Tensor]:
    """Up to 10,000 of the training examples, not augmented, in random order: (n, *shape) float each."""
    order = torch.randperm(len(stored), generator=fixed_generator())[:10_000].to(stored.device)
    for index in order.split(batch_size):
        if len(index) > 1:  # of one example there are no statistics
            yield domain.clean(stored[index])


def sgd(module: torch.nn.Module, config: OptimizerConfig) -> torch.optim.SGD:
    """SGD over all parameters with a gradient."""
    assert config.lr is not None  # the framework's default is filled in
    parameters = [p for p in module.parameters() if p.requires_grad]
    return torch.optim.SGD(
        parameters, lr=config.lr, momentum=config.sgd_momentum, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(config: OptimizerConfig, epoch: float, epochs: int) -> float:
    """The rate at a point of training; epoch counts from 0 and may be a fraction."""
    assert config.lr is not None  # the framework's default is filled in
    if epoch < config.warmup_epochs:
        return config.lr * epoch / config.warmup_epochs
    if config.schedule == "step":
        return config.lr * config.decay_factor ** sum(epoch >= drop for drop in config.decay_epochs)
    progress = (epoch - config.warmup_epochs) / max(epochs - config.warmup_epochs, 1e-9)
    return config.lr * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def batches(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Indices of the batches of an epoch, in the order of (seed, epoch); an incomplete batch is left out."""
    order = torch.randperm(n, generator=seeded_generator(torch.device("cpu"), seed, "order", epoch))
    yield from order[: n // batch_size * batch_size].view(-1, batch_size)


def optimize(optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step down the gradient of the loss at this learning rate."""
    backward(optimizer, loss)
    descend(optimizer, rate)


def backward(optimizer: torch.optim.Optimizer, loss: Tensor, world: World = ALONE) -> None:
    """The gradient of the loss, the mean over all processes."""
    optimizer.zero_grad()
    loss.backward()
    world.average(p.grad for group in optimizer.param_groups for p in group["params"])


def descend(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One step of the optimiser at this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()


def knn_monitor(method: Method, data: TrainingData) -> float:
    """Accuracy of weighted kNN on backbone features: held-out training images looked up among the others.

    NaN if there are no labels, or a single one, or nothing is held out. Leaves the method as it was.
    """
    if data.labels is None or not len(data.held_out) or len(data.labels.unique()) < 2:
        return math.nan
    embedder = method.framework.online.eval()
    bank, queries = extract(embedder, data.bank), extract(embedder, data.held_out)
    classes, labels = torch.as_tensor(data.bank.labels).unique(return_inverse=True)
    predicted, _ = read_out_knn(bank, labels, queries, seed=0)
    method.train()
    return float((classes[predicted] == torch.as_tensor(data.held_out.labels)).double().mean())


def _is_due(epoch: int, config: RunConfig) -> bool:
    every = config.train.knn_every
    return bool(every) and ((epoch + 1) % every == 0 or epoch + 1 == config.train.epochs)


def _state(method: Method, optimizer: torch.optim.Optimizer, epoch: int, data: TrainingData) -> dict[str, Any]:
    state = {"epoch": epoch, "shape": data.shape, "data": data.fingerprint}
    return state | {"method": method.state_dict(), "optimizer": optimizer.state_dict()}


def _explained(
    error: NonFiniteLoss, run: Run, loop: Loop, epoch: int, initial: dict[str, Tensor] | None
) -> NonFiniteLoss:
    """The error with the layer that it comes from, whose batch is written to the run folder.

    initial: the state of the method before its first epoch, if that is the epoch. Nothing of it is found out where
    several processes train.
    """
    if loop.world.size > 1:
        return error
    say(f"the loss is not finite: training epoch {epoch + 1} again to find the layer")
    state = {"method": initial, "optimizer": None} if initial else run.load_checkpoint()
    run.load_into(loop.method, state["method"])
    loop.optimizer.state.clear()
    if state["optimizer"]:
        loop.optimizer.load_state_dict(state["optimizer"])
    if (fault := loop.fault(epoch)) is None:
        return error
    fault.save(run.path)
    return NonFiniteLoss(f"{error}; first not finite, in step {fault.step + 1}: {fault.place}; its batch: {BATCH}")


def _non_finite(epoch: int, step: int, rate: float) -> NonFiniteLoss:
    kept = f"the checkpoint of epoch {epoch} is kept" if epoch else "there is no checkpoint yet"
    return NonFiniteLoss(
        f"the loss is not finite in epoch {epoch + 1}, step {step + 1}, at learning rate {rate:.3g}: "
        f"lower --lr, raise --temperature, or take --dtype float32; {kept}"
    )
