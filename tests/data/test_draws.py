"""What is drawn stands for the whole set: every class has its share, however the images are sorted."""

import numpy as np
import pytest

from mixviz.data import Dataset, draw

SORTED = np.repeat(np.arange(20), 1000)
UNEVEN = np.repeat([3, 5, 9], [900, 90, 10])


def test_rows_are_all_different_and_as_many_as_requested():
    for labels, n in ((SORTED, 20_000), (None, 20_000)):
        rows = draw(labels, n, 400)
        assert len(rows) == len(np.unique(rows)) == 400
        assert 0 <= rows.min() < rows.max() < n
    assert sorted(draw(SORTED[:30], 30, 99)) == list(range(30))
    assert draw(None, 0, 5).tolist() == draw(SORTED[:0], 0, 5).tolist() == []


@pytest.mark.parametrize("size", [1, 7, 20, 64, 400])
def test_every_class_has_its_share_in_any_first_part(size):
    counts = np.bincount(SORTED[draw(SORTED, 20_000, 400)[:size]], minlength=20)
    assert np.abs(counts - size / 20).max() <= 1


def test_classes_of_any_size_have_their_share():
    counts = np.bincount(UNEVEN[draw(UNEVEN, 1000, 200)], minlength=10)
    assert np.abs(counts[[3, 5, 9]] - [180, 18, 2]).max() <= 1


def test_within_a_class_images_are_drawn_evenly():
    """Chance alone: the mean place in a class of 1,000 is 500 with a standard deviation of 289 / sqrt(4000)."""
    assert abs((draw(SORTED, 20_000, 4000) % 1000).mean() - 500) < 25


def test_a_larger_draw_continues_and_another_seed_is_another():
    assert np.array_equal(draw(SORTED, 20_000, 400)[:100], draw(SORTED, 20_000, 100))
    assert not np.array_equal(draw(SORTED, 20_000, 400), draw(SORTED, 20_000, 400, seed=1))


def test_a_sample_of_images_keeps_their_labels():
    pixels = SORTED.astype(np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    found = Dataset(name="sorted", split="train", stored=pixels, labels=SORTED).sample(40)
    assert np.bincount(found.labels).tolist() == [2] * 20
    assert np.array_equal(found.stored[:, 0, 0, 0], found.labels)


def test_sets_in_random_order_stay_as_they_are_and_sorted_ones_are_mixed():
    labels = np.repeat(np.arange(20), 30)
    images = Dataset(name="sorted", split="train", stored=np.arange(600)[:, None], labels=labels)
    mixed = images.mixed()
    assert len(set(mixed.labels[:40])) == 20
    assert sorted(mixed.stored[:, 0]) == list(range(600))
    assert mixed.mixed() is mixed
    unknown = Dataset(name="by date", split="train", stored=images.stored)
    assert unknown.mixed().stored[:40, 0].max() > 400
