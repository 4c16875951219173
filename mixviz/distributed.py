"""Several processes train one run, and give what one process gives with the same batch.

    torchrun --nproc-per-node=4 -m mixviz train --data cifar10

Every process draws order, crops and mixing of the whole batch from the same seeds. The expensive part is shared: each
process augments its share of the batch, encodes its share of the queried and of the key views, and gathers the rest.
Everything after the encoder, including loss and queue, is computed from the whole batch in every process. So queues
stay equal, all negatives of the batch are used, and no framework or mixing needs to know about processes.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from mixviz.augment import Augmentation
from mixviz.augment.operation import Draw
from mixviz.config import RunConfig
from mixviz.encoders import SplitBatchNorm1d, SplitBatchNorm2d
from mixviz.errors import UserError, reason
from mixviz.frameworks import Framework

PATIENCE = timedelta(minutes=30)  # how long processes wait for one another
LAST_WORDS = 10  # seconds for which process 0 waits for the others to check for reported errors

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a training: the rank of this one, and what they do together.

    By default there is just this one, and every method returns its argument. The others raise UserError if a
    process has ended.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process holds the lock, writes the run's files and prints."""
        return self.rank == 0

    def share(self, n: int) -> slice:
        """Which of n inputs are for this process; the first ones get one more if n cannot be divided."""
        start, stop = (n // self.size * rank + min(rank, n % self.size) for rank in (self.rank, self.rank + 1))
        return slice(start, stop)

    def gather(self, part: Tensor, n: int) -> Tensor:
        """(n, ...): the shares of all processes, of which ``part`` is this one's; without gradient."""
        if self.size == 1:
            return part
        most = -(-n // self.size)
        padded = torch.cat([part, part.new_zeros(most - len(part), *part.shape[1:])]) if len(part) < most else part
        whole = part.new_empty(self.size * most, *part.shape[1:])
        with _together(self.size):
            dist.all_gather(list(whole.split(most)), padded.contiguous())
        if len(whole) == n:
            return whole
        shares = [World(rank, self.size).share(n) for rank in range(self.size)]
        parts = zip(whole.split(most), shares, strict=True)
        return torch.cat([padded[: share.stop - share.start] for padded, share in parts])

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Give each of the tensors its mean over all processes, in place; None is passed over."""
        found = [tensor for tensor in tensors if tensor is not None]
        if self.size == 1 or not found:
            return
        flat = torch.cat([tensor.flatten() for tensor in found])
        with _together(self.size):
            dist.all_reduce(flat)
        means = flat.div_(self.size).split([tensor.numel() for tensor in found])
        for tensor, mean in zip(found, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def from_leader(self, value: T) -> T:
        """The leading process's value, in all processes."""
        if self.size == 1:
            return value
        values = [value]
        with _together(self.size):
            dist.broadcast_object_list(values)
        return values[0]

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.average([torch.zeros(1)])

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The others enter after the leading process has left, and find what it has loaded in the cache."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def divide(self, config: RunConfig) -> RunConfig:
        """The config with ``bn_splits`` divided equally among the processes, at least one each.

        BatchNorm's statistics never cross processes: with S parts a process, a run is as in one process with S * size
        of them. Raises UserError if the batch cannot be divided, or all would share one GPU.
        """
        batch, encoder, device = config.train.batch_size, config.encoder, config.train.device
        assert encoder.bn_splits is not None  # the framework's default is filled in
        if batch % self.size:
            near = [size for size in (batch - batch % self.size, batch + self.size - batch % self.size) if size]
            raise UserError(
                f"--batch-size {batch} cannot be divided among {self.size} processes: "
                f"take {' or '.join(map(str, near))}"
            )
        if self.size > 1 and device.startswith("cuda:"):
            raise UserError(f"--device {device} is one GPU for {self.size} processes: leave it out, each takes its own")
        splits = -(-encoder.bn_splits // self.size) * self.size
        if splits == encoder.bn_splits:
            return config
        if batch < 2 * splits:
            raise UserError(
                f"--batch-size {batch} leaves fewer than 2 images for each of {splits} BatchNorm splits in "
                f"{self.size} processes: take {2 * splits} or more, or fewer processes"
            )
        return config.model_copy(update={"encoder": encoder.model_copy(update={"bn_splits": splits})})

    def divide_norms(self, framework: Framework) -> None:
        """Let each process compute its own parts of split BatchNorm; to be called once, before training."""
        for encoder in _encoders(framework):
            for layer in encoder.modules():
                if isinstance(layer, SplitBatchNorm1d | SplitBatchNorm2d):
                    layer.splits = max(1, layer.splits // self.size)

    def average_statistics(self, framework: Framework) -> None:
        """BatchNorm's running statistics become their means over processes; training does not read them."""
        self.average(buffer for name, buffer in framework.named_buffers() if ".running_" in name)

    def share_augmentation(self, augmentation: Augmentation) -> Augmentation:
        """An augmentation that changes this process's share of the inputs and gathers the others."""
        if self.size == 1 or any(operation.mixes_inputs for operation in augmentation.operations):
            return augmentation
        return _SharedAugmentation(augmentation.operations, augmentation.steps, self)

    @contextmanager
    def encoding(self, framework: Framework) -> Iterator[None]:
        """Within it, each encoder takes the whole batch, encodes this process's share and gives all embeddings."""
        encoders = _encoders(framework) if self.size > 1 else []
        for encoder in encoders:
            encoder.forward = partial(self._encode, encoder.forward)
        try:
            yield
        finally:
            for encoder in encoders:
                del encoder.forward  # uncovers the method of the class

    def _encode(self, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        n = len(inputs)
        return _Gathered.apply(forward(inputs[self.share(n)]), n, self)


class _Gathered(Function):
    """``World.gather`` with the gradient of this process's share.

    Every process has the same loss of all embeddings, so its gradient is complete without communication; times the
    number of processes, since gradients of weights are averaged over them.
    """

    @staticmethod
    def forward(ctx: Any, part: Tensor, n: int, world: World) -> Tensor:
        ctx.n, ctx.world = n, world
        return world.gather(part, n)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.world.share(ctx.n)] * ctx.world.size, None, None


@dataclass(frozen=True)
class _SharedAugmentation(Augmentation):
    world: World = World()

    def apply(self, inputs: Tensor, parameters: Draw, in_place: bool = False) -> Tensor:
        own = self.world.share(len(inputs))
        part = super().apply(inputs[own], {name: drawn[own] for name, drawn in parameters.items()}, in_place)
        return self.world.gather(part, len(inputs))


def _encoders(framework: Framework) -> list[nn.Module]:
    """The online encoder and, if there is one, the momentum encoder."""
    return [child for name, child in framework.named_children() if name in ("online", "target")]


@contextmanager
def _together(size: int) -> Iterator[None]:
    """Around what needs all processes. Raises UserError if one of them is gone."""
    try:
        yield
    except RuntimeError as error:  # a closed connection, or a timeout
        why = re.sub(r"^\[\S*\] ", "", reason(error)).partition(". ")[0]  # without the line number in gloo's source
        raise UserError(
            f"another of the {size} processes has ended ({why}); to continue a run from its last epoch, use "
            "train --resume"
        ) from error


@contextmanager
def joined() -> Iterator[World]:
    """The processes that torchrun started, or srun with MASTER_ADDR and MASTER_PORT set; else just this one.

    If one of them fails, all do, and the first one reports the error. Each has its own GPU. Raises UserError.
    """
    place = _place(os.environ)
    if place is None:
        yield World()
        return
    signal.signal(signal.SIGTERM, _interrupt)  # what torchrun sends if another process has ended
    store, failed = None, True
    try:
        store = _connect(place)
        yield World(place["RANK"], place["WORLD_SIZE"])
        failed = False
    except (Exception, KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if store is not None and not _is_first(store, place):
            raise SystemExit(2) from None
        raise
    finally:
        if not failed:
            dist.destroy_process_group()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _place(environment: Mapping[str, str]) -> dict[str, int] | None:
    """RANK, WORLD_SIZE and LOCAL_RANK; None if there is only one process. Raises UserError."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    slurm = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
    if not {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return None
    given = names if "RANK" in environment else slurm
    if not set(given[:2]) <= environment.keys():
        return None
    try:
        place = {name: int(environment.get(key, 0)) for name, key in zip(names, given, strict=True)}
    except ValueError as error:
        raise UserError(f"{', '.join(given)} do not all hold whole numbers: start by torchrun") from error
    if not 0 <= place["RANK"] < place["WORLD_SIZE"]:
        raise UserError(f"{given[0]} {place['RANK']} is not below {given[1]} {place['WORLD_SIZE']}: start by torchrun")
    return place if place["WORLD_SIZE"] > 1 else None


def _connect(place: Mapping[str, int]) -> Store:
    """Meet the other processes; their common store. Raises UserError."""
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(place["LOCAL_RANK"] % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    rank, size = place["RANK"], place["WORLD_SIZE"]
    try:
        store, _, _ = next(iter(rendezvous("env://", rank, size, timeout=PATIENCE)))
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(f"cannot meet the other {size - 1} processes at {where} ({reason(error)})") from error
    return store


def _is_first(store: Store, place: Mapping[str, int]) -> bool:
    """Whether no other process has failed before. The store is torchrun's, or else it ends with process 0."""
    with suppress(RuntimeError):
        first = store.add("mixviz/failed", 1) == 1
        if place["RANK"] == 0 and "TORCHELASTIC_USE_AGENT_STORE" not in os.environ:
            end = time.monotonic() + LAST_WORDS
            while store.add("mixviz/failed", 0) < place["WORLD_SIZE"] and time.monotonic() < end:
                time.sleep(0.1)
        return first
    return place["RANK"] == 1
