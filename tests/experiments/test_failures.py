"""Failure cases: every fault does what it says and is undone, and every signature tells a broken run by its numbers."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from mixviz.augment import build_augmentation, make_views
from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.encoders import convnet
from mixviz.errors import UserError
from mixviz.evaluate import fingerprint
from mixviz.experiments.failures import (
    CASES,
    CONTROLS,
    RunEvidence,
    Signature,
    export_small,
    failure_case,
    load_case,
    reduced,
    run_cases,
)
from mixviz.experiments.failures.cases import UNFROZEN
from mixviz.experiments.failures.controls import reading_of
from mixviz.experiments.failures.evidence import INVARIANCE
from mixviz.experiments.failures.faults import (
    WrongPartners,
    guard_message,
    imagenet_stem,
    unfrozen_probe,
    views_of_one_crop,
    views_that_share_the_rest,
)
from mixviz.film import Film
from mixviz.mixing import IMix
from mixviz.result import Result
from mixviz.runs import Run
from mixviz.train import set_up, train

TINY = {"epochs": 1, "batch_size": 16, "queue_length": 32, "dim": 8, "hidden": 16, "holdout": 24, "dtype": "float32"}


@pytest.fixture(scope="module")
def sets() -> tuple[Dataset, Dataset]:
    return load("glyphs", "train").select(range(240)), load("glyphs", "test").select(range(60))


def draws_of(views) -> list[dict]:
    return [view.parameters for view in views]


def same(first, second) -> bool:
    """Whether all fields of two records of parameters are equal."""
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in vars(first))


def test_the_loop_takes_its_views_and_mixings_as_arguments(sets, tmp_path):
    config, drawn = RunConfig.of(**{**CONTROLS["n-pair + imix"], **TINY, "film_frames": 0, "knn_every": 0}), []

    def views(*given):
        drawn.append(given[3])
        return make_views(*given)

    usual = train(config, "usual", sets[0], tmp_path, progress=False)
    same = train(config, "same", sets[0], tmp_path, progress=False, views=views, mixings=[IMix()])
    other = train(config, "other", sets[0], tmp_path, progress=False, mixings=[WrongPartners()])
    assert drawn == [(None,)] * 13  # steps
    losses = [run.metrics["loss_mixed"].item() for run in (usual, same, other)]
    assert losses[0] == losses[1] != losses[2]
    assert (tmp_path / "other" / "config.json").read_bytes() == (tmp_path / "usual" / "config.json").read_bytes()


def test_every_case_differs_from_its_control_only_as_it_says():
    assert len({found.name for found in CASES}) == len(CASES) == 9
    for found in CASES:
        healthy, broken = found.control_config().flat(), found.config().flat()
        assert {name for name in healthy if healthy[name] != broken[name]} == set(found.settings)
        by_config, by_code = bool(found.settings), bool(found.breaks)
        assert by_config + by_code + (not found.trains) == 1, found.name
        assert found.control in CONTROLS
        assert all(text.endswith(".") for text in (found.broken, found.in_practice, found.explanation))
    with pytest.raises(UserError, match="same-crop"):
        failure_case("same-crops")


def test_views_of_one_crop_share_the_crop_and_nothing_else(generator):
    images = torch.rand(64, 3, 16, 16, generator=generator)
    query, key = draws_of(views_of_one_crop(images, build_augmentation(16), generator))
    crop = next(op.name for op in build_augmentation(16).operations if op.group == "crop")
    assert same(query[crop], key[crop])
    assert not any(same(query[name], key[name]) for name in query if name != crop)


def test_inverted_views_share_all_but_the_group(generator):
    images = torch.rand(64, 3, 16, 16, generator=generator)
    augmentation = build_augmentation(16, rotation=0.5)
    shared = (None, "color", "rotation")
    group = {op.name: op.group for op in augmentation.operations}
    query, free, *inverted = draws_of(views_that_share_the_rest(images, augmentation, generator, shared))
    assert not any(same(query[name], free[name]) for name in query)
    for key, left_out in zip(inverted, shared[1:], strict=True):
        assert {name for name in query if not same(query[name], key[name])} == {
            name for name in query if group[name] == left_out
        }
    right = draws_of(make_views(images, augmentation, generator, shared))
    for key, left_out in zip(right[2:], shared[1:], strict=True):  # the right way round, for comparison
        assert {name for name in query if same(right[0][name], key[name])} == {
            name for name in query if group[name] == left_out
        }


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_wrong_partners_are_named_in_the_label_and_not_in_the_blend(kind, generator):
    mixing, n = IMix(kind=kind), 32
    view = torch.rand(n, 3, 8, 8, generator=generator)
    draw = mixing.sample(n, generator)
    (right,) = mixing.queries(view, draw)
    (wrong,) = WrongPartners(kind=kind).queries(view, draw)
    torch.testing.assert_close(wrong.inputs, right.inputs)
    torch.testing.assert_close(wrong.targets.sum(dim=1), torch.ones(n))
    for i, partner in enumerate(draw.partner.tolist()):
        blamed = int((draw.partner == i).nonzero())  # the image that was blended with this one
        share = 1 - right.targets[i, i]
        if len({i, partner, blamed}) == 3 and share > 0:
            assert right.targets[i, partner] == pytest.approx(float(share), abs=1e-6)
            assert wrong.targets[i, partner] == 0
            assert wrong.targets[i, blamed] == pytest.approx(float(share), abs=1e-6)


def test_no_momentum_makes_the_key_encoder_a_copy(sets):
    method, _ = set_up(failure_case("no-momentum").config(**TINY), sets[0])
    with torch.no_grad():
        for parameter in method.framework.online.parameters():
            parameter.add_(1)
    keys = torch.zeros(16, 1, 8)
    method.framework.update(keys)
    online, target = method.framework.online.parameters(), method.framework.target.parameters()
    for mine, theirs in zip(online, target, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_one_batchnorm_gives_queries_and_keys_of_one_batch_the_same_statistics(sets):
    assert failure_case("batchnorm-leak").control_config().encoder.bn_splits == 2
    method, data = set_up(failure_case("batchnorm-leak").config(**TINY), sets[0])
    view = data.domain.prepare(data.stored[:16])
    (term,) = method.terms([view, view])  # the key encoder still equals the query encoder
    torch.testing.assert_close(term.q, term.keys[:, 0])
    split, _ = set_up(failure_case("batchnorm-leak").control_config(**TINY), sets[0])
    (term,) = split.terms([view, view])  # dealt in another order: another group for the query than for its key
    assert (term.q - term.keys[:, 0]).abs().max() > 0.05


def test_imagenet_stem_leaves_a_quarter_of_the_places():
    images, norm = torch.rand(2, 3, 32, 32), torch.nn.BatchNorm2d
    for backbone, places in ((convnet(norm, (3, 32, 32)), 4), (imagenet_stem(), 2)):
        assert backbone[:-1](images).shape == (2, 256, places, places)
    stem = imagenet_stem()[0]
    assert stem[0].kernel_size == (7, 7)
    assert stem[:1](images).shape[2:] == (16, 16)
    assert stem(images).shape[2:] == (8, 8)


def test_an_unfrozen_probe_trains_the_backbone_and_the_guard_refuses_it(sets):
    train, test = sets
    config = RunConfig.of(**{**CONTROLS["n-pair"], **TINY, "backbone": "convnet"})
    method, _ = set_up(config, train)
    embedder = method.framework.online.eval().requires_grad_(False)
    before = fingerprint(embedder)
    few = unfrozen_probe(embedder, train, train, epochs=0)
    many = unfrozen_probe(embedder, train, train, epochs=8)
    assert many > few + 0.15  # it learns what it is shown
    assert 0 <= unfrozen_probe(embedder, train, test, epochs=0) <= 1
    assert "backbone changed" in guard_message(embedder, train)
    assert fingerprint(embedder) == before
    assert not any(parameter.requires_grad for parameter in embedder.parameters())


def evidence(log=None, curves=None, results=(), invariance=None) -> RunEvidence:
    """Two epochs of a made-up run; the values are those of the last."""
    curves = {name: np.array([9.0, 9.0, value], np.float32) for name, value in (curves or {}).items()}
    film = Film(epochs=np.arange(3), rows=np.arange(4), labels=None, embeddings={}, kept={}, curves=curves)
    metrics = pd.DataFrame({"epoch": [1, 2], **{name: [9.0, value] for name, value in (log or {}).items()}})
    about = {"target": "label", "data": "glyphs", "split": "test", "seed": 0, "device": "cpu"}
    about |= {"train_images": 100, "test_images": 50, "classes": 16}
    made = [Result(encoder=encoder, protocol=name, accuracy=value, **about) for encoder, name, value in results]
    return RunEvidence(
        film=film, metrics=metrics, results=made, invariance=pd.DataFrame() if invariance is None else invariance
    )


def moved(own: float, other: float) -> pd.DataFrame:
    """An invariance table whose own heads move by one fall-off, the others by another."""
    rows = [
        {"augmentation": a, "group": g, "head": head, "fall_off": own if head == g else other}
        for a, g in (("hue", "color"), ("rotation", "rotation"))
        for head in ("backbone", "all", "color", "rotation")
    ]
    return pd.DataFrame(rows)


def proxy(trained: float, honest: float) -> RunEvidence:
    return evidence({"proxy_accuracy_clean": trained}, {"proxy_accuracy": honest})


def read_out(knn: float, linear: float) -> RunEvidence:
    return evidence(results=[("backbone", "knn", knn), ("backbone", "linear-features", linear)])


SIGNATURES = {  # healthy, broken, and their quantities by hand
    "cold-temperature": (
        evidence(curves={"uniformity/all": -2.5}),
        evidence(curves={"uniformity/all": -0.5}),
        -2.5,
        -0.5,
    ),
    "no-momentum": (read_out(0.5, 0.9), read_out(0.25, 0.9), 0.5, 0.25),
    "batchnorm-leak": (proxy(0.25, 0.25), proxy(0.75, 0.25), 0.0, 0.5),
    "wrong-partners": (evidence({"loss_mixed": 2.0}), evidence({"loss_mixed": 2.5}), 2.0, 2.5),
    "imagenet-stem": (read_out(0.6, 0.75), read_out(0.6, 0.5), 0.75, 0.5),
    "same-crop": (proxy(0.25, 0.25), proxy(1.0, 0.125), 0.0, 0.875),
    "inverted-views": (evidence(invariance=moved(0.75, 0.25)), evidence(invariance=moved(0.25, 0.75)), 0.5, -0.5),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_tells_the_broken_run(name):
    healthy, broken, left, right = SIGNATURES[name]
    signature = failure_case(name).signature
    found = signature.read(healthy, broken)
    assert (found.healthy, found.broken) == (pytest.approx(left), pytest.approx(right))
    assert found.shows
    assert not signature.read(broken, healthy).shows
    assert not signature.read(healthy, healthy).shows


def test_the_signature_of_the_unfrozen_probe_is_the_gain_that_vanishes():
    frozen = [("backbone", "linear-features", 0.75), ("random", "linear-features", 0.25)]
    unfrozen = [("backbone", UNFROZEN, 0.875), ("random", UNFROZEN, 0.875)]
    healthy = evidence(results=[*frozen, *unfrozen])
    found = failure_case("unfrozen-probe").signature.read(healthy, healthy.by_protocol(UNFROZEN))
    assert (found.healthy, found.broken, found.shows) == (0.5, 0.0, True)
    with pytest.raises(UserError, match="evaluate the run first"):
        evidence().accuracy()


def test_a_difference_within_the_margin_does_not_show():
    signature = Signature(
        quantity="a quantity", sign=-1, margin=0.1, measure=lambda found: found.last("loss"), share=False
    )
    read = [signature.read(evidence({"loss": 1.0}), evidence({"loss": value})).shows for value in (0.8, 0.95, 1.5)]
    assert read == [True, False, False]
    assert (signature.direction, signature.written(0.256)) == ("lower", "0.26")
    assert Signature(quantity="a share", sign=1, margin=0.1, measure=signature.measure).written(0.256) == "25.6 %"
    with pytest.raises(UserError, match="loss"):
        evidence({"loss": 1.0}).curve("los")


def test_a_case_trains_both_runs_once_and_compares_them(sets, tmp_path):
    story, out = failure_case("inverted-views"), tmp_path / "failure-cases.json"
    table, (first,) = run_cases([story], tmp_path, sets, out, **TINY)
    assert json.loads(out.read_text("utf-8")) == table
    assert table["against"] == {"healthy-n-pair+looc": None, "inverted-views": "healthy-n-pair+looc"}
    assert {row["measure"] for row in table["rows"]} == {
        "linear-features: label",
        "knn: label",
        story.signature.quantity,
    }
    assert reading_of(story, table) == first.reading
    healthy, broken = first.runs
    assert healthy.config == broken.config
    assert not np.allclose(healthy.metrics["loss"], broken.metrics["loss"])  # as the views were others
    assert set(first.broken.invariance["head"]) == {"backbone", "all", "color", "rotation"}
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    assert run_cases([story], tmp_path, sets, out, **TINY)[0] == table
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")} == stamps

    assert load_case(story, tmp_path).reading == first.reading
    with pytest.raises(UserError, match="python -m mixviz failures same-crop"):
        load_case(failure_case("same-crop"), tmp_path)

    small = export_small(broken, tmp_path / "kept")
    assert {path.name for path in small.path.iterdir()} == {
        "config.json", "environment.json", "metrics.csv", "evaluation.json", "film.npz", INVARIANCE
    }  # fmt: skip
    assert story.signature.measure(RunEvidence.of(small)) == story.signature.measure(first.broken)


def test_an_evaluation_needs_no_run_of_its_own(sets, tmp_path):
    case = failure_case("unfrozen-probe")
    table, (found,) = run_cases([case], tmp_path, sets, tmp_path / "failure-cases.json", **TINY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failure-cases.json", "healthy-n-pair"]
    assert reading_of(case, table).broken == pytest.approx(found.reading.broken)
    assert "backbone changed" in found.guard_message
    assert load_case(case, tmp_path).reading == found.reading
    known = {(result.encoder, result.label) for result in Run(tmp_path / "healthy-n-pair").results}
    assert known >= {(e, p) for e in ("backbone", "random") for p in ("linear-features", UNFROZEN)}


def test_a_reduced_film_keeps_the_nearest_cosines_and_says_how_much_it_keeps():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 40, 8)) * np.array([4, 3, 2, 0, 0, 0, 0, 0])
    points = (points @ np.linalg.qr(rng.normal(size=(8, 8)))[0]).astype(np.float16)  # three directions, turned
    half = np.full(3, 0.5, np.float32)
    film = Film(
        epochs=np.arange(3),
        rows=np.arange(40),
        labels=None,
        embeddings={"all": points},
        kept={"all": half},
        curves={"loss": half},
    )
    small = reduced(film, 3)
    assert small.embeddings["all"].shape == (3, 40, 3)
    assert small.embeddings["all"].dtype == np.float16
    np.testing.assert_allclose(small.kept["all"], half, atol=1e-4)
    for before, after in zip(points.astype(float), small.embeddings["all"].astype(float), strict=True):
        np.testing.assert_allclose(after @ after.T, before @ before.T, atol=0.3)  # float16 of up to 100
    one = reduced(film, 1).kept["all"]
    exact = [np.linalg.svd(frame.astype(float), compute_uv=False) ** 2 for frame in points]
    np.testing.assert_allclose(one, [0.5 * values[0] / values.sum() for values in exact], rtol=1e-3)
