"""The contrast table against autograd, loops and closed forms, for every framework with every mixing."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest
import torch
from torch import Tensor

from mixviz.analysis.hardness import effective_number
from mixviz.analysis.targets import (
    KINDS,
    contrast_table,
    hardest,
    loss_by_term,
    mass_by_kind,
    mean_mass,
    query_row,
)
from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.method import Draws, Method
from mixviz.mixing import IMix, IMixDraw, LooC, MixCo, MoCHi

N = 8
EXACT = {"rtol": 0, "atol": 1e-9}
LABELS = torch.tensor([0, 1, 2, 0, 1, -1, 3, 4])
MIXINGS = [
    tuple(part for part in parts if part)
    for parts in product(
        [None, MixCo(temperature=0.1), IMix()],
        [None, MoCHi(hardest=3, pairs=5, towards_query=2)],
        [None, LooC(left_out=("color", "rotation"))],
    )
]
CASES = [
    (name, mixings, oracle)
    for name, mixings, oracle in product(FRAMEWORKS, MIXINGS, [False, True])
    if FRAMEWORKS[name].has_negatives or (not oracle and not any(mixing.needs_negatives for mixing in mixings))
]


def named(value) -> str:
    if isinstance(value, tuple):
        return "+".join(type(part).__name__ for part in value) or "plain"
    return {True: "oracle", False: ""}.get(value, value)


def in_double(draw):
    """λ in double precision, so that λ and 1 - λ sum to one in it."""
    if hasattr(draw, "lam"):
        return draw._replace(lam=draw.lam.double())
    return None if draw is None else draw.double()


@pytest.fixture
def make_terms(build_framework, make_views):
    """The framework, and the terms of one batch."""

    def make(name, *mixings, oracle=False, draws=None, **options):
        spaces = max((len(mixing.shared) for mixing in mixings), default=1)
        framework = build_framework(name, spaces=spaces, **options)
        if name == "moco-v2":
            framework.queue.labels[:] = torch.arange(20) % 7 - 1
        method = Method(framework, *mixings, oracle=oracle)
        generator = torch.Generator().manual_seed(0)
        draws = draws or Draws(queries=[in_double(method.query_mixing.sample(N, generator)) for _ in range(2)])
        return framework, method.terms(make_views(1 + spaces, N), generator, LABELS, draws)

    return make


def vectors(framework, term) -> Tensor:
    """(n, M, D): the candidates themselves, in the table's order."""
    parts = [term.keys.flatten(0, 1)]
    if framework.name == "simclr" and term.query.candidates == "own":
        parts.append(term.q)
    if framework.name == "moco-v2":
        parts.append(framework.queue.keys[term.space])
    shared = torch.cat(parts).detach().expand(len(term.q), -1, -1)
    return torch.cat([shared, term.synthetic], dim=1) if framework.has_negatives else shared


@pytest.mark.parametrize(("name", "mixings", "oracle"), CASES, ids=named)
def test_the_gradient_by_the_query_is_the_tables(make_terms, name, mixings, oracle):
    """Autograd through the framework's loss, query by query: one that is another's negative gets a gradient there."""
    framework, terms = make_terms(name, *mixings, oracle=oracle, symmetric=True)
    if name == "vicreg":  # whose statistics of the batch no row shows
        framework.settings = replace(framework.settings, variance_weight=0, covariance_weight=0)
    for term in terms:
        table = contrast_table(framework, term)
        q = term.q.detach().requires_grad_()
        leaf = replace(term, q=q, keys=term.keys.detach())
        losses = framework.loss(leaf)
        rows = [torch.autograd.grad(loss, q, retain_graph=True)[0][i] for i, loss in enumerate(losses)]
        weights = torch.where(table.gap == 0, 0.0, table.gap)
        expected = table.scale * torch.einsum("nm,nmd->nd", weights, vectors(framework, term))
        expected = expected if framework.normalised else expected + table.scale * term.q
        torch.testing.assert_close(torch.stack(rows), expected, **EXACT)
        assert not table.similarities.requires_grad


@pytest.mark.parametrize(("name", "mixings"), [case[:2] for case in CASES if not case[2]], ids=named)
def test_the_parts_of_the_loss_sum_to_the_loss_that_is_trained(build_framework, make_views, name, mixings):
    spaces = max((len(mixing.shared) for mixing in mixings), default=1)
    framework = build_framework(name, spaces=spaces, symmetric=True)
    method, views = Method(framework, *mixings), make_views(1 + spaces, N)
    parts = loss_by_term(framework, method.terms(views, torch.Generator().manual_seed(0)))
    trained = method.training_step(views, torch.Generator().manual_seed(0))
    assert parts.sum() == pytest.approx(trained.loss.item())
    kinds = 2 if any(isinstance(mixing, MixCo) for mixing in mixings) else 1
    assert len(parts) == kinds * spaces


def test_the_blends_part_of_the_loss_grows_with_their_weight(make_terms):
    once = loss_by_term(*make_terms("moco-v2", MixCo(weight=1.0)))
    twice = loss_by_term(*make_terms("moco-v2", MixCo(weight=2.0)))
    assert twice["blends"] == pytest.approx(2 * once["blends"])
    assert twice["clean queries"] == pytest.approx(once["clean queries"])


@pytest.mark.parametrize(("name", "mixings", "oracle"), CASES, ids=named)
def test_masses_sum_to_one_and_what_is_no_candidate_has_none(make_terms, name, mixings, oracle):
    framework, terms = make_terms(name, *mixings, oracle=oracle)
    for term in terms:
        table = contrast_table(framework, term)
        shape = table.similarities.shape
        assert shape == (len(term.q), sum(table.groups.values()))
        ones = torch.ones(shape[0], dtype=torch.float64)
        torch.testing.assert_close(table.targets.sum(dim=1), ones, **EXACT, check_dtype=False)
        torch.testing.assert_close(table.gradient_share.sum(dim=1), ones, **EXACT, check_dtype=False)
        none = table.kind == KINDS.index("none")
        assert not table.targets[none].any()
        assert not table.gradient_share[none].any()
        masses = mass_by_kind(table).groupby("query").sum(numeric_only=True)
        assert masses["target"].to_numpy() == pytest.approx(1)
        assert masses["gradient_share"].to_numpy() == pytest.approx(1)
        assert masses["candidates"].tolist() == (~none).sum(dim=1).tolist()
        if not framework.has_negatives:
            assert table.probabilities.isnan().all()
            assert mass_by_kind(table)["probability"].isna().all()
            assert torch.equal(table.gradient_share, table.targets)
        else:
            assert torch.equal(none, table.similarities == -torch.inf)
            assert masses["probability"].to_numpy() == pytest.approx(1)
            # the gaps of a row sum to zero: attraction and repulsion have half of the share each
            attracting = torch.where(table.gap < 0, table.gradient_share, 0).sum(dim=1)
            torch.testing.assert_close(attracting, ones / 2, **EXACT, check_dtype=False)


def counts(table, query: int = 0) -> dict[str, int]:
    return {name: int((table.kind[query] == kind).sum()) for kind, name in enumerate(KINDS) if kind in table.kind}


def test_kinds_of_plain_frameworks(make_terms):
    made = {name: make_terms(name) for name in FRAMEWORKS}
    tables = {name: contrast_table(framework, terms[0]) for name, (framework, terms) in made.items()}
    assert counts(tables["moco-v2"]) == {"own key": 1, "queue": 20, "none": N - 1}
    assert counts(tables["n-pair"]) == {"own key": 1, "batch": N - 1}
    assert counts(tables["simclr"]) == {"own key": 1, "batch": 2 * (N - 1), "none": 1}
    assert counts(tables["byol"]) == counts(tables["vicreg"]) == {"own key": 1, "none": N - 1}
    assert tables["simclr"].groups == {"keys": N, "own view": N}
    assert tables["moco-v2"].groups == {"keys": N, "queue": 20}
    for table in tables.values():
        assert table.kind[:, :N].diag().tolist() == [KINDS.index("own key")] * N


def test_kinds_of_a_blend_on_moco_with_synthetic_negatives_and_left_out_views(make_terms):
    mixings = (MixCo(), MoCHi(hardest=3, pairs=5, towards_query=2), LooC(left_out=("color", "rotation")))
    framework, terms = make_terms("moco-v2", *mixings)
    by_space = {(term.query.mixed, term.space): contrast_table(framework, term) for term in terms}
    outside = {"queue": 20, "synthetic": 7}
    assert counts(by_space[True, 0]) == {"own key": 1, "partner": 1, "batch": N - 2, **outside}
    assert counts(by_space[True, 2]) == {"own key": 1, "partner": 1, "other views": 4, "batch": 3 * (N - 2), **outside}
    # a clean query's own image alone is compared with: other key views are left out as the batch's are
    assert counts(by_space[False, 2])["own key"] == 1
    assert counts(by_space[False, 2])["none"] == 3 * (N - 1)
    assert counts(by_space[False, 2])["other views"] == 2
    table = by_space[True, 2]
    assert table.kind[1, 3 * 1 + 2] == KINDS.index("own key")
    assert table.kind[1, 3 * (1 + N // 2) + 2] == KINDS.index("partner")
    assert table.groups == {"keys": 3 * N, "queue": 20, "synthetic": 7}


def test_own_key_stays_the_first_source_whatever_its_share(make_terms):
    """λ = 0 gives image i no mass, and its partner all; a partner that is the image itself is no partner."""
    lam = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64)
    framework, (_, term) = make_terms("moco-v2", MixCo(), draws=Draws(queries=[lam]))
    masses = mass_by_kind(contrast_table(framework, term)).pivot(index="query", columns="kind", values="target")
    assert masses["own key"].tolist() == pytest.approx([0, 0.3, 0.7, 1])
    assert masses["partner"].tolist() == pytest.approx([1, 0.7, 0.3, 0])
    looc = LooC(left_out=("color", "rotation"))
    framework, terms = make_terms("moco-v2", MixCo(), looc, draws=Draws(queries=[lam]))
    assert counts(contrast_table(framework, terms[-1]))["other views"] == 4
    itself = IMixDraw(torch.full((N,), 0.6, dtype=torch.float64), torch.arange(N))
    framework, (term,) = make_terms("byol", IMix(), draws=Draws(queries=[itself]), symmetric=False)
    assert counts(contrast_table(framework, term)) == {"own key": 1, "none": N - 1}


def test_an_oracle_takes_the_own_class_out(make_terms):
    framework, (term,) = make_terms("moco-v2", oracle=True)
    table = contrast_table(framework, term)
    same = LABELS[:, None] == framework.queue.labels
    same &= framework.queue.labels >= 0
    assert torch.equal(table.kind[:, N:] == KINDS.index("none"), same)


def test_hardest_sorts_queue_and_synthetic_and_leaves_keys_in_place(make_terms):
    framework, (term,) = make_terms("moco-v2", MoCHi(hardest=3, pairs=5, towards_query=2))
    table = contrast_table(framework, term)
    part = hardest(table, 4)
    assert part.groups == {"keys": N, "queue": 4, "synthetic": 4}
    assert part.found == table.groups == {"keys": N, "queue": 20, "synthetic": 7}
    assert torch.equal(part.similarities[:, :N], table.similarities[:, :N])
    queue = sorted(table.similarities[2, N : N + 20].tolist(), reverse=True)[:4]
    assert part.similarities[2, N : N + 4].tolist() == queue
    expected = sorted(table.probabilities[2, N : N + 20].tolist(), reverse=True)[:4]
    assert part.probabilities[2, N : N + 4].tolist() == expected
    assert hardest(table, 4, groups=("queue",)).groups == {"queue": 4}
    with pytest.raises(UserError, match="no column group 'own view': it has keys, queue, synthetic"):
        hardest(table, groups=("own view",))


def test_masses_are_sums_over_kinds_as_a_loop(make_terms):
    framework, (_, term) = make_terms("moco-v2", MixCo())
    table = contrast_table(framework, term)
    for row in mass_by_kind(table).itertuples():
        here = [j for j in range(table.kind.shape[1]) if KINDS[table.kind[row.query, j]] == row.kind]
        assert row.candidates == len(here)
        assert row.probability == pytest.approx(sum(float(table.probabilities[row.query, j]) for j in here))
        assert row.gradient_share == pytest.approx(sum(float(table.gradient_share[row.query, j]) for j in here))
    mean = mean_mass(table)
    assert list(mean.index) == ["own key", "partner", "batch", "queue"]
    assert mean["candidates"].tolist() == [1, 1, N - 2, 20]
    assert mean["probability"].sum() == pytest.approx(1)
    own = [float(table.targets[i, i]) for i in range(N // 2)]
    assert mean.loc["own key", "target"] == pytest.approx(sum(own) / len(own))


def test_effective_number_counts_equal_shares():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    torch.testing.assert_close(effective_number(rows), torch.tensor([1.0, 2, 4]))
    assert effective_number(torch.full((1, 3), torch.nan)).isnan().all()


def test_a_row_names_its_candidates_and_sums_up_the_rest(make_terms):
    framework, (_, term) = make_terms("moco-v2", MixCo())
    table = contrast_table(framework, term)
    row = query_row(table, 1, count=3)
    assert row["candidate"].tolist() == [
        *[f"key {i}" for i in range(N)],
        *["queue #1", "queue #2", "queue #3", "queue, other 17"],
    ]
    assert row["kind"].tolist()[:N] == ["batch", "own key", "batch", "batch", "batch", "partner", "batch", "batch"]
    assert row["probability"].sum() == pytest.approx(1)
    assert row["gradient_share"].sum() == pytest.approx(1)
    assert pd.isna(row["similarity"].iloc[-1])
    framework, terms = make_terms("moco-v2", LooC(left_out=("color", "rotation")))
    looc = query_row(contrast_table(framework, terms[1]), 2, count=30)
    assert looc["candidate"].tolist()[:4] == ["key 2, view 0", "key 2, view 1", "key 2, view 2", "queue #1"]
    assert looc["kind"].tolist()[:3] == ["other views", "own key", "other views"]
    with pytest.raises(UserError, match="queries 0 to 3"):
        query_row(table, 4)
