"""A result says what it is of; files of this version and of older ones give the same results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mixviz.errors import UserError
from mixviz.result import IDENTITY, PARTS, Result

ABOUT = {"encoder": "backbone", "target": "label", "accuracy": 0.5, "data": "CIFAR-10 (JPEG)", "split": "test"}
ABOUT |= {"train_images": 50000, "test_images": 10000, "classes": 10, "seed": 0, "device": "cpu"}
RESULT = Result(protocol="knn", options={"k": 20, "layer": "head"}, settings={"k": 20}, run="mine", **ABOUT)


def test_a_file_gives_back_what_was_put_into_it():
    corrupted = replace(
        RESULT, protocol="corruptions", options={"kinds": ("fog", "jpeg_compression")}, commit="c067dc4"
    )
    for result in (RESULT, corrupted, replace(RESULT, chosen_on_test=True)):
        back = Result.from_dict(json.loads(json.dumps(result.to_dict())))
        assert back == result
        assert back.identity == result.identity
    assert not set(PARTS) & RESULT.to_dict().keys()


def test_the_label_names_the_options_and_a_choice_on_test():
    assert RESULT.label == "knn (k 20, layer head)"
    assert replace(RESULT, options={}).label == "knn"
    assert (
        replace(RESULT, options={"lrs": (0.1, 1.0), "temperature": None}).label == "knn (lrs 0.1/1, temperature none)"
    )
    hidden = replace(RESULT, options={}, chosen_on_test=True)
    assert (hidden.label, hidden.comparable) == ("knn (best-on-test)", False)
    assert replace(hidden, options={"epoch": "best-on-test"}).label == "knn (epoch best-on-test)"


@pytest.mark.parametrize("name", IDENTITY)
def test_results_that_differ_in_one_thing_are_two(name):
    other = replace(RESULT, **{name: 7 if name == "seed" else "other"})
    assert other.identity != RESULT.identity
    assert replace(RESULT, accuracy=0.9, date="later", device="cuda").identity == RESULT.identity


OLD = {**ABOUT, "protocol": "knn (k 20, layer head)", "date": "2026-11-25T14:43:31+00:00"}


def test_rows_of_older_versions_are_read():
    """They have no options, and lack run, versions and commit."""
    old = Result.from_dict({**OLD, "settings": {"k": 20, "layer": "head", "temperature": 0.1}})
    assert (old.protocol, old.options, old.run, old.commit) == ("knn", {"k": 20, "layer": "head"}, "", "")
    assert old.label == OLD["protocol"]
    assert Result.from_dict({**OLD, "protocol": "unfrozen probe"}).protocol == "unfrozen probe"
    severities = {**OLD, "protocol": "corruptions (severities 1/5)", "settings": {"severities": [1, 5]}}
    assert Result.from_dict(severities).options == {"severities": (1, 5)}
    assert not Result.from_dict({**OLD, "protocol": "linear-features (epoch best-on-test)"}).comparable
    assert not Result.from_dict({**OLD, "protocol": "hiding (best-on-test)"}).comparable


def test_an_old_transfer_had_the_data_set_in_its_target():
    old = {**OLD, "data": "CIFAR-100", "target": "label of CIFAR-100", "settings": {"encoder_trained_on": "CIFAR-10"}}
    result = Result.from_dict(old)
    assert (result.data, result.target, result.is_transfer) == ("CIFAR-100", "label", True)
    assert not RESULT.is_transfer


def test_keys_of_newer_versions_are_ignored_and_missing_ones_are_refused():
    row = RESULT.to_dict()
    assert Result.from_dict(row | {"novelty": 1}) == RESULT
    with pytest.raises(UserError, match="a result lacks accuracy, seed: evaluate the run again"):
        Result.from_dict({key: value for key, value in row.items() if key not in ("accuracy", "seed")})


def test_results_of_the_recordings_are_read():
    folders = Path(__file__).parents[1] / "data" / "recordings"
    rows = [row for path in folders.glob("**/evaluation.json") for row in json.loads(path.read_text())]
    results = [Result.from_dict(row) for row in rows]
    assert len(results) > 100
    assert all(result.comparable and not result.options for result in results)
    assert [result.label for result in results] == [row["protocol"] for row in rows]
