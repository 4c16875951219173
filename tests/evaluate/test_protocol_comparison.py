"""Compared protocols: one row a reading, one read of the test labels a row, and names that say what was chosen."""

import numpy as np
import pytest

from mixviz.build import build_embedder
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.evaluate import Knn, LinearAugmented, LinearFeatures, Source, evaluate
from mixviz.evaluate.protocol_comparison import NAMED_PROTOCOLS, NamedProtocol, compare_protocols


def colours(n, split, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, n)
    images = random.integers(0, 190, (n, 8, 8, 3))
    images[np.arange(n), :, :, labels] += 15
    return Dataset(name="colours", split=split, stored=images.astype(np.uint8), labels=labels)


TRAIN, TEST = colours(120, "train", 0), colours(80, "test", 1)


@pytest.fixture(scope="module")
def source():
    embedder = build_embedder(RunConfig.of(dtype="float32", device="cpu", dim=8, hidden=16), (3, 8, 8))
    return Source(embedder=embedder, train=TRAIN, test=TEST)


@pytest.fixture(scope="module")
def table(source):
    return compare_protocols(source, scale=0.02)


def test_one_row_a_reading_and_one_read_a_row(table):
    assert table["reading"].tolist() == [reading.name for reading in NAMED_PROTOCOLS]
    assert (table["reads"] == 1).all()
    assert table["accuracy"].between(0, 1).all()
    assert (table["points"] == 100 * (table["accuracy"] - table["accuracy"][0])).all()
    assert (table["data"][0], table["split"][0], table["scale"][0]) == ("colours", "test", 0.02)


def test_what_is_chosen_on_test_says_so_and_is_not_comparable(table):
    named = table["reading"].str.contains("best-on-test")
    assert (named == ~table["comparable"]).all()
    assert named.sum() == 5


def test_what_is_chosen_on_test_is_never_below_what_it_was_chosen_from(table):
    accuracy = table.set_index("reading")["accuracy"]
    neighbours = [f"kNN {k}, {metric}" for k in (1, 5, 20) for metric in ("cosine", "Euclidean")]
    assert accuracy["kNN, best-on-test k and metric"] == max(accuracy[name] for name in neighbours)
    assert accuracy["linear, augmented, lr 3, best-on-test epoch"] >= accuracy["linear, augmented, lr 3"]
    assert accuracy["linear, augmented, best-on-test lr"] >= accuracy["linear, augmented, lr 1 to 70"]


def test_honest_rows_are_what_evaluate_gives(table, source):
    protocols = {"kNN 200, τ 0.1, head": Knn(k=200, layer="head"), "linear, stored features": LinearFeatures()}
    results = evaluate(source, protocols=list(protocols.values()))
    found = table.set_index("reading").loc[list(protocols)]
    assert found["accuracy"].tolist() == [result.accuracy for result in results]
    assert found["protocol"].tolist() == [result.label for result in results]


def test_raw_pixels_have_no_head():
    short = [reading for reading in NAMED_PROTOCOLS if all(isinstance(one, Knn) for one in reading.protocols)]
    names = compare_protocols(Source(train=TRAIN, test=TEST), readings=short)["reading"]
    assert len(names) == len(short) - 1
    assert not names.str.contains("head").any()


def test_a_choice_on_test_that_hides_it_is_refused():
    for protocols in ((Knn(k=1), Knn(k=5)), (LinearAugmented(epoch="best-on-test"),)):
        with pytest.raises(UserError, match="put best-on-test into its name"):
            NamedProtocol(name="kNN", protocols=protocols, reported_by="us", effect="inflates")
