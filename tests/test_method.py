"""Methods against the authors' numbers, the papers' equations written as loops, and the identities between them."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS, Framework
from mixviz.method import Draws, IncompatibleMixing, Method, proxy_accuracy
from mixviz.mixing import MIXINGS, IMix, IMixDraw, LooC, MixCo, Mixing, MoCHi, NoMixing, UnMix, UnMixDraw
from mixviz.terms import Candidates, replace_known

N = 8
EXACT = {"rtol": 0, "atol": 1e-9}
STILL = math.nextafter(1, 0)  # the momentum at which the momentum encoder stays where it is
LABELS = torch.tensor([0, 1, 2, 0, 1, -1, 3, 4])

QUERIES = [None, MixCo(temperature=0.1), IMix(), UnMix(region=0)]
NEGATIVES = [None, MoCHi(hardest=3, pairs=5, towards_query=2)]
VIEWS = [None, LooC(left_out=("color", "rotation"))]
COMBINATIONS = [tuple(part for part in parts if part) for parts in product(QUERIES, NEGATIVES, VIEWS)]


def named(value) -> str:
    """A readable test id: ``moco-v2``, ``MixCo+LooC``."""
    if isinstance(value, tuple):
        return "+".join(map(named, value)) or "plain"
    return type(value).__name__ if isinstance(value, Mixing) else str(value)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(framework: Framework) -> list[Tensor]:
    return [p for p in framework.parameters() if p.requires_grad]


def assert_same(framework: Framework, loss: Tensor, expected: Tensor) -> None:
    """Loss and the gradient of every weight agree to 1e-9."""
    torch.testing.assert_close(loss, expected, check_dtype=False, **EXACT)
    gradients = [torch.autograd.grad(value, weights(framework), retain_graph=True) for value in (loss, expected)]
    torch.testing.assert_close(*gradients, **EXACT)
    assert all(gradient.abs().max() > 1e-6 for gradient in gradients[0])


def assert_identical(first: Method, second: Method, views: list[Tensor], **draws) -> None:
    """The loss and, after one step of SGD and update, weights, queue and momentum encoder agree bit for bit."""
    losses = []
    for method, arguments in ((first, draws), (second, {})):
        output = method.training_step(views, seeded(), **arguments)
        output.loss.backward()
        torch.optim.SGD(weights(method.framework), lr=0.1).step()
        method.update(output)
        losses.append(output.loss)
    assert torch.equal(*losses)
    states = [method.framework.state_dict() for method in (first, second)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[1])


# ---- the authors' numbers ----

GOLDEN = {
    key: torch.from_numpy(np.asarray(value))
    for key, value in np.load(Path(__file__).parent / "golden" / "authors_seed0.npz").items()
}
GOLDEN_NAMES = {"npair": "n-pair", "moco": "moco-v2", "simclr": "simclr", "byol": "byol"}
GOLDEN_CASES = [
    *("npair", "moco", "moco(MixCo repository)", "simclr", "byol"),
    *("npair+imix", "moco+imix", "byol+imix", "moco+mixco", "simclr+mixco"),
]


def golden_framework(build_framework, base: str) -> Framework:
    moco = {"queue_length": len(GOLDEN["queue"]), "momentum": STILL}
    options = {"byol": {"symmetric": False}, "moco": moco}
    framework = build_framework(GOLDEN_NAMES[base], dim=len(GOLDEN["w_query"]), **options.get(base, {}))
    framework.online.weight.data[0] = GOLDEN["w_query"]
    if base != "byol":
        framework.settings = replace(framework.settings, temperature=float(GOLDEN["temperature"]))
    if base in ("byol", "moco"):
        framework.target.weight.data[0] = GOLDEN["w_key"]
    if base == "byol":
        framework.predictor.weight.data = GOLDEN["w_predictor"].clone()
    if base == "moco":
        framework.queue.keys = GOLDEN["queue"][None].clone()
    return framework


@pytest.mark.parametrize("case", GOLDEN_CASES)
def test_loss_gradients_and_queue_are_the_authors(build_framework, case):
    base, _, mixing = case.replace("(MixCo repository)", "").partition("+")
    mixings = {
        "": [],
        "imix": [IMix()],
        "mixco": [MixCo(temperature=float(GOLDEN["mixco_temperature"]))],
    }[mixing]
    draws = {
        "": None,
        "imix": Draws(queries=[IMixDraw(GOLDEN["imix_lam"], GOLDEN["imix_partner"])]),
        "mixco": Draws(queries=[GOLDEN["mixco_lam"], GOLDEN["mixco_lam_second_view"]]),
    }[mixing]
    method = Method(golden_framework(build_framework, base), *mixings)
    output = method.training_step([GOLDEN["x1"], GOLDEN["x2"]], draws=draws)
    output.loss.backward()
    method.update(output)

    framework = method.framework
    torch.testing.assert_close(output.loss, GOLDEN[f"{case}/loss"], **EXACT)
    torch.testing.assert_close(framework.online.weight.grad[0], GOLDEN[f"{case}/grad_w_query"], **EXACT)
    if base == "byol":
        torch.testing.assert_close(framework.predictor.weight.grad, GOLDEN[f"{case}/grad_w_predictor"], **EXACT)
    if base == "moco":
        torch.testing.assert_close(framework.queue.keys[0], GOLDEN[f"{case}/queue_after"], **EXACT)
    assert not method.extension


# ---- every combination as loops ----


class Loops:
    """Every framework with every mixing, query by query: who is compared with whom, read off the papers.

    Takes the random choices that were made and the encoders; knows nothing else of the method.
    """

    def __init__(self, framework: Framework, mixings: tuple, views: list[Tensor], labels: Tensor | None, draws: Draws):
        self.framework, self.views, self.labels, self.draws = framework, views, labels, draws
        self.mixings = {mixing.slot: mixing for mixing in mixings}
        self.spaces = framework.online.spaces
        self.key = cache(self.key)

    def loss(self) -> Tensor:
        query_views = [0, 1] if self.framework.settings.symmetric and "views" not in self.mixings else [0]
        negative_draws, total = iter(self.draws.negatives), 0.0
        for query_view, draw in zip(query_views, self.draws.queries, strict=True):
            key_views = [view for view in range(len(self.views)) if view != query_view]
            for inputs, targets, weight, temperature, candidates in self.queries(self.views[query_view], draw):
                for space in range(self.spaces):
                    negative_draw = next(negative_draws)
                    losses = []
                    for i, target in enumerate(targets):
                        q = self.query(inputs[i], space)
                        same_view = []
                        if self.framework.name == "simclr" and candidates == "own":
                            others = [j for j in range(N) if j != i and not self.false(target, j)]
                            same_view = [self.query(inputs[j], space) for j in others]
                        positives, negatives, pool = self.compared(target, key_views, space, candidates, same_view)
                        negatives = [*negatives, *self.synthetic(i, q, pool, negative_draw)]
                        losses.append(self.one_loss(q, positives, negatives, temperature))
                    total = total + weight * sum(losses) / len(losses) / self.spaces / len(query_views)
                    if self.framework.name == "vicreg":
                        q = [self.query(image, space) for image in inputs]
                        k = [self.key(key_views[space], j, space) for j in range(N)]
                        statistics = 25 * (hinge(q) + hinge(k)) + redundancy(q) + redundancy(k)
                        total = total + weight * statistics / len(query_views)
        return total

    def queries(self, view: Tensor, draw) -> Iterator[tuple]:
        """Inputs, for each the shares of the images that it should match, weight, temperature, and candidates."""
        mixing, own = self.mixings.get("queries"), self.framework.temperature
        if isinstance(mixing, IMix):
            pairs = [(i, int(j), float(lam)) for i, (j, lam) in enumerate(zip(draw.partner, draw.lam, strict=True))]
            yield *self.blends(view, pairs), 1.0, own, "batch"
            return
        yield list(view), [{i: 1.0} for i in range(len(view))], 1.0, own, "own"
        if isinstance(mixing, MixCo):
            pairs = [(i, i + len(view) // 2, float(lam)) for i, lam in enumerate(draw)]
            yield *self.blends(view, pairs), mixing.weight, mixing.temperature, "batch"
        if isinstance(mixing, UnMix):
            lam = float(draw.lam)
            inputs = [lam * view[i] + (1 - lam) * view[N - 1 - i] for i in range(N)]
            yield inputs, [{i: 1.0} for i in range(N)], lam, own, "own"
            yield inputs, [{N - 1 - i: 1.0} for i in range(N)], 1 - lam, own, "own"

    def blends(self, view: Tensor, pairs: list[tuple[int, int, float]]) -> tuple[list[Tensor], list[dict]]:
        inputs = [lam * view[i] + (1 - lam) * view[j] for i, j, lam in pairs]
        return inputs, [{i: 1.0} if i == j else {i: lam, j: 1 - lam} for i, j, lam in pairs]

    def query(self, image: Tensor, space: int) -> Tensor:
        embedding = self.framework.online(image[None])
        if self.framework.name == "byol":
            embedding = self.framework.predictor(embedding)
        return self.unit(embedding[0, space])

    def unit(self, embedding: Tensor) -> Tensor:
        return normalize(embedding, dim=0) if self.framework.normalised else embedding

    def key(self, view: int, i: int, space: int) -> Tensor:
        """From the momentum encoder, without gradient, where the framework has one."""
        if self.framework.name in ("moco-v2", "byol"):
            return self.unit(self.framework.target(self.views[view][i][None])[0, space]).detach()
        return self.unit(self.framework.online(self.views[view][i][None])[0, space])

    def same_class(self, target: dict[int, float], label: Tensor) -> bool:
        return self.labels is not None and label >= 0 and any(self.labels[i] == label for i in target)

    def false(self, target: dict[int, float], j: int) -> bool:
        """Whether an oracle leaves image j out."""
        return self.labels is not None and self.same_class(target, self.labels[j])

    def compared(self, target, key_views, space, candidates, same_view) -> tuple[list, list, list]:
        """Positives with their shares, negatives, and those negatives that MoCHi may draw on."""
        seen = key_views[:1] if space == 0 else key_views  # Z_0 compares with the first key view alone
        positives = [(share, self.key(key_views[space], j, space)) for j, share in target.items()]
        if not self.framework.has_negatives:
            return positives, [], []
        own_views = [self.key(v, j, space) for j in target for v in seen if v != key_views[space]]
        others = [j for j in range(N) if j not in target and not self.false(target, j)]
        in_batch = [self.key(v, j, space) for j in others for v in seen]
        if self.framework.name == "moco-v2":
            queue = self.framework.queue
            known = zip(queue.keys[space], queue.labels, strict=True)
            stored = [key for key, label in known if not self.same_class(target, label)]
            return positives, [*own_views, *(in_batch if candidates == "batch" else []), *stored], stored
        pool = [self.key(key_views[space], j, space) for j in others]
        return positives, [*own_views, *in_batch, *same_view], pool

    def synthetic(self, i: int, q: Tensor, pool: list[Tensor], draw) -> list[Tensor]:
        mixing = self.mixings.get("negatives")
        if mixing is None:
            return []
        q = q.detach()
        hard = sorted((n.detach() for n in pool), key=lambda n: -float(n @ q))[: mixing.hardest]
        made = []
        for k in range(mixing.pairs):
            share = float(draw.alpha[i, k])
            made.append(share * hard[draw.first[i, k]] + (1 - share) * hard[draw.second[i, k]])
        for k in range(mixing.towards_query):
            share = float(draw.beta[i, k])
            made.append(share * q + (1 - share) * hard[draw.partner[i, k]])
        return [h / h.norm() for h in made]

    def one_loss(self, q: Tensor, positives: list, negatives: list[Tensor], temperature: float) -> Tensor:
        if self.framework.name == "byol":
            return 2 - 2 * sum(share * (q @ key) for share, key in positives)
        if self.framework.name == "vicreg":
            return 25 * sum(share * (q - key).square().mean() for share, key in positives)
        candidates = torch.stack([key for _, key in positives] + negatives)
        normaliser = torch.logsumexp(candidates @ q / temperature, dim=0)
        return sum(share * (normaliser - q @ key / temperature) for share, key in positives)


def covariance(rows: list[Tensor], i: int, j: int) -> Tensor:
    """Of dimensions i and j, over the rows (VICReg, arXiv:2105.04906, eq. 3)."""
    means = [sum(row[d] for row in rows) / len(rows) for d in (i, j)]
    return sum((row[i] - means[0]) * (row[j] - means[1]) for row in rows) / (len(rows) - 1)


def hinge(rows: list[Tensor]) -> Tensor:
    """VICReg's variance, eq. 1 and 2, with ε = 1e-4 and γ = 1."""
    dims = range(len(rows[0]))
    return sum((1 - (covariance(rows, d, d) + 1e-4).sqrt()).clamp(min=0) for d in dims) / len(dims)


def redundancy(rows: list[Tensor]) -> Tensor:
    """VICReg's covariance, eq. 4."""
    dims = range(len(rows[0]))
    return sum(covariance(rows, i, j) ** 2 for i in dims for j in dims if i != j) / len(dims)


def drawn(method: Method, seed: int = 0) -> Draws:
    """Random choices in double precision for one step of the method, as if they came from elsewhere."""
    generator = seeded(seed)
    queries = [method.query_mixing.sample(N, generator) for _ in range(2 if method.framework.settings.symmetric else 1)]
    queries = queries[: 1 if len(method.shared) > 1 else 2]
    negatives = []
    for draw in queries:
        for query in method.query_mixing.queries(torch.zeros(N, 3, 4, 4), draw):
            negatives += [method.negative_mixing.sample(len(query.inputs), generator) for _ in method.shared]
    double = [part.double() if isinstance(part, Tensor) else part for part in queries]
    double = [part._replace(lam=part.lam.double()) if hasattr(part, "lam") else part for part in double]
    return Draws(queries=double, negatives=negatives)


PAIRS = [
    (name, mixings)
    for name in FRAMEWORKS
    for mixings in COMBINATIONS
    if FRAMEWORKS[name].has_negatives or not any(mixing.needs_negatives for mixing in mixings)
]


def spaces_of(mixings: tuple) -> int:
    return max((len(mixing.shared) for mixing in mixings), default=1)


@pytest.mark.parametrize("oracle", [False, True], ids=["", "oracle"])
@pytest.mark.parametrize("symmetric", [False, True], ids=["", "symmetric"])
@pytest.mark.parametrize(("name", "mixings"), PAIRS, ids=named)
def test_every_combination_equals_its_loops(build_framework, make_views, name, mixings, symmetric, oracle):
    """Loss and gradient; of the classes in the queue some are the batch's and some unknown."""
    framework = build_framework(name, spaces=spaces_of(mixings), symmetric=symmetric)
    if name == "moco-v2":
        framework.queue.labels[:] = torch.arange(20) % 7 - 1
    method = Method(framework, *mixings, oracle=oracle and framework.has_negatives)
    views, draws = make_views(1 + spaces_of(mixings), N), drawn(method)
    output = method.training_step(views, labels=LABELS, draws=draws)
    expected = Loops(framework, mixings, views, LABELS if method.oracle else None, draws).loss()
    assert_same(framework, output.loss, expected)


@pytest.mark.parametrize("region", [False, True], ids=["blend", "box"])
def test_unmix_on_moco_is_algorithm_1(build_framework, make_views, region):
    """Loss of the clean views, plus λ times that of the blends and 1 - λ times that of the blends in reverse order."""
    framework, (first, second) = build_framework("moco-v2"), make_views(2, N)
    lam, mixed = 0.7, 0.7 * first + 0.3 * first.flip(0)
    if region:  # of sides int(4 * sqrt(0.3)) = 2 around row int(0.6 * 4) = 2 and column int(0.9 * 4) = 3
        lam, mixed = 1 - 4 / 16, first.clone()
        mixed[:, :, 1:3, 2:4] = first.flip(0)[:, :, 1:3, 2:4]

    def loss(queries: Tensor) -> Tensor:
        q, k = normalize(framework.online(queries)[:, 0]), normalize(framework.target(second)[:, 0])
        logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ framework.queue.keys[0].T], dim=1)
        return cross_entropy(logits / framework.temperature, torch.zeros(N, dtype=torch.long))

    expected = loss(first) + lam * loss(mixed) + (1 - lam) * loss(mixed.flip(0))
    draw = UnMixDraw(torch.tensor([0.7], dtype=torch.float64), torch.tensor([region]), torch.tensor([[0.6, 0.9]]))
    output = Method(framework, UnMix()).training_step([first, second], draws=Draws(queries=[draw]))
    assert_same(framework, output.loss, expected)


def test_looc_is_equation_2(build_framework, make_views):
    """E(i, j) compares the query in space i with the key of view j; queue i holds the negatives of space i."""
    framework = build_framework("moco-v2", spaces=3)
    views = make_views(4, N)
    q = normalize(framework.online(views[0]), dim=2)
    keys = [normalize(framework.target(view), dim=2).detach() for view in views[1:]]
    loss = 0.0
    for n in range(N):

        def positive(i: int, j: int, n: int = n) -> Tensor:
            return (q[n, i] @ keys[j][n, i] / framework.temperature).exp()

        def negative(i: int, n: int = n) -> Tensor:
            return (framework.queue.keys[i] @ q[n, i] / framework.temperature).exp().sum()

        loss = loss - (positive(0, 0) / (positive(0, 0) + negative(0))).log()
        for i in (1, 2):
            loss = loss - (positive(i, i) / (sum(positive(i, j) for j in range(3)) + negative(i))).log()
    output = Method(framework, LooC(left_out=("color", "rotation"))).training_step(views)
    assert_same(framework, output.loss, loss / (3 * N))


@pytest.mark.parametrize(("queue", "key_views"), [("own", (0, 1, 2)), ("first", (0, 0, 0))])
def test_looc_fills_queue_h_from_key_view_h_or_from_the_first(build_framework, make_views, queue, key_views):
    framework, views = build_framework("moco-v2", spaces=3, momentum=STILL), make_views(4, N)
    method = Method(framework, LooC(left_out=("color", "rotation"), queue=queue), MixCo())
    method.update(method.training_step(views))
    for space, key_view in enumerate(key_views):
        expected = normalize(framework.target(views[1 + key_view])[:, space], dim=1)
        torch.testing.assert_close(framework.queue.keys[space, :N], expected, **EXACT)


# ---- identities ----


IDENTITIES = [(name, mixing) for name in FRAMEWORKS for mixing in (NoMixing(), MixCo(weight=0))]
IDENTITIES += [(name, MoCHi(pairs=0, towards_query=0)) for name in ("moco-v2", "simclr", "n-pair")]


@pytest.mark.parametrize(("name", "identity"), IDENTITIES, ids=named)
def test_a_mixing_of_nothing_is_the_plain_framework(build_framework, make_views, name, identity):
    assert_identical(Method(build_framework(name), identity), Method(build_framework(name)), make_views())


def whole(n: int) -> IMixDraw:
    """i-Mix with lam = 1: every input is its own blend."""
    return IMixDraw(torch.ones(n, dtype=torch.float64), torch.randperm(n, generator=seeded()))


@pytest.mark.parametrize("name", ["n-pair", "byol"])
def test_imix_of_whole_inputs_is_the_plain_framework(build_framework, make_views, name):
    mixed, plain = Method(build_framework(name), IMix()), Method(build_framework(name))
    assert_identical(mixed, plain, make_views(), draws=Draws(queries=[whole(N), whole(N)]))


def test_imix_of_whole_inputs_on_moco_compares_with_all_keys_and_the_queue(build_framework, make_views):
    framework, (first, second) = build_framework("moco-v2"), make_views()
    q, k = normalize(framework.online(first)[:, 0], dim=1), normalize(framework.target(second)[:, 0], dim=1)
    logits = torch.cat([q @ k.T, q @ framework.queue.keys[0].T], dim=1) / framework.temperature
    output = Method(framework, IMix()).training_step([first, second], draws=Draws(queries=[whole(N)]))
    assert_same(framework, output.loss, cross_entropy(logits, torch.arange(N)))


def test_imix_of_whole_inputs_on_simclr_compares_with_the_other_view(build_framework, make_views):
    framework, views = build_framework("simclr"), make_views()
    first, second = (normalize(framework.online(view)[:, 0], dim=1) for view in views)
    logits = first @ second.T / framework.temperature
    expected = cross_entropy(logits, torch.arange(N)) + cross_entropy(logits.T, torch.arange(N))
    output = Method(framework, IMix()).training_step(views, draws=Draws(queries=[whole(N), whole(N)]))
    assert_same(framework, output.loss, expected / 2)


@pytest.mark.parametrize("lam", [0, 1])
def test_mixco_of_whole_images_asks_for_one_of_them_among_all_keys_and_the_queue(build_framework, make_views, lam):
    framework, (first, second) = build_framework("moco-v2"), make_views()
    wanted = torch.arange(N // 2) + (0 if lam else N // 2)
    q, k = normalize(framework.online(first[wanted])[:, 0], dim=1), normalize(framework.target(second)[:, 0], dim=1)
    logits = torch.cat([q @ k.T, q @ framework.queue.keys[0].T], dim=1)
    plain = Method(framework).training_step([first, second]).loss
    draws = Draws(queries=[torch.full((N // 2,), float(lam), dtype=torch.float64)])
    output = Method(framework, MixCo(weight=0.3, temperature=0.5)).training_step([first, second], draws=draws)
    assert_same(framework, output.loss, plain + 0.3 * cross_entropy(logits / 0.5, wanted))


def test_mixings_still_warming_up_are_left_out(build_framework, make_views):
    mochi = MoCHi(hardest=3, warmup_epochs=2)
    method = Method(build_framework("moco-v2"), MixCo(), mochi, oracle=True)
    assert method.at_epoch(1).mixings == (MixCo(),)
    assert method.at_epoch(1).framework is method.framework
    assert method.at_epoch(1).oracle
    assert method.at_epoch(2) is method
    assert method.extension
    assert not method.at_epoch(0).extension
    early, plain = Method(build_framework("moco-v2"), mochi).at_epoch(0), Method(build_framework("moco-v2"))
    assert_identical(early, plain, make_views())


def test_nothing_is_mixed_from_a_queue_that_is_not_full(build_framework):
    mochi = MoCHi(hardest=3, warmup_epochs=1)
    method = Method(build_framework("moco-v2", queue_length=20), MixCo(), mochi, oracle=True)
    steps = {step: method.at_step(1, step, 8).mixings for step in range(5)}
    assert steps == {0: (MixCo(),), 1: (MixCo(),), 2: (MixCo(),), 3: (MixCo(), mochi), 4: (MixCo(), mochi)}
    assert method.at_step(1, 0, 8).oracle
    assert method.at_step(0, 3, 8).mixings == (MixCo(),)
    symmetric = Method(build_framework("moco-v2", queue_length=20, symmetric=True), mochi)
    assert [bool(symmetric.at_step(1, step, 8).mixings) for step in range(3)] == [False, False, True]
    in_batch = Method(build_framework("n-pair"), MoCHi(hardest=3))
    assert in_batch.at_step(0, 0, 8) is in_batch


# ---- all pairs train, or say why not ----


class Convolution(nn.Module):
    """A small embedder with BatchNorm, (n, 3, 4, 4) -> (n, H, D)."""

    dim, bn_splits = 6, 1

    def __init__(self, spaces: int):
        super().__init__()
        self.spaces = spaces
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        self.heads = nn.ModuleList(nn.Linear(32, 6) for _ in range(spaces))

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.layers(inputs)
        return torch.stack([head(features) for head in self.heads], dim=1)


@pytest.mark.parametrize(("name", "mixings"), PAIRS, ids=named)
def test_every_pair_trains(make_views, name, mixings):
    """The loss falls on a fixed batch with fixed random choices, every weight learns, and updates go on."""
    torch.manual_seed(0)
    spaces = spaces_of(mixings)
    kind = FRAMEWORKS[name]
    settings = replace_known(kind.Settings(), queue_length=20)
    framework = kind(Convolution(spaces), settings, nn.Linear(6, 6) if kind.predicts else None)
    method = Method(framework, *mixings)
    views = [view.float() for view in make_views(1 + spaces, N)]
    before = copy.deepcopy(framework.state_dict())
    optimiser = torch.optim.SGD(weights(framework), lr=0.4 * kind.usual["optimizer"]["lr"])
    losses = []
    for _ in range(8):
        output = method.training_step(views, seeded())
        optimiser.zero_grad()
        output.loss.backward()
        assert all(weight.grad.abs().sum() > 0 for weight in weights(framework) if weight.dim() > 1)
        optimiser.step()
        losses.append(output.loss.item())
    assert losses[-1] < losses[0]
    method.update(output)
    assert method.training_step(views, seeded()).loss.isfinite()
    if name == "moco-v2":
        assert framework.queue.next == N
        assert not torch.equal(framework.target.heads[0].weight, before["target.heads.0.weight"])


@pytest.mark.parametrize("name", [name for name, kind in FRAMEWORKS.items() if not kind.has_negatives])
@pytest.mark.parametrize("mixing", [MoCHi(), LooC()], ids=named)
@pytest.mark.parametrize("beside", [(), (IMix(),)], ids=named)
def test_what_needs_negatives_does_not_go_without(build_framework, name, mixing, beside):
    """The message names two ways out, and both work."""
    with pytest.raises(IncompatibleMixing, match="negatives") as error:
        Method(build_framework(name, spaces=spaces_of((mixing,))), *beside, mixing)
    assert f"take {type(mixing).__name__} on moco-v2, or mixco or imix on {name}" in str(error.value)
    Method(build_framework("moco-v2", spaces=spaces_of((mixing,))), mixing)
    for other in ("mixco", "imix"):
        Method(build_framework(name), MIXINGS[other]())


@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("twice", [(MixCo(), IMix()), (IMix(), MixCo()), (MixCo(), MixCo(weight=2))], ids=named)
def test_one_seam_takes_one_mixing(build_framework, name, twice):
    with pytest.raises(IncompatibleMixing, match="both change the queries: take one"):
        Method(build_framework(name), *twice)


REPORTED = [
    *[("moco-v2", mixing) for mixing in (MixCo, IMix, UnMix, MoCHi, LooC)],
    *[("simclr", MixCo), ("n-pair", IMix), ("byol", IMix), ("simclr", UnMix), ("byol", UnMix)],
]


@pytest.mark.parametrize(("name", "mixings"), PAIRS, ids=named)
def test_what_no_paper_reports_is_an_extension(build_framework, name, mixings):
    method = Method(build_framework(name, spaces=spaces_of(mixings)), *mixings, NoMixing())
    reported = not mixings or (len(mixings) == 1 and (name, type(mixings[0])) in REPORTED)
    assert method.extension is not reported


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_wrong_number_of_views_or_spaces_is_said(build_framework, make_views, name):
    for count in (1, 3):
        with pytest.raises(UserError, match=f"takes 2 views, got {count}"):
            Method(build_framework(name)).terms(make_views(count))
    with pytest.raises(UserError, match="2 embedding spaces and the method 1"):
        Method(build_framework(name, spaces=2))


def test_looc_wants_a_space_and_a_view_for_each_left_out_augmentation(build_framework, make_views):
    with pytest.raises(UserError, match="1 embedding spaces and the method 2"):
        Method(build_framework("moco-v2"), LooC())
    with pytest.raises(UserError, match="takes 3 views, got 2"):
        Method(build_framework("moco-v2", spaces=2), LooC()).terms(make_views(2))


def test_an_oracle_wants_negatives_and_labels(build_framework, make_views):
    with pytest.raises(IncompatibleMixing, match="negatives"):
        Method(build_framework("byol"), oracle=True)
    with pytest.raises(UserError, match="labels"):
        Method(build_framework("moco-v2"), oracle=True).training_step(make_views())


def test_labels_change_nothing_without_an_oracle(build_framework, make_views):
    method = Method(build_framework("moco-v2"), MoCHi(hardest=3))
    method.framework.queue.labels.zero_()
    with_labels, without = (method.training_step(make_views(), seeded(), labels) for labels in (LABELS, None))
    assert torch.equal(with_labels.loss, without.loss)


# ---- random choices ----


@pytest.mark.parametrize(("name", "mixings"), [pair for pair in PAIRS if pair[1]], ids=named)
def test_only_the_generator_decides(build_framework, make_views, name, mixings):
    method = Method(build_framework(name, spaces=spaces_of(mixings)), *mixings)
    views, state = make_views(1 + spaces_of(mixings)), torch.get_rng_state()
    once, again, other = (method.training_step(views, seeded(seed)).loss for seed in (0, 0, 1))
    assert torch.equal(once, again)
    only_views = all(mixing.slot == "views" for mixing in mixings)  # its augmentations are drawn elsewhere
    assert torch.equal(once, other) == only_views
    assert torch.equal(state, torch.get_rng_state())


def test_choices_handed_in_are_used_as_they_are(build_framework, make_views):
    method = Method(build_framework("simclr"), MixCo(), MoCHi(hardest=3))
    draws = drawn(method)
    views = make_views()
    terms = method.terms(views, draws=draws)
    assert all(term.draw is draw for term, draw in zip(terms, draws.negatives, strict=True))
    for term, view, lam in zip(terms[1::2], views, draws.queries, strict=True):
        shares = lam.view(-1, 1, 1, 1)
        torch.testing.assert_close(term.query.inputs, shares * view[: N // 2] + (1 - shares) * view[N // 2 :], **EXACT)


def test_inputmix_comes_before_the_blend_and_changes_key_views_but_no_labels(build_framework, make_views):
    method, views = Method(build_framework("moco-v2"), IMix(inputmix=2)), make_views()
    inputs = method.query_mixing.sample_input_mix(2 * N, seeded())
    draw = method.query_mixing.sample(N, seeded(1))
    (term,) = method.terms(views, draws=Draws(inputs=inputs, queries=[draw]))

    shares, others = inputs[0].double().view(2 * N, 3, 1, 1, 1), inputs[1]
    images = torch.cat(views)
    mixed = shares[:, 0] * images + shares[:, 1] * images[others[:, 0]] + shares[:, 2] * images[others[:, 1]]
    lam = draw.lam.double().view(-1, 1, 1, 1)
    blends = lam * mixed[:N] + (1 - lam) * mixed[:N][draw.partner]
    torch.testing.assert_close(method.framework.online.seen[0], blends, **EXACT)
    torch.testing.assert_close(method.framework.target.seen[0], mixed[N:], **EXACT)
    plain = Method(build_framework("moco-v2"), IMix()).terms(views, draws=Draws(queries=[draw]))[0]
    assert torch.equal(term.targets, plain.targets)


# ---- diagnostics ----


@pytest.mark.parametrize(
    ("name", "mixings", "columns"),
    [
        ("moco-v2", (), "chance_loss loss_clean proxy_accuracy_clean queue_gap"),
        ("moco-v2", (IMix(),), "chance_loss loss_mixed proxy_accuracy_mixed queue_gap"),
        ("simclr", (MixCo(),), "chance_loss loss_clean loss_mixed proxy_accuracy_clean proxy_accuracy_mixed"),
        ("n-pair", (IMix(),), "chance_loss loss_mixed proxy_accuracy_mixed"),
        ("byol", (), "loss_clean"),
        ("byol", (MixCo(),), "loss_clean loss_mixed"),
        ("vicreg", (), "covariance invariance loss_clean variance"),
        ("vicreg", (IMix(),), "covariance invariance loss_mixed variance"),
        ("moco-v2", (LooC(),), "chance_loss loss_clean loss_clean_space1 proxy_accuracy_clean queue_gap"),
        (
            "moco-v2",
            (MoCHi(hardest=3, pairs=2, towards_query=1),),
            "chance_loss loss_clean loss_clean_without_synthetic "
            "proxy_accuracy_clean proxy_accuracy_clean_without_synthetic queue_gap",
        ),
    ],
    ids=named,
)
def test_diagnostics_are_one_detached_scalar_a_column(build_framework, make_views, name, mixings, columns):
    method = Method(build_framework(name, spaces=spaces_of(mixings)), *mixings)
    diagnostics = method.training_step(make_views(1 + spaces_of(mixings)), seeded()).diagnostics
    assert sorted(diagnostics) == columns.split()
    assert all(value.shape == () and not value.requires_grad for value in diagnostics.values())


@pytest.mark.parametrize(
    ("name", "mixings", "count"),
    [
        ("moco-v2", (), 1 + 20),
        ("moco-v2", (MixCo(),), 1 + 20),
        ("moco-v2", (IMix(),), N + 20),
        ("moco-v2", (MoCHi(hardest=3, pairs=2, towards_query=1),), 1 + 20),
        ("n-pair", (), N),
        ("simclr", (), 2 * N - 1),
    ],
    ids=named,
)
def test_chance_is_a_uniform_guess_among_the_real_candidates(build_framework, make_views, name, mixings, count):
    diagnostics = Method(build_framework(name), *mixings).training_step(make_views(), seeded()).diagnostics
    assert float(diagnostics["chance_loss"]) == pytest.approx(np.log(count), rel=1e-6)


def test_the_loss_without_synthetic_negatives_is_the_base_s(build_framework, make_views):
    framework = build_framework("moco-v2")
    mochi = MoCHi(hardest=3, pairs=2, towards_query=1)
    plain = Method(framework).training_step(make_views(), seeded()).diagnostics
    harder = Method(framework, mochi).training_step(make_views(), seeded()).diagnostics
    torch.testing.assert_close(harder["loss_clean_without_synthetic"], plain["loss_clean"])
    assert harder["loss_clean"] > plain["loss_clean"]


@pytest.mark.parametrize("mixing", [None, IMix()], ids=named)
@torch.no_grad()
def test_the_queue_gap_against_slow_loops(build_framework, make_views, mixing):
    framework = build_framework("moco-v2")
    (term,) = Method(framework, *[mixing] if mixing else []).terms(make_views(), seeded())
    others = [term.q[i] @ term.keys[j, 0] for i in range(N) for j in range(N) if term.query.targets[i, j] == 0]
    old = [term.q[i] @ key for i in range(N) for key in framework.queue.keys[0]]
    expected = torch.stack(others).mean() - torch.stack(old).mean()
    torch.testing.assert_close(framework.diagnose(term)["queue_gap"], expected)


@torch.no_grad()
def test_a_queue_of_other_images_fresh_keys_has_no_gap(build_framework, make_views):
    framework = build_framework("moco-v2", queue_length=N - 1)
    (term,) = Method(framework).terms(make_views(), seeded())
    for i in range(N):
        framework.queue.enqueue(torch.cat([term.keys[:i], term.keys[i + 1 :]]))
        alone = replace(term, q=term.q[i : i + 1], query=replace(term.query, targets=term.query.targets[i : i + 1]))
        assert float(framework.diagnose(alone)["queue_gap"]) == pytest.approx(0, abs=1e-12)


def test_the_loss_is_the_weighted_sum_of_its_diagnostics(build_framework, make_views):
    output = Method(build_framework("simclr"), MixCo(weight=0.3)).training_step(make_views(), seeded())
    parts = output.diagnostics["loss_clean"] + 0.3 * output.diagnostics["loss_mixed"]
    torch.testing.assert_close(output.loss.detach(), parts, **EXACT)


def test_proxy_accuracy_is_the_share_of_queries_whose_key_is_nearest(build_framework, make_views):
    framework, (first, second) = build_framework("moco-v2"), make_views()
    framework.target.load_state_dict(framework.online.state_dict())
    q, k = (normalize(framework.online(view).detach()[:, 0], dim=1) for view in (first, second))
    framework.queue.keys[0, :3] = q[:3]  # nearer to the first three queries than any key can be
    nearest = [float(q[i] @ k[i]) > float((framework.queue.keys[0] @ q[i]).max()) for i in range(N)]
    accuracy = Method(framework).training_step([first, second]).diagnostics["proxy_accuracy_clean"]
    assert accuracy.item() == sum(nearest) / N
    assert not any(nearest[:3])
    assert any(nearest)


def test_proxy_accuracy_asks_for_the_largest_target_strictly_above_all_others():
    positives = torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.5, 0.1], [0.6, 0.2]])
    negatives = {
        "queue": torch.tensor([[0.2], [0.2], [0.5], [0.3]]),
        "synthetic": torch.tensor([[0.0], [0], [0], [0.7]]),
    }
    row = Candidates(positives=positives, targets=torch.tensor([[0.6, 0.4]] * 4), temperature=0.2, negatives=negatives)
    assert proxy_accuracy(row).tolist() == [1, 0, 0, 0]
    assert proxy_accuracy(row, synthetic=False).tolist() == [1, 0, 0, 1]
