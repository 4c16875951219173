"""The scikit-learn transformer: scikit-learn's own checks, pipelines, and images as well as rows."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from mixviz import MixvizEncoder
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import extract
from mixviz.train import train

SMALL = {"dim": 8, "hidden": 16, "dtype": "float32"}


def encoder(**parameters) -> MixvizEncoder:
    defaults = {"epochs": 1, "batch_size": 16, "device": "cpu", "random_state": 0}
    settings = {**SMALL, **parameters.pop("settings", {})}
    return MixvizEncoder(**{**defaults, **parameters}, settings=settings)


def images(n: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


EXPECTED_FAILURES = {
    "check_methods_subset_invariance": "matrix products in float32 round by the batch's size, beyond the check's 1e-7",
}


@parametrize_with_checks(
    [encoder(settings={"backbone": "mlp-narrow"})], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_a_part_has_the_features_of_the_whole():
    rows = np.random.default_rng(0).normal(size=(20, 5))
    fitted = encoder().fit(rows)
    np.testing.assert_allclose(fitted.transform(rows[:3]), fitted.transform(rows)[:3], atol=1e-5)


def test_rows_in_a_pipeline_whatever_their_units():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 80)
    rows = random.normal(size=(80, 6)) + 4 * labels[:, None]
    pipeline = make_pipeline(encoder(epochs=3), LogisticRegression()).fit(rows, labels)
    assert pipeline.score(rows, labels) > 0.95
    other_units = clone(pipeline).fit(1000 * rows + 7, labels)
    np.testing.assert_allclose(other_units[0].transform(1000 * rows + 7), pipeline[0].transform(rows), atol=1e-3)


def test_images_get_the_features_of_a_run_of_the_same_settings(tmp_path):
    fitted = encoder(framework="moco-v2", mixing=["mixco"]).fit(images(20))
    data = Dataset(name="images", split="train", stored=images(20))
    run = train(fitted.config_, "run", data, tmp_path, progress=False)
    np.testing.assert_array_equal(fitted.transform(images(20)), extract(run.encoder(device="cpu"), data))
    assert (fitted.config_.method.framework, fitted.config_.method.mixing) == ("moco-v2", ("mixco",))
    assert fitted.config_.train.batch_size == 16


def test_images_of_other_sizes_and_forms():
    fitted = encoder().fit(images(4)[:, :, :12])  # of the shorter side
    assert fitted.image_size_ == 12
    assert fitted.transform(images(3, 30)).shape == (3, 256)
    assert fitted.get_feature_names_out()[:2].tolist() == ["mixvizencoder0", "mixvizencoder1"]
    exact = fitted.transform(images(3, 12))
    np.testing.assert_allclose(fitted.transform(images(3, 12) / np.float32(255)), exact, atol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(images(3, 12)), exact)
    with pytest.raises(UserError, match="fitted to images: give X as"):
        fitted.transform(np.zeros((2, 5)))


def test_a_fit_is_of_its_random_state_and_settings():
    rows = np.random.default_rng(0).normal(size=(20, 5))
    first, same, other = (encoder(random_state=seed).fit(rows).transform(rows) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.01
    assert encoder(settings={"temperature": 0.5}).fit(rows).config_.method.temperature == 0.5
    with pytest.raises(UserError, match="did you mean 'temperature'"):
        encoder(settings={"temprature": 0.5}).fit(rows)
