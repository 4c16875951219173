"""Geometry of embeddings: closed forms, the authors' numbers, slow loops, and bounded memory."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mixviz.analysis.geometry import (
    alignment,
    class_alignment,
    class_table,
    class_uniformity,
    effective_rank,
    even_uniformity,
    geometry,
    per_sample_uniformity,
    spectrum,
    uniformity,
)
from mixviz.errors import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "authors_seed0.npz"


@pytest.fixture
def points(generator):
    return F.normalize(torch.randn(50, 6, generator=generator, dtype=torch.float64), dim=1)


@pytest.fixture
def labels():
    return torch.arange(50) ** 2 % 7  # classes 0, 1, 2, 4 occur; they differ in size


def same_label_loop(x, labels):
    values = []
    for i in range(len(x)):
        others = [(x[i] - x[j]).square().sum() for j in range(len(x)) if j != i and labels[j] == labels[i]]
        values.append(torch.stack(others).mean())
    return torch.stack(values)


def test_the_authors_numbers():
    with np.load(GOLDEN) as golden:
        z, partner = torch.tensor(golden["geometry/z"]), torch.tensor(golden["geometry/partner"])
        assert alignment(z, partner).mean().item() == pytest.approx(float(golden["geometry/alignment"]), rel=1e-6)
        assert uniformity(z) == pytest.approx(float(golden["geometry/uniformity"]), rel=1e-6)


@pytest.mark.parametrize("t", [0.5, 2, 5])
def test_even_uniformity_is_the_mean_over_the_sphere(t):
    angles = np.linspace(0, np.pi, 20_001)
    potential = np.exp(-2 * t * (1 - np.cos(angles)))
    for dim in (2, 3, 5, 16):
        weight = np.sin(angles) ** (dim - 2)  # how much of the sphere lies at this angle from a point
        mean = np.trapezoid(potential * weight, angles) / np.trapezoid(weight, angles)
        assert even_uniformity(dim, t) == pytest.approx(math.log(mean), abs=1e-6)


def test_no_points_lie_better_than_evenly(generator):
    corners = torch.tensor([[math.cos(k * math.pi / 500), math.sin(k * math.pi / 500)] for k in range(1000)])
    assert uniformity(corners) == pytest.approx(even_uniformity(2), abs=0.01)
    crowded = F.normalize(torch.randn(500, 3, generator=generator) + 1, dim=1)
    assert uniformity(crowded) > even_uniformity(3) + 0.1


def test_alignment_of_known_angles():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert alignment(x, y).tolist() == pytest.approx([0, 2, 4])
    assert alignment(x, y, alpha=1).tolist() == pytest.approx([0, math.sqrt(2), 2])


def test_class_alignment_is_the_mean_over_the_others_of_the_class(points, labels):
    torch.testing.assert_close(class_alignment(points, labels), same_label_loop(points, labels))
    alone = class_alignment(torch.eye(3), torch.tensor([0, 1, 1]))
    assert math.isnan(alone[0])
    assert alone[1:].tolist() == pytest.approx([2, 2])


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_uniformity_is_that_of_all_distinct_pairs(points, chunk):
    expected = torch.pdist(points).square().mul(-2).exp().mean().log()
    assert uniformity(points, chunk=chunk) == pytest.approx(expected.item(), rel=1e-12)
    third = torch.pdist(points).square().mul(-3).exp().mean().log()
    assert uniformity(points, t=3, chunk=chunk) == pytest.approx(third.item(), rel=1e-12)


def test_uniformity_of_known_places():
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(opposite) == pytest.approx(-8)
    assert uniformity(torch.ones(5, 1)) == pytest.approx(0)
    assert uniformity(torch.eye(9)) == pytest.approx(-4)


def test_crowding_of_a_point_is_its_mean_potential_and_averages_to_the_uniformity(points):
    values = per_sample_uniformity(points, chunk=16)
    potential = (-2 * torch.cdist(points, points).square()).exp()
    expected = [(potential[i].sum() - potential[i, i]).item() / 49 for i in range(50)]
    assert values.exp().tolist() == pytest.approx(expected)
    assert values.exp().mean().log().item() == pytest.approx(uniformity(points))
    pair_and_loner = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert per_sample_uniformity(pair_and_loner).argmin() == 2


def test_class_uniformity_looks_within_each_class(points, labels):
    values = class_uniformity(points, labels)
    assert len(values) == 5
    assert values[4].item() == pytest.approx(uniformity(points[labels == 4]))
    assert math.isnan(values[3])


def test_spectrum_is_the_share_of_variance(points):
    moved = torch.cat([points, points[:, :2] @ torch.tensor([[1.0], [2.0]], dtype=torch.float64)], dim=1) + 5
    expected = np.sort(np.linalg.eigvalsh(np.cov(moved.numpy().T)))[::-1]
    assert spectrum(moved).numpy() == pytest.approx(expected / expected.sum(), abs=1e-12)
    assert spectrum(moved)[-1] == pytest.approx(0, abs=1e-12)


def test_effective_rank_of_known_matrices(points):
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(20, 5)) == pytest.approx(1, abs=1e-5)
    assert effective_rank(torch.diag(torch.tensor([2.0, 1.0, 1.0, 0.0]))) == pytest.approx(2**1.5, rel=1e-5)
    singular = torch.linalg.svdvals(points + 1)
    shares = singular / singular.sum()
    assert effective_rank(points + 1) == pytest.approx((-(shares * shares.log()).sum()).exp().item())


def test_geometry_has_all_measures_of_unit_length(points, labels):
    found = geometry(3 * points, labels, (2 * points, points.roll(1, dims=0)))
    torch.testing.assert_close(found.per_sample_uniformity, per_sample_uniformity(points))
    torch.testing.assert_close(found.spectrum, spectrum(points))
    torch.testing.assert_close(found.class_alignment, class_alignment(points, labels))
    torch.testing.assert_close(found.alignment, alignment(points, points.roll(1, dims=0)))
    assert found.summary == pytest.approx(
        {
            "uniformity": uniformity(points),
            "effective_rank": effective_rank(points),
            "alignment": alignment(points, points.roll(1, dims=0)).mean().item(),
            "class_alignment": same_label_loop(points, labels).mean().item(),
        }
    )
    assert set(geometry(points).summary) == {"uniformity", "effective_rank"}
    assert geometry(points.half()).uniformity == pytest.approx(uniformity(points), abs=1e-3)


def test_class_table_has_one_row_a_class_that_occurs(points, labels):
    table = class_table(points, labels)
    assert table["label"].tolist() == [0, 1, 2, 4]
    assert table["images"].tolist() == [(labels == c).sum().item() for c in table["label"]]
    members = points[labels == 2]
    assert table["alignment"][2] == pytest.approx(torch.pdist(members).square().mean().item())
    assert table["uniformity"][2] == pytest.approx(uniformity(members))


def test_bad_input_is_reported_in_one_line():
    with pytest.raises(UserError, match="at least two embeddings, not 1"):
        uniformity(torch.ones(1, 4))
    with pytest.raises(UserError, match="3 embeddings need 3 labels"):
        class_alignment(torch.eye(3), torch.zeros(2))


def test_memory_is_bounded_where_all_pairs_would_need_gigabytes():
    code = """
import resource, torch
from mixviz.analysis.geometry import uniformity
torch.set_num_threads(1)
x = torch.nn.functional.normalize(torch.randn(16_000, 64), dim=1)
uniformity(x[:2000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
uniformity(x)  # all pairs at once: 1 GB
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 200
