"""Mix paths against closed forms, loops and scipy: networks that are calibrated, blind or all-or-nothing by design."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import nn

from mixviz.analysis.mixpath import (
    MixPath,
    above_others,
    balance,
    bootstrap_interval,
    calibration,
    calibration_errors,
    cosine_range,
    fitted_calibration,
    full_row,
    mix_path,
    monotonicity,
    path_measures,
    share_of_first,
    unit_embed,
)
from mixviz.errors import UserError

LAMS = torch.linspace(0, 1, 11, dtype=torch.float64)


def path_of(first, second, lam=LAMS, others=None) -> MixPath:
    """A path with given cosines to the sources, each (P, L) or (L,)."""
    first, second = torch.atleast_2d(first), torch.atleast_2d(second)
    zeros = torch.zeros_like(first)
    others = torch.eye(4, dtype=torch.float64)[2:] if others is None else others
    blends = torch.zeros(*first.shape, 4, dtype=torch.float64)
    return MixPath(
        lam=torch.atleast_2d(lam).expand_as(first),
        first=first,
        second=second,
        others_mean=zeros,
        others_high=zeros + 0.3,
        blends=blends,
        others=others,
    )


def calibrated(temperature: float) -> MixPath:
    """c1 - c2 = τ logit(λ): the share is λ at τ."""
    inner = LAMS.clamp(1e-9, 1 - 1e-9)
    return path_of(temperature * inner.log(), temperature * (1 - inner).log())


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 6, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def pixels(images):
    """An encoder that looks at pixels alone."""
    return F.normalize(images.flatten(1) - 0.5, dim=1)


def test_mixup_path_is_the_blends_cosines_as_a_loop(images):
    first, second = images
    others = pixels(torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    path = mix_path(pixels, first, second, others, LAMS)
    for p in range(6):
        for place, lam in enumerate(LAMS.tolist()):
            embedded = pixels((lam * first[p] + (1 - lam) * second[p])[None])[0]
            assert path.first[p, place].item() == pytest.approx(float(embedded @ pixels(first[p][None])[0]))
            assert path.second[p, place].item() == pytest.approx(float(embedded @ pixels(second[p][None])[0]))
            cosines = (others @ embedded).numpy()
            assert path.others_mean[p, place].item() == pytest.approx(cosines.mean())
            assert path.others_high[p, place].item() == pytest.approx(
                sorted(cosines)[27] * 0.45 + sorted(cosines)[28] * 0.55
            )
    assert path.lam[3].tolist() == LAMS.tolist()
    assert path.first[:, -1].tolist() == pytest.approx([1] * 6)
    assert path.second[:, 0].tolist() == pytest.approx([1] * 6)


def test_keys_may_come_from_another_encoder(images):
    path = mix_path(pixels, *images, pixels(images[0]), LAMS, embed_key=lambda batch: -pixels(batch))
    assert path.first[:, -1].tolist() == pytest.approx([-1] * 6)


@pytest.mark.parametrize("size", [8, 7])
def test_cutmix_boxes_are_whole_nested_and_share_what_they_leave(size):
    """First images are ones and second ones zeros, so that the mean of a blend is the share of the first."""
    seen = []

    def look(batch):
        seen.append(batch)
        return F.normalize(batch.flatten(1) + 0.1, dim=1)

    first, second = torch.ones(20, 1, size, size), torch.zeros(20, 1, size, size)
    others = F.normalize(torch.ones(5, size * size), dim=1)
    path = mix_path(look, first, second, others, LAMS.float(), "cutmix", torch.Generator().manual_seed(0))
    blends = seen[2:]
    for place, batch in enumerate(blends):
        torch.testing.assert_close(batch.mean(dim=(1, 2, 3)), path.lam[:, place])
        side = int(math.sqrt(1 - float(LAMS.float()[place])) * size) // 2 * 2
        assert set((batch == 0).sum(dim=(1, 2, 3)).tolist()) == {side**2}  # none is cut at the edge
    for smaller, larger in zip(blends[1:], blends[:-1], strict=True):
        assert ((smaller == 0) <= (larger == 0)).all()
    assert len(torch.unique(blends[5], dim=0)) > 3  # boxes lie in different places
    again = mix_path(look, first, second, others, LAMS.float(), "cutmix", torch.Generator().manual_seed(0))
    assert torch.equal(path.first, again.first)


def test_unit_embed_takes_one_space_of_an_embedder():
    class Two(nn.Module):
        bn_splits = 1

        def forward(self, inputs):
            return torch.stack([inputs, -2 * inputs.roll(1, dims=1)], dim=1).bfloat16()

    inputs = torch.tensor([[3.0, 4.0]])
    assert unit_embed(Two())(inputs).tolist() == [pytest.approx([0.6, 0.8])]
    assert unit_embed(Two(), 1)(inputs).tolist() == [pytest.approx([-0.8, -0.6])]


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_a_calibrated_network_has_no_error_at_its_temperature(temperature):
    path = calibrated(temperature)
    result = calibration(path, temperature)
    torch.testing.assert_close(result.share[0], LAMS, rtol=0, atol=1e-8)
    assert result.error == pytest.approx(0, abs=1e-8)
    assert calibration(path, 3 * temperature).error > 0.05
    assert balance(path).item() == pytest.approx(0.5)
    assert monotonicity(path).item() == pytest.approx(1)


def test_blind_and_all_or_nothing_networks_have_an_error_of_a_quarter():
    fine = torch.linspace(0, 1, 2001, dtype=torch.float64)
    blind = calibration(path_of(fine * 0 + 0.4, fine * 0 + 0.4, fine), 0.1)
    step = calibration(path_of((fine > 0.5).double(), (fine <= 0.5).double(), fine), 0.01)
    wrong = calibration(path_of((fine <= 0.5).double(), (fine > 0.5).double(), fine), 0.01)
    assert blind.error == pytest.approx(0.25, abs=1e-3)
    assert step.error == pytest.approx(0.25, abs=1e-3)
    assert wrong.error == pytest.approx(0.75, abs=1e-3)


def test_pairs_that_err_in_opposite_ways_do_not_cancel():
    first = torch.stack([torch.ones(11), -torch.ones(11)]).double()
    result = calibration(path_of(first, -first, LAMS.new_full((11,), 0.5)), 0.01)
    assert result.errors.tolist() == pytest.approx([0.5, 0.5])
    assert result.error == pytest.approx(0.5)


def test_the_temperature_is_fitted_on_even_pairs_and_tried_on_odd_ones():
    even, odd = calibrated(0.3), calibrated(0.9)
    path = path_of(torch.cat([even.first, odd.first] * 3), torch.cat([even.second, odd.second] * 3))
    result = fitted_calibration(path)
    assert result.temperature == pytest.approx(0.3, rel=0.03)
    assert len(result.share) == 3
    assert result.error == pytest.approx(calibration(odd, result.temperature).error)
    assert result.error > 0.1
    picked = fitted_calibration(path, torch.tensor([0.1, 0.29, 1.0], dtype=torch.float64))
    assert picked.temperature == pytest.approx(0.29)


def test_the_mean_curve_is_read_between_the_lams_that_were_tried():
    found = calibration(path_of(torch.stack([LAMS, 3 * LAMS]), torch.zeros(2, 11, dtype=torch.float64)), 1.0)
    at = [(1 / (1 + math.exp(-lam)) + 1 / (1 + math.exp(-3 * lam))) / 2 for lam in (0.3, 0.4)]
    assert found.at(0.3) == pytest.approx(at[0])
    assert found.at(0.34) == pytest.approx(0.6 * at[0] + 0.4 * at[1])


def test_a_share_is_the_softmax_of_two_cosines():
    first, second = torch.tensor([0.9, 0.2, -1.0]), torch.tensor([0.3, 0.2, 1.0])
    expected = (torch.stack([first, second]) / 0.3).softmax(dim=0)[0]
    torch.testing.assert_close(share_of_first(first, second, 0.3), expected)
    with pytest.raises(UserError, match="greater than 0"):
        share_of_first(first, second, -0.1)


def test_errors_over_temperatures_are_lowest_at_the_temperature_of_the_design():
    temperatures = torch.tensor([0.1, 0.2, 0.3, 0.5])
    errors = calibration_errors(calibrated(0.3), temperatures)
    assert int(errors.argmin()) == 2
    assert float(errors[2]) == pytest.approx(0, abs=1e-6)
    assert float(errors[1]) == pytest.approx(calibration(calibrated(0.3), 0.2).error)


def test_half_the_range_looks_the_same_at_half_the_temperature(images):
    wide = path_of(LAMS, 1 - LAMS)
    narrow = path_of(LAMS / 2, (1 - LAMS) / 2)
    assert cosine_range(wide).tolist() == pytest.approx([2.0])
    assert cosine_range(narrow).tolist() == pytest.approx([1.0])
    assert calibration(narrow, 0.2).error != pytest.approx(calibration(wide, 0.2).error, abs=0.02)
    assert calibration(narrow, 0.1).error == pytest.approx(calibration(wide, 0.2).error)
    path = mix_path(pixels, *images, pixels(images[0]), LAMS)
    between = (pixels(images[0]) * pixels(images[1])).sum(dim=1)
    torch.testing.assert_close(cosine_range(path), 2 - 2 * between)


def test_balance_is_where_the_sources_are_equally_near():
    gap = LAMS - 0.37
    assert balance(path_of(gap, 0 * gap)).item() == pytest.approx(0.37)
    some = torch.linspace(0.2, 0.8, 5, dtype=torch.float64)
    assert balance(path_of(some - 0.37, 0 * some, some)).item() == pytest.approx(0.37)
    assert balance(path_of(0 * LAMS + 1, 0 * LAMS)).item() == 0
    assert balance(path_of(0 * LAMS, 0 * LAMS + 1)).item() == pytest.approx(1)
    twice = torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)  # below zero on half of it
    assert balance(path_of(twice, 0 * twice, torch.linspace(0, 0.6, 4, dtype=torch.float64))).item() == pytest.approx(
        0.3
    )


def test_monotonicity_is_spearmans(generator):
    first = torch.rand(5, 11, generator=generator, dtype=torch.float64)
    first[4] = first[4].round(decimals=1)  # ties
    found = monotonicity(path_of(first, first * 0))
    expected = [spearmanr(LAMS, row).statistic for row in first.numpy()]
    assert found.tolist() == pytest.approx(expected)
    assert monotonicity(path_of(-LAMS, 0 * LAMS)).item() == pytest.approx(-1)
    assert monotonicity(path_of(0 * LAMS, 0 * LAMS)).item() == 0


def test_above_others_takes_the_farther_source():
    assert above_others(path_of(LAMS, 1 - LAMS))[0].tolist() == pytest.approx(
        [min(x, 1 - x) - 0.3 for x in LAMS.tolist()]
    )


def test_full_row_is_the_softmax_over_sources_and_others(images, generator):
    others = F.normalize(torch.randn(7, 192, generator=generator, dtype=torch.float64), dim=1)
    path, temperature = mix_path(pixels, *images, others, LAMS), 0.2
    row = full_row(path, temperature)
    for p, place in [(0, 0), (2, 3), (5, 10)]:
        lam = float(LAMS[place])
        embedded = pixels((lam * images[0][p] + (1 - lam) * images[1][p])[None])[0]
        keys = torch.cat([pixels(images[:, p]), others])
        weights = [math.exp(float(key @ embedded) / temperature) for key in keys]
        shares = [weight / sum(weights) for weight in weights]
        assert row.sources[p, place].item() == pytest.approx(shares[0] + shares[1])
        target = [lam, 1 - lam] + [0] * 7
        distance = sum(abs(a - b) for a, b in zip(shares, target, strict=True)) / 2
        assert row.distance[p, place].item() == pytest.approx(distance)
        assert calibration(path, temperature).share[p, place].item() == pytest.approx(
            shares[0] / (shares[0] + shares[1])
        )


def test_path_measures_are_one_row_a_pair(images):
    path = mix_path(pixels, *images, pixels(images[0].flip(3)), LAMS)
    table = path_measures(path, 0.1)
    assert len(table) == 6
    assert table["calibration_error"].tolist() == pytest.approx(calibration(path, 0.1).errors.tolist())
    assert table["fitted_error"].isna().tolist() == [True, False] * 3
    assert table["fitted_error"].mean() == pytest.approx(fitted_calibration(path).error)
    assert table["balance_error"].tolist() == pytest.approx((balance(path) - 0.5).abs().tolist())
    assert table["nearest"].between(0, 1).all()
    assert table["sources"].tolist() == pytest.approx(full_row(path, 0.1).sources.mean(dim=1).tolist())


def test_bootstrap_interval_is_about_two_standard_errors():
    values = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values[::2] = torch.nan
    kept = values[1::2]
    mean, low, high = bootstrap_interval(values, torch.Generator().manual_seed(0))
    half = 1.96 * float(kept.std()) / math.sqrt(len(kept))
    assert mean == pytest.approx(float(kept.mean()))
    assert (mean - low, high - mean) == (pytest.approx(half, rel=0.1), pytest.approx(half, rel=0.1))
    assert bootstrap_interval(torch.full((9,), 0.25), torch.Generator()) == (0.25, 0.25, 0.25)


def test_bad_input_is_said(images):
    others = pixels(images[0])
    with pytest.raises(UserError, match="unknown kind of blend 'cutmx': did you mean 'cutmix'"):
        mix_path(pixels, *images, others, LAMS, "cutmx")
    with pytest.raises(UserError, match="6 first images and 5 second ones"):
        mix_path(pixels, images[0], images[1][:5], others, LAMS)
    for lams in (LAMS.flip(0), LAMS + 0.1, LAMS - 0.1, LAMS[None], LAMS[:0]):
        with pytest.raises(UserError, match="an increasing list of values"):
            mix_path(pixels, *images, others, lams)
    with pytest.raises(UserError, match="greater than 0, not 0"):
        calibration(calibrated(0.1), 0)
    with pytest.raises(UserError, match="give 2 pairs or more"):
        fitted_calibration(calibrated(0.1))
