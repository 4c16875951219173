"""The frameworks: queue, momentum encoder, forward passes, and who is compared with whom."""

import copy
import math
from collections import deque

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS, KeyQueue, MoCoV2, ema_update, embed_once, same_class
from mixviz.method import Method
from mixviz.mixing import IMix, LooC, MixCo, MoCHi
from mixviz.terms import replace_known

N, K = 8, 20
STILL = math.nextafter(1, 0)  # the momentum at which the momentum encoder stays where it is


def unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


class TestKeyQueue:
    @pytest.mark.parametrize(("length", "n"), [(7, 3), (6, 3), (5, 5), (5, 1)])
    def test_keeps_the_last_keys_and_their_classes_at_any_length(self, length, n):
        queue, expected = KeyQueue(length, dim=4, spaces=2), deque(maxlen=length)
        for step in range(5):
            keys = unit(n, 2, 4, seed=step)
            queue.enqueue(keys, torch.arange(n) + 10 * step)
            expected.extend((keys[i].flatten().tolist(), i + 10 * step) for i in range(n))
        stored = zip(queue.keys.transpose(0, 1).flatten(1).tolist(), queue.labels.tolist(), strict=True)
        assert sorted(stored, key=lambda entry: entry[1]) == list(expected)

    def test_oldest_are_overwritten_where_they_lie(self):
        queue = KeyQueue(4, dim=1)
        for value in (1.0, 2.0, 3.0):
            queue.enqueue(torch.full((3, 1, 1), value))
        assert queue.keys.flatten().tolist() == [3.0, 2.0, 3.0, 3.0]

    def test_starts_with_unit_vectors_of_no_class(self):
        queue = KeyQueue(50, dim=8, spaces=2)
        assert queue.keys.shape == (2, 50, 8)
        torch.testing.assert_close(queue.keys.norm(dim=2), torch.ones(2, 50))
        assert queue.labels.tolist() == [-1] * 50

    def test_keys_without_class_forget_the_class_of_those_before(self):
        queue = KeyQueue(4, dim=2)
        queue.enqueue(unit(4, 1, 2), torch.tensor([1, 2, 3, 4]))
        queue.enqueue(unit(3, 1, 2))
        assert queue.labels.tolist() == [-1, -1, -1, 4]

    @pytest.mark.parametrize("shape", [(5, 1, 3), (2, 2, 3), (2, 1, 4), (2, 3)])
    def test_other_shapes_are_refused_and_change_nothing(self, shape):
        queue = KeyQueue(4, dim=3)
        before = copy.deepcopy(queue.state_dict())
        with pytest.raises(UserError, match=r"at most 4 keys of \(n, 1, 3\)"):
            queue.enqueue(torch.zeros(shape))
        assert all(torch.equal(before[name], value) for name, value in queue.state_dict().items())

    def test_a_checkpoint_goes_on_where_it_stopped(self):
        queue, restored = KeyQueue(7, dim=3), KeyQueue(7, dim=3)
        queue.enqueue(unit(5, 1, 3), torch.arange(5))
        restored.load_state_dict(queue.state_dict())
        for each in (queue, restored):
            each.enqueue(unit(4, 1, 3, seed=1), torch.arange(4))
        assert torch.equal(queue.keys, restored.keys)
        assert torch.equal(queue.labels, restored.labels)

    def test_keys_are_stored_without_gradient(self):
        queue = KeyQueue(4, dim=2)
        queue.enqueue(unit(2, 1, 2).requires_grad_())
        assert not queue.keys.requires_grad


class Centred(nn.Module):
    """Split BatchNorm's mean alone: each block of consecutive inputs is centred by itself; (n, D) -> (n, 1, D)."""

    def __init__(self, splits: int):
        super().__init__()
        self.bn_splits = splits
        self.blocks: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.blocks = list(inputs.chunk(self.bn_splits))
        return torch.cat([block - block.mean(dim=0) for block in self.blocks])[:, None]


class TestEmbedOnce:
    def test_each_distinct_tensor_goes_through_once_in_one_pass(self, build_framework, make_views):
        embedder = build_framework("n-pair").online
        first, second = make_views(2, N)
        embeddings = embed_once(embedder, [first, second, first, first])
        assert [len(inputs) for inputs in embedder.seen] == [2 * N]
        assert torch.equal(embeddings[0], embeddings[2])
        assert torch.equal(embeddings[0], embeddings[3])
        torch.testing.assert_close(embeddings[1], normalize(embedder(second), dim=2), rtol=0, atol=1e-12)

    def test_equal_tensors_are_not_the_same_tensor(self, build_framework, make_views):
        embedder = build_framework("n-pair").online
        embed_once(embedder, [make_views(1)[0], make_views(1)[0]])
        assert len(embedder.seen[0]) == 2 * N

    @pytest.mark.parametrize("splits", [1, 2, 3, 4])
    def test_dealing_changes_nothing_without_batchnorm(self, build_framework, make_views, splits):
        embedder = build_framework("n-pair", spaces=2).online
        batches = [*make_views(2, N), make_views(1, 4)[0]]
        for plain, dealt in zip(embed_once(embedder, batches), embed_once(embedder, batches, splits), strict=True):
            torch.testing.assert_close(dealt, plain, rtol=0, atol=1e-12)

    def test_dealing_hands_inputs_to_the_splits_like_cards(self):
        inputs, embedder = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), Centred(splits=4)
        (dealt,) = embed_once(embedder, [inputs], 4)
        for split, block in enumerate(embedder.blocks):
            assert torch.equal(block, inputs[split::4])
            torch.testing.assert_close(dealt[split::4, 0], normalize(block - block.mean(dim=0), dim=1))

    def test_otherwise_the_splits_are_blocks(self):
        inputs, embedder = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), Centred(splits=4)
        embed_once(embedder, [inputs])
        assert all(torch.equal(block, inputs[3 * i : 3 * i + 3]) for i, block in enumerate(embedder.blocks))

    def test_half_precision_is_normalised_in_single_precision(self):
        class Half(nn.Module):
            def forward(self, inputs: Tensor) -> Tensor:
                return inputs[:, None].bfloat16()

        (embeddings,) = embed_once(Half(), [torch.randn(4, 6, generator=torch.Generator().manual_seed(0))])
        assert embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=2), torch.ones(4, 1))

    def test_momentum_encoder_and_online_encoder_of_moco_see_other_splits(self, make_views):
        """A query and its key share a split with other images, so the statistics do not name the pair."""
        embedder = Centred(splits=2)
        embedder.spaces, embedder.dim = 1, 48
        framework = MoCoV2(embedder, MoCoV2.Settings(queue_length=K))
        first, second = (view.flatten(1) for view in make_views(2, N))
        framework.embed([first], [second])
        assert torch.equal(framework.online.blocks[0], first[::2])
        assert torch.equal(framework.target.blocks[0], second[: N // 2])


ROWS = [
    ("moco-v2", [], N, N),
    ("moco-v2", [MixCo()], N + N // 2, N),
    ("moco-v2", [IMix()], N, N),
    ("moco-v2", [MoCHi(hardest=4)], N, N),
    ("moco-v2", [LooC(left_out=("color", "rotation"))], N, 3 * N),
    ("n-pair", [], 2 * N, None),
    ("n-pair", [IMix()], 2 * N, None),
    ("n-pair", [LooC()], 3 * N, None),
    ("simclr", [], 2 * N, None),
    ("simclr", [MixCo()], 3 * N, None),
    ("simclr", [IMix()], 4 * N, None),
    ("byol", [], 2 * N, 2 * N),
    ("byol", [IMix()], 2 * N, 2 * N),
]


@pytest.mark.parametrize(("name", "mixings", "online", "target"), ROWS, ids=lambda value: repr(value))
def test_one_forward_pass_a_step_for_each_encoder(build_framework, make_views, name, mixings, online, target):
    framework = build_framework(name, spaces=len(mixings[0].shared) if mixings else 1)
    method = Method(framework, *mixings)
    method.training_step(make_views(1 + len(method.shared), N))
    assert [len(inputs) for inputs in framework.online.seen] == [online]
    if target is not None:
        assert [len(inputs) for inputs in framework.target.seen] == [target]


def test_moco_never_embeds_the_query_view_with_the_momentum_encoder(build_framework, make_views):
    framework, (query_view, key_view) = build_framework("moco-v2"), make_views(2)
    Method(framework, MixCo()).training_step([query_view, key_view])
    assert torch.equal(framework.target.seen[0], key_view)


class Constant(nn.Module):
    """Every input has the same embedding."""

    spaces, dim, bn_splits = 1, 4, 1

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.ones(len(inputs), 1, 4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "mixings", "candidates"),
    [
        ("moco-v2", [], 1 + K),
        ("moco-v2", [IMix()], N + K),
        ("moco-v2", [MoCHi(hardest=4, pairs=5, towards_query=6)], 1 + K + 11),
        ("n-pair", [], N),
        ("n-pair", [IMix()], N),
        ("n-pair", [MoCHi(hardest=4, pairs=5, towards_query=6)], N + 11),
        ("simclr", [], 2 * N - 1),
        ("simclr", [IMix()], N),
    ],
    ids=repr,
)
def test_a_collapsed_encoder_costs_the_log_of_the_number_of_candidates(make_views, name, mixings, candidates):
    framework = FRAMEWORKS[name](Constant(), replace_known(FRAMEWORKS[name].Settings(), queue_length=K))
    if name == "moco-v2":
        framework.queue.keys = torch.full((1, K, 4), 0.5, dtype=torch.float64)
    output = Method(framework, *mixings).training_step(make_views(2, N))
    assert output.loss.item() == pytest.approx(math.log(candidates), abs=1e-6)


@pytest.mark.parametrize("mixings", [[], [IMix()]], ids=repr)
def test_a_collapsed_encoder_is_byols_optimum(make_views, mixings):
    framework = FRAMEWORKS["byol"](Constant())
    assert Method(framework, *mixings).training_step(make_views()).loss.item() == pytest.approx(0.0, abs=1e-6)


class TestUpdate:
    @pytest.mark.parametrize("name", ["moco-v2", "byol"])
    @pytest.mark.parametrize("momentum", [0.0, 0.9, STILL])
    def test_momentum_encoder_is_the_exponential_average_of_the_online_encoder(
        self, build_framework, make_views, name, momentum
    ):
        """After t steps: m^t target + (1 - m) sum of m^(t - s) times the online encoder of step s."""
        framework = build_framework(name, momentum=momentum)
        method, start = Method(framework), framework.target.weight.clone()
        history = []
        for step in range(3):
            framework.online.weight.data += 0.1 * (step + 1)
            history.append(framework.online.weight.detach().clone())
            method.update(method.training_step(make_views()))
        expected = momentum**3 * start + sum((1 - momentum) * momentum ** (2 - s) * w for s, w in enumerate(history))
        torch.testing.assert_close(framework.target.weight.data, expected, rtol=0, atol=1e-12)
        assert not framework.target.weight.requires_grad

    def test_buffers_stay_the_momentum_encoders_own(self):
        online, target = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        online.running_mean.fill_(5.0)
        ema_update(target, online, 0.5)
        assert target.running_mean.tolist() == [0.0, 0.0, 0.0]

    @pytest.mark.parametrize("name", FRAMEWORKS)
    def test_a_step_without_update_changes_nothing(self, build_framework, make_views, name):
        framework = build_framework(name)
        method = Method(framework, *([MoCHi(hardest=4)] if framework.has_negatives else []), MixCo())
        before = copy.deepcopy(framework.state_dict())
        method.training_step(make_views(), labels=torch.arange(N)).loss.backward()
        assert all(torch.equal(before[entry], value) for entry, value in framework.state_dict().items())

    @pytest.mark.parametrize("mixings", [[], [MixCo()], [IMix()], [MixCo(weight=0)]], ids=repr)
    @pytest.mark.parametrize("symmetric", [False, True])
    def test_moco_enqueues_the_keys_of_every_view_that_was_queried_with(
        self, build_framework, make_views, mixings, symmetric
    ):
        """The keys of view 2 answer queries of view 1; a symmetric step adds those of view 1."""
        framework, labels = build_framework("moco-v2", momentum=STILL, symmetric=symmetric), torch.arange(N)
        before = framework.queue.keys.clone()
        method, (first, second) = Method(framework, *mixings), make_views()
        method.update(method.training_step([first, second], labels=labels))

        answered = [second, first] if symmetric else [second]
        keys = normalize(torch.cat([framework.target(view)[:, 0] for view in answered]), dim=1)
        torch.testing.assert_close(framework.queue.keys[0, : len(keys)], keys, rtol=0, atol=1e-12)
        assert torch.equal(framework.queue.keys[0, len(keys) :], before[0, len(keys) :])
        assert framework.queue.labels.tolist() == list(range(N)) * len(answered) + [-1] * (K - len(keys))

    def test_no_gradient_reaches_the_momentum_encoder(self, build_framework, make_views):
        framework = build_framework("moco-v2")
        Method(framework).training_step(make_views()).loss.backward()
        assert framework.target.weight.grad is None
        assert framework.online.weight.grad.abs().sum() > 0


class TestCandidates:
    def groups(self, framework, views: list[Tensor], *mixings) -> list[tuple[int, dict[str, int]]]:
        """For each term: the number of positive columns in play, and of the columns of each group."""
        terms = Method(framework, *mixings).terms(views)
        rows = [framework.candidates(term) for term in terms]
        return [
            (
                int(row.positives.isfinite().sum(dim=1).unique()),
                {name: part.shape[1] for name, part in row.negatives.items()},
            )
            for row in rows
        ]

    def test_moco_offers_a_clean_query_its_key_and_a_blend_all_keys(self, build_framework, make_views):
        clean, blend = self.groups(build_framework("moco-v2"), make_views(), MixCo())
        assert clean == (1, {"queue": K, "synthetic": 0})
        assert blend == (N, {"queue": K, "synthetic": 0})

    def test_simclr_compares_a_blend_with_the_other_view_only(self, build_framework, make_views):
        clean, blend, *_ = self.groups(build_framework("simclr"), make_views(), MixCo())
        assert clean == (N, {"own view": N, "synthetic": 0})
        assert blend == (N, {"synthetic": 0})

    def test_byol_has_no_negatives(self, build_framework, make_views):
        assert self.groups(build_framework("byol", symmetric=False), make_views()) == [(N, {})]

    @pytest.mark.parametrize("name", FRAMEWORKS)
    def test_probabilities_and_targets_are_distributions(self, build_framework, make_views, name):
        framework = build_framework(name)
        for term in Method(framework, IMix()).terms(make_views()):
            row = framework.candidates(term)
            assert row.probabilities.shape == row.similarities.shape
            torch.testing.assert_close(row.probabilities.sum(dim=1), torch.ones(N, dtype=torch.float64))
            torch.testing.assert_close(row.targets.sum(dim=1), torch.ones(N, dtype=row.targets.dtype))


class TestPool:
    """The negatives that MoCHi may draw on."""

    BLENDS = torch.tensor([[0.6, 0, 0.4, 0, 0], [0, 1.0, 0, 0, 0]])
    LABELS = torch.tensor([0, 1, 0, 1, 2])

    @pytest.mark.parametrize("name", ["n-pair", "simclr"])
    def test_in_the_batch_neither_source_of_a_blend_nor_an_oracles_class(self, build_framework, name):
        framework, keys = build_framework(name, spaces=2), unit(5, 2, 6)
        pool, allowed = framework.pool(keys, self.BLENDS, 1, None)
        assert torch.equal(pool, keys[:, 1])
        assert allowed.tolist() == [[False, True, False, True, True], [True, False, True, True, True]]
        _, allowed = framework.pool(keys, self.BLENDS, 1, self.LABELS)
        assert allowed.tolist() == [[False, True, False, True, True], [True, False, True, False, True]]

    def test_in_moco_the_queue_of_the_space_without_an_oracles_class(self, build_framework):
        framework, keys = build_framework("moco-v2", spaces=2, queue_length=4), unit(5, 2, 6)
        framework.queue.labels = torch.tensor([0, 1, 2, -1])
        pool, allowed = framework.pool(keys, self.BLENDS, 1, None)
        assert torch.equal(pool, framework.queue.keys[1])
        assert allowed is None
        _, allowed = framework.pool(keys, self.BLENDS, 1, self.LABELS)
        assert allowed.tolist() == [[False, True, True, True], [True, False, True, True]]


def test_same_class_looks_at_every_image_of_a_blend_and_never_at_the_unknown():
    labels, pool = torch.tensor([3, 5, -1]), torch.tensor([5, 3, -1, 4])
    targets = torch.tensor([[1.0, 0, 0], [0.4, 0.6, 0], [0, 0, 1.0]])
    assert same_class(targets, labels, pool).tolist() == [
        [False, True, False, False],
        [True, True, False, False],
        [False, False, False, False],
    ]
