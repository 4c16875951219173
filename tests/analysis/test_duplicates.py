"""Duplicates: pairs against a slow loop, and images that were written again, scaled or flipped among others."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import mixviz
from mixviz.analysis.duplicates import duplicates, similar_pairs
from mixviz.data.glyphs import make_glyphs


@pytest.mark.parametrize("chunk", [3, 1000])
def test_pairs_are_those_of_a_loop(generator, chunk):
    x, mirrored = torch.randn(2, 40, 4, generator=generator, dtype=torch.float64) + 5
    found = similar_pairs(x, mirrored, 0.8, chunk=chunk)
    centred, flipped = ((part - x.mean(0)).numpy() for part in (x, mirrored))
    expected = []
    for i in range(40):
        for j in range(i + 1, 40):
            cosines = [
                float(centred[i] @ other[j] / np.linalg.norm(centred[i]) / np.linalg.norm(other[j]))
                for other in (centred, flipped)
            ]
            if max(cosines) >= 0.8:
                expected.append((i, j, max(cosines), ["near", "mirrored"][int(np.argmax(cosines))]))
    expected = pd.DataFrame(expected, columns=["first", "second", "similarity", "kind"])
    expected = expected.sort_values("similarity", ascending=False, ignore_index=True)
    assert set(expected["kind"]) == {"near", "mirrored"}
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)
    few = similar_pairs(x, mirrored, 0.8, most=3, chunk=chunk)
    pd.testing.assert_frame_equal(few.reset_index(drop=True), expected[:3])


def test_exact_copies_are_pairs_with_the_first_and_no_others(generator):
    stored = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    stored[3] = stored[5] = stored[1]
    x = torch.randn(6, 9, generator=generator)
    x[3] = x[5] = x[1]
    x[4] = x[0] + 1e-4
    stored[4] = stored[0]
    stored[4, 0, 0] += 1
    x[2] = x[0] + 1e-4  # but its pixels are others
    found = duplicates(stored, x)
    assert list(zip(found["first"], found["second"], found["kind"], strict=True)) == [
        (1, 3, "exact"), (1, 5, "exact"), (0, 4, "near")
    ]  # fmt: skip
    assert found["similarity"].tolist() == pytest.approx([1, 1, 1])


def test_features_that_are_all_alike_are_no_pairs():
    assert similar_pairs(torch.ones(5, 3)).empty
    assert similar_pairs(torch.ones(1, 3)).empty


def written_again(image: np.ndarray) -> np.ndarray:
    """As a JPEG of three times the size, read in the first size."""
    buffer = io.BytesIO()
    Image.fromarray(image).resize((96, 96), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return np.asarray(Image.open(buffer).resize((32, 32), Image.Resampling.BILINEAR))


def test_planted_duplicates_of_photos_are_found_by_file_name(tmp_path):
    """Among 200 glyphs: a copy of one file, five that were encoded again, and five that were flipped."""
    images = make_glyphs("test", images=200).stored
    planted = {
        "copy.png": images[0],
        **{f"again{i}.png": written_again(images[10 + i]) for i in range(5)},
        **{f"flipped{i}.png": images[20 + i][:, ::-1] for i in range(5)},
    }
    for name, image in {**{f"{i:03}.png": image for i, image in enumerate(images)}, **planted}.items():
        Image.fromarray(image).save(tmp_path / name)
    found = mixviz.near_duplicates("glyphs-moco-v2-seed1", f"folder:{tmp_path}", device="cpu")
    pairs = {frozenset((row.first, row.second)): row.kind for row in found.itertuples()}
    assert pairs[frozenset(("000.png", "copy.png"))] == "exact"
    for i in range(5):
        assert pairs[frozenset((f"{10 + i:03}.png", f"again{i}.png"))] == "near"
        assert pairs[frozenset((f"{20 + i:03}.png", f"flipped{i}.png"))] == "mirrored"
    assert found["similarity"].is_monotonic_decreasing
    assert len(found) == 11
