"""What flows between a mixing, a framework and a method.

Letters: N images in a batch, n queries, J key views an image, H embedding spaces, D embedding size,
P columns that may carry target mass, S synthetic negatives.
"""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from pydantic import ConfigDict
from torch import Tensor

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # of the settings of mixings and frameworks
Settings = TypeVar("Settings")


def replace_known(settings: Settings, **values: Any) -> Settings:
    """A copy of a mixing's or a framework's settings with the values that it has fields for."""
    assert is_dataclass(settings)
    assert not isinstance(settings, type)
    known = {field.name for field in fields(settings)}
    return replace(settings, **{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, kw_only=True)
class Query:
    """Inputs to query with, and the distribution over the batch that each should match."""

    inputs: Tensor  # (n, C, H, W) images, or any (n, ...)
    targets: Tensor  # (n, N), rows sum to one
    weight: float | Tensor = 1.0  # of its loss in the total; a tensor is ()
    temperature: float | None = None  # None: the framework's own
    mixed: bool = False  # its inputs are made from several images
    candidates: Literal["own", "batch"] = "own"  # batch: the keys of all images; own: as a clean query


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of the loss: everything that it is computed from, and that pictures show."""

    query: Query
    q: Tensor  # (n, D) query embeddings, of unit length if the framework normalises
    keys: Tensor  # (N, J, D) keys of the other views, likewise
    targets: Tensor  # (n, N * J) the query's targets, spread over the key views
    synthetic: Tensor  # (n, S, D) negatives that a mixing synthesised, unit length, detached
    space: int  # which of the H embedding spaces
    query_view: int  # which view the queries are made from
    weight: float | Tensor  # of its loss in the total; a tensor is ()
    labels: Tensor | None = None  # (N,) classes; only a class oracle uses them
    draw: Any = None  # the random choices of the negatives' mixing

    @property
    def real(self) -> "Term":
        """Without synthetic negatives."""
        return replace(self, synthetic=self.synthetic[:, :0])


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """A query's row of similarities and its target distribution: the basis of the loss and of every picture."""

    positives: Tensor  # (n, P) similarities to the columns that may carry target mass; -inf: no candidate
    targets: Tensor  # (n, P), rows sum to one
    temperature: float
    negatives: dict[str, Tensor] = field(default_factory=dict)  # group name -> (n, M) similarities

    @property
    def similarities(self) -> Tensor:
        """(n, P + all M), the positives first, then the negatives group by group."""
        return torch.cat([self.positives, *self.negatives.values()], dim=1)

    @property
    def all_targets(self) -> Tensor:
        """(n, P + all M): the targets, 0 for the negatives."""
        negatives = sum(part.shape[1] for part in self.negatives.values())
        return F.pad(self.targets.to(self.positives.dtype), (0, negatives))

    @property
    def real(self) -> "Candidates":
        """Without synthetic negatives."""
        negatives = {name: part for name, part in self.negatives.items() if name != "synthetic"}
        return replace(self, negatives=negatives)

    @property
    def chance_loss(self) -> Tensor:
        """(n,) nats: InfoNCE if all candidates of a query are equally similar to it: the logarithm of their number.

        Several positives do not change it.
        """
        parts = [self.positives, *self.negatives.values()]
        return torch.stack([(part > -torch.inf).sum(dim=1) for part in parts]).sum(dim=0).log()

    @property
    def logits(self) -> Tensor:
        """(n, P + all M): the similarities over the temperature."""
        return self.similarities.div_(self.temperature)  # in place: ``similarities`` is a new tensor

    @property
    def probabilities(self) -> Tensor:
        """(n, P + all M): softmax of the logits; rows sum to one."""
        return self.logits.softmax(dim=1)
