"""Projections: against scikit-learn, on points whose layout is known, and layouts that hold still."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as reference

from mixviz.analysis.projection import align, azimuthal, pca, project_umap, stable_layout, trustworthiness
from mixviz.errors import UserError


@pytest.fixture
def points(generator):
    scales = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    return scales * torch.randn(80, 6, generator=generator) + 1


def turn(angle):
    angle = torch.tensor(angle)
    return torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])


def test_pca_is_scikit_learns_up_to_signs(points):
    layout = pca(points, dims=3)
    expected = PCA(n_components=3).fit_transform(points.numpy())
    assert layout.shape == (80, 3)
    assert layout.abs().numpy() == pytest.approx(np.abs(expected), abs=1e-4)
    directions = (points - points.mean(dim=0)).T @ layout
    assert (directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)) > 0).all()
    torch.testing.assert_close(pca(points.flip(0), dims=3).flip(0), layout, rtol=1e-4, atol=1e-4)


def test_pca_takes_directions_and_mean_of_other_points(points):
    fitted = PCA(n_components=2).fit(points[:40].numpy())
    expected = fitted.transform(points[40:].numpy())
    assert pca(points[40:], onto=points[:40]).abs().numpy() == pytest.approx(np.abs(expected), abs=1e-4)


def test_align_undoes_turning_mirroring_and_moving(generator):
    target = torch.randn(30, 2, generator=generator)
    mirrored = target * torch.tensor([1.0, -1.0])
    torch.testing.assert_close(align(mirrored @ turn(2.0) + 3, target), target)
    grown = align(2 * target @ turn(1.0), target)
    assert torch.pdist(grown).sum() == pytest.approx(2 * torch.pdist(target).sum().item(), rel=1e-4)  # keeps size


def test_a_stable_layout_moves_no_more_than_the_points(points, generator):
    basis = [torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q for _ in range(4)]
    turned = stable_layout([points @ b for b in basis])  # the same cloud, turned at each epoch
    assert len(turned) == 4
    for layout in turned[1:]:
        torch.testing.assert_close(layout, turned[0], rtol=1e-3, atol=1e-3)
    loose = [pca(points @ b) for b in basis]
    assert max((one - loose[0]).abs().max() for one in loose) > 1
    with pytest.raises(UserError, match="unknown projection 'tsne'"):
        stable_layout([points], method="tsne")


@pytest.mark.parametrize("chunk", [7, 80, 500])
def test_trustworthiness_averages_to_scikit_learns(points, generator, chunk):
    for layout in (pca(points), torch.randn(80, 2, generator=generator)):
        expected = reference(points.numpy(), layout.numpy(), n_neighbors=9, metric="cosine")
        values = trustworthiness(points, layout, k=9, chunk=chunk)
        assert values.shape == (80,)
        assert values.mean().item() == pytest.approx(expected)


def test_trustworthiness_of_a_true_layout_is_one_and_tells_the_point_that_is_misplaced():
    angles = torch.linspace(0, 1, 40, dtype=torch.float64) ** 1.1 * 3  # no two neighbours are equally far
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert trustworthiness(circle, circle, k=5).min() == 1
    misplaced = circle.clone()
    misplaced[3] = circle[35] + 0.001
    assert trustworthiness(circle, misplaced, k=5).argmin() == 3
    with pytest.raises(UserError, match="takes k from 1 to 19, not 20"):
        trustworthiness(circle, circle, k=20)


def test_umap_that_is_missing_is_reported_with_the_command(points, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UserError, match="pip install umap-learn"):
        project_umap(points)


@pytest.mark.slow
def test_umap_keeps_clusters_together_is_seeded_and_starts_where_requested(generator):
    pytest.importorskip("umap", exc_type=ImportError)
    labels = torch.arange(120) % 3
    x = F.normalize(4 * torch.eye(3, 10)[labels] + 0.5 * torch.randn(120, 10, generator=generator), dim=1)
    layout = project_umap(x, neighbours=10, seed=1)
    assert layout.shape == (120, 2)
    nearest_other = (torch.cdist(layout, layout) + 1e9 * torch.eye(120)).argmin(dim=1)
    assert (labels[nearest_other] == labels).all()
    assert layout.tolist() == project_umap(x, neighbours=10, seed=1).tolist()
    assert layout.tolist() != project_umap(x, neighbours=10, seed=2).tolist()
    with pytest.raises(UserError, match="needs more than 15 points, not 15"):
        project_umap(x[:15])
    frames = stable_layout([x, x], method="umap")
    spread = frames[0].std(dim=0).norm()
    assert (frames[1] - frames[0]).norm(dim=1).mean() < 0.5 * spread


def test_azimuthal_keeps_the_angle_to_the_centre(generator):
    x = F.normalize(torch.randn(40, 7, generator=generator), dim=1)
    layout = azimuthal(x, x[3], onto=x[:20])
    expected = torch.rad2deg((x @ x[3]).clamp(-1, 1).acos())
    torch.testing.assert_close(layout.norm(dim=1), expected, rtol=1e-4, atol=0.05)
    assert layout[3].norm() < 0.05


def test_azimuthal_of_a_sphere_in_space_is_the_map_around_a_pole():
    longitude = torch.arange(0, 360, 30).deg2rad()
    colatitude = torch.linspace(0.3, 2.5, 12)
    x = torch.stack([colatitude.sin() * longitude.cos(), colatitude.sin() * longitude.sin(), colatitude.cos()], dim=1)
    layout = azimuthal(x, torch.tensor([0.0, 0.0, 1.0]))
    expected = colatitude.rad2deg()[:, None] * torch.stack([longitude.cos(), longitude.sin()], dim=1)
    torch.testing.assert_close(torch.cdist(layout, layout), torch.cdist(expected, expected), rtol=1e-3, atol=1e-2)


def test_azimuthal_sees_a_mixture_on_the_way_between_its_parents():
    centre, one, other = torch.eye(4)[:3].unbind()
    one, other = F.normalize(centre + one, dim=0), F.normalize(centre + other, dim=0)
    mixture = F.normalize(0.3 * one + 0.7 * other, dim=0)
    first, middle, last = azimuthal(torch.stack([one, mixture, other]), centre)
    angles = torch.stack([torch.atan2(*point.flip(0)) for point in (first, middle, last)])
    assert (angles[0] - angles[1]) * (angles[1] - angles[2]) > 0
