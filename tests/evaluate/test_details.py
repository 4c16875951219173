"""What results are made of is kept beside them, once for each result, and comes back as it was."""

import numpy as np
import pandas as pd
import pytest

from mixviz.errors import UserError
from mixviz.evaluate import Result
from mixviz.evaluate.classes import confusion
from mixviz.evaluate.details import CLASSES, keep_confusions, keep_tables, read_details

TABLE = pd.DataFrame({"kind": ["clean", "fog"], "severity": [0, 3], "accuracy": [0.8, 0.1 + 0.2]})
CONFUSION = confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))


def result(protocol, encoder="backbone", confusion=None, table=None):
    sizes = {"train_images": 9, "test_images": 3, "classes": 2, "seed": 1, "device": "cpu"}
    made_of = {"confusion": confusion, "table": table}
    return Result(protocol, encoder, "label", 0.5, "x", "test", **sizes, **made_of)


def test_tables_come_back(tmp_path):
    results = [result("corruptions (kinds fog)", table=TABLE), result("knn", confusion=CONFUSION)]
    assert keep_tables(tmp_path, results) == [tmp_path / "corruptions.json"]
    (detail,) = read_details(tmp_path / "corruptions.json")
    pd.testing.assert_frame_equal(detail.content, TABLE)
    assert (detail.about["protocol"], detail.about["seed"]) == ("corruptions (kinds fog)", 1)
    assert keep_tables(tmp_path, results[1:]) == []


def test_a_confusion_comes_back_and_takes_the_place_of_the_old_one(tmp_path):
    other = confusion(np.array([1, 1, 1]), np.array([0, 0, 1]), ("cat", "dog"))
    keep_confusions(tmp_path, [result("knn", confusion=other), result("knn", "random", confusion=other)])
    keep_confusions(tmp_path, [result("knn", confusion=CONFUSION), result("few-shot", table=TABLE)])
    found = {detail.about["encoder"]: detail.content for detail in read_details(tmp_path / CLASSES)}
    assert found["backbone"].names == ("cat", "dog")
    assert found["backbone"].counts.tolist() == CONFUSION.counts.tolist()
    assert found["random"].counts.tolist() == other.counts.tolist()
    assert len((tmp_path / CLASSES).read_text().splitlines()) == 4  # one a line
    assert [path.name for path in tmp_path.iterdir()] == [CLASSES]


def test_what_is_missing_is_empty_and_what_is_damaged_is_refused(tmp_path):
    assert read_details(tmp_path / CLASSES) == []
    (tmp_path / CLASSES).write_text("[{")
    with pytest.raises(UserError, match="delete it") as caught:
        read_details(tmp_path / CLASSES)
    assert "\n" not in str(caught.value)
