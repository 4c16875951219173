"""The contrast table: every query's candidates, what it should match, what it does match, and what moves it.

Letters: N images, n queries, J key views, M columns, D embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from mixviz.errors import UserError
from mixviz.frameworks import Framework
from mixviz.terms import Candidates, Term

KINDS = ("own key", "partner", "other views", "batch", "queue", "synthetic", "none")
OWN_KEY, PARTNER, OTHER_VIEWS, BATCH, QUEUE, SYNTHETIC, NONE = range(len(KINDS))
OF_GROUP = {"own view": BATCH, "queue": QUEUE, "synthetic": SYNTHETIC}
OF_MASS = {"target": "targets", "probability": "probabilities", "gradient_share": "gradient_share"}


@dataclass(frozen=True, kw_only=True)
class ContrastTable:
    """One term of the loss as a table of queries x candidates, each field (n, M), without gradient.

    The columns are ordered by group: the batch's keys (column i * J + j is key view j of image i), then on SimCLR the
    queries' own view, on MoCo-v2 the queue, and a mixing's synthetic negatives. The gradient of a query's loss by the
    query is ``scale * sum_j gap_j c_j`` over the unit candidates c_j.
    """

    similarities: Tensor  # cosines; -inf: not a candidate of this query
    targets: Tensor  # rows sum to one
    probabilities: Tensor  # softmax at the temperature, rows sum to one; NaN without negatives
    gap: Tensor  # probability - target; below 0 the candidate attracts the query, above 0 it repels it
    gradient_share: Tensor  # |gap| as a share of its row's sum, so rows sum to one
    kind: Tensor  # index into KINDS
    groups: dict[str, int]  # name -> number of its columns, in their order
    found: dict[str, int]  # name -> number of its columns in the term; more than in ``groups`` after ``hardest``
    key_views: int  # J
    temperature: float
    scale: float

    @property
    def slices(self) -> dict[str, slice]:
        """The columns of each group."""
        ends = torch.tensor(list(self.groups.values())).cumsum(0).tolist()
        return {name: slice(end - width, end) for (name, width), end in zip(self.groups.items(), ends, strict=True)}


@torch.no_grad()
def contrast_table(framework: Framework, term: Term) -> ContrastTable:
    """The table of a term of ``Method.terms``, over the framework's own candidates; nothing is embedded again.

    With InfoNCE at temperature τ the gradient by the query is ``1/τ sum_j (p_j - t_j) c_j``: a candidate moves it by
    how far its probability is from its target. Without negatives it is a regression to the targets: ``gap`` is -t, and
    columns without target are no candidates. ``Framework.loss_note`` says what else moves a query.

    The share weighs candidates before the part along the query is projected out, as normalising does later.
    """
    candidates = framework.candidates(term)
    similarities, targets = candidates.similarities, candidates.all_targets
    probabilities = candidates.probabilities if framework.has_negatives else torch.full_like(similarities, torch.nan)
    gap, scale = framework.gap(candidates)
    share = gap.abs() / gap.abs().sum(dim=1, keepdim=True).clamp(min=torch.finfo(gap.dtype).tiny)
    kind = _kinds(term, candidates, framework.has_negatives)
    groups = {"keys": candidates.positives.shape[1]}
    groups |= {name: part.shape[1] for name, part in candidates.negatives.items() if part.shape[1]}
    return ContrastTable(
        similarities=similarities.detach(),
        targets=targets,
        probabilities=probabilities,
        gap=gap,
        gradient_share=share,
        kind=kind,
        groups=groups,
        found=groups,
        key_views=term.keys.shape[1],
        temperature=candidates.temperature,
        scale=scale,
    )


def _kinds(term: Term, candidates: Candidates, has_negatives: bool) -> Tensor:
    """(n, M) of KINDS. Query i is made of image i, and a blend of further ones, which are its partners."""
    n, images, views = len(term.q), *term.keys.shape[:2]
    own = torch.eye(n, images, dtype=torch.bool, device=term.q.device)
    source = (term.query.targets > 0) | own  # (n, N) images that the query is made of
    wanted = torch.arange(images * views, device=term.q.device) % views == term.space  # the space's own key view
    own, source = (mask.repeat_interleave(views, dim=1) for mask in (own, source))

    keys = torch.full_like(candidates.positives, BATCH, dtype=torch.long)
    keys[source & ~wanted] = OTHER_VIEWS
    keys[source & wanted] = PARTNER
    keys[own & wanted] = OWN_KEY
    if not has_negatives:
        keys[candidates.targets == 0] = NONE
    parts = [torch.full_like(part, OF_GROUP[name], dtype=torch.long) for name, part in candidates.negatives.items()]
    return torch.cat([keys, *parts], dim=1).masked_fill(candidates.similarities == -torch.inf, NONE)


@torch.no_grad()
def loss_by_term(framework: Framework, terms: Sequence[Term]) -> pd.Series:
    """What each kind of query adds to the loss, including its weight; together they are the loss of ``Method``.

    Index: ``clean queries`` or ``blends``, and ``space 0`` and so on if there are several. In nats; without
    negatives squared distances.
    """
    mixed, spaces = any(term.query.mixed for term in terms), len({term.space for term in terms})
    parts: dict[str, float] = {}
    for term in terms:
        name = ["blends" if term.query.mixed else "clean queries"] if mixed or spaces == 1 else []
        name += [f"space {term.space}"] if spaces > 1 else []
        loss = framework.loss(term).mean()
        parts[", ".join(name)] = parts.get(", ".join(name), 0.0) + float(term.weight) * float(loss)
    return pd.Series(parts, name="loss")


def hardest(table: ContrastTable, count: int = 16, groups: tuple[str, ...] | None = None) -> ContrastTable:
    """The part of the table to show: of queue and synthetic negatives only each query's hardest, hardest first.

    count: how many columns to keep of each of the two groups. groups: which groups to keep; None: all. Rows then sum to
    less than one. Raises UserError if the table has no such group.
    """
    missing = [name for name in groups or () if name not in table.groups]
    if missing:
        raise UserError(f"the table has no column group {missing[0]!r}: it has {', '.join(table.groups)}")
    picked, widths = [], {}
    for name, where in table.slices.items():
        if groups is not None and name not in groups:
            continue
        columns = torch.arange(where.start, where.stop, device=table.kind.device).expand(len(table.kind), -1)
        if name in ("queue", "synthetic"):
            order = table.similarities[:, where].argsort(dim=1, descending=True, stable=True)
            columns = columns.gather(1, order[:, :count])
        picked.append(columns)
        widths[name] = columns.shape[1]
    index = torch.cat(picked, dim=1)
    names = ("similarities", "targets", "probabilities", "gap", "gradient_share", "kind")
    fields = {name: getattr(table, name).gather(1, index) for name in names}
    return replace(table, **fields, groups=widths, found={name: table.found[name] for name in widths})


def mass_by_kind(table: ContrastTable) -> pd.DataFrame:
    """Target, probability and gradient share, summed over the candidates of each kind: one row a query and kind.

    Columns query, kind, candidates (how many), target, probability (NaN without negatives), gradient_share. Every query
    has the same kinds: all that occur.
    """
    frames = []
    for kind, name in enumerate(KINDS[:NONE]):
        here = table.kind == kind
        if not here.any():
            continue
        columns = {"query": range(len(here)), "kind": name, "candidates": here.sum(dim=1).tolist()}
        for mass, field in OF_MASS.items():
            values = getattr(table, field)
            columns[mass] = torch.where(here, values, values * 0).sum(dim=1).tolist()  # 0 * NaN stays NaN
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames).sort_values("query", kind="stable", ignore_index=True)


def mean_mass(table: ContrastTable) -> pd.DataFrame:
    """``mass_by_kind`` averaged over the queries: index kind, columns candidates, target, probability and so on."""
    return mass_by_kind(table).groupby("kind", sort=False).mean().drop(columns="query")


def query_row(table: ContrastTable, query: int, count: int = 8) -> pd.DataFrame:
    """One query's candidates: columns candidate (a label), kind, similarity, target, probability, gradient_share.

    Of queue and synthetic the ``count`` hardest, hardest first, and one row for all others of the group together,
    whose similarity is NaN. Raises UserError if there is no such query.
    """
    if not 0 <= query < len(table.kind):
        raise UserError(f"there is no query {query}: the term has queries 0 to {len(table.kind) - 1}")
    shown = hardest(table, count)
    columns: dict[str, list] = {name: [] for name in ("candidate", "kind", "similarity", *OF_MASS)}
    for name, where in shown.slices.items():
        kinds = shown.kind[query, where].tolist()
        found = {"candidate": _labels(shown, name), "kind": [KINDS[kind] for kind in kinds]}
        for column, field in {"similarity": "similarities", **OF_MASS}.items():
            found[column] = getattr(shown, field)[query, where].tolist()
        for column, values in found.items():
            columns[column] += [value for value, kind in zip(values, kinds, strict=True) if kind != NONE]
        if shown.groups[name] < table.groups[name]:
            for column, value in _rest(table, shown, query, name).items():
                columns[column].append(value)
    return pd.DataFrame(columns)


def _labels(table: ContrastTable, group: str) -> list[str]:
    places = range(table.groups[group])
    if group == "keys" and table.key_views > 1:
        return [f"key {place // table.key_views}, view {place % table.key_views}" for place in places]
    if group in ("keys", "own view"):
        return [f"{'key' if group == 'keys' else group} {place}" for place in places]
    return [f"{group} #{place + 1}" for place in places]


def _rest(table: ContrastTable, shown: ContrastTable, query: int, group: str) -> dict[str, str | float]:
    """The row for what ``hardest`` leaves out of a group."""

    def left(field: str) -> float:
        parts = [getattr(part, field)[query, part.slices[group]].sum() for part in (table, shown)]
        return float(parts[0] - parts[1])

    count = table.groups[group] - shown.groups[group]
    row = {"candidate": f"{group}, other {count:,}", "kind": group, "similarity": float("nan")}
    return row | {mass: left(field) for mass, field in OF_MASS.items()}
