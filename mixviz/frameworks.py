"""The frameworks: how views are embedded, what queries are compared with, what the loss is.

A framework knows nothing of mixings; a mixing knows nothing of frameworks. The leaves are never subclassed.
The options of a framework are the fields of its ``Settings``: they are declared once, and are the flags of the command
line and the lines of ``config.json``. A field of several frameworks means the same in all of them. Queue and momentum
encoder change only in ``update``, after the optimiser step.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.losses import cosine_regression, info_nce
from mixviz.terms import STRICT, Candidates, Term

BATCH_SIZE = 256  # N, by default
STALE = 0.1  # L (1 - m) above which MoCo's queue counts as stale

Temperature = Annotated[float, Field(gt=0, description="τ; default: the framework's")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="of the momentum encoder")]
QueueLength = Annotated[int, Field(ge=1, description="K, keys in MoCo's queue; default: those of 4 steps")]
Symmetric = Annotated[bool, Field(description="query both views in turn")]
Usual = Mapping[str, Mapping[str, Any]]  # section of the config -> field -> default


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FrameworkSettings:
    """The options of every framework, and whether they fit a batch size."""

    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    symmetric: Symmetric = False

    def keys_a_step(self, batch_size: int) -> int:
        """One for each query of a clean view."""
        return batch_size * (2 if self.symmetric else 1)

    def pool_size(self, batch_size: int) -> int:
        """How many negatives of a query a mixing may use; here the images that are not part of a blend of two."""
        return batch_size - 2

    def check(self, batch_size: int) -> None:
        """Raises UserError if the settings cannot be trained in batches of this size."""

    def staleness(self, batch_size: int) -> float:
        """How far the key encoder moves while a key is in the queue; 0 without a queue."""
        return 0.0

    def warning(self, batch_size: int) -> str:
        """One line on settings that can be trained but should not be, with the flag that fixes them; else empty."""
        return ""

    def too_long(self, batch_size: int, images: int) -> str:
        """One line on a queue that holds several keys of an image, if there is one; else empty."""
        return ""


class Framework(nn.Module):
    """What every framework shares: an online embedder, inputs (n, ...) -> (n, H, D), and its settings.

    embedder:  of H spaces and size D.
    settings:  of the class ``Settings``; None: its defaults.
    predictor: unnormalised embeddings (n, H, D) -> (n, H, D), of a framework that predicts; None: the identity.
    """

    name: ClassVar[str]
    label: ClassVar[str]  # as its paper writes it
    Settings: ClassVar[type[FrameworkSettings]] = FrameworkSettings
    usual: ClassVar[Usual] = {}  # defaults of other sections of the config
    predicts: ClassVar[bool] = False  # a predictor follows the online embedder
    has_negatives: ClassVar[bool] = True
    normalised: ClassVar[bool] = True  # embeddings have unit length
    loss_note: ClassVar[str] = ""  # a sentence on what the loss depends on besides a query's candidates, if anything
    queue_length: ClassVar[int] = 0  # K, of a framework with a queue

    def __init__(
        self, embedder: Embedder, settings: FrameworkSettings | None = None, predictor: nn.Module | None = None
    ):
        super().__init__()
        self.online, self.settings = embedder, self.Settings() if settings is None else settings
        self.predictor = nn.Identity() if predictor is None else predictor

    @classmethod
    def defaults(cls, batch_size: int = BATCH_SIZE) -> dict[str, dict[str, Any]]:
        """Section of the config -> field -> its default, in batches of this size."""
        return {"method": asdict(cls.Settings()), **{section: dict(values) for section, values in cls.usual.items()}}

    @property
    def temperature(self) -> float:
        """τ; 1 without a softmax."""
        return getattr(self.settings, "temperature", 1.0)

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Embeddings of the queries and of the key views, each (n, H, D); here both from the online encoder."""
        embeddings = embed_once(self.online, [*queries, *views], normalise=self.normalised)
        return embeddings[: len(queries)], embeddings[len(queries) :]

    def pool(self, keys: Tensor, targets: Tensor, space: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Negatives that a mixing may use, (P, D), and which of them each query may use, (n, P) bool or None: all.

        keys: (N, J, D) of this space; targets: (n, N) over the batch; labels: (N,) for a class oracle, or None.
        Here: the key view of this space, of the images that are not part of the query.
        """
        allowed = targets == 0
        if labels is not None:
            allowed = allowed & ~same_class(targets, labels, labels)
        return keys[:, space], allowed

    def pool_labels(self, labels: Tensor) -> Tensor:
        """Classes of ``pool``, (P,), where labels (N,) are those of the batch; -1 if unknown."""
        return labels

    def candidates(self, term: Term) -> Candidates:
        """The columns that the term's queries are compared with, and the targets over them."""
        raise NotImplementedError

    def loss(self, term: Term, candidates: Candidates | None = None) -> Tensor:
        """(n,), one value per query; here InfoNCE with soft targets over the candidates; None: they are computed."""
        candidates = candidates or self.candidates(term)
        return info_nce(candidates.similarities, candidates.targets, candidates.temperature)

    def gap(self, candidates: Candidates) -> tuple[Tensor, float]:
        """(n, M) and a scale: the gradient of a query's loss by the query is scale * sum_j gap_j c_j.

        c_j are the candidates' embeddings, (D,). Below 0 a candidate attracts the query, above 0 it repels it. Without
        normalisation the sum has the query itself as well.
        """
        return candidates.probabilities - candidates.all_targets, 1 / candidates.temperature

    def diagnose(self, term: Term) -> dict[str, Tensor]:
        """Further columns of the log: name -> scalar, detached."""
        return {}

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        """After the optimiser step, with this step's keys, (n, H, D), and their classes, (n,), if known."""

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

    A query's negatives are the other images' keys; gradients flow through queries and keys.
    """

    name, label = "n-pair", "N-pair"
    usual: ClassVar[Usual] = {"encoder": {"projector": "mlpbn", "bn_splits": 1}, "optimizer": {"lr": 0.125}}

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Settings(FrameworkSettings):
        temperature: Temperature = 0.2

    def candidates(self, term: Term) -> Candidates:
        negatives = {"synthetic": similarity(term.q, term.synthetic)}
        return Candidates(
            positives=self._in_batch(term),
            targets=term.targets,
            temperature=self._temperature(term),
            negatives=negatives,
        )


class SimCLR(Framework):
    """Chen et al. 2020, arXiv:2002.05709: a query's negatives are both views of the other images.

    A query with all keys of the batch as candidates, such as a blend of MixCo's SimCLR variant, is compared with the
    other view only.
    """

    name, label = "simclr", "SimCLR"
    usual: ClassVar[Usual] = {"encoder": {"projector": "mlp", "bn_splits": 1}, "optimizer": {"lr": 0.12}}

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Settings(FrameworkSettings):
        temperature: Temperature = 0.5
        symmetric: Symmetric = True

    def candidates(self, term: Term) -> Candidates:
        negatives = {"synthetic": similarity(term.q, term.synthetic)}
        if term.query.candidates == "own":  # then the queries are the keys of the same view
            left_out = torch.eye(len(term.q), dtype=torch.bool, device=term.q.device)
            if term.labels is not None:
                left_out = left_out | same_class(term.query.targets, term.labels, term.labels)
            own_view = (term.q @ term.q.T).masked_fill(left_out, -torch.inf)
            negatives = {"own view": own_view, **negatives}
        return Candidates(
            positives=self._in_batch(term),
            targets=term.targets,
            temperature=self._temperature(term),
            negatives=negatives,
        )


class MoCoV2(Framework):
    """He et al. 2020, arXiv:1911.05722, and Chen et al. 2020, arXiv:2003.04297.

    Keys come from a momentum encoder, without gradient. A clean query is compared with its own key and the queue; one
    that should match several images, with the keys of the whole batch and the queue (i-Mix, arXiv:2010.08887). With
    split BatchNorm, queries and keys are distributed over the splits in different orders, so that the statistics do not
    give away which key belongs to which query.
    """

    name, label = "moco-v2", "MoCo-v2"
    usual: ClassVar[Usual] = {"encoder": {"projector": "mlpbn"}, "optimizer": {"lr": 0.12}}

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Settings(FrameworkSettings):
        temperature: Temperature = 0.2
        momentum: Momentum = 0.99
        queue_length: QueueLength = 4 * BATCH_SIZE

        def pool_size(self, batch_size: int) -> int:
            return self.queue_length

        def check(self, batch_size: int) -> None:
            least = self.keys_a_step(batch_size)
            if self.queue_length < least:
                raise UserError(
                    f"--queue-length {self.queue_length} is shorter than the {least} keys of a step: "
                    f"take {least} or more, or a smaller --batch-size"
                )

        def staleness(self, batch_size: int) -> float:
            """L (1 - m), with L the steps that a key stays in the queue.

            0.08 in MoCo's CIFAR demo, 0.016 in i-Mix's code. If it is large, fresh keys of other images are nearer to a
            query than old keys, and a network lowers its loss by telling new from old.
            """
            return round(self.queue_length / self.keys_a_step(batch_size) * (1 - self.momentum), 9)

        def warning(self, batch_size: int) -> str:
            staleness, steps = self.staleness(batch_size), self.queue_length / self.keys_a_step(batch_size)
            if staleness <= STALE:
                return ""
            shorter = int(round(STALE / (1 - self.momentum), 9)) * self.keys_a_step(batch_size)
            cures = [f"--queue-length {shorter}"] if shorter else []
            decimals = math.ceil(-math.log10(STALE / steps))
            cures.append(f"--momentum {1 - math.floor(STALE / steps * 10**decimals) / 10**decimals:g}")
            return (
                f"the queue will be stale: its oldest keys were made {steps:g} steps ago, and the key encoder moves by "
                f"{staleness:.2g} of its distance to the encoder in that time (at most {STALE} is good): take "
                + " or ".join(cures)
            )

        def too_long(self, batch_size: int, images: int) -> str:
            steps, least = self.queue_length / self.keys_a_step(batch_size), self.keys_a_step(batch_size)
            if steps * batch_size <= images - batch_size:
                return ""
            fits = (images // batch_size - 1) * least
            cure = f"--queue-length {fits}" if fits else f"--batch-size {max(2, images // 5)}, and a queue of 4 steps"
            return (
                f"the queue holds {steps * batch_size:,.0f} images, and there are {images:,} to train on: older keys "
                f"of an image are its own negatives, the hardest ones: take {cure}"
            )

    settings: Settings

    def __init__(self, embedder: Embedder, settings: Settings | None = None, predictor: nn.Module | None = None):
        super().__init__(embedder, settings, predictor)
        self.target = copy.deepcopy(embedder).requires_grad_(False)
        self.queue = KeyQueue(self.settings.queue_length, embedder.dim, embedder.spaces)

    @classmethod
    def defaults(cls, batch_size: int = BATCH_SIZE) -> dict[str, dict[str, Any]]:
        """BatchNorm is split into parts of 64 images, at least two, and the queue holds the keys of 4 steps.

        Parts of 64 are those of MoCo's CIFAR demo; with one part, the statistics give the key away. Keys of 4 steps
        stay fresh at momentum 0.99. The head ends with BatchNorm, which removes what the keys of one step have in
        common: with a plain head, a short training on glyphs learned to tell new keys from old.
        """
        defaults = super().defaults(batch_size)
        defaults["method"]["queue_length"] = 4 * batch_size
        defaults["encoder"]["bn_splits"] = max(1, min(8, max(2, batch_size // 64), batch_size // 2))
        return defaults

    @property
    def queue_length(self) -> int:
        return self.queue.length

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        with torch.no_grad():
            keys = embed_once(self.target, views)
        return embed_once(self.online, queries, self.online.bn_splits), keys

    def pool(self, keys: Tensor, targets: Tensor, space: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        allowed = None if labels is None else ~same_class(targets, labels, self.queue.labels)
        return self.queue.keys[space], allowed

    def pool_labels(self, labels: Tensor) -> Tensor:
        return self.queue.labels

    def candidates(self, term: Term) -> Candidates:
        positives = self._own(term) if term.query.candidates == "own" else self._in_batch(term)
        queue = term.q @ self.queue.keys[term.space].T
        if term.labels is not None:
            queue = queue.masked_fill(same_class(term.query.targets, term.labels, self.queue.labels), -torch.inf)
        negatives = {"queue": queue, "synthetic": similarity(term.q, term.synthetic)}
        return Candidates(
            positives=positives, targets=term.targets, temperature=self._temperature(term), negatives=negatives
        )

    def _own(self, term: Term) -> Tensor:
        """(n, N * J) as ``_in_batch``, with the keys of all images left out but the one that is the query's target."""
        image = term.query.targets.argmax(dim=1)
        own = torch.linalg.vecdot(term.q[:, None], term.keys[image])  # (n, J)
        left_out = own.new_full((len(own), *term.keys.shape[:2]), -torch.inf)
        return left_out.scatter(1, image[:, None, None].expand(-1, 1, own.shape[1]), own[:, None]).flatten(1)

    @torch.no_grad()
    def diagnose(self, term: Term) -> dict[str, Tensor]:
        """queue_gap: mean cosine of queries to this step's keys of other images minus that to the queue; best near 0.

        Well above 0 the queue is stale: new keys are nearer to a query than old ones, whatever their images.
        """
        others = (term.query.targets == 0).to(term.q)
        fresh = (term.q @ term.keys[:, 0].T * others).sum() / others.sum().clamp(min=1)
        queue = (term.q @ self.queue.keys[term.space].mean(dim=0)).mean()
        return {"queue_gap": fresh - queue}

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        ema_update(self.target, self.online, self.settings.momentum)
        self.queue.enqueue(keys, labels)


class BYOL(Framework):
    """Grill et al. 2020, arXiv:2006.07733: no negatives; a predictor regresses the momentum encoder's key."""

    name, label = "byol", "BYOL"
    usual: ClassVar[Usual] = {"encoder": {"projector": "mlpbn1", "bn_splits": 1}, "optimizer": {"lr": 0.12}}
    predicts = True
    has_negatives = False

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Settings(FrameworkSettings):
        momentum: Momentum = 0.99
        symmetric: Symmetric = True

    settings: Settings

    def __init__(self, embedder: Embedder, settings: Settings | None = None, predictor: nn.Module | None = None):
        super().__init__(embedder, settings, predictor)
        self.target = copy.deepcopy(embedder).requires_grad_(False)

    def embed(self, queries: list[Tensor], views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        with torch.no_grad():
            keys = embed_once(self.target, views)
        return embed_once(nn.Sequential(self.online, self.predictor), queries), keys

    def candidates(self, term: Term) -> Candidates:
        return Candidates(
            positives=term.q @ term.keys.flatten(0, 1).T, targets=term.targets, temperature=self._temperature(term)
        )

    def loss(self, term: Term, candidates: Candidates | None = None) -> Tensor:
        candidates = candidates or self.candidates(term)
        return cosine_regression(candidates.positives, candidates.targets)

    def gap(self, candidates: Candidates) -> tuple[Tensor, float]:
        return -candidates.all_targets, 2.0

    def update(self, keys: Tensor, labels: Tensor | None = None) -> None:
        ema_update(self.target, self.online, self.settings.momentum)


class VICReg(Framework):
    """Bardes et al. 2022, arXiv:2105.04906: no negatives; statistics of the batch keep embeddings from collapsing.

    As in the paper's Algorithm 1: the mean squared difference of a query and its key (invariance), how far the
    deviation of each dimension falls below 1 (variance), and the squared covariances of any two dimensions
    (covariance); the latter two of the queries and of the keys, the same for every query. Embeddings keep their length,
    and gradients flow through queries and keys. A soft target is a mean of the squared differences, by its shares.
    """

    name, label = "vicreg", "VICReg"
    usual: ClassVar[Usual] = {"encoder": {"projector": "mlpbn1", "bn_splits": 1}, "optimizer": {"lr": 0.03}}
    has_negatives = False
    normalised = False
    loss_note = "VICReg's variance and covariance are of the whole batch: they move a query too, and no row shows them."

    @dataclass(frozen=True, kw_only=True, config=STRICT)
    class Settings(FrameworkSettings):
        invariance_weight: Annotated[float, Field(ge=0, description="of the squared difference to the key")] = 25.0
        variance_weight: Annotated[float, Field(ge=0, description="of the deviations' hinge")] = 25.0
        covariance_weight: Annotated[float, Field(ge=0, description="of the squared covariances")] = 1.0

    settings: Settings

    def candidates(self, term: Term) -> Candidates:
        q, keys = F.normalize(term.q, dim=1), F.normalize(term.keys.flatten(0, 1), dim=1)
        return Candidates(positives=q @ keys.T, targets=term.targets, temperature=self._temperature(term))

    def loss(self, term: Term, candidates: Candidates | None = None) -> Tensor:
        weights, parts = self.settings, self._parts(term)
        statistics = weights.variance_weight * parts["variance"] + weights.covariance_weight * parts["covariance"]
        return weights.invariance_weight * parts["invariance"] + statistics

    def gap(self, candidates: Candidates) -> tuple[Tensor, float]:
        return -candidates.all_targets, 2 * self.settings.invariance_weight / self.online.dim

    @torch.no_grad()
    def diagnose(self, term: Term) -> dict[str, Tensor]:
        """The parts of the loss before they are weighted."""
        return {name: part.mean() for name, part in self._parts(term).items()}

    def _parts(self, term: Term) -> dict[str, Tensor]:
        """invariance, (n,); variance and covariance, () each."""
        q, keys, targets = term.q, term.keys.flatten(0, 1), term.targets.to(term.q.dtype)
        mean = targets @ keys
        spread = targets @ keys.square() - mean.square()  # of the keys of a soft target; 0 with one key
        covariances = [_covariance(z) for z in (q, keys)]
        deviations = [(covariance.diagonal() + 1e-4).sqrt() for covariance in covariances]
        return {
            "invariance": ((q - mean).square() + spread).mean(dim=1),
            "variance": torch.stack([(1 - deviation).relu().mean() for deviation in deviations]).sum(),
            "covariance": torch.stack([_off_diagonal(c) for c in covariances]).sum(),
        }


def _covariance(z: Tensor) -> Tensor:
    """(n, D) -> (D, D), as torch.cov, which would synchronise with the GPU to check that n is at least 2."""
    centred = z.T - (z.T.sum(dim=1) / len(z))[:, None]
    return centred @ centred.T / (len(z) - 1)


def _off_diagonal(covariance: Tensor) -> Tensor:
    """(D, D) -> (): the sum of the squares off the diagonal, over D."""
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / len(covariance)


FRAMEWORKS: dict[str, type[Framework]] = {leaf.name: leaf for leaf in (MoCoV2, SimCLR, NPair, BYOL, VICReg)}


class KeyQueue(nn.Module):
    """First-in first-out store of the last K keys of each space, with their classes (-1: unknown).

    It starts with random unit vectors and is part of the checkpoint.
    """

    keys: Tensor
    labels: Tensor
    next: Tensor

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


def embed_once(
    embedder: nn.Module, batches: Sequence[Tensor], interleave: int = 1, normalise: bool = True
) -> list[Tensor]:
    """Embeddings of several batches in one forward pass, each distinct tensor once.

    interleave: the number of splits of a split BatchNorm over which inputs are distributed one by one instead of in
    blocks. normalise: to unit length.
    """
    distinct = list({id(batch): batch for batch in batches}.values())
    inputs = torch.cat(distinct)
    if interleave > 1:
        order = (torch.arange(len(inputs), device=inputs.device) % interleave).argsort(stable=True)
        embeddings = embedder(inputs[order])[order.argsort()]
    else:
        embeddings = embedder(inputs)
    embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    embeddings = F.normalize(embeddings, dim=2) if normalise else embeddings
    parts = embeddings.split([len(batch) for batch in distinct])
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

    A negative label is unknown and equals no other.
    """
    same = (labels[:, None] == pool_labels[None, :]) & (pool_labels >= 0)
    return ((targets > 0).float() @ same.float()) > 0
