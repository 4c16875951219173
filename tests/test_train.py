"""The loop: reproducible, resumable bit for bit, blind to who looks on, and honest when it fails."""

import json
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mixviz.augment import make_views
from mixviz.build import hold_out, seeded_generator
from mixviz.config import Extension, OptimizerConfig, Origin, RunConfig
from mixviz.data import Dataset
from mixviz.data.glyphs import make_glyphs
from mixviz.domains import inputs_of
from mixviz.errors import UserError
from mixviz.faults import BATCH, faulty_gradient, faulty_weight, first_layer
from mixviz.runs import Run
from mixviz.train import (
    NonFiniteLoss,
    batches,
    knn_monitor,
    learning_rate,
    load_initial,
    resume,
    set_up,
    train,
)

SMALL = {"epochs": 2, "batch_size": 16, "queue_length": 32, "bn_splits": 2, "dim": 8, "hidden": 16, "holdout": 8}
EVERY = [
    {"mixing": ["mixco"]},
    {"mixing": ["imix", "mochi"], "mochi_hardest": 8, "mochi_pairs": 4, "mochi_towards_query": 2},
    {"mixing": ["looc"], "looc_left_out": ["color", "rotation"], "rotation": 0.5},
    {"framework": "simclr"},
    {"framework": "n-pair", "mixing": ["imix"], "imix_kind": "cutmix"},
    {"framework": "byol", "mixing": ["mixco"]},
]


def pictures(n=80, size=16, labels=True, seed=0):
    random = np.random.default_rng(seed)
    shown = random.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Dataset(
        name="noise",
        split="train",
        stored=shown,
        labels=np.arange(n) % 4 if labels else None,
        class_names=tuple("abcd"),
    )


def config_of(**settings):
    return RunConfig.of(**{**SMALL, "dtype": "float32", **settings})


def trained(config, tmp_path, name, images=None):
    return train(config, name, pictures() if images is None else images, tmp_path, progress=False)


def weights(run):
    return run.load_checkpoint()["method"]


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("settings", EVERY, ids=str)
def test_two_runs_of_one_seed_are_equal(tmp_path, settings):
    config = config_of(**settings)
    first, second = trained(config, tmp_path, "first"), trained(config, tmp_path, "second")
    assert_same(weights(first), weights(second))
    assert first.metrics["loss"].tolist() == second.metrics["loss"].tolist()


def test_another_seed_is_another_run(tmp_path):
    first, second = (trained(config_of(seed=seed), tmp_path, str(seed)) for seed in (0, 1))
    assert first.metrics["loss"].tolist() != second.metrics["loss"].tolist()


class Cut(Exception):
    pass


@pytest.mark.parametrize("settings", EVERY, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_resume_equals_an_uninterrupted_run(tmp_path, monkeypatch, settings, dtype):
    config = config_of(**settings, dtype=dtype, epochs=3)
    whole = trained(config, tmp_path, "whole")
    original = Run.log

    def cut_after_the_second_epoch(run, row):
        original(run, row)
        if row["epoch"] == 2:
            raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(Run, "log", cut_after_the_second_epoch)
        with pytest.raises(Cut):
            trained(config, tmp_path, "cut")
    with pytest.raises(UserError, match=r"the run cut was cut off while it was saved: .*--resume"):
        weights(Run(tmp_path / "cut"))
    resumed = resume(Run(tmp_path / "cut"), pictures(), progress=False)
    assert_same(weights(whole), weights(resumed))
    assert whole.metrics["loss"].tolist() == resumed.metrics["loss"].tolist()
    optimizers = [run.load_checkpoint()["optimizer"]["state"] for run in (whole, resumed)]
    for key, state in optimizers[0].items():
        assert torch.equal(state["momentum_buffer"], optimizers[1][key]["momentum_buffer"])


def cut(tmp_path, name, after, do):
    """``do`` it, cut off in the first step after so many images that it sees."""
    seen = 0

    def watch(*_):
        nonlocal seen
        seen += 16
        if seen > after:
            raise Cut

    with pytest.raises(Cut):
        do(watch)
    return Run(tmp_path / name)


def test_an_extended_run_has_the_schedule_of_its_new_length_from_there_on_and_says_so(tmp_path):
    before = trained(config_of(), tmp_path, "short").metrics
    run = resume(Run(tmp_path / "short"), pictures(), progress=False, epochs=5)
    assert run.config.train.epochs == 5
    assert run.config.origin == Origin(extended=(Extension(after=2, planned=2),))
    assert run.config != config_of(epochs=5)
    assert run.config.but() == config_of(epochs=5)
    assert run.metrics["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert run.metrics["loss"].tolist()[:2] == before["loss"].tolist()
    at_once = trained(config_of(epochs=5), tmp_path, "long").metrics
    assert run.metrics["lr"].tolist()[2:] == at_once["lr"].tolist()[2:]
    assert run.metrics["loss"].tolist() != at_once["loss"].tolist()
    assert run.film.epochs.tolist() == [0, 1, 2, 3, 4, 5]
    again = resume(run, pictures(), progress=False, epochs=5)
    assert again.config.origin == run.config.origin
    with pytest.raises(UserError, match="--epochs 4 is fewer than the 5 of the run"):
        resume(run, pictures(), progress=False, epochs=4)


def test_an_extended_run_that_is_cut_off_continues_to_the_same_weights(tmp_path):
    runs = [trained(config_of(), tmp_path, name) for name in ("whole", "cut")]
    resume(runs[0], pictures(), progress=False, epochs=4)
    run = cut(tmp_path, "cut", 70, lambda watch: resume(runs[1], pictures(), False, watch, epochs=4))
    assert run.epoch == 3
    assert_same(weights(runs[0]), weights(resume(run, pictures(), progress=False)))


def test_a_run_extended_before_its_first_epoch_is_one_of_that_length(tmp_path):
    run = Run.create(config_of(), "new", tmp_path)
    assert resume(run, pictures(), progress=False, epochs=3).config == config_of(epochs=3)


def test_a_run_that_is_resumed_on_another_machine_says_so_and_keeps_it(tmp_path, capsys):
    run = trained(config_of(framework="n-pair", epochs=1), tmp_path, "moved")
    file = run.path / "environment.json"
    began = json.loads(file.read_text())
    resume(run, pictures(), progress=False, epochs=2)
    assert json.loads(file.read_text()) == began
    file.write_text(json.dumps(began | {"processor": "Abacus 3000"}))
    resume(run, pictures(), progress=False)
    assert "resumed" not in json.loads(file.read_text())  # there was nothing left to train
    resume(run, pictures(), progress=False, epochs=3)
    said = f"trained on Abacus 3000 in float32 and is resumed on {began['processor']} in float32: not the same bit"
    assert said in capsys.readouterr().err
    (noted,) = json.loads(file.read_text())["resumed"]
    assert (noted["epoch"], noted["processor"], noted["dtype"]) == (2, began["processor"], "float32")
    resume(run, pictures(), progress=False, epochs=4)
    assert len(json.loads(file.read_text())["resumed"]) == 1


def test_checkpoints_are_kept_every_few_epochs(tmp_path):
    run = trained(config_of(epochs=5, keep_every=2), tmp_path, "kept")
    assert sorted(path.name for path in run.path.glob("epoch-*")) == ["epoch-2.pt", "epoch-4.pt"]
    assert torch.load(run.kept(2), weights_only=True)["epoch"] == 2
    assert run.load_checkpoint()["epoch"] == 5
    shorter = trained(config_of(epochs=4, keep_every=4), tmp_path, "last")
    assert_same(torch.load(shorter.kept(4), weights_only=True)["method"], weights(shorter))
    assert not [path for path in run.path.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("framework", ["moco-v2", "byol", "n-pair"])
def test_a_run_begins_with_the_weights_of_another(tmp_path, framework):
    source = trained(config_of(framework=framework), tmp_path, "source")
    run = train(
        config_of(framework=framework, seed=5), "second", pictures(seed=1), tmp_path, progress=False, init=source
    )
    assert run.config.origin == Origin(init="source")
    method, _ = set_up(config_of(framework=framework, seed=5), pictures(seed=1))
    own, given = method.framework.online.state_dict(), source.encoder(device="cpu").state_dict()
    load_initial(method, given, "source")
    for embedder in filter(None, (method.framework.online, getattr(method.framework, "target", None))):
        for name, tensor in embedder.state_dict().items():
            assert torch.equal(tensor, (own if name.startswith("normalise.") else given)[name]), name


def test_a_head_of_another_form_is_the_run_s_own_and_another_backbone_is_refused(tmp_path):
    source = trained(config_of(), tmp_path, "source").encoder(device="cpu").state_dict()
    method, _ = set_up(config_of(dim=4), pictures())
    own = method.framework.online.projectors.state_dict()
    load_initial(method, source, "source")
    assert_same(own, method.framework.online.projectors.state_dict())
    assert torch.equal(method.framework.online.state_dict()["backbone.0.0.weight"], source["backbone.0.0.weight"])
    with pytest.raises(UserError, match="the weights of source are of another backbone"):
        load_initial(set_up(config_of(backbone="convnet-narrow"), pictures())[0], source, "source")


def test_a_run_that_began_with_a_recording_resumes_to_the_same_weights_without_it(tmp_path):
    source = trained(config_of(), tmp_path, "source")
    source.save_weights(source.path / "weights.npz")
    (source.path / "checkpoint.pt").unlink()
    (source.path / "previous.pt").unlink()
    config = config_of(seed=3)
    whole = train(config, "whole", pictures(), tmp_path, progress=False, init=source)

    def begin(watch):
        train(config, "cut", pictures(), tmp_path, progress=False, watch=watch, init=source)

    run = cut(tmp_path, "cut", 20, begin)
    assert run.epoch == 0
    assert_same(weights(whole), weights(resume(run, pictures(), progress=False)))
    (run.path / "checkpoint.pt").unlink()
    (run.path / "previous.pt").unlink()
    (run.path / "metrics.csv").unlink()
    with pytest.raises(UserError, match="cut off before it had its initial weights"):
        resume(run, pictures(), progress=False)


def test_looking_on_changes_nothing(tmp_path):
    watched = trained(config_of(knn_every=1), tmp_path, "watched")
    alone = trained(config_of(knn_every=0), tmp_path, "alone")
    assert_same(weights(watched), weights(alone))
    assert "knn_accuracy" in watched.metrics
    assert "knn_accuracy" not in alone.metrics


def test_whoever_watches_is_called_every_step_and_may_end_it(tmp_path):
    seen = []

    def watch(done, total):
        seen.append((done, total))
        if done == 96:  # two steps into the second epoch
            raise InterruptedError

    config = config_of(film_frames=0, knn_every=0)
    with pytest.raises(InterruptedError):
        train(config, "stopped", pictures(), tmp_path, progress=False, watch=watch)
    assert seen == [(16 * step, 128) for step in range(1, 7)]
    run = Run(tmp_path / "stopped")
    assert len(run.metrics) == run.load_checkpoint()["epoch"] == 1
    seen.clear()
    resume(run, pictures(), progress=False, watch=lambda *told: seen.append(told))
    assert seen == [(16 * step, 128) for step in range(5, 9)]
    assert_same(weights(run), weights(trained(config, tmp_path, "whole")))


def test_the_monitor_leaves_the_method_as_it_was():
    method, data = set_up(config_of(), pictures())
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    accuracy = knn_monitor(method, data)
    assert 0 <= accuracy <= 1
    assert_same(before, method.state_dict())
    assert method.training


def test_the_monitor_needs_labels_and_held_out_images():
    assert math.isnan(knn_monitor(*set_up(config_of(), pictures(labels=False))))
    assert math.isnan(knn_monitor(*set_up(config_of(holdout=0), pictures())))


def test_the_monitor_distinguishes_labels_of_any_size_and_needs_two():
    method, data = set_up(config_of(), pictures())
    huge = replace(
        data,
        labels=data.labels + 10**12,
        bank=replace(data.bank, labels=data.bank.labels + 10**12),
        held_out=replace(data.held_out, labels=data.held_out.labels + 10**12),
    )
    assert knn_monitor(method, huge) == knn_monitor(method, data)
    assert math.isnan(knn_monitor(method, replace(data, labels=torch.zeros_like(data.labels))))


def test_a_queue_longer_than_the_data_is_reported(capsys):
    config = config_of(framework="moco-v2", queue_length=64, batch_size=16)
    set_up(config, pictures(90))  # 82 to train on
    assert "the queue holds" not in capsys.readouterr().err
    set_up(config.but(queue_length=80), pictures(90))
    assert "the queue holds 80 images, and there are 82 to train on" in (said := capsys.readouterr().err)
    assert "take --queue-length 64" in said


def test_setting_up_copies_the_images_once():
    """Of 60,000, beside the 10,000 of the monitor."""
    stored = np.random.default_rng(0).integers(0, 256, (60_000, 16, 16, 3), np.uint8)
    images = Dataset(name="many", split="train", stored=stored, labels=np.arange(60_000) % 4)
    tracemalloc.start()
    _, data = set_up(config_of(framework="n-pair"), images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.6 * stored.nbytes
    first = int(data.held_rows[0] == 0)
    assert np.array_equal(data.stored[0].numpy(), stored[first])


def test_the_monitor_compares_with_all_classes_of_a_sorted_folder():
    """20 classes of 1,000 images: the bank of 10,000 has about 500 of each, and none that is held out."""
    labels = np.repeat(np.arange(20), 1000)
    images = np.zeros((20_000, 8, 8, 3), np.uint8)
    images[:, 0, 0, :2] = np.stack([np.arange(20_000) // 256, np.arange(20_000) % 256], axis=1)
    _, data = set_up(config_of(), Dataset(name="sorted", split="train", stored=images, labels=labels))
    assert len(data.bank) == 10_000
    assert np.abs(np.bincount(data.bank.labels) - 500).max() < 10
    bank, held = ({tuple(image[0, 0]) for image in part.stored} for part in (data.bank, data.held_out))
    assert not bank & held


def test_base_and_method_share_weights_order_and_crops():
    base, with_mixing = config_of(), config_of(mixing=["mixco", "looc"])
    methods = [set_up(config, pictures())[0].framework.online for config in (base, with_mixing)]
    for name, tensor in methods[0].state_dict().items():
        assert torch.equal(tensor, methods[1].state_dict()[name]), name
    orders = [torch.stack(list(batches(50, 16, seed=3, epoch=2))) for _ in range(2)]
    assert torch.equal(*orders)


def test_batches_are_a_permutation_that_changes_with_epoch_and_seed():
    first, later, other = (torch.cat(list(batches(50, 16, s, e))) for s, e in [(0, 0), (0, 1), (1, 0)])
    assert len(first) == 48
    assert len(first.unique()) == 48
    assert not torch.equal(first, later)
    assert not torch.equal(first, other)


def test_generators_of_different_keys_differ():
    cpu = torch.device("cpu")
    keys = [(0, "crops", 1), (0, "mix", 1), (0, "crops", 2), (1, "crops", 1)]
    draws = [torch.rand(4, generator=seeded_generator(cpu, *key)).tolist() for key in keys]
    assert len({tuple(draw) for draw in draws}) == 4
    assert draws[0] == torch.rand(4, generator=seeded_generator(cpu, *keys[0])).tolist()


def test_held_out_images_are_apart_and_at_most_a_tenth():
    held, kept = hold_out(100, 2000)
    assert len(held) == 10
    assert sorted(torch.cat([held, kept]).tolist()) == list(range(100))
    assert len(hold_out(100, 3)[0]) == 3


def test_statistics_are_those_of_numpy():
    images = pictures().stored
    shape, normalise = inputs_of(pictures())
    assert shape == (3, *images.shape[1:3])
    np.testing.assert_allclose(normalise.mean[:, 0, 0], images.mean(axis=(0, 1, 2)) / 255, rtol=1e-5)
    np.testing.assert_allclose(normalise.std[:, 0, 0], images.std(axis=(0, 1, 2), ddof=1) / 255, rtol=1e-5)


def test_statistics_of_many_images_are_of_a_random_part():
    """Dark images first, as where classes are sorted by brightness."""
    pixels = np.zeros((20_000, 2, 2, 3), np.uint8)
    pixels[10_000:] = 255
    _, normalise = inputs_of(Dataset(name="dark first", split="train", stored=pixels))
    assert normalise.mean.flatten().tolist() == pytest.approx([0.5] * 3, abs=0.02)
    assert normalise.std.flatten().tolist() == pytest.approx([0.5] * 3, abs=0.02)


def test_learning_rate_schedules():
    cosine = OptimizerConfig(lr=2.0, warmup_epochs=10)
    assert [learning_rate(cosine, e, 110) for e in (0, 5, 10, 60, 110)] == pytest.approx([0, 1, 2, 1, 0])
    step = OptimizerConfig(lr=2.0, schedule="step", decay_epochs=(30, 40), decay_factor=0.1)
    assert [learning_rate(step, e, 50) for e in (0, 29.9, 30, 39.9, 40)] == pytest.approx([2, 2, 0.2, 0.2, 0.02])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    from mixviz.method import Method, StepOutput

    step, calls = Method.training_step, []

    def breaks_in_the_second_epoch(self, *arguments):
        output = step(self, *arguments)
        calls.append(None)
        loss = output.loss * (math.nan if len(calls) > 5 else 1)
        return StepOutput(loss=loss, diagnostics=output.diagnostics, keys=output.keys)

    monkeypatch.setattr(Method, "training_step", breaks_in_the_second_epoch)
    with pytest.raises(NonFiniteLoss, match=r"not finite in epoch 2.*the checkpoint of epoch 1 is kept") as caught:
        trained(config_of(), tmp_path, "breaks")
    assert "\n" not in str(caught.value)
    kept = Run(tmp_path / "breaks")
    assert kept.load_checkpoint()["epoch"] == 1
    assert all(torch.isfinite(tensor).all() for tensor in weights(kept).values())
    assert len(kept.metrics) == 1


def test_weights_that_are_not_finite_are_never_a_checkpoint(tmp_path):
    with pytest.raises(NonFiniteLoss, match=r"first not finite, in step [12]: the"):
        trained(config_of(lr=1e30, epochs=1), tmp_path, "explodes")
    assert not (tmp_path / "explodes" / "checkpoint.pt").exists()


def test_where_numbers_stop_being_finite_is_found_and_the_batch_is_kept(tmp_path):
    """One image becomes infinite in the second epoch: its step, the first layer that sees it, and its row are named."""
    images = pictures()
    images.stored[50] = 255
    seen = []

    def views_of(inputs, *others):
        views = make_views(inputs, *others)
        white = (inputs == 1).flatten(1).all(dim=1)
        seen.append(bool(white.any()))
        if sum(seen) > 1:
            views[0].inputs[white] = math.inf
        return views

    with pytest.raises(NonFiniteLoss, match=r"not finite in epoch 2.* in step (\d): the output of framework.online.\w"):
        train(config_of(holdout=0), "breaks", images, tmp_path, progress=False, views=views_of)
    with np.load(tmp_path / "breaks" / BATCH) as kept:
        assert kept["epoch"] == 1
        assert (kept["stored"] == images.stored[kept["rows"]]).all()
        assert 50 in kept["rows"]
        order = list(batches(80, 16, 0, 1))
        assert kept["rows"].tolist() == order[kept["step"]].tolist()
    assert Run(tmp_path / "breaks").load_checkpoint()["epoch"] == 1


def test_the_first_fault_of_a_network_is_named():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 1), Root())
    nn.init.constant_(network[0].weight, 1.0)
    nn.init.constant_(network[2].weight, -1.0)
    nn.init.constant_(network[2].bias, 1.0)
    good, infinite_gradient, bad = (torch.tensor([[x]]) for x in (0.5, 1.0, 2.0))
    assert first_layer(network, lambda: network(good)) == ""
    assert first_layer(network, lambda: network(bad)) == "3"
    network(infinite_gradient).sum().backward()
    assert faulty_gradient(network) == "2.bias"
    network.zero_grad()
    network(good).sum().backward()
    assert faulty_gradient(network) == faulty_weight(network) == ""
    nn.init.constant_(network[2].bias, math.nan)
    assert faulty_weight(network) == "2.bias"
    assert not any(layer._forward_hooks for layer in network.modules())


def test_a_batch_larger_than_the_data_writes_nothing(tmp_path):
    with pytest.raises(UserError, match=r"than the 9 training images \(10, of which 1 are held out\): take 9"):
        trained(config_of(), tmp_path, "big", pictures(10))
    assert list(tmp_path.iterdir()) == []


def test_an_oracle_needs_labels(tmp_path):
    with pytest.raises(UserError, match="label"):
        trained(config_of(oracle=True), tmp_path, "oracle", pictures(labels=False))
    assert list(tmp_path.iterdir()) == []
    assert len(trained(config_of(oracle=True), tmp_path, "fine").metrics) == 2


def test_training_without_labels(tmp_path):
    run = trained(config_of(), tmp_path, "unlabelled", pictures(labels=False))
    assert len(run.metrics) == 2


def test_warming_up_is_the_base_until_it_sets_in(tmp_path):
    settings = {"mochi_hardest": 8, "mochi_pairs": 4, "mochi_towards_query": 2, "mochi_warmup_epochs": 1}
    base = trained(config_of(), tmp_path, "base")
    late = trained(config_of(mixing=["mochi"], **settings), tmp_path, "late")
    losses = [run.metrics["loss"].tolist() for run in (base, late)]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] != losses[1][1]


LEARNERS = [{"framework": "n-pair", "mixing": ["unmix"]}, {"framework": "vicreg"}]


@pytest.mark.parametrize("settings", LEARNERS, ids=str)
def test_it_learns_on_glyphs(tmp_path, settings):
    """The loss falls, and held-out images find their class among their neighbours more often than by chance."""
    images = make_glyphs(images=1200)
    config = RunConfig.of(
        epochs=4, batch_size=64, holdout=120, hue=0.5, knn_every=4, film_frames=2, dtype="float32", **settings
    )
    run = train(config, "learner", images, tmp_path, progress=False)
    assert run.metrics["loss"].iloc[-1] < run.metrics["loss"].iloc[0]
    assert run.metrics["knn_accuracy"].iloc[-1] > 2 / 16
    assert run.film.curve("loss")[-1] < run.film.curve("loss")[0]
