"""The mixings: what they draw, and what they make of it, against the papers' equations written as loops."""

import math

import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor
from torch.nn.functional import normalize

from mixviz.errors import UserError
from mixviz.mixing import MIXINGS, IMix, IMixDraw, LooC, MixCo, MoCHi, MoCHiDraw, NoMixing, dirichlet

MANY = 4000
TIGHT = {"rtol": 0, "atol": 1e-12}


def follows(sample: Tensor, distribution) -> bool:
    """A Kolmogorov-Smirnov test that a right sampler passes in 999 of 1000 seeds; the seed is fixed."""
    return stats.kstest(sample.double().numpy(), distribution.cdf).pvalue > 1e-3


def upper_half_of_beta(sample: Tensor, alpha: float) -> bool:
    """Whether the sample follows max(λ, 1 - λ) for λ ~ Beta(α, α)."""
    uniform = 2 * stats.beta(alpha, alpha).cdf(sample.double().numpy()) - 1
    return follows(torch.from_numpy(uniform), stats.uniform)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, height: int = 6, width: int = 8) -> Tensor:
    return torch.rand(n, 3, height, width, generator=seeded(9), dtype=torch.float64)


class TestSampling:
    @pytest.mark.parametrize("alpha", [0.3, 1.0, 2.0, 8.0])
    def test_mixco_draws_lam_from_beta_for_every_pair(self, alpha):
        lam = MixCo(alpha=alpha).sample(2 * MANY, seeded())
        assert lam.shape == (MANY,)
        assert follows(lam, stats.beta(alpha, alpha))

    def test_mixco_is_uniform_as_in_the_paper_unless_asked(self):
        assert follows(MixCo().sample(2 * MANY, seeded()), stats.uniform)

    @pytest.mark.parametrize("alpha", [1.0, 2.0])
    def test_imix_draws_the_larger_share_for_the_input_itself(self, alpha):
        lam, partner, centre = IMix(alpha=alpha).sample(MANY, seeded())
        assert lam.min() >= 0.5
        assert upper_half_of_beta(lam, alpha)
        assert partner.sort().values.tolist() == list(range(MANY))
        assert centre is None

    def test_cutmix_draws_one_box_for_the_whole_batch(self):
        draws = [IMix(kind="cutmix").sample(5, seeded(seed)) for seed in range(500)]
        assert all(len(draw.lam.unique()) == 1 and len(draw.centre.unique(dim=0)) == 1 for draw in draws)
        assert all(draw.partner.sort().values.tolist() == [0, 1, 2, 3, 4] for draw in draws)
        assert follows(2 * torch.stack([draw.lam[0] for draw in draws]) - 1, stats.uniform)
        assert follows(torch.stack([draw.centre[0, 0] for draw in draws]), stats.uniform)
        assert follows(torch.stack([draw.centre[0, 1] for draw in draws]), stats.uniform)

    def test_inputmix_of_two_is_the_larger_share_of_a_beta(self):
        weights, others = IMix(inputmix=1, inputmix_alpha=2.0).sample_input_mix(MANY, seeded())
        assert weights.shape == (MANY, 2)
        assert others.shape == (MANY, 1)
        assert upper_half_of_beta(weights[:, 0], 2.0)
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(MANY))

    @pytest.mark.parametrize("further", [2, 3])
    def test_inputmix_of_more_is_half_a_dirichlet_and_half_the_input_itself(self, further):
        """One coordinate of the symmetric Dirichlet(α) of m parts is Beta(α, (m - 1) α)."""
        weights, others = IMix(inputmix=further, inputmix_alpha=1.5).sample_input_mix(MANY, seeded())
        assert weights[:, 0].min() >= 0.5
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(MANY))
        coordinate = stats.beta(1.5, 1.5 * further)
        assert follows(2 * weights[:, 0] - 1, coordinate)
        assert all(follows(2 * weights[:, 1 + i], coordinate) for i in range(further))
        assert all(others[:, i].sort().values.tolist() == list(range(MANY)) for i in range(further))

    def test_mochi_draws_uniform_shares_and_two_distinct_parents_out_of_the_n_hardest(self):
        draw = MoCHi(hardest=4, pairs=8, towards_query=2).sample(MANY // 4, seeded())
        assert draw.first.shape == draw.second.shape == draw.alpha.shape == (MANY // 4, 8)
        assert draw.partner.shape == draw.beta.shape == (MANY // 4, 2)
        assert follows(draw.alpha.flatten()[:MANY], stats.uniform)
        assert follows(draw.beta.flatten(), stats.uniform(0, 0.5))
        assert draw.beta.max() < 0.5
        pairs = torch.bincount((4 * draw.first + draw.second).flatten(), minlength=16).view(4, 4)
        assert pairs.diagonal().tolist() == [0, 0, 0, 0]
        assert stats.chisquare(pairs[~torch.eye(4, dtype=torch.bool)]).pvalue > 1e-3
        assert stats.chisquare(torch.bincount(draw.partner.flatten(), minlength=4)).pvalue > 1e-3

    def test_two_hardest_negatives_are_the_fewest_and_always_both_parents(self):
        draw = MoCHi(hardest=2, pairs=30, towards_query=0).sample(1, seeded())
        assert (draw.first + draw.second).unique().tolist() == [1]

    @pytest.mark.parametrize(
        "mixing",
        [MixCo(), MixCo(alpha=2.0), IMix(), IMix(kind="cutmix"), IMix(inputmix=2), MoCHi(hardest=5)],
        ids=repr,
    )
    def test_the_generator_alone_decides(self, mixing):
        def everything(seed: int) -> list[Tensor]:
            generator = seeded(seed)
            draws = [mixing.sample(8, generator), mixing.sample_input_mix(16, generator)]
            flat = [draw if isinstance(draw, tuple) else (draw,) for draw in draws]
            return [part for draw in flat for part in draw if part is not None]

        state = torch.get_rng_state()
        once, again, other = everything(0), everything(0), everything(1)
        assert all(map(torch.equal, once, again))
        assert not all(map(torch.equal, once, other))
        assert torch.equal(state, torch.get_rng_state())

    def test_dirichlet_parts_are_positive_and_sum_to_one_even_for_a_small_alpha(self):
        weights = dirichlet(MANY, 3, 0.05, seeded())
        assert weights.isfinite().all()
        assert weights.min() >= 0
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(MANY))


class TestMixCo:
    @pytest.mark.parametrize("n", [2, 6, 7])
    def test_blends_the_two_halves_of_the_batch_and_their_labels(self, n):
        view, half = images(n), n // 2
        lam = torch.rand(half, generator=seeded(), dtype=torch.float64)
        clean, blends = MixCo(weight=0.7, temperature=0.3).queries(view, lam)

        assert clean.inputs is view
        assert clean.targets.tolist() == torch.eye(n).tolist()
        assert (clean.weight, clean.temperature, clean.mixed) == (1.0, None, False)
        assert (blends.weight, blends.temperature, blends.mixed) == (0.7, 0.3, True)
        assert blends.targets.shape == (half, n)
        for i in range(half):
            share = lam[i].item()
            torch.testing.assert_close(blends.inputs[i], share * view[i] + (1 - share) * view[i + half], **TIGHT)
            row = [0.0] * n
            row[i], row[i + half] = share, 1 - share
            assert blends.targets[i].tolist() == pytest.approx(row)

    def test_without_weight_or_without_a_pair_there_are_no_blends(self):
        assert len(MixCo(weight=0).queries(images(4), torch.rand(2))) == 1
        assert len(MixCo().queries(images(1), torch.rand(0))) == 1


class TestIMix:
    def test_mixup_blends_every_input_and_its_label_with_the_partners(self):
        view = images(5)
        lam, partner = torch.tensor([1.0, 0.5, 0.7, 0.9, 0.6]).double(), torch.tensor([1, 0, 2, 4, 3])
        (query,) = IMix().queries(view, IMixDraw(lam, partner))
        assert query.mixed
        for i in range(5):
            share, j = lam[i].item(), partner[i].item()
            torch.testing.assert_close(query.inputs[i], share * view[i] + (1 - share) * view[j], **TIGHT)
            row = [0.0] * 5
            row[i] += share
            row[j] += 1 - share  # a partner may be the input itself
            assert query.targets[i].tolist() == pytest.approx(row)

    def test_any_shape_of_input_can_be_blended(self):
        rows = torch.rand(4, 7)
        (query,) = IMix().queries(rows, IMixDraw(torch.full((4,), 0.75), torch.tensor([1, 2, 3, 0])))
        torch.testing.assert_close(query.inputs, 0.75 * rows + 0.25 * rows[[1, 2, 3, 0]])

    @pytest.mark.parametrize("seed", range(12))
    def test_cutmix_pastes_the_box_pixel_by_pixel_and_counts_the_pixels_that_are_left(self, seed):
        view = images(4)
        height, width = view.shape[2:]
        draw = IMix(kind="cutmix").sample(4, seeded(seed))
        (query,) = IMix(kind="cutmix").queries(view, draw)

        lam, (down, right) = draw.lam[0].item(), draw.centre[0].tolist()
        middle = int(down * height), int(right * width)
        half = int(height * math.sqrt(1 - lam)) // 2, int(width * math.sqrt(1 - lam)) // 2
        expected, pasted = view.clone(), 0
        for y in range(height):
            for x in range(width):
                if -half[0] <= y - middle[0] < half[0] and -half[1] <= x - middle[1] < half[1]:
                    expected[:, :, y, x] = view[draw.partner][:, :, y, x]
                    pasted += 1
        assert torch.equal(query.inputs, expected)

        left = 1 - pasted / (height * width)
        rows = left * torch.eye(4) + (1 - left) * torch.eye(4)[draw.partner]
        torch.testing.assert_close(query.targets, rows)

    @pytest.mark.parametrize(("lam", "side"), [(0.5, 70), (0.63, 60), (0.755, 48), (0.9, 30), (1.0, 0)])
    def test_cutmix_box_has_the_drawn_area_in_whole_even_sides(self, lam, side):
        """A 100 x 100 image: sides of 100 sqrt(1 - lam) = 70.7, 60.8, 49.5, 31.6 and 0 pixels, rounded down to even."""
        view = torch.zeros(2, 1, 100, 100, dtype=torch.float64)
        view[1] = 1
        share = torch.full((2,), lam, dtype=torch.float64)
        draw = IMixDraw(share, torch.tensor([1, 0]), torch.full((2, 2), 0.5))
        (query,) = IMix(kind="cutmix").queries(view, draw)
        assert query.inputs[0].sum() == side**2
        assert query.targets[0].tolist() == pytest.approx([1 - side**2 / 100**2, side**2 / 100**2])

    def test_cutmix_box_at_the_corner_is_cut_off(self):
        view = torch.zeros(2, 1, 100, 100)
        view[1] = 1
        draw = IMixDraw(torch.full((2,), 0.75), torch.tensor([1, 0]), torch.zeros(2, 2))
        (query,) = IMix(kind="cutmix").queries(view, draw)
        assert query.inputs[0].sum() == 25 * 25
        assert query.targets[0].tolist() == pytest.approx([1 - 0.0625, 0.0625])

    def test_cutmix_is_for_images(self):
        with pytest.raises(UserError, match="mixup"):
            IMix(kind="cutmix").queries(torch.rand(4, 7), IMix(kind="cutmix").sample(4, seeded()))

    def test_whole_numbers_are_blended_as_numbers(self):
        """Not with a share that is cut down to a whole number, too."""
        pixels = torch.tensor([[0], [200]], dtype=torch.uint8)
        (query,) = IMix().queries(pixels, IMixDraw(torch.tensor([0.75, 0.75]), torch.tensor([1, 0])))
        assert query.inputs.tolist() == [[50.0], [150.0]]

    @pytest.mark.parametrize("further", [1, 2, 3])
    def test_inputmix_blends_over_all_views_at_once(self, further):
        views = [images(3), images(3).flip(0) / 2]
        mixing = IMix(inputmix=further)
        weights, others = mixing.sample_input_mix(6, seeded())
        mixed = mixing.mix_inputs(views, (weights, others))
        everything = [*views[0], *views[1]]
        for i, actual in enumerate([*mixed[0], *mixed[1]]):
            expected = weights[i, 0].item() * everything[i]
            for part in range(further):
                expected = expected + weights[i, part + 1].item() * everything[others[i, part]]
            torch.testing.assert_close(actual, expected, **TIGHT)

    def test_inputmix_is_off_unless_asked(self):
        views = [images(3), images(3)]
        assert IMix().sample_input_mix(6, seeded()) is None
        assert IMix().mix_inputs(views, None) is views


class TestMoCHi:
    """Section 3 of the paper: synthetic negatives as loops over one query at a time."""

    POOL = normalize(torch.randn(9, 5, generator=seeded(1), dtype=torch.float64), dim=1)
    QUERIES = normalize(torch.randn(4, 5, generator=seeded(2), dtype=torch.float64), dim=1)

    def cosine_to_query(self, cosine: float, beta: float) -> float:
        """Cosine of a query to its mixture with a negative at the given cosine, by the mixing itself."""
        q = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
        negative = torch.tensor([[cosine, math.sqrt(1 - cosine**2)], [-1.0, 0.0]], dtype=torch.float64)
        none, zero = torch.zeros(1, 0), torch.zeros(1, 0, dtype=torch.long)
        draw = MoCHiDraw(zero, zero, none, torch.zeros(1, 1, dtype=torch.long), torch.full((1, 1), beta).double())
        synthetic = MoCHi(hardest=2, pairs=0, towards_query=1).negatives(q, negative, None, draw)
        return (synthetic[0, 0] @ q[0]).item()

    @pytest.mark.parametrize(("hardest", "pairs", "towards"), [(4, 3, 2), (3, 12, 7), (9, 5, 0), (2, 0, 4)])
    @pytest.mark.parametrize("masked", [False, True])
    def test_every_synthetic_negative_follows_the_equations(self, hardest, pairs, towards, masked):
        allowed = torch.rand(4, 9, generator=seeded(3)) > 0.2 if masked else torch.ones(4, 9, dtype=torch.bool)
        hardest = min(hardest, int(allowed.sum(dim=1).min()))
        mixing = MoCHi(hardest=hardest, pairs=pairs, towards_query=towards)
        draw = mixing.sample(4, seeded())
        synthetic = mixing.negatives(self.QUERIES, self.POOL, allowed if masked else None, draw)
        assert synthetic.shape == (4, pairs + towards, 5)

        for i, q in enumerate(self.QUERIES):
            usable = [j for j in range(9) if allowed[i, j]]
            hard = sorted(usable, key=lambda j: -float(self.POOL[j] @ q))[:hardest]
            for k in range(pairs):
                share = draw.alpha[i, k].item()
                mixture = share * self.POOL[hard[draw.first[i, k]]] + (1 - share) * self.POOL[hard[draw.second[i, k]]]
                torch.testing.assert_close(synthetic[i, k], mixture / mixture.norm(), **TIGHT)
            for k in range(towards):
                share = draw.beta[i, k].item()
                mixture = share * q + (1 - share) * self.POOL[hard[draw.partner[i, k]]]
                torch.testing.assert_close(synthetic[i, pairs + k], mixture / mixture.norm(), **TIGHT)

    @pytest.mark.parametrize(("beta", "expected"), [(0.25, 0.553), (0.5, 0.806)])
    def test_mixing_with_the_query_raises_the_cosine_by_the_closed_form(self, beta, expected):
        assert self.cosine_to_query(0.3, beta) == pytest.approx(expected, abs=5e-4)

    @pytest.mark.parametrize("cosine", [-0.6, 0.0, 0.3, 0.9])
    @pytest.mark.parametrize("beta", [0.0, 0.1, 0.49])
    def test_it_is_never_easier_than_its_negative(self, cosine, beta):
        norm = math.sqrt(beta**2 + (1 - beta) ** 2 + 2 * beta * (1 - beta) * cosine)
        actual = self.cosine_to_query(cosine, beta)
        assert actual == pytest.approx((beta + (1 - beta) * cosine) / norm)
        assert actual >= cosine - 1e-12

    def test_synthetic_negatives_are_unit_vectors_without_gradient(self):
        q, pool = (part.clone().requires_grad_() for part in (self.QUERIES, self.POOL))
        mixing = MoCHi(hardest=3, pairs=4, towards_query=4)
        synthetic = mixing.negatives(q, pool, None, mixing.sample(4, seeded()))
        assert not synthetic.requires_grad
        torch.testing.assert_close(synthetic.norm(dim=2), torch.ones(4, 8, dtype=torch.float64), **TIGHT)

    def test_no_query_may_have_fewer_usable_negatives_than_are_mixed(self):
        mixing = MoCHi(hardest=5)
        draw = mixing.sample(4, seeded())
        with pytest.raises(ValueError, match=r"5 hardest.* 4"):
            mixing.negatives(self.QUERIES, self.POOL[:4], None, draw)
        allowed = torch.ones(4, 9, dtype=torch.bool)
        allowed[2, :6] = False
        with pytest.raises(ValueError, match=r"5 hardest.* 3"):
            mixing.negatives(self.QUERIES, self.POOL, allowed, draw)

    def test_nothing_is_synthesised_when_nothing_is_asked_for(self):
        """Even where the pool is smaller than N, which then has no meaning."""
        mixing = MoCHi(hardest=256, pairs=0, towards_query=0)
        assert mixing.negatives(self.QUERIES, self.POOL, None, mixing.sample(4, seeded())).shape == (4, 0, 5)


class TestDeclarations:
    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("mixco", {"weight": -1}),
            ("mixco", {"temperature": 0}),
            ("mixco", {"alpha": 0}),
            ("imix", {"kind": "mosaic"}),
            ("imix", {"inputmix": -1}),
            ("mochi", {"hardest": 1}),
            ("mochi", {"pairs": -1}),
            ("looc", {"left_out": ()}),
            ("looc", {"queue": "second"}),
            ("mixco", {"lam": 0.5}),
        ],
        ids=str,
    )
    def test_values_out_of_range_and_unknown_fields_are_refused(self, name, fields):
        with pytest.raises(ValidationError):
            MIXINGS[name](**fields)

    @pytest.mark.parametrize("name", MIXINGS)
    def test_a_mixing_cannot_be_changed_and_equals_its_like(self, name):
        mixing = MIXINGS[name]()
        assert mixing == MIXINGS[name]()
        with pytest.raises(AttributeError):
            mixing.warmup_epochs = 3

    def test_an_augmentation_is_left_out_once(self):
        assert LooC(left_out=("color", "rotation", "color")).left_out == ("color", "rotation")

    def test_looc_shares_nothing_with_the_first_key_view_and_one_augmentation_with_each_other(self):
        assert LooC(left_out=("rotation", "color")).shared == (None, "rotation", "color")
        assert [mixing.shared for mixing in (MixCo(), IMix(), MoCHi(), NoMixing())] == [(None,)] * 4

    def test_the_identity_queries_the_view_itself_and_adds_nothing(self):
        view = images(3)
        (query,) = NoMixing().queries(view, None)
        assert query.inputs is view
        assert query.targets.tolist() == torch.eye(3).tolist()
        assert not query.mixed
        assert NoMixing().negatives(torch.rand(3, 5), torch.rand(4, 5), None, None).shape == (3, 0, 5)
