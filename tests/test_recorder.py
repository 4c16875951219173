"""The recorder: it changes nothing, goes on where a run goes on, and its curves are those of the analyses."""

import numpy as np
import pytest
import torch

from mixviz.analysis.geometry import alignment, effective_rank, uniformity
from mixviz.analysis.hardness import hardness
from mixviz.analysis.heads import heads
from mixviz.augment import make_views
from mixviz.build import hold_out
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.domains import augmentation_of, clean
from mixviz.film import Film
from mixviz.method import Method
from mixviz.recorder import PAIRS, QUERIES, Recorder, leave_one_out, log_ranks, principal
from mixviz.runs import Run
from mixviz.train import resume, set_up, train

SMALL = {"epochs": 3, "batch_size": 16, "queue_length": 48, "bn_splits": 2, "dim": 8, "hidden": 16, "holdout": 32}
MOCHI = {"mixing": ["mochi"], "mochi_hardest": 8, "mochi_pairs": 4, "mochi_towards_query": 2, "mochi_warmup_epochs": 1}
EVERY = [
    {"mixing": ["mixco"]},
    MOCHI,
    {"mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
    {"framework": "simclr", "mixing": ["mixco"]},
    {"framework": "n-pair", "mixing": ["imix"]},
    {"framework": "byol"},
]


def pictures(n=400, size=16, labels=True):
    random = np.random.default_rng(0)
    shown = random.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Dataset(
        name="noise",
        split="train",
        stored=shown,
        labels=random.integers(0, 4, n) if labels else None,
        class_names=tuple("abcd"),
    )


def config_of(**settings) -> RunConfig:
    return RunConfig.of(**{**SMALL, "dtype": "float32", "knn_every": 0, **settings})


def trained(tmp_path, name, images=None, **settings) -> Run:
    return train(config_of(**settings), name, images or pictures(), tmp_path, progress=False)


def assert_same_film(first: Film, second: Film) -> None:
    assert first.about == second.about
    np.testing.assert_array_equal(first.epochs, second.epochs)
    for kind in ("embeddings", "kept", "curves"):
        assert getattr(first, kind).keys() == getattr(second, kind).keys()
        for name, values in getattr(first, kind).items():
            np.testing.assert_array_equal(values, getattr(second, kind)[name], err_msg=name)


@pytest.mark.parametrize("settings", EVERY, ids=str)
def test_a_filmed_run_equals_one_that_is_not(tmp_path, settings):
    filmed = trained(tmp_path, "filmed", **settings)
    alone = trained(tmp_path, "alone", film_frames=0, **settings)
    assert not (alone.path / "film.npz").exists()
    for part in ("method", "optimizer"):
        first, second = (run.load_checkpoint()[part] for run in (filmed, alone))
        if part == "method":
            assert all(torch.equal(first[name], second[name]) for name in second)
        else:
            buffers = [{k: s["momentum_buffer"] for k, s in state["state"].items()} for state in (first, second)]
            assert all(torch.equal(buffers[0][k], buffers[1][k]) for k in buffers[1])
    film = filmed.film
    assert film.epochs.tolist() == [0, 1, 2, 3]
    assert np.isfinite(film.curve("loss")).all()
    assert {name: points.shape[:2] for name, points in film.embeddings.items()} == dict.fromkeys(film.heads, (4, 32))


@pytest.mark.parametrize("settings", [MOCHI, EVERY[2]], ids=str)
def test_the_film_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path, monkeypatch, settings):
    whole = trained(tmp_path, "whole", **settings)
    log, calls = Run.log, []

    def cut(self, row):
        calls.append(row)
        if len(calls) == 2:
            raise KeyboardInterrupt
        log(self, row)

    monkeypatch.setattr(Run, "log", cut)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, "cut", **settings)
    monkeypatch.undo()
    run = Run.open("cut", tmp_path)
    assert run.film.epochs.tolist() == [0, 1, 2]
    resume(run, pictures(), progress=False)
    assert_same_film(whole.film, run.film)


def test_frames_beyond_the_checkpoint_are_taken_again(tmp_path):
    config = config_of()
    method, data = set_up(config, pictures())
    augmentation = augmentation_of(config.augment, data.held_out)
    recorders = [Recorder(tmp_path / "film.npz", config, data.held_out, data.held_rows, augmentation) for _ in range(2)]
    for epoch in range(3):
        recorders[0].take(method, epoch)
    recorders[1].rewind(1)
    assert [frame["epoch"] for frame in recorders[1].frames] == [0, 1]


def test_probes_are_of_all_classes_of_a_sorted_folder(tmp_path):
    """20 classes of 300: 600 images are held out, 400 of them filmed; queries and pairs come first among these."""
    images = Dataset(
        name="sorted", split="train", stored=np.zeros((6000, 8, 8, 3), np.uint8), labels=np.repeat(np.arange(20), 300)
    )
    config = config_of(holdout=600)
    held, _ = hold_out(len(images), 600)
    recorder = Recorder(
        tmp_path / "film.npz", config, images.select(held), held, augmentation_of(config.augment, images)
    )
    assert len(recorder.probes) == 400
    assert np.array_equal(recorder.probes.labels, images.labels[recorder.rows])
    for first in (PAIRS, QUERIES, 400):
        counts = np.bincount(recorder.probes.labels[:first], minlength=20)
        assert counts.min() >= 0.5 * first / 20
    assert set(recorder.rows) <= set(held.tolist())


def test_a_film_continues_with_the_probes_that_it_has(tmp_path):
    """One of an older version, which took the first of what was held out."""
    config = config_of()
    method, data = set_up(config, pictures())
    augmentation = augmentation_of(config.augment, data.held_out)
    older, now = (
        Recorder(tmp_path / "film.npz", config, data.held_out, data.held_rows, augmentation) for _ in range(2)
    )
    older._look_at(np.arange(20))
    older.take(method, 0)
    now.rewind(1)
    assert np.array_equal(now.rows, data.held_rows[:20])
    assert np.array_equal(now.probes.stored, data.held_out.stored[:20])


def test_curves_are_those_of_the_analyses(tmp_path):
    config = config_of(mixing=["mixco"])
    method, data = set_up(config, pictures())
    augmentation = augmentation_of(config.augment, data.held_out)
    recorder = Recorder(tmp_path / "film.npz", config, data.held_out, data.held_rows, augmentation)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    assert recorder.take(method, 0) > 0
    assert recorder.take(method, 99) == 0  # not due
    assert all(torch.equal(before[name], tensor) for name, tensor in method.state_dict().items())
    assert method.training
    film = Film.load(tmp_path / "film.npz")

    method.eval()
    images = clean(recorder.probes)
    x = heads(method.framework.online, images)["all"]
    views = [v.inputs for v in make_views(images, augmentation, torch.Generator().manual_seed(0), method.shared)]
    first, second = (heads(method.framework.online, view)["all"] for view in views)
    assert film.curve("alignment/all")[0] == pytest.approx(float(alignment(first, second).mean()), rel=1e-5)
    assert film.curve("uniformity/all")[0] == pytest.approx(uniformity(x), rel=1e-5)
    assert film.curve("effective_rank/all")[0] == pytest.approx(effective_rank(x), rel=1e-5)
    with torch.no_grad():
        plain = Method(method.framework)
        tasks = [
            hardness(plain.framework.candidates(plain.terms([view[part] for view in views])[0]), 48)
            for part in (slice(0, 16), slice(16, 32))
        ]
    expected = torch.cat([task.probabilities for task in tasks]).mean(dim=0).numpy()
    np.testing.assert_allclose(film.curve("hardness")[0], expected[np.array(film.about["ranks"]) - 1], rtol=1e-5)
    np.testing.assert_allclose(film.embedding(0, "all") @ film.embedding(0, "all").T, (x @ x.T).numpy(), atol=5e-3)


def test_mochi_is_filmed_from_when_it_sets_in(tmp_path):
    film = trained(tmp_path, "mochi", **MOCHI).film
    for name in ("proxy_accuracy_with_synthetic", "synthetic_similarity", "synthetic_of_own_class"):
        assert np.isnan(film.curve(name)).tolist() == [True, True, False, False]
    assert (film.curve("proxy_accuracy_with_synthetic")[2:] <= film.curve("proxy_accuracy")[2:]).all()
    assert (film.curve("synthetic_similarity")[2:] > film.curve("parent_similarity")[2:]).all()


def test_the_probes_are_held_out_of_training(tmp_path):
    images = pictures()
    run = trained(tmp_path, "probes", images)
    film = run.film
    _, data = set_up(run.config, images)
    order = np.argsort(film.rows)
    np.testing.assert_array_equal(images.stored[film.rows[order]], data.held_out.stored)
    np.testing.assert_array_equal(images.labels[film.rows], film.labels)


def test_labels_of_any_size_are_filmed(tmp_path):
    small, huge = pictures(), pictures()
    huge.labels[:] = small.labels + 10**10
    films = [trained(tmp_path, name, images).film for name, images in (("small", small), ("huge", huge))]
    assert films[0].labels.dtype == np.int16
    assert np.array_equal(films[1].labels, films[0].labels.astype(np.int64) + 10**10)
    assert np.array_equal(films[1].curves["knn_accuracy/backbone"], films[0].curves["knn_accuracy/backbone"])


def test_without_labels_the_film_has_what_needs_none(tmp_path):
    film = trained(tmp_path, "unlabelled", pictures(labels=False)).film
    assert film.labels is None
    assert "uniformity/all" in film.curves
    assert not {"false_negatives", "class_alignment/all", "knn_accuracy/all"} & film.curves.keys()


def test_no_held_out_images_no_film(tmp_path):
    assert not (trained(tmp_path, "nothing", holdout=0).path / "film.npz").exists()


def unit_rows(n: int, features: int, seed: int, rank: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, rank or features)) @ rng.normal(size=(rank or features, features))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_principal_directions_keep_all_cosines_of_low_rank_rows():
    x = unit_rows(40, 20, seed=0, rank=6)
    low, kept = principal(torch.from_numpy(x), 8)
    assert low.shape == (40, 8)
    assert kept == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(low.astype(float) @ low.astype(float).T, x @ x.T, atol=3e-3)  # float16


def test_the_kept_share_is_that_of_the_singular_values():
    x = unit_rows(40, 20, seed=1)
    _, kept = principal(torch.from_numpy(x), 5)
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    assert kept == pytest.approx(squares[:5].sum() / squares.sum(), abs=1e-6)


def test_the_next_frame_is_turned_towards_the_last_and_keeps_its_distances():
    x = unit_rows(40, 20, seed=2, rank=8)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(20, 20)))[0]
    first, _ = principal(torch.from_numpy(x), 8)
    second, _ = principal(torch.from_numpy(x @ turn), 8, before=first)
    np.testing.assert_allclose(first.astype(float), second.astype(float), atol=3e-3)
    other = unit_rows(40, 20, seed=4, rank=8)
    moved, _ = principal(torch.from_numpy(other), 8, before=first)
    np.testing.assert_allclose(moved.astype(float) @ moved.astype(float).T, other @ other.T, atol=3e-3)


def test_leave_one_out_by_hand():
    x = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, 0.2]]), dim=1)
    one = [torch.tensor(labels) for labels in ([0, 0, 1, 1, 0], [0, 1, 0, 1, 0])]
    import mixviz.recorder as recorder

    assert recorder.NEIGHBOURS > 4  # all others vote: 2 of 4 against 2 of 4, the lower class wins
    assert leave_one_out(x, one[0]) == pytest.approx(3 / 5)


def test_ranks_are_close_together_where_they_are_small():
    ranks = log_ranks(1024)
    assert ranks[:5] == [1, 2, 3, 4, 5]
    assert ranks[-1] == 1024
    assert len(ranks) <= 48
    assert log_ranks(3) == [1, 2, 3]
