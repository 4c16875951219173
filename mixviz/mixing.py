"""The mixings. Each fills exactly one of three slots; it has no parameters to learn and knows no framework.

    views       which augmentation each key view shares with the query        LooC
    queries     which inputs are queried, and what they should match          MixCo, i-Mix, Un-Mix
    negatives   which further negatives are synthesised in embedding space    MoCHi

Every random choice is made in ``sample`` and used elsewhere, so that it can be set by hand. The fields are declared
once: they are the flags of the command line and the lines of ``config.json``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from scipy.special import gammaincinv
from torch import Generator, Tensor

from mixviz.errors import UserError
from mixviz.terms import STRICT, Query

Kind = Literal["mixup", "cutmix"]  # blend all pixels, or paste a box


class Mixing:
    """What a mixing may do in its slot; a leaf overrides only the methods of its own slot."""

    label: ClassVar[str] = ""  # as its paper writes it
    colour: ClassVar[str] = "#8d878a"  # in every picture
    slot: ClassVar[str]
    needs_negatives: ClassVar[bool] = False
    reported_on: ClassVar[tuple[str, ...]] = ()  # frameworks on which its paper reports it
    usual: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # framework -> field -> its default there, if different
    keeps_clean: ClassVar[bool] = True  # whether clean views are still queried
    warmup_epochs: int = 0  # warm-up: epochs without it
    queue: str = "own"  # which key view fills the queue of a space: its own, or the first

    @property
    def shared(self) -> tuple[str | None, ...]:
        """One entry a key view, so one an embedding space: the augmentation shared with the query, or None."""
        return (None,)

    def check(self, batch_size: int, pool_size: int) -> None:
        """Raises UserError if it cannot be trained in batches of this size, with this many negatives of a query."""

    def check_domain(self, domain: str) -> None:
        """Raises UserError if it is not defined for data of this domain."""

    def sample(self, n: int, generator: Generator | None = None) -> Any:
        """All random choices for n inputs (slot ``queries``) or n queries (slot ``negatives``)."""
        return None

    def at_share(self, draw: Any, lam: float) -> Any:
        """A draw of ``sample`` with a given λ, the share of the first image of every blend."""
        return draw

    def sample_input_mix(self, n: int, generator: Generator | None = None) -> Any:
        """All random choices of ``mix_inputs``, for the n inputs of all views together."""
        return None

    def mix_inputs(self, views: list[Tensor], draw: Any) -> list[Tensor]:
        """Replaces the views, each (N, ...), before anything else happens."""
        return views

    def queries(self, view: Tensor, draw: Any) -> list[Query]:
        """The queries made from one view, (N, ...)."""
        return [Query(inputs=view, targets=torch.eye(len(view), device=view.device))]

    def negatives(self, q: Tensor, pool: Tensor, allowed: Tensor | None, draw: Any) -> Tensor:
        """(n, D) queries, (P, D) pool, (n, P) which of the pool each query may use (None: all) -> (n, S, D)."""
        return q.new_zeros(len(q), 0, q.shape[1])


class NoMixing(Mixing):
    """The identity in every slot."""

    slot = "none"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MixCo(Mixing):
    """Adds half a batch of blends as further, softly labelled queries (Lee et al. 2020, arXiv:2010.06300).

    Input i of the first half of the batch is blended with input i of the second half; the blend should match both keys,
    in proportion to their shares. Its cross entropy has its own temperature and enters the loss with weight β. On
    MoCo-v2 blends are made from the query view and compared with all N keys and the queue; on SimCLR from either view
    in turn.
    """

    label: ClassVar[str] = "MixCo"
    colour: ClassVar[str] = "#f0a616"
    slot: ClassVar[str] = "queries"
    reported_on: ClassVar[tuple[str, ...]] = ("moco-v2", "simclr")
    usual: ClassVar[Mapping[str, Mapping[str, Any]]] = {"simclr": {"temperature": 0.5}}  # the authors', on small images

    weight: Annotated[float, Field(ge=0, description="β, weight of the blends' loss; 0 is the plain framework")] = 1.0
    temperature: Annotated[
        float, Field(gt=0, description="τ_mix, the blends' own temperature; on simclr the default is 0.5")
    ] = 0.05
    alpha: Annotated[float, Field(gt=0, description="λ is drawn from Beta(α, α); 1 is uniform, as in the paper")] = 1.0

    def check(self, batch_size: int, pool_size: int) -> None:
        if batch_size % 2:
            raise UserError(f"MixCo pairs the halves of a batch: make --batch-size even, not {batch_size}")

    def sample(self, n: int, generator: Generator | None = None) -> Tensor | None:
        """λ, the share of the first of the two: (n // 2,)."""
        if self.weight == 0:
            return None
        return dirichlet(n // 2, 2, self.alpha, generator)[:, 0]

    def at_share(self, draw: Tensor | None, lam: float) -> Tensor | None:
        return None if draw is None else torch.full_like(draw, lam)

    def queries(self, view: Tensor, draw: Tensor | None) -> list[Query]:
        clean = super().queries(view, None)
        half = len(view) // 2
        if draw is None or self.weight == 0 or half == 0:
            return clean
        lam = draw.to(view.device)
        blends = blend(view[:half], view[half : 2 * half], lam)
        targets = torch.cat([lam.diag(), (1 - lam).diag()], dim=1)
        targets = F.pad(targets, (0, len(view) - 2 * half))
        return [
            *clean,
            Query(
                inputs=blends,
                targets=targets,
                weight=self.weight,
                temperature=self.temperature,
                mixed=True,
                candidates="batch",
            ),
        ]


class IMixDraw(NamedTuple):
    """λ (n,) in [0.5, 1], the share of the input itself; its partner (n,); CutMix's box centre (n, 2) in [0, 1)."""

    lam: Tensor
    partner: Tensor
    centre: Tensor | None = None


@dataclass(frozen=True, kw_only=True, config=STRICT)
class IMix(Mixing):
    """Replaces every query by a blend with another input of the batch (Lee et al. 2021, arXiv:2010.08887).

    Its virtual label, one-hot over the batch, is blended in the same way. λ is max(λ, 1 - λ), λ ~ Beta(α, α): drawn for
    every input in mixup; once per batch in CutMix, where it is the remaining area, in whole pixels.
    InputMix, for weak augmentation, first blends every view with further inputs without changing its label.
    """

    label: ClassVar[str] = "i-Mix"
    colour: ClassVar[str] = "#3da3e6"
    slot: ClassVar[str] = "queries"
    reported_on: ClassVar[tuple[str, ...]] = ("n-pair", "moco-v2", "byol")
    keeps_clean: ClassVar[bool] = False

    alpha: Annotated[float, Field(gt=0, description="λ is drawn from Beta(α, α)")] = 1.0
    kind: Annotated[Kind, Field(description="blend all pixels, or paste a box (images only)")] = "mixup"
    inputmix: Annotated[int, Field(ge=0, description="InputMix: how many further inputs are blended in; 0 is off")] = 0
    inputmix_alpha: Annotated[float, Field(gt=0, description="InputMix: weights are drawn from Dirichlet(α)")] = 1.0

    def check_domain(self, domain: str) -> None:
        if self.kind == "cutmix" and domain != "image":
            raise UserError(f"CutMix pastes boxes of images, and this is {domain} data: take --imix-kind mixup")

    def sample(self, n: int, generator: Generator | None = None) -> IMixDraw:
        cutmix = self.kind == "cutmix"
        lam = dirichlet(1 if cutmix else n, 2, self.alpha, generator).amax(dim=1).expand(n)
        partner = torch.randperm(n, generator=generator, device=lam.device)
        centre = torch.rand(1, 2, generator=generator, device=lam.device).expand(n, 2) if cutmix else None
        return IMixDraw(lam, partner, centre)

    def at_share(self, draw: IMixDraw, lam: float) -> IMixDraw:
        return draw._replace(lam=torch.full_like(draw.lam, lam))

    def queries(self, view: Tensor, draw: IMixDraw) -> list[Query]:
        partner = draw.partner.to(view.device)
        if draw.centre is None:
            lam = draw.lam.to(view.device)
            inputs = blend(view, view[partner], lam)
        elif view.dim() != 4:
            raise UserError(f"CutMix pastes boxes of images (N, C, H, W), not of {tuple(view.shape)}: take kind mixup")
        else:
            inside, lam = box(draw.lam, draw.centre, *view.shape[2:])
            inside, lam = inside.to(view.device), lam.to(view.device)
            inputs = torch.where(inside[:, None], view[partner], view)
        eye = torch.eye(len(view), device=view.device, dtype=lam.dtype)
        targets = blend(eye, eye[partner], lam)
        return [Query(inputs=inputs, targets=targets, mixed=True, candidates="batch")]

    def sample_input_mix(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor] | None:
        """Weights (n, 1 + number of further inputs), at least half on the input itself, and the others' indices."""
        if not self.inputmix:
            return None
        weights = dirichlet(n, self.inputmix + 1, self.inputmix_alpha, generator)
        if self.inputmix == 1:
            weights = weights.sort(dim=1, descending=True).values
        else:
            weights = weights / 2
            weights[:, 0] += 0.5
        others = [torch.randperm(n, generator=generator, device=weights.device) for _ in range(self.inputmix)]
        return weights, torch.stack(others, dim=1)

    def mix_inputs(self, views: list[Tensor], draw: tuple[Tensor, Tensor] | None) -> list[Tensor]:
        if draw is None:
            return views
        inputs = torch.cat(views)
        weights, others = (part.to(inputs.device) for part in draw)
        weights = (weights.to(inputs.dtype) if inputs.is_floating_point() else weights).unflatten(
            0, (-1, *[1] * (inputs.dim() - 1))
        )  # (n, 1, ..., parts)
        mixed = weights[..., 0] * inputs
        for i in range(others.shape[1]):
            mixed = mixed + weights[..., i + 1] * inputs[others[:, i]]
        return list(mixed.split(len(views[0])))


class UnMixDraw(NamedTuple):
    """λ (1,), the share of the input itself; whether a box is pasted (1,) bool; its centre (1, 2) in [0, 1)."""

    lam: Tensor
    region: Tensor
    centre: Tensor


@dataclass(frozen=True, kw_only=True, config=STRICT)
class UnMix(Mixing):
    """Adds the batch blended with itself in reverse order (Shen et al. 2022, arXiv:2003.05438).

    With one λ ~ Beta(α, α) a batch, input i is blended with input N - 1 - i, in all pixels or by CutMix's box, where λ
    is the remaining area. The blend is queried twice as a clean view is: with weight λ for the key of image i, and with
    weight 1 - λ for that of image N - 1 - i.
    """

    label: ClassVar[str] = "Un-Mix"
    colour: ClassVar[str] = "#7f2a6b"
    slot: ClassVar[str] = "queries"
    reported_on: ClassVar[tuple[str, ...]] = ("moco-v2", "simclr", "byol")

    alpha: Annotated[float, Field(gt=0, description="λ is drawn from Beta(α, α)")] = 1.0
    region: Annotated[float, Field(ge=0, le=1, description="probability of a box instead of a blend (images only)")] = (
        0.5
    )

    def sample(self, n: int, generator: Generator | None = None) -> UnMixDraw:
        lam = dirichlet(1, 2, self.alpha, generator)[:, 0]
        region, *centre = torch.rand(3, 1, generator=generator, device=lam.device)
        return UnMixDraw(lam, region < self.region, torch.stack(centre, dim=1))

    def at_share(self, draw: UnMixDraw, lam: float) -> UnMixDraw:
        return draw._replace(lam=torch.full_like(draw.lam, lam))

    def queries(self, view: Tensor, draw: UnMixDraw) -> list[Query]:
        lam, region, centre = (part.to(view.device) for part in draw)
        inputs = blend(view, view.flip(0), lam)
        if view.dim() == 4:
            inside, outside = box(lam, centre, *view.shape[2:])
            inputs = torch.where(region, torch.where(inside[:, None], view.flip(0), view), inputs)
            lam = torch.where(region, outside, lam)
        own, lam = torch.eye(len(view), device=view.device), lam.squeeze(0)
        return [
            *super().queries(view, None),
            Query(inputs=inputs, targets=own, weight=lam, mixed=True),
            Query(inputs=inputs, targets=own.flip(0), weight=1 - lam, mixed=True),
        ]


class MoCHiDraw(NamedTuple):
    """Ranks are positions in the query's list of hardest negatives, 0 the hardest."""

    first: Tensor  # (n, s) ranks
    second: Tensor  # (n, s) ranks, other than ``first``
    alpha: Tensor  # (n, s) in (0, 1), share of ``first``
    partner: Tensor  # (n, s') ranks
    beta: Tensor  # (n, s') in (0, 0.5), share of the query


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MoCHi(Mixing):
    """Synthesises hard negatives from the hardest of the pool (Kalantidis et al. 2020, arXiv:2010.01028).

    For each query: s mixtures of two of its N hardest negatives, and s' mixtures of one of them with the query itself,
    whose share is below half. All are normalised and detached, and negatives of this query only; s may exceed N. The
    defaults are the paper's (1024, 1024, 128) of 16,384 keys, scaled to a queue of 1,024.
    """

    label: ClassVar[str] = "MoCHi"
    colour: ClassVar[str] = "#ce5c02"
    slot: ClassVar[str] = "negatives"
    needs_negatives: ClassVar[bool] = True
    reported_on: ClassVar[tuple[str, ...]] = ("moco-v2",)

    hardest: Annotated[int, Field(ge=2, description="N, how many of the hardest negatives are mixed")] = 64
    pairs: Annotated[int, Field(ge=0, le=65_536, description="s, mixtures of two hard negatives for each query")] = 64
    towards_query: Annotated[int, Field(ge=0, le=65_536, description="s', mixtures of query and hard negative")] = 8
    warmup_epochs: Annotated[
        int, Field(ge=0, description="warm-up epochs without it (paper: 10 of 200); it also waits for a full queue")
    ] = 0

    def check(self, batch_size: int, pool_size: int) -> None:
        if self.hardest > pool_size:
            raise UserError(
                f"--mochi-hardest {self.hardest} is more than the {pool_size} negatives of a query: "
                f"take {pool_size} or fewer"
            )

    def sample(self, n: int, generator: Generator | None = None) -> MoCHiDraw:
        device = generator.device if generator is not None else None

        def ranks(count: int, below: int) -> Tensor:
            return torch.randint(below, (n, count), generator=generator, device=device)

        def uniform(count: int) -> Tensor:
            return torch.rand(n, count, generator=generator, device=device)

        first = ranks(self.pairs, self.hardest)
        second = (first + 1 + ranks(self.pairs, self.hardest - 1)) % self.hardest
        partner = ranks(self.towards_query, self.hardest)
        return MoCHiDraw(first, second, uniform(self.pairs), partner, uniform(self.towards_query) / 2)

    def negatives(self, q: Tensor, pool: Tensor, allowed: Tensor | None, draw: MoCHiDraw) -> Tensor:
        """Raises UserError if a query may use fewer than N of the pool."""
        if self.pairs == self.towards_query == 0:
            return super().negatives(q, pool, allowed, draw)
        q, pool = q.detach(), pool.detach()
        first, second, partner = (pool[index] for index in self.parents(q, pool, allowed, draw))  # (n, count, D)
        alpha = draw.alpha.to(q)[..., None]
        beta = draw.beta.to(q)[..., None]
        between = alpha * first + (1 - alpha) * second
        towards = beta * q[:, None] + (1 - beta) * partner
        return F.normalize(torch.cat([between, towards], dim=1), dim=2)

    def parents(
        self, q: Tensor, pool: Tensor, allowed: Tensor | None, draw: MoCHiDraw
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Positions in the pool: both parents of the pairs, (n, s), and the query's partners, (n, s').

        Raises UserError if a query may use fewer than N of the pool.
        """
        usable = len(pool) if allowed is None else int(allowed.sum(dim=1).min())
        if usable < self.hardest:
            raise UserError(f"MoCHi mixes the {self.hardest} hardest negatives and a query has {usable}: lower hardest")
        similarity = q @ pool.T
        if allowed is not None:
            similarity = similarity.masked_fill(~allowed, -torch.inf)
        top = similarity.topk(self.hardest, dim=1).indices  # (n, N)
        ranks = (draw.first, draw.second, draw.partner)
        first, second, partner = (top.gather(1, places.to(q.device)) for places in ranks)
        return first, second, partner


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LooC(Mixing):
    """One more key view and embedding space for every left-out augmentation (Xiao et al. 2021, arXiv:2008.05659).

    Key view h copies one augmentation of the query. Space 0 learns to ignore all augmentations; space h has the
    image's other views as negatives and so must keep what augmentation h changes. One view is queried, on any
    framework; if negatives come from the batch, the other images' further views are negatives too.
    """

    label: ClassVar[str] = "LooC"
    colour: ClassVar[str] = "#0b9560"
    slot: ClassVar[str] = "views"
    needs_negatives: ClassVar[bool] = True
    reported_on: ClassVar[tuple[str, ...]] = ("moco-v2",)

    left_out: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="augmentations (groups of the data's domain) that get their own space"),
        AfterValidator(lambda names: tuple(dict.fromkeys(names))),
    ] = ("color",)
    plus_plus: Annotated[bool, Field(description="LooC++: a last stage for each space; features are concatenated")] = (
        False
    )
    queue: Annotated[
        Literal["own", "first"],
        Field(description="which key view's embedding fills the queue of space h: its own, or the first"),
    ] = "own"

    @property
    def shared(self) -> tuple[str | None, ...]:
        return (None, *self.left_out)


MIXINGS: dict[str, type[Mixing]] = {"mixco": MixCo, "imix": IMix, "unmix": UnMix, "mochi": MoCHi, "looc": LooC}


def blend(a: Tensor, b: Tensor, lam: Tensor) -> Tensor:
    """lam * a + (1 - lam) * b, for a and b (n, ...) and lam (n,)."""
    lam = (lam.to(a.dtype) if a.is_floating_point() else lam).view(-1, *[1] * (a.dim() - 1))
    return lam * a + (1 - lam) * b


def box(lam: Tensor, centre: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """CutMix's box (Yun et al. 2019, arXiv:1905.04899): (n, H, W) True inside, and the share left outside, (n,).

    Its sides are sqrt(1 - lam) of the image's, in whole pixels; parts beyond the edge are cut off.
    """
    sides = (1 - lam).clamp(min=0).sqrt()

    def inside(length: int, at: Tensor) -> Tensor:
        middle, half = (at * length).long(), (sides * length).long() // 2
        place = torch.arange(length, device=lam.device)
        return (place >= (middle - half)[:, None]) & (place < (middle + half)[:, None])  # (n, length)

    mask = inside(height, centre[:, 0])[:, :, None] & inside(width, centre[:, 1])[:, None, :]
    return mask, 1 - mask.to(lam.dtype).mean(dim=(1, 2))


def dirichlet(n: int, parts: int, alpha: float, generator: Generator | None = None) -> Tensor:
    """(n, parts) draws from the symmetric Dirichlet(alpha), rows sum to one; two parts are Beta(alpha, alpha).

    By inversion of the gamma distribution, since torch's own samplers take no generator.
    """
    device = generator.device if generator is not None else None
    u = torch.rand(n, parts, generator=generator, device=device, dtype=torch.float64)
    gamma = -torch.log1p(-u) if alpha == 1 else torch.from_numpy(gammaincinv(alpha, u.cpu().numpy())).to(u.device)
    gamma = gamma.clamp(min=torch.finfo(torch.float64).tiny)
    return (gamma / gamma.sum(dim=1, keepdim=True)).float()
