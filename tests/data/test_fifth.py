"""Which fifth of own data is test: by names, every class on both sides, copies together."""

import numpy as np

from mixviz.data import Dataset, load
from mixviz.data.fifth import first_copies, is_test


def images(labels, seed=0):
    stored = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8, 3), dtype=np.uint8)
    names = np.array([f"{label}/{i}.png" for i, label in enumerate(labels)])
    return Dataset(name="own", split="train", stored=stored, labels=np.array(labels), origins=names)


def test_about_a_fifth_is_test_and_every_class_is_on_both_sides():
    data = images([0] * 1000 + [1] * 2 + [2] * 3 + [3])
    test = is_test(data)
    assert 170 < test[:1000].sum() < 230
    assert [test[data.labels == label].sum() for label in (1, 2, 3)] == [1, 1, 0]


def test_more_images_leave_the_others_on_their_side():
    data = images([0] * 500 + [1] * 500)
    few = data.select(np.arange(0, 1000, 2))
    assert np.array_equal(is_test(few), is_test(data)[::2])


def test_copies_are_on_one_side():
    data = images([0] * 300)
    data.stored[150:250] = data.stored[:100]
    test = is_test(data)
    assert np.array_equal(test[150:250], test[:100])
    assert first_copies(data.stored)[149:152].tolist() == [149, 0, 1]


def test_a_system_with_other_separators_deals_alike():
    data = images([0] * 50)
    other = Dataset(
        name="own",
        split="train",
        stored=data.stored,
        labels=data.labels,
        origins=np.char.replace(data.origins, "/", "\\"),
    )
    assert np.array_equal(is_test(other), is_test(data))


def test_runs_of_older_versions_keep_their_split(tmp_path, write_folder):
    source = f"folder:{write_folder(tmp_path / 'pets', n=40)}"
    everything = load(source, "all", progress=False).stored
    train, test = (load(source, split, split_by="row", progress=False).stored for split in ("train", "test"))
    order = np.random.default_rng(0).permutation(80)
    assert np.array_equal(test, everything[np.sort(order[:16])])
    assert np.array_equal(train, everything[np.sort(order[16:])])
