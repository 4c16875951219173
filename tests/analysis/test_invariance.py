"""Invariance: one augmentation varied alone, how far heads follow it, and what can be read from them."""

import colorsys

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import functional as TF

from mixviz.analysis.invariance import (
    canonical_glyphs,
    diagonal_margin,
    fingerprint,
    invariance,
    perturb,
    readout,
    vary,
)
from mixviz.data.glyphs import SHAPES, sample_glyphs
from mixviz.domains.image_factors import FACTORS
from mixviz.errors import UserError


@pytest.fixture(scope="module")
def images():
    return torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("augmentation", FACTORS)
def test_the_first_strength_changes_nothing_and_the_others_do(images, augmentation, generator):
    none, *others = FACTORS[augmentation].strengths
    torch.testing.assert_close(vary(images, augmentation, none, generator), images, atol=1e-5, rtol=0)
    for strength in others:
        changed = vary(images, augmentation, strength, generator)
        assert changed.shape == images.shape
        assert (changed - images).abs().amax(dim=(1, 2, 3)).min() > 0.005
    assert FACTORS[augmentation].reference in others


@pytest.mark.parametrize(
    ("augmentation", "strength", "reference"),
    [
        ("rotation", 3, lambda x: x.rot90(3, (2, 3))),
        ("flip", 1, lambda x: x.flip(3)),
        ("hue", 0.3, lambda x: TF.adjust_hue(x, 0.3)),
        ("hue", -0.2, lambda x: TF.adjust_hue(x, -0.2)),
        ("brightness", 0.6, lambda x: TF.adjust_brightness(x, 0.6)),
        ("contrast", 0.6, lambda x: TF.adjust_contrast(x, 0.6)),
        ("saturation", 1.4, lambda x: TF.adjust_saturation(x, 1.4)),
        ("grayscale", 1, lambda x: TF.rgb_to_grayscale(x, 3)),
        ("blur", 1.0, lambda x: TF.gaussian_blur(x, 3, 1.0)),
    ],
)
def test_one_augmentation_by_itself_is_torchvisions(images, augmentation, strength, reference, generator):
    torch.testing.assert_close(vary(images, augmentation, strength, generator), reference(images), atol=2e-3, rtol=0)


def test_a_crop_keeps_its_share_of_the_area_at_a_random_place(generator):
    across = ((torch.arange(32) + 0.5) / 32).expand(200, 3, 32, 32)
    for area in (0.25, 0.64):
        seen = vary(across, "crop", area, generator)[:, 0, 0]
        slope = (seen[:, 20] - seen[:, 11]) / (9 / 32)  # the share of the width that is seen
        assert slope.tolist() == pytest.approx([round(32 * area**0.5) / 32] * 200, abs=1e-3)
        assert len(seen[:, 16].unique()) > 4


def test_texture_is_blended_by_its_share(images):
    def at(strength):
        return vary(0.5 + 0.1 * (images - 0.5), "texture", strength, torch.Generator().manual_seed(1))

    torch.testing.assert_close(at(0.5), (at(0.0) + at(1.0)) / 2)


def test_every_image_may_have_a_strength_of_its_own(images, generator):
    turns = torch.arange(8) % 4
    changed = vary(images, "rotation", turns, generator)
    for image, result, turn in zip(images, changed, turns.tolist(), strict=True):
        assert torch.equal(result, image.rot90(turn, (1, 2)))


def test_bad_requests_are_refused(images, generator):
    with pytest.raises(UserError, match="did you mean 'rotation'"):
        vary(images, "rotations", 1, generator)
    with pytest.raises(UserError, match="take 0 to 3"):
        vary(images, "rotation", 4, generator)
    with pytest.raises(UserError, match="float"):
        vary((255 * images).byte(), "flip", 1, generator)
    with pytest.raises(UserError, match="2 or more"):
        invariance(embed, images[:1], "flip")


def embed(images):
    """``pixels`` sees everything, ``colour`` the mean colour alone, ``grey`` no colour, ``dead`` nothing."""
    colour = images.mean(dim=(2, 3))
    heads = {
        "pixels": images.flatten(1),
        "colour": colour - 0.45,
        "grey": TF.rgb_to_grayscale(images).flatten(1),
        "dead": torch.ones(len(images), 2),
    }
    return {name: F.normalize(rows, dim=1) for name, rows in heads.items()}


def test_fall_off_is_the_distance_over_that_to_the_other_images(images):
    found = invariance(embed, images, "rotation", [1, 2])
    assert found.heads == ("pixels", "colour", "grey", "dead")
    for s, turns in enumerate([1, 2]):
        for i in range(8):
            pixels = embed(images)["pixels"]
            turned = F.normalize(images[i].rot90(turns, (1, 2)).flatten(), dim=0)
            near = float(pixels[i] @ turned)
            far = sum(float(pixels[i] @ pixels[j]) for j in range(8) if j != i) / 7
            assert float(found.fall_off[0, s, i]) == pytest.approx((1 - near) / (1 - far), rel=1e-3)
    assert found.fall_off[1].abs().max() < 1e-3  # the mean colour does not turn
    assert found.fall_off[3].isnan().all()


def test_an_image_that_becomes_another_has_fallen_off_by_one():
    pair = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    pair[1] = pair[0].flip(2)
    found = invariance(embed, pair, "flip")
    assert found.fall_off[0, 0].tolist() == pytest.approx([0, 0], abs=1e-4)
    pair[1] = pair[0].rot90(2, (1, 2))
    assert invariance(embed, pair, "rotation").fall_off[0, 2].tolist() == pytest.approx([1, 1], abs=1e-4)


def test_the_table_has_the_means_and_equal_generators_give_equal_tables(images):
    found = invariance(embed, images, "crop", [1.0, 0.4])
    table = found.table()
    assert table["head"].tolist() == [head for head in found.heads for _ in range(2)]
    row = table[(table["head"] == "colour") & (table["strength"] == 0.4)].iloc[0]
    assert row["fall_off"] == pytest.approx(float(found.fall_off[1, 1].mean()))
    assert row["similarity"] == pytest.approx(float(found.similarity[1, 1].mean()))
    pd.testing.assert_frame_equal(invariance(embed, images, "crop", [1.0, 0.4]).table(), table)


def test_one_image_is_followed_as_in_the_set(images):
    found = perturb(embed, images[3], embed(images), 3, "rotation", 1)
    assert torch.equal(found.image, images[3].rot90(1, (1, 2)))
    torch.testing.assert_close(found.embeddings["pixels"], embed(found.image[None])["pixels"])
    among = invariance(embed, images, "rotation", [1])
    torch.testing.assert_close(found.invariance.similarity, among.similarity[..., [3]])
    torch.testing.assert_close(found.invariance.fall_off, among.fall_off[..., [3]], equal_nan=True, atol=1e-4, rtol=0)
    row = found.invariance.table().iloc[0]
    assert (row["augmentation"], row["head"], row["strength"]) == ("rotation", "pixels", 1)


def test_a_strength_lies_its_share_of_the_way_to_the_strongest():
    assert [FACTORS["hue"].at(share) for share in (0, 0.5, 1)] == [0.0, 0.25, 0.5]
    assert [FACTORS["crop"].at(share) for share in (0, 0.5, 1)] == pytest.approx([1.0, 0.6, 0.2])
    assert [FACTORS["rotation"].at(share) for share in (0, 0.1, 0.3, 0.5, 0.6, 1)] == [0, 0, 1, 2, 2, 3]
    assert [FACTORS["grayscale"].at(share) for share in (0, 0.4, 0.5, 1)] == [0, 0, 1, 1]


def lit_from(n, seed, hue=None):
    """Images of one colour that are brighter at the top: each has an up, and its mean has its colour."""
    draws = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))
    colours = [colorsys.hsv_to_rgb(float(h) if hue is None else hue, 0.5, 0.6 + 0.05 * float(v)) for h, v in draws]
    light = torch.linspace(1, 0.5, 8)[:, None].expand(8, 8)
    return torch.tensor(colours)[:, :, None, None] * light


def readouts(train, test, augmentation):
    table = readout(embed, train, test, augmentation, torch.Generator().manual_seed(0))
    assert table["measure"].nunique() == 1
    return table.set_index("head")["readout"]


def test_turns_can_be_read_from_a_head_that_sees_places_and_not_from_one_that_does_not():
    found = readouts(lit_from(600, 0), lit_from(400, 1), "rotation")
    assert found["pixels"] == 1
    assert found["grey"] == 1
    assert abs(found["colour"]) < 0.1
    assert abs(found["dead"]) < 0.1


def test_the_shift_of_the_hue_can_be_read_where_all_images_have_one_hue():
    found = readouts(lit_from(600, 0, hue=0.2), lit_from(400, 1, hue=0.2), "hue")
    assert found["colour"] > 0.9
    assert found["grey"] < 0.5 * found["colour"]
    uniform = readouts(lit_from(600, 0), lit_from(400, 1), "hue")
    assert abs(uniform["colour"]) < 0.1


def test_an_amount_is_read_by_its_share_of_variance():
    def mean_value(images):
        return {"mean": images.mean(dim=(1, 2, 3))[:, None], "constant": torch.ones(len(images), 1)}

    flat = torch.full((300, 3, 8, 8), 0.4)
    found = readout(mean_value, flat, flat, "brightness", torch.Generator().manual_seed(0)).set_index("head")
    assert found.loc["mean", "value"] == pytest.approx(1, abs=1e-3)
    assert found.loc["constant", "value"] == pytest.approx(0, abs=0.02)
    assert set(found["measure"]) == {"R^2"}


def test_a_fingerprint_has_both_for_every_head_and_augmentation(images):
    sets = [lit_from(n, seed, hue=0.2) for seed, n in enumerate((400, 200))]
    table = fingerprint(embed, images, *sets, ["rotation", "grayscale"]).set_index(["augmentation", "head"])
    assert len(table) == 8
    assert table.loc[("grayscale", "grey"), "fall_off"] < 0.05
    assert table.loc[("rotation", "colour"), "fall_off"] < 0.05
    assert table.loc[("rotation", "grey"), "fall_off"] > 0.7
    assert table.loc[("grayscale", "colour"), "readout"] > 0.95
    assert table.loc[("rotation", "colour"), "readout"] < 0.1
    assert table.loc["grayscale", "group"].unique().tolist() == ["color"]


def test_the_margin_is_own_head_minus_the_other_spaces():
    rows = [
        ("hue", "color", head, value)
        for head, value in [("backbone", 9.0), ("all", 0.1), ("color", 0.8), ("rotation", 0.3)]
    ]
    rows += [("rotation", "rotation", head, value) for head, value in [("all", 0.4), ("color", 0.6), ("rotation", 0.5)]]
    rows += [("blur", "blur", "all", 0.2), ("blur", "blur", "color", 0.2)]
    table = pd.DataFrame(rows, columns=["augmentation", "group", "head", "fall_off"])
    found = diagonal_margin(table).set_index("augmentation")
    assert found.index.tolist() == ["hue", "rotation"]  # nobody left blur out
    assert found.loc["hue", ["own", "mean_of_others", "best_of_others"]].tolist() == pytest.approx([0.8, 0.2, 0.3])
    assert found.loc["hue", ["margin", "lead"]].tolist() == pytest.approx([0.6, 0.5])
    assert found.loc["rotation", ["margin", "lead"]].tolist() == pytest.approx([0, -0.1])
    assert diagonal_margin(table[table["head"] == "all"]).empty


def test_canonical_glyphs_have_one_hue_and_stand_upright():
    glyphs, shapes = canonical_glyphs(200, seed=3), sample_glyphs(200, 3).shape
    ink = 1 - glyphs[:, 1] / glyphs[:, 0]  # red glyphs on grey: green is low where there is a glyph
    assert ink.flatten(1).amax(dim=1).min() > 0.2
    letters = torch.as_tensor(shapes == list(SHAPES).index("T"))
    rows = ink[letters].clamp(min=0.1).sub(0.1).sum(dim=2)  # (T's, 32), how much glyph a row has
    assert letters.sum() > 5
    places = torch.arange(32.0)
    occupied = rows > 0.05 * rows.amax(dim=1, keepdim=True)
    middle = torch.stack([places[line].mean() for line in occupied])
    assert ((rows * places).sum(dim=1) / rows.sum(dim=1) < middle).all()  # the bar is at the top
