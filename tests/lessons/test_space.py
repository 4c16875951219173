"""The exercises' solutions are the measures that the project itself computes."""

import pytest
import torch
import torch.nn.functional as F

from mixviz.analysis.geometry import alignment, effective_rank, uniformity
from mixviz.lessons import space


def test_solutions_equal_the_analysis(generator):
    x = F.normalize(torch.randn(20, 4, generator=generator, dtype=torch.float64), dim=1)
    assert space.uniformity.solution(x.tolist()) == pytest.approx(uniformity(x))
    assert space.effective_rank.solution(torch.linalg.svdvals(x).tolist()) == pytest.approx(effective_rank(x))


def test_all_points_at_one_place():
    x = torch.tensor([[0.6, 0.8]], dtype=torch.float64).repeat(5, 1)
    found = float(alignment(x, x).mean()), uniformity(x)
    assert found == pytest.approx(space.at_one_place.solution, abs=1e-12)
