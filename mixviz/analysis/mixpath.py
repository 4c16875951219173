"""Mix paths: how near a blend of two images is to its sources as the share λ goes from 0 to 1.

MixCo (arXiv:2010.06300) and i-Mix (arXiv:2010.08887) train a blend to match its sources in proportion to their shares.
Here this is measured on any network. Letters: P pairs, L values of λ, M other images, D embedding.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Generator, Tensor, nn

from mixviz.errors import UserError, unknown
from mixviz.frameworks import embed_once
from mixviz.mixing import blend, box

Embed = Callable[[Tensor], Tensor]  # images (n, C, H, W) -> (n, D), unit length
KINDS = ("mixup", "cutmix")


def unit_embed(embedder: nn.Module, space: int = 0) -> Embed:
    """An embedder's unit embeddings of one space, in float32 or better, as a method's terms have them."""
    return lambda images: embed_once(embedder, [images])[0][:, space]


@dataclass(frozen=True, kw_only=True)
class MixPath:
    """Cosines of P pairs' blends at L values of λ, the share of the first image; each (P, L) unless noted."""

    lam: Tensor  # the true share; a CutMix box in whole pixels only comes near the requested one
    first: Tensor  # cosine to the first image's key
    second: Tensor  # to the second's
    others_mean: Tensor  # to other images' keys: their mean
    others_high: Tensor  # and their 95 % quantile
    blends: Tensor  # (P, L, D) the blends' embeddings
    others: Tensor  # (M, D) the other images' keys

    def select(self, pairs: Tensor | slice) -> "MixPath":
        """Some of the pairs."""
        names = ("lam", "first", "second", "others_mean", "others_high", "blends")
        return replace(self, **{name: getattr(self, name)[pairs] for name in names})


@torch.no_grad()
def mix_path(
    embed: Embed,
    first: Tensor,
    second: Tensor,
    others: Tensor,
    lams: Tensor,
    kind: Literal["mixup", "cutmix"] = "mixup",
    generator: Generator | None = None,
    embed_key: Embed | None = None,
) -> MixPath:
    """Blend each pair at each λ as the mixings do, and compare the blend with its sources and with others.

    embed: the query encoder, in evaluation mode. first, second: images (P, C, H, W). others: (M, D) unit keys of
    further images, such as a queue. lams: (L,) in [0, 1], rising. embed_key: the key encoder, such as a momentum
    encoder; None: ``embed``. generator: draws CutMix's boxes; those of a pair are nested, and lie wholly inside the
    image. One λ at a time: memory grows with P * M. Raises UserError.
    """
    if kind not in KINDS:
        raise unknown("kind of blend", kind, KINDS)
    if len(first) != len(second):
        raise UserError(f"there are {len(first)} first images and {len(second)} second ones: give pairs")
    if lams.dim() != 1 or not len(lams) or lams[0] < 0 or lams[-1] > 1 or (lams.diff() <= 0).any():
        raise UserError("lams must be an increasing list of values in [0, 1], such as torch.linspace(0, 1, 11)")
    keys = [(embed_key or embed)(images) for images in (first, second)]
    device = generator.device if generator is not None else None
    place = torch.rand(len(first), 2, generator=generator, device=device) if kind == "cutmix" else None
    columns = []
    for lam in lams.tolist():
        asked = torch.full((len(first),), lam, dtype=first.dtype, device=first.device)
        images, shares = (blend(first, second, asked), asked) if place is None else _paste(first, second, asked, place)
        embedded = embed(images)
        to_others = embedded @ others.T
        to_first, to_second = ((embedded * key).sum(dim=1) for key in keys)
        columns.append(
            {
                "lam": shares,
                "first": to_first,
                "second": to_second,
                "others_mean": to_others.mean(dim=1),
                "others_high": to_others.quantile(0.95, dim=1),
                "blends": embedded,
            }
        )
    return MixPath(others=others, **{name: torch.stack([c[name] for c in columns], dim=1) for name in columns[0]})


def _paste(first: Tensor, second: Tensor, lam: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """CutMix of the pairs, their boxes at relative positions (P, 2) in [0, 1), and the true shares."""
    sizes = torch.tensor(first.shape[2:], device=first.device)
    halves = ((1 - lam).sqrt()[:, None] * sizes).long() // 2
    middles = halves + (place.to(first.device) * (sizes - 2 * halves + 1)).long()
    inside, shares = box(lam, (middles + 0.5) / sizes, *first.shape[2:])
    return torch.where(inside[:, None], second, first), shares


@dataclass(frozen=True)
class Calibration:
    """The network's share of the first image against λ, each (P, L)."""

    lam: Tensor
    share: Tensor
    temperature: float

    @property
    def errors(self) -> Tensor:
        """(P,) mean |share - λ| of each pair, lower is better; their mean is the calibration error.

        0: the blend matches its sources by their shares. 0.25, with λ spread evenly: the share is always ½, or jumps
        from 0 to 1 at λ = ½. At most 0.75.
        """
        return (self.share - self.lam).abs().mean(dim=1)

    @property
    def error(self) -> float:
        return float(self.errors.mean())

    def at(self, lam: float) -> float:
        """The mean curve's share at one λ, interpolated between those that were tried."""
        return float(np.interp(lam, self.lam.mean(dim=0).cpu().numpy(), self.share.mean(dim=0).cpu().numpy()))


def calibration(path: MixPath, temperature: float) -> Calibration:
    """The share exp(c1/τ) / (exp(c1/τ) + exp(c2/τ)) of cosines c1 and c2 to the two sources.

    The soft cross entropy of MixCo and i-Mix trains it towards λ: other candidates do not change the ratio. It
    depends on the temperature, so networks are compared at that of ``fitted_calibration``, or without one, by
    ``balance`` and ``monotonicity``.
    """
    return Calibration(path.lam, share_of_first(path.first, path.second, temperature), temperature)


def share_of_first(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """exp(c1/τ) / (exp(c1/τ) + exp(c2/τ)) of cosines c1 and c2 to the two sources, of any one shape."""
    if temperature <= 0:
        raise UserError(f"the temperature must be greater than 0, not {temperature}")
    return ((first - second) / temperature).sigmoid()


def fitted_calibration(path: MixPath, temperatures: Tensor | None = None) -> Calibration:
    """Calibration at the temperature that suits this network best.

    The temperature with the least error on the pairs 0, 2, 4, ... is chosen; the result is of the other pairs.
    temperatures: to choose from; None: 200 from 0.001 to 2, evenly in the logarithm.
    """
    if len(path.lam) < 2:
        raise UserError(
            "a temperature is fitted on one half of the pairs and tested on the other: give 2 pairs or more"
        )
    grid = torch.logspace(-3, 0.30103, 200) if temperatures is None else temperatures
    fit = path.select(slice(0, None, 2))
    best = min(grid.tolist(), key=lambda temperature: calibration(fit, temperature).error)
    return calibration(path.select(slice(1, None, 2)), best)


def calibration_errors(path: MixPath, temperatures: Tensor) -> Tensor:
    """(T,) the calibration error at each of the temperatures: a curve whose lowest point is the network's own."""
    return torch.tensor([calibration(path, temperature).error for temperature in temperatures.tolist()])


def balance(path: MixPath) -> Tensor:
    """(P,) the λ at which the blend is as near to its first source as to its second; ½ is ideal at any temperature.

    Below ½ the first image outweighs the second. It is interpolated between values of λ. If the difference of the
    cosines changes sign several times, it is the share of the λ axis on which the second is nearer; 0 or 1 if one
    source is nearer throughout.
    """
    gap = path.first - path.second
    left, right = gap[:, :-1], gap[:, 1:]
    total = (left.abs() + right.abs()).clamp(min=torch.finfo(gap.dtype).tiny)
    # share of the interval on which the straight line between two values lies below zero
    below = ((-left).clamp(min=0) + (-right).clamp(min=0)) / total
    widths = path.lam.diff(dim=1)
    return path.lam[:, 0] + (below * widths).sum(dim=1)


def monotonicity(path: MixPath) -> Tensor:
    """(P,) Spearman's rank correlation of c1 - c2 with λ, in [-1, 1]; 1: it rises all the way.

    The temperature does not matter. A straight line is not expected: at the minimum of the loss c1 - c2 is τ log(λ / (1
    - λ)).
    """
    ranks = [torch.from_numpy(rankdata(part.double().cpu(), axis=1)) for part in (path.lam, path.first - path.second)]
    centred = [part - part.mean(dim=1, keepdim=True) for part in ranks]
    norms = [part.norm(dim=1) for part in centred]
    return (centred[0] * centred[1]).sum(dim=1) / (norms[0] * norms[1]).clamp(min=1e-12)


def cosine_range(path: MixPath) -> Tensor:
    """(P,) how far c1 - c2 goes from the first λ to the last, in [-4, 4]; 2 - 2 cos of the two images from 0 to 1.

    At one temperature for all, a narrower range gives a flatter curve of shares, which may look better calibrated.
    That alone does not make a network better: ``fitted_calibration`` gives each network its own temperature.
    """
    gap = path.first - path.second
    return gap[:, -1] - gap[:, 0]


def above_others(path: MixPath) -> Tensor:
    """(P, L) how far the more distant of the two sources is above the 95 % quantile of the others; > 0 is good."""
    return torch.minimum(path.first, path.second) - path.others_high


@dataclass(frozen=True)
class FullRow:
    """A blend's softmax over its two sources and all others, each (P, L)."""

    sources: Tensor  # probability of the two sources together; 1 is ideal
    distance: Tensor  # total variation from the target (λ, 1 - λ, 0, ...), in [0, 1], lower is better


def full_row(path: MixPath, temperature: float) -> FullRow:
    """Against all candidates, as a blend is trained: more others leave less for the sources. One λ at a time."""
    columns = []
    for place in range(path.lam.shape[1]):
        sources = torch.stack([path.first[:, place], path.second[:, place]], dim=1)
        logits = torch.cat([sources, path.blends[:, place] @ path.others.T], dim=1) / temperature
        probabilities = logits.softmax(dim=1)[:, :2]
        lam = path.lam[:, place, None]
        mass = probabilities.sum(dim=1)
        away = (probabilities - torch.cat([lam, 1 - lam], dim=1)).abs().sum(dim=1)
        columns.append((mass, (away + 1 - mass) / 2))
    return FullRow(*(torch.stack(column, dim=1) for column in zip(*columns, strict=True)))


def path_measures(path: MixPath, temperature: float) -> pd.DataFrame:
    """Every number of a network's paths, one row a pair: their means are what is reported.

    calibration_error: at ``temperature``, the one that the method uses for blends; lower is better.
    fitted_error, fitted_temperature: at the network's best; NaN for the pairs used for fitting.
    balance_error: |λ where the sources are equally near - ½|, in [0, ½], lower is better.
    monotonicity: in [-1, 1], higher is better.  nearest: share of λ at which both sources are above 95 % of the others.
    sources, distance: of ``full_row`` at ``temperature``, averaged over λ.
    """
    fitted, row = fitted_calibration(path), full_row(path, temperature)
    held = torch.full((len(path.lam),), torch.nan, dtype=fitted.errors.dtype)
    held[1::2] = fitted.errors.cpu()
    columns = {
        "calibration_error": calibration(path, temperature).errors,
        "fitted_error": held,
        "balance_error": (balance(path) - 0.5).abs(),
        "monotonicity": monotonicity(path),
        "nearest": (above_others(path) > 0).double().mean(dim=1),
        "sources": row.sources.mean(dim=1),
        "distance": row.distance.mean(dim=1),
    }
    table = pd.DataFrame({name: values.cpu().double().numpy() for name, values in columns.items()})
    return table.assign(fitted_temperature=fitted.temperature)


def bootstrap_interval(values: Tensor, generator: Generator, samples: int = 2000) -> tuple[float, float, float]:
    """Mean of (P,) values and its 95 % bootstrap interval over pairs; NaN are left out.

    For a difference of two networks, give the differences pair by pair: that cancels what pairs have in common.
    """
    kept = values[~values.isnan()].double()
    draws = torch.randint(len(kept), (samples, len(kept)), generator=generator, device=generator.device)
    means = kept.to(draws.device)[draws].mean(dim=1)
    low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=means.dtype, device=means.device)).tolist()
    return float(kept.mean()), low, high
