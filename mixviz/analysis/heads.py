"""What each embedding space (head) of an encoder holds: its embeddings, the factors in it, its part in a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from mixviz.analysis.neighbours import nearest
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import clean
from mixviz.encoders import Embedder
from mixviz.errors import UserError
from mixviz.evaluate import Source, evaluate, frozen
from mixviz.evaluate.linear import linear_classifier

BACKBONE = "backbone"  # what evaluations read; not an embedding space
ALL = "all"  # space 0, which learns to ignore all augmentations: the only one of a method without LooC

Heads = dict[str, Tensor]  # name -> (n, D), rows of unit length


def head_names(config: RunConfig) -> tuple[str, ...]:
    """The embedding spaces of a run, in order: ``all``, then LooC's left-out augmentations (arXiv:2008.05659).

    Without LooC there is only ``all``: the single space is trained to ignore every augmentation, as space 0 is.
    """
    return tuple(group or ALL for group in config.method.shared)


@torch.no_grad()
def heads(embedder: Embedder, images: Tensor, names: Sequence[str] | None = None, batch_size: int = 512) -> Heads:
    """Embeddings of images (n, C, H, W) float in [0, 1] in every space, in evaluation mode, on the CPU.

    Gives ``backbone`` (n, F), in LooC++ all branches side by side, and one (n, D) for each of ``names`` (as from
    ``head_names``; None: ``all``, ``space 1``, ...). All rows are of unit length; one forward pass serves all.
    Raises UserError if the names do not fit the embedder, NotFrozen if something in it changes meanwhile.
    """
    names = (ALL, *(f"space {h}" for h in range(1, embedder.spaces))) if names is None else tuple(names)
    if len(names) != embedder.spaces:
        raise UserError(f"{len(names)} names for {embedder.spaces} embedding spaces: give one each, as head_names does")
    with frozen(embedder):
        parts = [_spaces(embedder, batch.to(embedder.device)) for batch in images.split(batch_size)]
    columns = zip(*parts, strict=True)
    return {
        name: F.normalize(torch.cat(column), dim=1) for name, column in zip((BACKBONE, *names), columns, strict=True)
    }


def _spaces(embedder: Embedder, images: Tensor) -> list[Tensor]:
    """Features and the embedding in each space, float32 on the CPU."""
    with torch.autocast(images.device.type, embedder.dtype, enabled=embedder.dtype != torch.float32):
        features = embedder.features(images)
        own = features.chunk(embedder.spaces, dim=1) if embedder.branches else [features] * embedder.spaces
        embeddings = [projector(part) for projector, part in zip(embedder.projectors, own, strict=True)]
    return [part.float().cpu() for part in (features, *embeddings)]


@torch.no_grad()
def embed_set(embedder: Embedder, images: Dataset, names: Sequence[str], batch_size: int = 512) -> Heads:
    """Embeddings of a whole set in every space, without converting all of it to floats at once."""
    with frozen(embedder):
        parts = [
            heads(embedder, clean(images, slice(start, start + batch_size)), names)
            for start in range(0, len(images), batch_size)
        ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def branches(features: Tensor, names: Sequence[str]) -> Heads:
    """Split the features (n, F) of a LooC++ backbone into those of its branches: (n, F / H), of unit length."""
    parts = features.chunk(len(names), dim=1)
    return {name: F.normalize(part, dim=1) for name, part in zip(names, parts, strict=True)}


def factor_readout(
    train_heads: Mapping[str, Tensor],
    test_heads: Mapping[str, Tensor],
    train: Dataset,
    test: Dataset,
    factors: Sequence[str] = ("label",),
    protocol: str = "linear-features",
    seed: int = 0,
) -> pd.DataFrame:
    """How well each factor of the data can be read from each head (the rotation task of LooC, Table 1, is one).

    ``linear-features`` finds a factor even in directions in which the head hardly varies; ``knn`` finds it only where
    it determines which images are near. factors: ``label`` or names of factors. One row a head and factor: head,
    factor, protocol, accuracy in [0, 1] on test, chance (one over the number of classes).
    Test labels stay sealed, as in every result. Raises UserError for a factor or protocol that is not there, and for
    images that are in both train and test.
    """
    pairs = {head: (features, test_heads[head]) for head, features in train_heads.items()}
    sources = [Source(features=pair, train=train, test=test, encoder=head, seed=seed) for head, pair in pairs.items()]
    results = [result for source in sources for result in evaluate(source, factors, [protocol])]
    rows = [
        {"head": r.encoder, "factor": r.target, "protocol": r.label, "accuracy": r.accuracy, "chance": 1 / r.classes}
        for r in sorted(results, key=lambda result: factors.index(result.target))
    ]
    return pd.DataFrame(rows)


def nearest_per_head(embeddings: Mapping[str, Tensor], queries: Tensor, k: int) -> dict[str, Tensor]:
    """Rows of the k nearest other images by cosine in each head, (n, k), the nearest first (LooC, Figure 3).

    embeddings: name -> (N, D); queries: (n,) rows. Raises UserError if k is not in 1 .. N - 1.
    """
    found = {}
    for head, embedding in embeddings.items():
        index = nearest(embedding, k + 1, embedding[queries]).index
        itself_last = (index == queries[:, None]).byte().argsort(dim=1, stable=True)
        found[head] = index.gather(1, itself_last)[:, :k]
    return found


@dataclass(frozen=True, kw_only=True)
class HeadContribution:
    """What each head adds to the decision of a linear classifier on all of them, for m correct predictions."""

    heads: tuple[str, ...]
    values: Tensor  # (m, H) in logits; positive speaks for the class
    index: Tensor  # (m,) rows of the test images that were predicted correctly
    accuracy: float  # of the classifier on test, in [0, 1]

    @property
    def share(self) -> Tensor:
        """(H,) each head's part of the mean contribution of all; sums to one; negative: against the class."""
        mean = self.values.mean(dim=0)
        return mean / mean.sum()


def head_contribution(
    train_heads: Mapping[str, Tensor],
    labels: Tensor,
    test_heads: Mapping[str, Tensor],
    test_labels: Tensor,
    seed: int = 0,
) -> HeadContribution:
    """Activation times weight, summed over the columns of each head, for correct predictions (LooC, Figure 4).

    A linear probe is trained on the heads side by side, (N, D) each, standardised by the training images. Head h
    gives class c the logit s_hc = sum over its columns d of x_d w_dc; its contribution to the predicted class p is
    s_hp minus the mean of s_hc over all classes. The contributions of an image sum to the logit of p above the mean
    logit, the bias left out. The paper has LooC++'s branches as heads (``branches``); labels: (N,) from 0.
    """
    names = tuple(train_heads)
    features, test_features = (torch.cat([part[name] for name in names], dim=1) for part in (train_heads, test_heads))
    probe = linear_classifier(features, labels, seed)
    predicted = probe(test_features)
    index = (predicted == test_labels).nonzero().squeeze(1)
    sizes = [train_heads[name].shape[1] for name in names]
    standardised = (test_features[index] - probe.mean) / probe.std
    values = contributions(standardised, probe.weights[:-1, 0], predicted[index], sizes)
    return HeadContribution(
        heads=names, values=values, index=index, accuracy=float((predicted == test_labels).double().mean())
    )


def contributions(features: Tensor, weights: Tensor, classes: Tensor, sizes: Sequence[int]) -> Tensor:
    """(n, H): each head's part of the logit of ``classes`` (n,), minus its mean part over all classes.

    features: (n, D), the heads side by side; weights: (D, C), without bias; sizes: columns of each head.
    """
    above_mean = (weights - weights.mean(dim=1, keepdim=True)).T[classes]  # (n, D)
    return torch.stack([part.sum(dim=1) for part in (features * above_mean).split(list(sizes), dim=1)], dim=1)
