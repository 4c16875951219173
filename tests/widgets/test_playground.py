"""The playground trains what it says, by the project's own core, and can be changed on the way."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mixviz.errors import UserError
from mixviz.frameworks import FRAMEWORKS
from mixviz.mixing import IMix, MixCo, MoCHi
from mixviz.widgets.playground import BATCH, CLASSES, IMAGES, MIXABLE, PROBES, Playground, Settings, World, mixings


def trained(steps: int, **settings) -> Playground:
    playground = Playground(Settings(**settings))
    playground.run(steps)
    return playground


def test_views_keep_the_content_and_draw_the_style_again(generator):
    world = World.draw(600, 0)
    assert world.labels.bincount().tolist() == [100] * CLASSES
    query, key = world.views(torch.arange(600), generator)
    assert (query[:, :3] - world.images[:, :3]).abs().mean() < 0.2
    both = torch.corrcoef(torch.cat([query.T, key.T]))[:8, 8:].diagonal()
    assert both[:3].min() > 0.8
    assert both[3:].abs().max() < 0.15


def test_classes_lie_at_the_corners_of_an_octahedron():
    world = World.draw(6000, 0)
    centres = torch.stack([world.images[world.labels == label, :3].mean(dim=0) for label in range(CLASSES)])
    cosines = F.normalize(centres, dim=1) @ F.normalize(centres, dim=1).T
    assert cosines.round(decimals=1).abs().sum() == 12  # with itself, and with the one opposite
    assert cosines.sum().abs() < 0.1


def test_the_first_step_is_the_loss_written_out():
    playground = Playground(Settings(temperature=0.3))
    mirror = Playground(Settings(temperature=0.3))
    playground.run(1)
    rows = torch.randint(IMAGES, (BATCH,), generator=mirror.generator)
    query, key = mirror.train.views(rows, mirror.generator)
    q, k = F.normalize(mirror.embedder(torch.cat([query, key]))[:, 0], dim=1).chunk(2)
    loss = F.cross_entropy(q @ k.T / 0.3, torch.arange(BATCH))
    assert playground.losses == [pytest.approx(loss.item(), rel=1e-9)]
    optimizer = torch.optim.Adam(mirror.embedder.parameters(), 0.005)
    loss.backward()
    optimizer.step()
    for mine, theirs in zip(playground.embedder.parameters(), mirror.embedder.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_measures_are_those_of_the_probes_as_they_lie():
    frame = trained(6, dim=2).frame()
    x, labels = frame.points, frame.labels
    assert x.shape == (PROBES, 2)
    torch.testing.assert_close(x.norm(dim=1), torch.ones(PROBES, dtype=torch.float64))
    apart = (x[:, None] - x).square().sum(dim=2)
    others = ~torch.eye(PROBES, dtype=torch.bool)
    assert frame.now.uniformity == pytest.approx(float((-2 * apart[others]).exp().mean().log()))
    near = (apart + 9 * ~others).argsort(dim=1)[:, :10]
    assert frame.now.purity == pytest.approx(float((labels[near] == labels[:, None]).double().mean()))
    assert 1 <= frame.now.effective_rank <= 2
    assert (frame.now.step, frame.history[-1]) == (6, frame.now)
    assert [measure.step for measure in frame.history] == [0, 4, 6]


def test_looking_changes_nothing():
    looked, alone = trained(0), trained(0)
    for _ in range(6):
        looked.run(2)
        looked.frame()
    alone.run(12)
    assert torch.equal(looked.frame().points, alone.frame().points)
    assert looked.frame().now == alone.frame().now


def test_a_seed_is_a_run():
    assert torch.equal(trained(5, seed=3).frame().points, trained(5, seed=3).frame().points)
    assert not torch.allclose(trained(5, seed=3).frame().points, trained(5, seed=4).frame().points)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_classes_come_together_in_every_framework(framework, dim):
    before, *_, after = trained(80, framework=framework, dim=dim).frame().history
    assert after.purity > before.purity + 0.15


def test_without_predictor_and_momentum_byol_collapses_and_with_them_it_does_not():
    fallen = trained(100, framework="byol", predictor=False, momentum=0.0).frame().now
    assert fallen.uniformity > -0.1
    assert trained(100, framework="byol").frame().now.uniformity < -0.8


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("mixing", ["none", *MIXABLE])
def test_every_pair_trains_or_says_why_not(framework, mixing):
    settings = Settings(framework=framework, mixing=mixing, towards=8)
    if mixing == "mochi" and not FRAMEWORKS[framework].has_negatives:
        with pytest.raises(UserError, match="has none"):
            Playground(settings)
        return
    playground = Playground(settings)
    playground.run(2)
    assert playground.method.framework.name == framework
    assert playground.step == 2


def test_settings_become_mixings():
    assert mixings(Settings()) == []
    assert mixings(Settings(mixing="imix")) == [IMix()]
    assert mixings(Settings(mixing="mixco", temperature=0.4)) == [MixCo(temperature=0.4)]
    assert mixings(Settings(mixing="mochi", hardest=4, pairs=8, towards=2)) == [
        MoCHi(hardest=4, pairs=8, towards_query=2)
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"framework": "byol"},
        {"queue": 256},
        {"mixing": "mochi"},
        {"temperature": 0.7},
        {"rate": 0.02},
        {"momentum": 0.5},
    ],
)
def test_it_continues_from_where_it_is_with_other_settings(change):
    playground = trained(8, framework="moco-v2")
    points = playground.frame().points
    playground.change(replace(playground.settings, **change))
    assert torch.equal(playground.frame().points, points)
    other = trained(8, framework="moco-v2")
    playground.run(8)
    other.run(8)
    assert playground.step == 16
    assert not torch.equal(playground.frame().points, other.frame().points)


def test_a_queue_stays_where_only_the_mixing_changes():
    playground = trained(3, framework="moco-v2")
    keys = playground.method.framework.queue.keys.clone()
    playground.change(replace(playground.settings, mixing="mixco"))
    assert torch.equal(playground.method.framework.queue.keys, keys)
    playground.change(replace(playground.settings, queue=128))
    assert playground.method.framework.queue.length == 128


def test_what_does_not_fit_changes_nothing():
    playground = trained(3, framework="byol")
    with pytest.raises(UserError):
        playground.change(replace(playground.settings, mixing="mochi"))
    assert playground.settings == Settings(framework="byol")
    playground.run(1)
    assert playground.step == 4


def test_a_loss_that_is_no_number_is_reported():
    playground = trained(1)
    with torch.no_grad():
        next(playground.embedder.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match="lower the learning rate"):
        playground.run(1)


def test_a_long_history_is_thinned_and_ends_with_now(monkeypatch):
    monkeypatch.setattr("mixviz.widgets.playground.LONGEST_HISTORY", 5)
    steps = [measure.step for measure in trained(43).frame().history]
    assert steps == [0, 16, 32, 43]


def test_titles_name_what_counts():
    assert Settings().title == "n-pair, τ 0.20, learning rate 0.005, seed 0"
    mochi = Settings(framework="moco-v2", mixing="mochi", towards=8)
    assert mochi.title.startswith("moco-v2 + mochi (16, 16, 8), τ 0.20, momentum 0.9, K 64")
    assert Settings(framework="byol", predictor=False).title.startswith("byol without predictor, momentum")
