"""The close-up of a query against loops over its candidates; rates by rank against those at one depth."""

import numpy as np
import pytest
import torch

from mixviz.analysis.hardness import false_negatives, negative_columns, of_own_class, real_parts, synthetic_points
from mixviz.analysis.query_candidates import (
    KINDS,
    NEGATIVE,
    OWN_KEY,
    PAIR,
    TOWARDS,
    false_by_rank,
    false_mixtures,
    gradient_by_kind,
    query_candidates,
)
from mixviz.method import Method
from mixviz.mixing import MoCHi

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 2, 2])
MOCHI = MoCHi(hardest=5, pairs=6, towards_query=4)


@pytest.fixture
def asked(build_framework, make_views, generator):
    """Makes a method of MoCo-v2 whose queue knows its classes, one of them not, and its only term."""

    def ask(*mixings, oracle=False):
        framework = build_framework("moco-v2")
        framework.queue.labels = torch.arange(20) % 3
        framework.queue.labels[7] = -1
        method = Method(framework, *mixings, oracle=oracle)
        with torch.no_grad():
            return method, method.terms(make_views(), generator, LABELS)[0]

    return ask


def test_every_candidate_is_there_with_its_parents_and_its_share(asked):
    method, term = asked(MOCHI)
    queue, points, tau = method.framework.queue, synthetic_points(method, term), method.framework.temperature
    for query in range(8):
        found = query_candidates(method, term, query, LABELS)
        q = term.q[query]
        vectors = torch.cat([term.keys[query], queue.keys[0], term.synthetic[query]])
        cosines = vectors @ q
        gap = (cosines / tau).softmax(dim=0)
        gap[0] -= 1
        share = gap.abs() / gap.abs().sum()
        order = cosines.argsort(descending=True).tolist()
        assert len(found) == 1 + 20 + 10
        np.testing.assert_allclose(found["similarity"], cosines[order])
        np.testing.assert_allclose(found["gradient_share"], share[order])
        for row, place in zip(found.itertuples(), order, strict=True):
            if place == 0:
                expected = (OWN_KEY, -1, -1)
            elif place <= 20:
                expected = (NEGATIVE, place - 1, place - 1)
            else:
                kind = PAIR if place < 27 else TOWARDS
                expected = (kind, *points.places[query, place - 21].tolist())
            assert (row.kind, row.first, row.second) == expected
            classes = [int(queue.labels[p]) for p in (row.first, row.second) if p >= 0]
            if not classes or -1 in classes:
                assert np.isnan(row.false)
            else:
                assert row.false == sum(c == int(LABELS[query]) for c in classes) / 2


def test_columns_say_where_a_candidate_is_among_all(asked):
    method, term = asked(MOCHI)
    found = query_candidates(method, term, 3)
    similarities = method.framework.candidates(term).similarities[3]
    np.testing.assert_allclose(found["similarity"], similarities.numpy()[found["column"]])
    assert found["false"].isna().all()


def test_the_oracle_leaves_no_candidate_of_the_own_class(asked):
    method, term = asked(MoCHi(hardest=3, pairs=6, towards_query=4), oracle=True)
    found = query_candidates(method, term, 0, LABELS)
    assert (found["kind"] == NEGATIVE).sum() == 13  # of 20, 7 are of class 0
    assert not (found["false"] > 0).any()
    assert np.isfinite(found["similarity"]).all()


def test_without_mixtures_there_are_the_key_and_the_queue(asked):
    found = query_candidates(*asked(), 2, LABELS)
    assert found["kind"].value_counts().to_dict() == {NEGATIVE: 20, OWN_KEY: 1, PAIR: 0, TOWARDS: 0}


def test_rates_by_rank_are_those_at_every_depth(asked):
    method, term = asked(MOCHI)
    candidates = method.framework.candidates(term)
    same = of_own_class(method.framework, term, candidates, LABELS)
    rates = false_by_rank(candidates, same, 20)
    real = torch.cat(real_parts(candidates), dim=1)
    for top in range(1, 21):
        expected = false_negatives(real, negative_columns(real, candidates), same[:, : real.shape[1]], top)
        assert float(rates[top - 1]) == pytest.approx(float(expected.mean()))


def test_mixtures_with_a_false_parent_are_counted_by_kind(asked):
    method, term = asked(MOCHI)
    points = synthetic_points(method, term, LABELS)
    found = false_mixtures(points)
    labels, counts = method.framework.queue.labels, {PAIR: 0, TOWARDS: 0}
    for query in range(8):
        for place, parents in enumerate(points.places[query]):
            kind = PAIR if place < 6 else TOWARDS
            counts[kind] += any(int(labels[p]) == int(LABELS[query]) for p in parents)
    assert found == pytest.approx({PAIR: counts[PAIR] / 48, TOWARDS: counts[TOWARDS] / 32})
    assert false_mixtures(synthetic_points(method, term)) == {}


def test_gradient_by_kind_adds_up(asked):
    found = query_candidates(*asked(MOCHI), 4, LABELS)
    table = gradient_by_kind(found)
    assert table.index.tolist() == list(KINDS)
    assert table["candidates"].tolist() == [1, 20, 6, 4]
    assert table["gradient_share"].sum() == pytest.approx(1)
    assert table.loc[OWN_KEY, "gradient_share"] == pytest.approx(0.5)
    of_class = found[(found["kind"] == NEGATIVE) & (found["false"] > 0)]
    assert table.loc[NEGATIVE, "false"] == pytest.approx(of_class["gradient_share"].sum())
    assert gradient_by_kind(query_candidates(*asked(), 4, LABELS)).index.tolist() == [OWN_KEY, NEGATIVE]


@pytest.mark.parametrize("labels", [LABELS, None])
def test_keys_of_the_querys_own_image_are_false_also_without_classes(asked, labels):
    own = torch.zeros(20, dtype=torch.bool)
    own[[7, 11]] = True
    method, term = asked(MOCHI)
    found = query_candidates(method, term, 4, labels, own_image=own)
    parents = torch.tensor(found[["first", "second"]].to_numpy())
    shares = (own[parents] & (parents >= 0)).float().mean(dim=1)
    np.testing.assert_array_equal(found["own_image"], shares)
    alone = found[(found["kind"] == NEGATIVE) & (found["own_image"] > 0)]
    assert sorted(alone["first"]) == [7, 11]
    assert (alone["false"] == 1).all()
    pushes = gradient_by_kind(found)
    assert pushes.loc[NEGATIVE, "own_image"] == pytest.approx(alone["gradient_share"].sum())
    assert pushes.loc[OWN_KEY, "own_image"] == 0
