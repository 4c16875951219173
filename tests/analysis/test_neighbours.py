"""Nearest neighbours: against scikit-learn and slow loops, and on points whose neighbours are plain to see."""

import numpy as np
import pytest
import torch
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from mixviz.analysis.neighbours import hardest_negatives, hubness, nearest, purity, purity_table
from mixviz.errors import UserError


@pytest.fixture
def points(generator):
    return torch.randn(70, 5, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 16, 70, 1000])
def test_neighbours_are_scikit_learns_without_the_point_itself(points, chunk):
    similarity, index = nearest(points, 6, chunk=chunk)
    distances, expected = NearestNeighbors(n_neighbors=7, metric="cosine").fit(points).kneighbors(points)
    assert index.tolist() == expected[:, 1:].tolist()
    assert similarity.numpy() == pytest.approx(1 - distances[:, 1:])


@pytest.mark.parametrize("chunk", [4, 1000])
def test_neighbours_of_other_queries_may_be_any_point(points, generator, chunk):
    queries = torch.cat([10 * points[:3], torch.randn(8, 5, generator=generator, dtype=torch.float64)])
    similarity, index = nearest(points, 4, queries, chunk)
    distances, expected = NearestNeighbors(n_neighbors=4, metric="cosine").fit(points).kneighbors(queries)
    assert index.tolist() == expected.tolist()
    assert similarity.numpy() == pytest.approx(1 - distances)
    assert index[:3, 0].tolist() == [0, 1, 2]


def test_all_others_can_be_requested_and_no_more(points):
    assert nearest(points, 69).index.sort(dim=1).values[0].tolist() == list(range(1, 70))
    with pytest.raises(UserError, match="70 neighbours of 69 other images: choose k from 1 to 69"):
        nearest(points, 70)
    with pytest.raises(UserError, match="choose k from 1"):
        nearest(points, 0, points)


def test_half_precision_is_taken(points):
    assert (nearest(points.half(), 1).index == nearest(points, 1).index).double().mean() > 0.9


def test_purity_is_the_share_of_neighbours_of_the_same_class():
    index = torch.tensor([[1, 2], [0, 2], [0, 1]])
    assert purity(index, torch.tensor([7, 7, 3])).tolist() == [0.5, 0.5, 0]
    assert purity(index, torch.tensor([7, 7, 3]), torch.tensor([3, 3, 7])).tolist() == [0.5, 0.5, 1]
    with pytest.raises(UserError, match="3 queries need 3 labels, not 2"):
        purity(index, torch.tensor([7, 7, 3]), torch.tensor([3, 3]))


def test_purity_is_one_for_classes_apart_and_chance_for_random_labels(generator):
    labels = torch.arange(900) % 3
    x = torch.eye(3)[labels] + 0.05 * torch.randn(900, 3, generator=generator)
    index = nearest(x, 10).index
    assert purity(index, labels).min() == 1
    shuffled = labels[torch.randperm(900, generator=generator)]
    assert purity(index, shuffled).mean() == pytest.approx(1 / 3, abs=0.03)


def test_purity_table_has_one_row_a_class_that_occurs():
    table = purity_table(torch.tensor([1.0, 0.5, 0.2]), torch.tensor([4, 4, 1]))
    assert table["label"].tolist() == [1, 4]
    assert table["queries"].tolist() == [1, 2]
    assert table["purity"].tolist() == pytest.approx([0.2, 0.75])
    assert table["chance"].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_hubness_counts_who_is_whose_neighbour(points):
    index = nearest(points, 5).index
    found = hubness(index, 70)
    expected = [sum(i in row for row in index.tolist()) for i in range(70)]
    assert found.occurrences.tolist() == expected
    assert found.skewness == pytest.approx(skew(expected))
    assert found.antihubs == pytest.approx(np.mean(np.array(expected) == 0))
    assert found.top_share == pytest.approx(max(expected) / 350)  # 1 % of 70 is one point


def test_one_hub_takes_all_and_a_ring_has_none():
    hub = hubness(torch.tensor([[9]] * 100), 200)
    assert (hub.antihubs, hub.top_share) == (199 / 200, 1)
    assert hub.skewness == pytest.approx(skew([100] + [0] * 199))
    ring = hubness(torch.arange(100).roll(1)[:, None], 100)
    assert (ring.skewness, ring.antihubs, ring.top_share) == (0, 0, 0.01)


@pytest.mark.parametrize("chunk", [7, 1000])
def test_hardest_negatives_are_the_nearest_of_the_other_classes(points, chunk):
    labels = torch.arange(70) % 3
    similarity, index = hardest_negatives(points, labels, 5, chunk)
    for row, (values, found) in enumerate(zip(similarity, index, strict=True)):
        others = (labels != labels[row]).nonzero().squeeze(1)
        distances, expected = (
            NearestNeighbors(n_neighbors=5, metric="cosine").fit(points[others]).kneighbors(points[[row]])
        )
        assert found.tolist() == others[expected[0]].tolist()
        assert values.numpy() == pytest.approx(1 - distances[0])


def test_no_more_negatives_can_be_requested_than_the_largest_class_has(points):
    labels = torch.tensor([0] * 50 + [1] * 20)
    assert hardest_negatives(points, labels, 20).index[0].sort().values.tolist() == list(range(50, 70))
    with pytest.raises(UserError, match="21 negatives of 20 images of other classes: choose k from 1 to 20"):
        hardest_negatives(points, labels, 21)
