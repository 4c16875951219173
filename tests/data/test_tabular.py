"""Tables: numbers and categories fitted on train alone, splits, the sets that ship, and what is refused."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixviz.data.dataset import Dataset
from mixviz.data.decode import Reading
from mixviz.data.delimited import read_delimited
from mixviz.data.tabular import read_covtype, read_embedded, read_table, split_rows
from mixviz.errors import UserError


@pytest.fixture
def write(tmp_path):
    """Writes lines to a file; gives its path."""

    def to(text: str, name: str = "my.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding)
        return path

    return to


@pytest.fixture
def pair(write, tmp_path):
    """Writes train.csv and test.csv; gives their folder."""

    def to(train: str, test: str) -> Path:
        write(train, "train.csv"), write(test, "test.csv")
        return tmp_path

    return to


def read(path: Path, split: str, target: str | None = None, **options) -> Dataset:
    return read_table(path, split, Reading(target=target, **options))


def refused(path: Path, split: str = "train", **options) -> str:
    with pytest.raises(UserError) as caught:
        read(path, split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def many(header: str, row: str, n: int = 20) -> str:
    """A table of n rows; {i} is a row's number, {c} one of two classes."""
    return "\n".join([header, *(row.format(i=i, c="ab"[i % 2]) for i in range(n))])


# numbers and categories


def test_numbers_are_standardised_by_train_only(pair):
    folder = pair("size,y\n1,a\n2,b\n3,a\n6,b\n", "size,y\n100,a\n-100,b\n")
    train, test = (read(folder, split) for split in ("train", "test"))
    assert train.stored.dtype == np.float32
    values = np.array([1, 2, 3, 6])
    np.testing.assert_allclose(train.stored[:, 0], (values - values.mean()) / values.std(), rtol=1e-6)
    np.testing.assert_allclose(test.stored[:, 0], (np.array([100, -100]) - 3) / values.std(), rtol=1e-6)
    assert (train.labels.tolist(), test.labels.tolist(), test.class_names) == ([0, 1, 0, 1], [0, 1], ("a", "b"))


def test_large_numbers_keep_their_differences(write):
    """Seconds since 1970 differ by less than float32 tells apart there."""
    table = read(write(many("when,y", "17000000{i:02},{c}", 50)), "train")
    assert len(np.unique(table.stored)) == len(table.stored)


def test_missing_values_are_trains_median_or_a_category(pair, capsys):
    folder = pair("size,colour,y\n1,red,a\n2,,b\n,blue,a\n9,red,b\n", "size,colour,y\n,green,a\n2,,b\n")
    train, test = (read(folder, split) for split in ("train", "test"))
    assert train.stored[2, 0] == train.stored[1, 0]  # the median, 2
    assert train.stored[:, 1:].tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert test.stored[0, 0] == test.stored[1, 0]
    assert test.stored[:, 1:].tolist() == [[0, 0, 0], [0, 0, 1]]  # green is none of train's
    assert capsys.readouterr().err.splitlines() == [
        f"mixviz: csv:{folder.name}, {split}: filled in 2 missing values (train's median, or a category of their own)"
        for split in ("train", "test")
    ]


def test_columns_of_0_and_1_are_left_alone(write):
    table = read(write(many("yes,size,y", "{i},{i},{c}").replace("\n2,", "\n1,")), "train")
    assert table.stored.shape[1] == 2
    flags = read(write("\n".join(["yes,size,y", *(f"{i % 3 // 2},{i},{'ab'[i % 2]}" for i in range(30))])), "train")
    assert set(flags.stored[:, 0]) == {0.0, 1.0}


def test_what_tells_nothing_is_left_out_and_said(write, capsys):
    text = many(",name,unit,none,size,y", "{i},person {i},cm,,{i},{c}", 100)
    table = read(write(text), "train")
    assert table.stored.shape[1] == 1
    assert "left out name (text of 80 values), unit (constant), none (empty)" in capsys.readouterr().err


def test_numbers_in_quotes(tmp_path):
    pd.DataFrame({"size": [str(i) for i in range(30)], "y": list("ab") * 15}).to_parquet(tmp_path / "my.parquet")
    assert read(tmp_path / "my.parquet", "train").stored.shape == (24, 1)


def test_infinite_values_are_missing(write, capsys):
    table = read(write(many("size,y", "{i},{c}").replace("\n3,", "\ninf,").replace("\n4,", "\n1e999,")), "train")
    assert np.isfinite(table.stored).all()
    assert "filled in" in capsys.readouterr().err


# text


@pytest.mark.parametrize(
    ("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "cp1252"), ("|", "utf-8")]
)
def test_separators_and_encodings(write, separator, encoding):
    text = many('"größe, gross",w,y', "{i}.5,{i},{c}").replace(",", separator).replace(f"e{separator} g", "e, g")
    path = write(text, encoding=encoding)
    assert [*read_delimited(path)] == ["größe, gross", "w", "y"]
    assert read(path, "train").stored.shape == (16, 2)


def test_decimal_commas(write):
    table = read(write(many("size;y", "{i},5;{c}")), "train")
    assert (table.stored.shape, len(np.unique(table.stored))) == ((16, 1), 16)


def test_compressed(tmp_path):
    (tmp_path / "my.csv.gz").write_bytes(gzip.compress(many("size,y", "{i},{c}").encode()))
    assert len(read(tmp_path / "my.csv.gz", "train").stored) == 16
    (tmp_path / "bad.csv.gz").write_bytes(gzip.compress(b"x,y\n1,2\n" * 99)[:-12])
    assert "cannot be decompressed" in refused(tmp_path / "bad.csv.gz")


def test_without_a_header_columns_are_numbered(write):
    table = read(write(many("5,9,a", "{i},3{i},{c}", 19)), "train", target="3")
    assert (table.stored.shape[1], table.class_names) == (2, ("a", "b"))
    assert sorted([*table.origins, *read(write(many("5,9,a", "{i},3{i},{c}", 19)), "test", "3").origins]) == [
        *range(20)
    ]


def test_a_header_of_numbers_that_count(write):
    table = read(write(many("0,1,2", "{i},3{i},{c}")), "train", target="2")
    assert (table.stored.shape[1], table.class_names) == (2, ("a", "b"))


# splits


def test_a_single_table_keeps_a_fifth_of_each_class(write):
    path = write("\n".join(["size,y", *(f"{i},{'abc'[(i > 49) + (i > 59)]}" for i in range(61))]))
    train, test = (read(path, split) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [40, 8, 1]
    assert np.bincount(test.labels, minlength=3).tolist() == [10, 2, 0]
    assert sorted([*train.origins, *test.origins]) == [*range(61)]


def test_the_split_is_the_same_for_every_order_of_columns(write):
    first = read(write(many("size,w,y", "{i},7{i},{c}")), "test")
    second = read(write(many("w,y,size", "7{i},{c},{i}"), "other.csv"), "test")
    assert first.origins.tolist() == second.origins.tolist()


def test_a_class_of_one_row_is_trains(write):
    train, test = split_rows(np.array(["a"] * 9 + ["b"]), 5)
    assert 9 in train
    assert len(test) == 2
    with pytest.raises(UserError, match="too few to keep some as test"):
        split_rows(np.array(["a", "b"]), 5)


def test_a_single_class_can_be_trained_on_and_not_read_out(write):
    table = read(write(many("size,y", "{i},a")), "train")
    assert (len(table), table.class_names) == (16, ("a",))
    with pytest.raises(UserError, match="has a single label, but at least two are needed"):
        table.targets("label")


def test_without_classes_there_is_no_test(write):
    path = write(many("size,kind", "{i},{c}"))
    table = read(path, "train")
    assert (table.labels, table.stored.shape) == (None, (20, 3))
    assert "name one with --target" in refused(path, "test")


def test_parquet_with_a_text_target(tmp_path):
    frame = pd.DataFrame({"size": range(30), "kind": pd.Categorical(list("xyz") * 10), "species": list("ab") * 15})
    frame.to_parquet(tmp_path / "my.parquet")
    table = read(tmp_path / "my.parquet", "train", target="species")
    assert (table.stored.shape, table.class_names) == ((24, 4), ("a", "b"))
    assert set(np.unique(table.stored[:, 1:])) == {0.0, 1.0}


def test_whole_numbers_as_classes_are_in_order(write):
    path = write("\n".join(["size,class", *(f"{i},{[10, 9, 100][i % 3]}" for i in range(30))]))
    assert read(path, "train").class_names == ("9", "10", "100")


# what is refused


def test_refusals_of_a_file(write, pair, tmp_path):
    assert "is empty" in refused(write(" \n"))
    assert "has a header and no rows" in refused(write("size,y\n"))
    assert "two columns called 'size'" in refused(write("size,size,y\n1,2,a\n"))
    assert "2 values in its first line and 3 in the next" in refused(write("size,y\n1,2,a\n"))
    assert "cannot be read as a table" in refused(write("size,y\n1,a\n1,2,3,4\n"))
    (tmp_path / "image.csv").write_bytes(b"\x89PNG\0\0")
    assert "is no text" in refused(tmp_path / "image.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    assert "cannot be read as parquet" in refused(tmp_path / "bad.parquet")
    twice = pa.table([pa.array([1, 2]), pa.array([3, 4])], names=["size", "size"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    assert "two columns called 'size'" in refused(tmp_path / "twice.parquet")
    (tmp_path / "twice.parquet").rename(tmp_path / "named.csv")
    assert "named.csv is parquet, not text: call it named.parquet" in refused(tmp_path / "named.csv")
    write(many("size,y", "{i},{c}")).rename(tmp_path / "named.parquet")
    assert "named.parquet is not parquet: call it named.csv if it is text" in refused(tmp_path / "named.parquet")
    pd.DataFrame({"sizes": [[1, 2], [3]]}).to_parquet(tmp_path / "lists.parquet")
    assert "column 'sizes' has several values a row" in refused(tmp_path / "lists.parquet")
    (tmp_path / "empty").mkdir()
    assert "no tables called train" in refused(tmp_path / "empty")


def test_refusals_of_a_target(write):
    path = write(many("size,species", "{i},{c}"))
    assert "did you mean 'species'" in refused(path, target="specis")
    assert "has fractions" in refused(write(many("size,y", "{i},{i}.5")))
    assert "20 different values in 20 rows" in refused(write(many("size,y", "{i},{i}")))


def test_refusals_of_columns(write, pair):
    assert "no column that tells rows apart" in refused(write(many("size,y", "3,{c}")))
    mixed = many("size,y", "{i},{c}").replace("\n12,", "\n12 kg,")
    assert "column 'size' holds numbers and '12 kg' in row 13" in refused(write(mixed))
    folder = pair("size,w,y\n1,2,a\n2,3,b\n", "size,y\n1,a\n")
    assert "lacks the column 'w'" in refused(folder, "test")
    folder = pair("size,y\n1,a\n2,b\n", "size,y\nbig,a\n")
    assert "column 'size' holds numbers and 'big' in row 1" in refused(folder, "test")
    folder = pair("size,y\n1,a\n2,b\n", "size,y\n1,c\n")
    assert "has the class 'c'" in refused(folder, "test")


def test_rows_without_values_or_class_are_refused_or_skipped(write):
    path = write(many("size,w,y", "{i},{i},{c}").replace("\n7,7,b", "\n,,b"))
    assert "row 8 has no value at all: fix it, or skip it with --skip-bad" in refused(path)
    assert read(path, "train", skip_bad=True).skipped == 1
    path = write(many("size,w,y", "{i},{i},{c}").replace("\n7,7,b", "\n7,7,"))
    assert "'y' is missing in row 8" in refused(path)
    assert 7 not in read(path, "train", skip_bad=True).origins


# sets that ship


@pytest.mark.parametrize(
    ("source", "sizes", "features", "classes"),
    [("digits", (1198, 599), 61, 10), ("breast-cancer", (379, 190), 30, 2), ("wine", (118, 60), 13, 3)],
)
def test_embedded_sets(source, sizes, features, classes):
    train, test = (read_embedded(source, split, Reading()) for split in ("train", "test"))
    assert [table.stored.shape for table in (train, test)] == [(size, features) for size in sizes]
    assert len(train.class_names) == len(np.unique(test.labels)) == classes
    numbers = train.stored[:, [len(np.unique(column)) > 2 for column in train.stored.T]]
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=1e-4)
    assert not {*train.origins} & {*test.origins}


def test_covtype_is_its_balanced_subsets(monkeypatch, tmp_path, real_sets):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "covtype").symlink_to(real_sets / "covtype")
    train, test = (read_covtype(split, Reading()) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [1620] * 7
    assert np.bincount(test.labels).tolist() == [540] * 7
    assert train.stored.shape == (11_340, 52)  # two soils are not in train
    np.testing.assert_allclose(train.stored[:, :10].std(axis=0), 1, atol=1e-4)
    assert set(np.unique(train.stored[:, 10:])) == {0.0, 1.0}


def test_covtype_that_cannot_be_had(monkeypatch, tmp_path):
    from sklearn import datasets

    def fetch(**options):
        raise OSError("no network")

    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "fetch_covtype", fetch)
    with pytest.raises(UserError, match=r"cannot be downloaded \(no network\): put covtype.data.gz there"):
        read_covtype("train", Reading())
