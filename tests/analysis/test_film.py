"""What a film's frames show: the same as the analyses of each frame by itself."""

import numpy as np
import pytest

from mixviz.analysis.film import layout_trust, layouts, purities, sphere_path
from mixviz.errors import UserError
from mixviz.film import Film


def film_of(labels=True, probes=30) -> Film:
    rng = np.random.default_rng(0)
    start, step = rng.normal(size=(probes, 6)), 0.2 * rng.normal(size=(probes, 6))
    frames = np.stack([start, start + step, start + 2 * step])
    frames /= np.linalg.norm(frames, axis=2, keepdims=True)
    curves = {"uniformity/all": np.array([-0.1, -1.0, -2.0]), "alignment/all": np.array([0.1, 0.4, 0.3])}
    return Film(
        epochs=np.array([0, 1, 5]),
        rows=np.arange(probes),
        labels=np.arange(probes) % 3 if labels else None,
        embeddings={"all": frames.astype(np.float16)},
        kept={},
        curves=curves,
    )


def test_layouts_keep_distances_of_the_pca_and_hold_still():
    film = film_of()
    found = layouts(film, "all")
    assert found.shape == (3, 30, 2)
    for frame in range(3):
        x = film.embedding(frame, "all").astype(float)
        x -= x.mean(axis=0)
        left, size, _ = np.linalg.svd(x, full_matrices=False)
        wanted = left[:, :2] * size[:2]

        def distances(points):
            return np.linalg.norm(points[:, None] - points[None], axis=2)

        np.testing.assert_allclose(distances(found[frame]), distances(wanted), atol=1e-4)
    mirrored = found[1] * [-1, 1]
    assert np.linalg.norm(found[1] - found[0]) < np.linalg.norm(mirrored - found[0])
    assert layouts(film, "all") is found


def test_trust_is_scikit_learns():
    from sklearn.manifold import trustworthiness

    film = film_of()
    expected = trustworthiness(
        film.embedding(2, "all"), layouts(film, "all")[2].astype(float), n_neighbors=14, metric="cosine"
    )
    assert layout_trust(film, "all", 2, k=14) == pytest.approx(expected, abs=1e-6)


def test_the_path_has_a_row_an_epoch():
    path = sphere_path(film_of(), "all")
    assert path.to_dict("list") == {"epoch": [0, 1, 5], "uniformity": [-0.1, -1.0, -2.0], "alignment": [0.1, 0.4, 0.3]}


def test_purities_count_neighbours_of_the_class():
    film = film_of()
    tables = purities(film, "all", k=4)
    x, labels = film.embedding(1, "all").astype(float), film.labels
    shares = []
    for i in range(30):
        cosine = x @ x[i] / np.linalg.norm(x, axis=1)
        cosine[i] = -np.inf
        shares.append(np.mean(labels[np.argsort(-cosine)[:4]] == labels[i]))
    expected = [np.mean([s for s, label in zip(shares, labels, strict=True) if label == c]) for c in range(3)]
    np.testing.assert_allclose(tables[1]["purity"], expected)
    assert tables[1]["chance"].tolist() == pytest.approx([1 / 3] * 3)


def test_without_labels_or_space_it_is_one_clear_line():
    with pytest.raises(UserError, match="no labels"):
        purities(film_of(labels=False), "all")
    with pytest.raises(UserError, match="embedding"):
        layouts(film_of(), "backbone")
