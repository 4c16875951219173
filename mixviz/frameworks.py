"""The frameworks: how views are embedded, what a query is compared with, what the loss is.

A framework knows nothing of mixings; a mixing knows nothing of frameworks. The four leaves are never subclassed.
Queue and momentum encoder change in ``update`` alone, after the optimiser step.
"""

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mixviz.errors import UserError
from mixviz.losses import cosine_regression, info_nce
from mixviz.terms import Candidates, Term


class Framework(nn.Module):
    """What every framework shares: an online embedder, inputs (n, ...) -> (n, H, D), and a temperature.

    embedder:    has ``spaces`` (H), ``dim`` (D) and ``bn_splits``; see mixviz.encoders.Embedder.
    temperature: > 0.
    symmetric:   query both views in turn, not only the first.
    """

    name: ClassVar[str]
    has_negatives: ClassVar[bool] = True
    queue_length: ClassVar[int] = 0  # K, of a framework with a queue

    def __init__(self, embedder: nn.Module, temperature: float, symmetric: bool):
        super().__init__()
        self.online, self.temperature, self.symmetric = embedder, temperature, symmetric

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Unit embeddings of the queries and of the key views, each (n, H, D); here both from the online encoder."""
        embeddings = embed_once(self.online, [*queries, *views])
        return embeddings[: len(queries)], embeddings[len(queries) :]

    def pool(self, keys: Tensor, targets: Tensor, space: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Negatives that a mixing may draw on, (P, D), and which of them each query may use, (n, P) bool or None: all.

        keys: (N, J, D) of this space; targets: (n, N) over the batch; labels: (N,) for a class oracle, or None.
        Here: the key view of this space, of the images that the query is not made of.
        """
        allowed = targets == 0
        if labels is not None:
            allowed = allowed & ~same_class(targets, labels, labels)
        return keys[:, space], allowed

    def pool_labels(self, labels: Tensor) -> Tensor:
        """Classes of ``pool``, (P,), where labels (N,) are those of the batch; -1 where unknown."""
        return labels

    def candidates(self, term: Term) -> Candidates:
        """The columns that the term's queries are compared with, and the targets over them."""
        raise NotImplementedError

    def loss(self, candidates: Candidates) -> Tensor:
        """(n,), one value a query; here InfoNCE with soft targets."""
        return info_nce(candidates.similarities, candidates.targets, candidates.temperature)

    def diagnose(self, term: Term) -> dict[str, Tensor]:
        """Further columns of the log: name -> scalar, detached."""
        return {}

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        """After the optimiser step, with this step's keys, (n, H, D), and their classes, (n,), where known."""

    def _temperature(self, term: Term) -> float:
        return self.temperature if term.query.temperature is None else term.query.temperature

    def _in_batch(self, term: Term) -> Tensor:
        """(n, N * J) similarities to all keys of the batch, those of the query's own class left out by an oracle."""
        similarities = term.q @ term.keys.flatten(0, 1).T
        if term.labels is None:
            return similarities
        dropped = same_class(term.query.targets, term.labels, term.labels) & (term.query.targets == 0)
        return similarities.masked_fill(dropped.repeat_interleave(term.keys.shape[1], dim=1), -torch.inf)


class NPair(Framework):
    """Sohn 2016, "Improved deep metric learning with multi-class N-pair loss", as i-Mix uses it.

    A query's negatives are the other images' keys; both sides carry gradient.
    """

    name = "n-pair"

    def __init__(self, embedder: nn.Module, temperature: float = 0.2, symmetric: bool = False):
        super().__init__(embedder, temperature, symmetric)

    def candidates(self, term: Term) -> Candidates:
        negatives = {"synthetic": similarity(term.q, term.synthetic)}
        return Candidates(self._in_batch(term), term.targets, self._temperature(term), negatives)


class SimCLR(Framework):
    """Chen et al. 2020, arXiv:2002.05709: a query's negatives are both views of the other images.

    A blend is compared with the other view only, as in MixCo's SimCLR variant.
    """

    name = "simclr"

    def __init__(self, embedder: nn.Module, temperature: float = 0.5, symmetric: bool = True):
        super().__init__(embedder, temperature, symmetric)

    def candidates(self, term: Term) -> Candidates:
        negatives = {"synthetic": similarity(term.q, term.synthetic)}
        if not term.query.mixed:  # then the queries are the own view's keys
            left_out = torch.eye(len(term.q), dtype=torch.bool, device=term.q.device)
            if term.labels is not None:
                left_out = left_out | same_class(term.query.targets, term.labels, term.labels)
            own_view = (term.q @ term.q.T).masked_fill(left_out, -torch.inf)
            negatives = {"own view": own_view, **negatives}
        return Candidates(self._in_batch(term), term.targets, self._temperature(term), negatives)


class MoCoV2(Framework):
    """He et al. 2020, arXiv:1911.05722, and Chen et al. 2020, arXiv:2003.04297.

    Keys come from a momentum encoder, without gradient. A clean query meets its own key and the queue; a blend,
    whose positives are several images, meets the keys of the whole batch and the queue (i-Mix, arXiv:2010.08887).
    With split BatchNorm, queries and keys are dealt to the splits in different order, so that the statistics
    do not give away which key belongs to which query.
    """

    name = "moco-v2"

    def __init__(
        self,
        embedder: nn.Module,
        temperature: float = 0.2,
        symmetric: bool = False,
        momentum: float = 0.999,
        queue_length: int = 4096,
    ):
        super().__init__(embedder, temperature, symmetric)
        self.target = copy.deepcopy(embedder).requires_grad_(False)
        self.queue = KeyQueue(queue_length, embedder.dim, embedder.spaces)
        self.momentum = momentum

    @property
    def queue_length(self) -> int:
        return self.queue.length

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        with torch.no_grad():
            keys = embed_once(self.target, views)
        return embed_once(self.online, queries, deal=True), keys

    def pool(self, keys: Tensor, targets: Tensor, space: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        allowed = None if labels is None else ~same_class(targets, labels, self.queue.labels)
        return self.queue.keys[space], allowed

    def pool_labels(self, labels: Tensor) -> Tensor:
        return self.queue.labels

    def candidates(self, term: Term) -> Candidates:
        positives = self._in_batch(term) if term.query.mixed else self._own(term)
        queue = term.q @ self.queue.keys[term.space].T
        if term.labels is not None:
            queue = queue.masked_fill(same_class(term.query.targets, term.labels, self.queue.labels), -torch.inf)
        negatives = {"queue": queue, "synthetic": similarity(term.q, term.synthetic)}
        return Candidates(positives, term.targets, self._temperature(term), negatives)

    def _own(self, term: Term) -> Tensor:
        """(N, N * J) as ``_in_batch``, with the keys of all other images left out."""
        own = torch.linalg.vecdot(term.q[:, None], term.keys)  # (N, J)
        left_out = own.new_full((len(own), *own.shape), -torch.inf)
        return left_out.diagonal_scatter(own.T, dim1=0, dim2=1).flatten(1)

    @torch.no_grad()
    def diagnose(self, term: Term) -> dict[str, Tensor]:
        """queue_gap: mean cosine of queries to this step's keys of other images minus that to the queue; best near 0.

        Well above 0 the queue is stale: whatever is new lies nearer to a query than whatever is old.
        """
        others = (term.query.targets == 0).to(term.q)
        fresh = (term.q @ term.keys[:, 0].T * others).sum() / others.sum().clamp(min=1)
        queue = (term.q @ self.queue.keys[term.space].mean(dim=0)).mean()
        return {"queue_gap": fresh - queue}

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        ema_update(self.target, self.online, self.momentum)
        self.queue.enqueue(keys, labels)


class BYOL(Framework):
    """Grill et al. 2020, arXiv:2006.07733: no negatives; a predictor regresses the momentum encoder's key.

    predictor: unnormalised embeddings (n, H, D) -> (n, H, D).
    """

    name = "byol"
    has_negatives = False

    def __init__(self, embedder: nn.Module, predictor: nn.Module, symmetric: bool = True, momentum: float = 0.996):
        super().__init__(embedder, temperature=1.0, symmetric=symmetric)
        self.predictor = predictor
        self.target = copy.deepcopy(embedder).requires_grad_(False)
        self.momentum = momentum

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        with torch.no_grad():
            keys = embed_once(self.target, views)
        return embed_once(nn.Sequential(self.online, self.predictor), queries), keys

    def candidates(self, term: Term) -> Candidates:
        return Candidates(term.q @ term.keys.flatten(0, 1).T, term.targets, self._temperature(term))

    def loss(self, candidates: Candidates) -> Tensor:
        return cosine_regression(candidates.positives, candidates.targets)

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        ema_update(self.target, self.online, self.momentum)


FRAMEWORKS: dict[str, type[Framework]] = {leaf.name: leaf for leaf in (MoCoV2, SimCLR, NPair, BYOL)}


class KeyQueue(nn.Module):
    """First-in first-out store of the last K keys of each space, with their classes where known (-1: not).

    It starts with random unit vectors and is part of the checkpoint.
    """

    def __init__(self, length: int, dim: int, spaces: int = 1):
        super().__init__()
        self.length = length
        self.register_buffer("keys", F.normalize(torch.randn(spaces, length, dim), dim=2))  # (H, K, D)
        self.register_buffer("labels", torch.full((length,), -1))  # (K,)
        self.register_buffer("next", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def enqueue(self, keys: Tensor, labels: Tensor | None = None) -> None:
        """keys: (n, H, D), n <= K; labels: (n,). Raises UserError on any other shape."""
        n = len(keys)
        if n > self.length or keys.shape[1:] != self.keys.shape[::2]:
            expected = f"at most {self.length} keys of (n, {self.keys.shape[0]}, {self.keys.shape[2]})"
            raise UserError(f"the queue takes {expected}, not {tuple(keys.shape)}: build it with that length and size")
        slots = (self.next + torch.arange(n, device=keys.device)) % self.length
        self.keys[:, slots] = keys.transpose(0, 1).to(self.keys.dtype)
        self.labels[slots] = -1 if labels is None else labels
        self.next.copy_((self.next + n) % self.length)


def embed_once(embedder: nn.Module, batches: Sequence[Tensor], deal: bool = False) -> list[Tensor]:
    """Unit embeddings of several batches in one forward pass, each distinct tensor once.

    deal: hand the inputs out to the splits of a split BatchNorm one by one, like cards, instead of block by block.
    """
    distinct = list({id(batch): batch for batch in batches}.values())
    inputs = torch.cat(distinct)
    if deal and embedder.bn_splits > 1:
        order = (torch.arange(len(inputs), device=inputs.device) % embedder.bn_splits).argsort(stable=True)
        embeddings = embedder(inputs[order])[order.argsort()]
    else:
        embeddings = embedder(inputs)
    embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    parts = F.normalize(embeddings, dim=2).split([len(batch) for batch in distinct])
    found = {id(batch): part for batch, part in zip(distinct, parts, strict=True)}
    return [found[id(batch)] for batch in batches]


@torch.no_grad()
def ema_update(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """target <- momentum * target + (1 - momentum) * online, parameters only: buffers stay the target's own."""
    move = get_ema_multi_avg_fn(momentum)
    move(list(target.parameters()), list(online.parameters()), None)


def similarity(q: Tensor, negatives: Tensor) -> Tensor:
    """(n, D) queries and their own (n, S, D) negatives -> (n, S)."""
    return (negatives @ q[:, :, None]).squeeze(2)


def same_class(targets: Tensor, labels: Tensor, pool_labels: Tensor) -> Tensor:
    """(n, P): which of the pool, (P,), share a class with the images, labels (N,), that targets (n, N) point at.

    A negative label is unknown, and like no other.
    """
    same = (labels[:, None] == pool_labels[None, :]) & (pool_labels >= 0)
    return ((targets > 0).float() @ same.float()) > 0
