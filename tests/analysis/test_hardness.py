"""Hardness against slow loops over one query at a time, closed forms, and what the paper says must hold."""

import math

import pytest
import torch

from mixviz.analysis.hardness import (
    effective_number,
    hardness,
    of_own_class,
    synthetic_points,
    temperature_response,
)
from mixviz.errors import UserError
from mixviz.method import Method
from mixviz.mixing import IMix, MoCHi
from mixviz.terms import Candidates

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 2, 2])
MOCHI = MoCHi(hardest=5, pairs=6, towards_query=4)


@pytest.fixture
def mochi_term(build_framework, make_views, generator):
    """A method of MoCo-v2 + MoCHi, whose queue knows its classes, and its only term."""
    framework = build_framework("moco-v2")
    framework.queue.labels = torch.arange(20) % 3
    framework.queue.labels[7] = -1
    method = Method(framework, MOCHI)
    with torch.no_grad():
        return method, method.terms(make_views(), generator)[0]


def loops(candidates: Candidates, synthetic: bool):
    """For each query: similarities of its negatives, and the softmax over all of its candidates."""
    for i in range(len(candidates.positives)):
        negatives, others = [], []
        for j, similarity in enumerate(candidates.positives[i].tolist()):
            if similarity > -math.inf:
                (negatives if candidates.targets[i, j] == 0 else others).append(similarity)
        for name, part in candidates.negatives.items():
            if synthetic or name != "synthetic":
                negatives += [similarity for similarity in part[i].tolist() if similarity > -math.inf]
        total = sum(math.exp(s / candidates.temperature) for s in negatives + others)
        yield others, negatives, sorted((math.exp(s / candidates.temperature) / total for s in negatives), reverse=True)


@pytest.mark.parametrize("synthetic", [False, True])
@pytest.mark.parametrize("name", ["moco-v2", "simclr", "n-pair"])
def test_hardness_equals_loops(build_framework, make_views, generator, name, synthetic):
    method = Method(build_framework(name), MOCHI)
    term = method.terms(make_views(), generator)[0]
    candidates = method.framework.candidates(term)
    found = hardness(candidates, top=4, synthetic=synthetic)
    assert found.probabilities.shape == (8, 4)
    for i, (own, negatives, probabilities) in enumerate(loops(candidates, synthetic)):
        assert found.probabilities[i].tolist() == pytest.approx(probabilities[:4], abs=1e-12)
        assert found.proxy_accuracy[i] == float(own[0] > max(negatives))
        shares = [p / sum(probabilities) for p in probabilities]
        entropy = -sum(share * math.log(share) for share in shares)
        assert float(found.effective_negatives[i]) == pytest.approx(math.exp(entropy))
    assert found.false_negatives is None


def test_a_blend_has_no_negative_among_its_own_sources(build_framework, make_views, generator):
    method = Method(build_framework("moco-v2"), IMix())
    term = method.terms(make_views(), generator)[0]
    candidates = method.framework.candidates(term)
    for i, (own, _, probabilities) in enumerate(loops(candidates, False)):
        assert len(own) == int((term.targets[i] > 0).sum())
        kept = hardness(candidates, top=18).probabilities[i].tolist()
        assert kept == pytest.approx(probabilities[: len(kept)], abs=1e-12)


def test_an_oracle_leaves_no_false_negative(build_framework, make_views, generator, mochi_term):
    for oracle, expected in [(False, True), (True, False)]:
        framework = build_framework("moco-v2")
        framework.queue.labels = torch.arange(20) % 3
        method = Method(framework, oracle=oracle)
        term = method.terms(make_views(), generator, LABELS)[0]
        candidates = framework.candidates(term)
        same = of_own_class(framework, term, candidates, LABELS)
        share = hardness(candidates, top_false=6, same_class=same).false_negatives
        assert bool((share > 0).any()) is expected


def test_false_negatives_equal_loops(mochi_term):
    method, term = mochi_term
    candidates = method.framework.candidates(term)
    same = of_own_class(method.framework, term, candidates, LABELS)
    share = hardness(candidates, top_false=6, same_class=same, synthetic=True).false_negatives
    queue = method.framework.queue
    for i, label in enumerate(LABELS.tolist()):
        similarity = queue.keys[0] @ term.q[i]
        hardest = similarity.argsort(descending=True)[:6]
        assert float(share[i]) == pytest.approx(float((queue.labels[hardest] == label).double().mean()))


def test_unknown_classes_are_like_no_other(mochi_term):
    method, term = mochi_term
    candidates = method.framework.candidates(term)
    unknown = torch.full_like(LABELS, -1)
    assert not of_own_class(method.framework, term, candidates, unknown).any()
    same = of_own_class(method.framework, term, candidates, LABELS)
    assert not same[:, 8 + 7].any()  # the queue's key without a class
    assert not same[:, 28:].any()  # synthetic negatives


def test_in_batch_columns_know_their_class_in_every_framework(build_framework, make_views, generator):
    framework = build_framework("simclr")
    term = Method(framework).terms(make_views(), generator)[0]
    same = of_own_class(framework, term, framework.candidates(term), LABELS)
    expected = LABELS[:, None] == LABELS[None]
    assert torch.equal(same, torch.cat([expected, expected], dim=1))


def test_synthetic_points_equal_loops(mochi_term):
    method, term = mochi_term
    points = synthetic_points(method, term, LABELS)
    queue, draw = method.framework.queue, term.draw
    for i in range(8):
        similarity = queue.keys[0] @ term.q[i]
        hardest = similarity.argsort(descending=True)[:5]
        for k in range(10):
            if k < 6:
                parents = [hardest[draw.first[i, k]], hardest[draw.second[i, k]]]
                point = sum(
                    share * queue.keys[0][p]
                    for share, p in zip([draw.alpha[i, k], 1 - draw.alpha[i, k]], parents, strict=True)
                )
            else:
                parents = [hardest[draw.partner[i, k - 6]]] * 2
                beta = draw.beta[i, k - 6]
                point = beta * term.q[i] + (1 - beta) * queue.keys[0][parents[0]]
            cosine = float(term.q[i] @ (point / point.norm()))
            assert float(points.similarity[i, k]) == pytest.approx(cosine, abs=1e-6)
            assert points.places[i, k].tolist() == [int(p) for p in parents]
            assert points.parents[i, k].tolist() == pytest.approx([float(similarity[p]) for p in parents])
            assert bool(points.harder[i, k]) == (cosine > max(points.parents[i, k].tolist()))
            false = sum(int(queue.labels[p]) == int(LABELS[i]) for p in parents) / 2
            assert float(points.false_parents[i, k]) == pytest.approx(false)
    assert points.towards_query.tolist() == [False] * 6 + [True] * 4


def test_points_towards_the_query_are_always_harder_than_their_parent(mochi_term):
    points = synthetic_points(*mochi_term)
    assert points.harder[:, points.towards_query].all()
    assert points.false_parents is None


def test_nothing_synthesised_is_said_in_one_line(build_framework, make_views, generator):
    method = Method(build_framework("moco-v2"))
    with pytest.raises(UserError, match="mochi"):
        synthetic_points(method, method.terms(make_views(), generator)[0])


def test_byol_has_nothing_that_is_hard(build_framework, make_views, generator):
    framework = build_framework("byol")
    term = Method(framework).terms(make_views(), generator)[0]
    candidates = framework.candidates(term)
    own = torch.eye(8)
    only_own = Candidates(
        positives=candidates.positives.masked_fill(own == 0, -torch.inf), targets=own, temperature=1.0
    )
    with pytest.raises(UserError, match="no negatives"):
        hardness(only_own)


def test_effective_number_of_equal_and_of_single_weights():
    weights = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 3.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]], dtype=torch.float64)
    assert effective_number(weights).tolist() == pytest.approx([4, 1, 2])


def test_temperature_goes_from_one_negative_to_all():
    positives = torch.tensor([[0.9]], dtype=torch.float64)
    queue = torch.linspace(0, 0.5, 300, dtype=torch.float64)[None]
    candidates = Candidates(positives=positives, targets=torch.ones(1, 1), temperature=0.2, negatives={"queue": queue})
    table = temperature_response(candidates, [0.001, 0.2, 1000.0])
    ratio = math.exp(-(0.5 / 299) / 0.001)  # of one negative's weight to the next: a geometric distribution
    entropy = -math.log(1 - ratio) - ratio * math.log(ratio) / (1 - ratio)
    assert table["effective_negatives"].tolist()[0] == pytest.approx(math.exp(entropy))
    assert table["effective_negatives"].tolist()[2] == pytest.approx(300, abs=0.01)
    assert table["effective_negatives"].is_monotonic_increasing
    assert table["positive_probability"].is_monotonic_decreasing
    assert table["hardest_share"].tolist()[2] == pytest.approx(0.01, abs=1e-4)  # 3 of 300
    expected = math.exp(0.9 / 0.2) / (math.exp(0.9 / 0.2) + float((queue / 0.2).exp().sum()))
    assert table["positive_probability"].tolist()[1] == pytest.approx(expected)
