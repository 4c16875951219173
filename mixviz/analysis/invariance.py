"""Which head ignores which augmentation, at which strength; and whether it encodes the strength of the others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from torch import Generator, Tensor

from mixviz.analysis.heads import BACKBONE
from mixviz.augment import Augmentation, to_float
from mixviz.build import fixed_generator
from mixviz.data.glyphs import render_glyphs, sample_glyphs
from mixviz.domains import AugmentationFactor, find_factor
from mixviz.domains.image_factors import FACTORS
from mixviz.errors import UserError
from mixviz.evaluate import linear_probe

EmbedHeads = Callable[[Tensor], Mapping[str, Tensor]]  # images (n, C, H, W) -> name -> (n, D), rows of unit length
RIDGE_PENALTIES = np.logspace(-2, 5, 15)


def vary(images: Tensor, augmentation: str, strength: float | Tensor, generator: Generator) -> Tensor:
    """Square images (n, C, H, H) float in [0, 1] changed by one augmentation only, everything else fixed.

    strength: one for all or (n,), in the augmentation's unit (see ``Domain.factors``). The generator draws what has no
    strength: the place of a crop, the kernel of a texture.
    Raises UserError for an unknown augmentation, a strength out of its limits, or images that it cannot change.
    """
    chosen = find_factor(augmentation)
    strength = torch.as_tensor(strength, dtype=torch.float32, device=images.device).expand(len(images))
    low, high = chosen.limits
    if not bool(((strength >= low) & (strength <= high)).all()):
        raise UserError(f"a strength of {augmentation} is out of range: take {low:g} to {high:g} ({chosen.unit})")
    operation, parameters = chosen.change(strength, tuple(images.shape[1:]), generator)
    return Augmentation((operation,)).apply(images, {operation.name: parameters})


@dataclass(frozen=True, kw_only=True)
class Invariance:
    """How far each of H heads moves each of n images when one augmentation is applied at S strengths."""

    augmentation: str
    strengths: tuple[float, ...]
    heads: tuple[str, ...]
    similarity: Tensor  # (H, S, n) cosine of the embeddings of an image and of the same image changed
    others: Tensor  # (H, n) mean cosine of an image and the other images

    @property
    def fall_off(self) -> Tensor:
        """(H, S, n): (1 - similarity) / (1 - others). 0 is invariant; 1 is as far as a different image.

        NaN in a collapsed head, in which all images are the same.
        """
        distance = (1 - self.others)[:, None]
        return torch.where(distance > 1e-6, (1 - self.similarity) / distance, torch.nan)

    def table(self) -> pd.DataFrame:
        """One row a head and strength: augmentation, head, strength, similarity, fall_off; means over the images."""
        similarity, fall_off = self.similarity.mean(dim=2), self.fall_off.mean(dim=2)
        return pd.DataFrame(
            [
                {
                    "augmentation": self.augmentation,
                    "head": head,
                    "strength": strength,
                    "similarity": float(similarity[h, s]),
                    "fall_off": float(fall_off[h, s]),
                }
                for h, head in enumerate(self.heads)
                for s, strength in enumerate(self.strengths)
            ]
        )


def invariance(
    embed_heads: EmbedHeads,
    images: Tensor,
    augmentation: str,
    strengths: Sequence[float] | None = None,
    generator: Generator | None = None,
) -> Invariance:
    """Change images (n, C, H, H) by one augmentation and measure how far each head moves.

    LooC (arXiv:2008.05659, section 3) wants the head of an augmentation to move with it and the others to stay.
    strengths: default the factor's own. generator: default a new one with seed 0; it draws again at each strength.
    Raises UserError for fewer than two images, and as ``vary``.
    """
    if len(images) < 2:
        raise UserError("invariance is measured relative to other images: give 2 or more")
    strengths = find_factor(augmentation).strengths if strengths is None else tuple(strengths)
    generator = fixed_generator() if generator is None else generator
    before = embed_heads(images)
    after = [embed_heads(vary(images, augmentation, strength, generator)) for strength in strengths]
    similarity = [torch.stack([(z * moved[head]).sum(dim=1) for moved in after]) for head, z in before.items()]
    others = [_others(z) for z in before.values()]
    return Invariance(
        augmentation=augmentation,
        strengths=strengths,
        heads=tuple(before),
        similarity=torch.stack(similarity),
        others=torch.stack(others),
    )


@dataclass(frozen=True)
class PerturbedImage:
    """One image of a set, changed by one augmentation, and its embedding in each head."""

    image: Tensor  # (C, H, H) as changed
    embeddings: dict[str, Tensor]  # head -> (1, D) of the changed image
    invariance: Invariance  # of this image at this strength only


def perturb(
    embed_heads: EmbedHeads,
    image: Tensor,
    before: Mapping[str, Tensor],
    row: int,
    augmentation: str,
    strength: float,
    generator: Generator | None = None,
) -> PerturbedImage:
    """Change one image (C, H, H) and see how far each head follows: ``invariance`` for a single image.

    before: head -> (N, D) embeddings of a set of images, in which this one has the row. generator: default a new one
    with seed 0. Raises UserError as ``vary``.
    """
    generator = fixed_generator() if generator is None else generator
    changed = vary(image[None], augmentation, strength, generator)
    after = embed_heads(changed)
    similarity = torch.stack([after[head] @ z[row] for head, z in before.items()])
    others = torch.stack([_others(z)[[row]] for z in before.values()])
    moved = Invariance(
        augmentation=augmentation,
        strengths=(strength,),
        heads=tuple(before),
        similarity=similarity[:, None],
        others=others,
    )
    return PerturbedImage(changed[0], dict(after), moved)


def _others(embeddings: Tensor) -> Tensor:
    """Mean cosine of each row (n, D) and the other rows, (n,)."""
    both = embeddings @ embeddings.sum(dim=0) - (embeddings * embeddings).sum(dim=1)
    return both / (len(embeddings) - 1)


def reference_table(embed_heads: EmbedHeads, images: Tensor, augmentations: Sequence[str]) -> pd.DataFrame:
    """How far each head moves with each augmentation at its reference strength, for ``diagonal_margin``.

    One row a head and augmentation: the columns of ``Invariance.table``, and group.
    """
    tables = []
    for augmentation in augmentations:
        chosen = find_factor(augmentation)
        moved = invariance(embed_heads, images, augmentation, [chosen.reference])
        tables.append(moved.table().assign(group=chosen.group))
    return pd.concat(tables, ignore_index=True)


def readout(
    embed_heads: EmbedHeads, train: Tensor, test: Tensor, augmentation: str, generator: Generator, seed: int = 0
) -> pd.DataFrame:
    """How well an augmentation's strength can be predicted linearly from each head, on unseen images.

    Every image is changed by its own random strength: one of its classes, or uniform within its limits. A linear map is
    fitted on ``train`` and measured on ``test``, (n, C, H, H) both: classes by the linear probe (accuracy); an amount
    by ridge regression (R^2); the hue's shift, an angle, by ridge regression of its sine and cosine (R^2 of both).
    One row a head: augmentation, head, measure, value, chance, readout, where readout = (value - chance) /
    (1 - chance): 0 cannot be read (a little below is noise), 1 is read without error.

    No head can predict a strength that leaves the images' distribution unchanged: rotations of images that occur in
    every orientation, shifts of hues that are uniform. Give images of one pose and colour (``canonical_glyphs``).
    """
    strengths = [_draw(find_factor(augmentation), len(images), generator) for images in (train, test)]
    features, test_features = (
        embed_heads(vary(images, augmentation, strength, generator))
        for images, strength in zip((train, test), strengths, strict=True)
    )
    rows = []
    for head in features:
        measure, value, chance = _read(
            find_factor(augmentation), features[head], test_features[head], strengths[0], strengths[1], seed
        )
        row = {"augmentation": augmentation, "head": head, "measure": measure, "value": value, "chance": chance}
        rows.append(row | {"readout": (value - chance) / (1 - chance)})
    return pd.DataFrame(rows)


def _draw(chosen: AugmentationFactor, n: int, generator: Generator) -> Tensor:
    uniform = torch.rand(n, generator=generator, device=generator.device).cpu()
    if chosen.kind == "classes":
        values = torch.tensor(chosen.strengths)
        return values[(uniform * len(values)).long()]
    low, high = chosen.limits
    return low + (high - low) * uniform


def _read(
    chosen: AugmentationFactor,
    features: Tensor,
    test_features: Tensor,
    strength: Tensor,
    test_strength: Tensor,
    seed: int,
) -> tuple[str, float, float]:
    """Measure, value and chance."""
    if chosen.kind == "classes":
        predicted = linear_probe(features, strength.long(), test_features, seed).predicted
        return "accuracy", float((predicted == test_strength).double().mean()), 1 / len(chosen.strengths)
    wanted, test_wanted = (_target(chosen, part).numpy() for part in (strength, test_strength))
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    ridge = RidgeCV(RIDGE_PENALTIES).fit(((features - mean) / std).double().numpy(), wanted)
    predicted = ridge.predict(((test_features - mean) / std).double().numpy())
    predicted = predicted.reshape(test_wanted.shape)
    return "R^2", float(r2_score(test_wanted, predicted, multioutput="variance_weighted")), 0.0


def _target(chosen: AugmentationFactor, strength: Tensor) -> Tensor:
    """(n, 1), or (n, 2) sine and cosine of an angle in turns."""
    if chosen.kind == "amount":
        return strength[:, None].double()
    angle = 2 * math.pi * strength.double()
    return torch.stack([angle.sin(), angle.cos()], dim=1)


def fingerprint(
    embed_heads: EmbedHeads,
    images: Tensor,
    train: Tensor,
    test: Tensor,
    augmentations: Sequence[str] = tuple(FACTORS),
    seed: int = 0,
) -> pd.DataFrame:
    """Heads x augmentations: how far each head moves at the reference strength, and what can be read from it.

    images: those that are moved, as they are in the data set; train, test: those of the read-out, of one pose and
    colour if the data set has several (see ``readout``). One row a head and augmentation: augmentation, group, head,
    strength, fall_off (see ``Invariance``), readout. A head that moves but from which the strength cannot be read moves
    differently for each image.
    """
    tables = []
    for augmentation in augmentations:
        chosen, generator = find_factor(augmentation), Generator().manual_seed(seed)
        moved = invariance(embed_heads, images, augmentation, [chosen.reference], generator).table()
        read = readout(embed_heads, train, test, augmentation, generator, seed)
        table = moved.merge(read, on=["augmentation", "head"]).assign(group=chosen.group)
        tables.append(table[["augmentation", "group", "head", "strength", "fall_off", "readout"]])
    return pd.concat(tables, ignore_index=True)


def diagonal_margin(table: pd.DataFrame, column: str = "fall_off") -> pd.DataFrame:
    """How much more each left-out augmentation's own head encodes than the other embedding spaces (not the backbone).

    table: as from ``fingerprint``. One row for each augmentation whose group has a head: augmentation, head, own,
    mean_of_others, best_of_others, margin (own minus the mean of the others), lead (own minus the best of them).
    LooC claims positive values: the own head moves with the augmentation, or encodes it, more than the others.
    """
    rows = []
    spaces = table[table["head"] != BACKBONE]
    for augmentation, part in spaces.groupby("augmentation", sort=False):
        values, own = part.set_index("head")[column], part["group"].iloc[0]
        others = values.drop(own, errors="ignore")
        if own in values and len(others):
            row = {"augmentation": augmentation, "head": own, "own": values[own]}
            row |= {"mean_of_others": others.mean(), "best_of_others": others.max()}
            rows.append(row | {"margin": values[own] - others.mean(), "lead": values[own] - others.max()})
    columns = ["augmentation", "head", "own", "mean_of_others", "best_of_others", "margin", "lead"]
    return pd.DataFrame(rows, columns=columns)


def canonical_glyphs(n: int, seed: int = 0) -> Tensor:
    """(n, 3, 32, 32) glyphs, all upright and of one hue; shape, texture, place, size and light vary."""
    drawn = sample_glyphs(n, seed)
    nothing = np.zeros_like(drawn.rotation)
    return to_float(torch.from_numpy(render_glyphs(replace(drawn, rotation=nothing, hue=nothing))))
