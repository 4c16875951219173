"""Recipes: every arm is a good config, shares are the papers', and both scales run end to end on small images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mixviz.build import build_embedder, hold_out
from mixviz.config import RunConfig
from mixviz.data import Dataset, load
from mixviz.domains import inputs_of
from mixviz.environment import commit, processor
from mixviz.errors import UserError
from mixviz.experiments.claims.findings import read_findings
from mixviz.experiments.reproduced import reproduced_rows
from mixviz.experiments.running import Progress, run_experiment
from mixviz.experiments.study import ARMS
from mixviz.experiments.tables import SCALES, measures, recipe, run_name, slug, tables_of
from mixviz.experiments.tables.measures import MEASURES, measures_of, train_to_test, transfer, turn
from mixviz.experiments.tables.planning import plan, runs_of
from mixviz.experiments.tables.recipes import ROWS_AND_SOUNDS
from mixviz.experiments.tasks import load_data
from mixviz.frameworks import STALE
from mixviz.runs import Run
from mixviz.train import train

SMALL = {"epochs": 2, "batch_size": 16, "queue_length": 32, "bn_splits": 2, "dim": 8, "hidden": 16, "film_frames": 0}
METHOD = ("mixing", "mixco_", "imix_", "mochi_", "looc_", "oracle", "rotation", "framework")
EVERY = [
    (table, scale, data)
    for scale in SCALES
    for data in (None, "cifar10", "tiny-imagenet", *(ROWS_AND_SOUNDS if scale == "laptop" else ()))
    for table in tables_of(scale, data)
]


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_colours):
    """numpy:PATH of 80 training and 40 test images of three colours."""
    return write_colours(tmp_path_factory.mktemp("data") / "colours.npz", 80)


@pytest.mark.parametrize(("table", "scale", "data"), EVERY)
def test_every_arm_is_a_good_config_and_differs_from_its_base_in_the_method_only(table, scale, data):
    made = recipe(table, scale, data)
    configs = {arm.name: arm.config(1) for arm in made.arms}
    assert len(configs) == len(made.arms)
    assert len({config.data.data for config in configs.values()}) == 1
    for arm in made.arms:
        if arm.against is not None:
            one, other = configs[arm.name].flat(), configs[arm.against].flat()
            different = [name for name in one if one[name] != other[name]]
            assert different
            assert all(name.startswith(METHOD) for name in different), (arm.name, different)
    last = [arm for arm in made.arms if "of the data" not in arm.name][-1]  # of a share there are more epochs
    assert made.config.train.epochs == configs[last.name].train.epochs


def test_rows_and_sounds_are_seen_as_often_whatever_the_share():
    for data in ("covtype", "fsdd"):
        arms = {arm.name: arm.config(1).flat() for arm in recipe("domains-table", data=data).arms}
        whole = arms["n-pair"]
        for share in (0.1, 0.3):
            part = arms[f"n-pair + imix ({share:.0%} of the data)"]
            assert part["train_images"] == round(share * whole["train_images"])
            assert part["train_images"] * part["epochs"] == pytest.approx(
                whole["train_images"] * whole["epochs"], rel=0.01
            )
        noise, nothing = arms["byol + imix (noise only)"], arms["byol + imix (no augmentation)"]
        assert (noise["imix_inputmix"], nothing["imix_inputmix"]) == (0, 2)
    few = next(arm for arm in recipe("imix-table", data="digits").arms if "few" in arm.name).config(1).flat()
    assert (few["train_images"], few["epochs"]) == (512, 140)  # two batches are the least


@pytest.mark.parametrize(
    ("table", "scale", "data", "message"),
    [
        ("domains-table", "laptop", "cifar10", "domains-table is of tables and sounds: give --data digits"),
        ("looc-table", "laptop", "digits", "looc-table turns and recolours images"),
        ("domains-table", "gpu", "fsdd", "--data fsdd has only a laptop schedule: leave out --scale gpu"),
    ],
)
def test_a_table_of_other_data_is_refused(table, scale, data, message):
    with pytest.raises(UserError, match=f"^{message}"):
        recipe(table, scale, data)


def test_arms_under_other_conditions_have_them_in_common_with_their_base():
    arms = {arm.name: arm.config(1).flat() for arm in recipe("imix-table", data="cifar10").arms}
    assert arms["moco-v2 (short)"]["epochs"] == arms["moco-v2 + imix (short)"]["epochs"] == 5
    few = arms["moco-v2 + imix (few images)"]
    assert (few["train_images"], few["epochs"]) == (1000, 200)  # as many steps as the 10,000 in 20 epochs
    narrow = [arm.config(1) for arm in recipe("mixco-table", data="cifar10").arms if "narrow" in arm.name]
    assert [config.encoder.backbone for config in narrow] == ["convnet-narrow"] * 2
    assert not [arm for arm in recipe("mixco-table", "gpu").arms if "narrow" in arm.name]


@pytest.mark.parametrize(("table", "scale", "data"), EVERY)
def test_no_recipe_has_a_stale_queue_or_small_groups(table, scale, data):
    for config in [arm.config(1) for arm in recipe(table, scale, data).arms]:
        assert config.staleness <= STALE
        assert config.encoder.bn_splits == 1 or config.train.batch_size // config.encoder.bn_splits >= 64


def test_schedules_are_those_that_the_docstring_names():
    flat = recipe("mixco-table", "gpu").arms[1].config(1).flat()
    wanted = {"data": "tiny-imagenet", "backbone": "resnet18", "epochs": 100, "queue_length": 16384, "temperature": 0.2}
    wanted |= {"momentum": 0.999, "mixco_temperature": 0.05, "batch_size": 256, "lr": 0.03, "weight_decay": 1e-4}
    assert {name: flat[name] for name in wanted} == wanted
    flat = recipe("mochi-table", "gpu").arms[1].config(1).flat()
    wanted = {"data": "cifar10", "epochs": 200, "batch_size": 512, "lr": 0.06, "temperature": 0.1, "momentum": 0.99}
    wanted |= {"queue_length": 4096, "weight_decay": 5e-4, "blur": 0.0}
    assert {name: flat[name] for name in wanted} == wanted


def test_glyph_arms_have_the_settings_of_the_study():
    for arm in recipe("combinations").arms[:4]:
        (twin,) = [other for other in ARMS if other.name == arm.name]
        flat, study = arm.config(1).flat(), twin.config(1).flat()
        mine = [name for name in flat if name.startswith(tuple(f"{mixing}_" for mixing in study["mixing"]))]
        shared = ("data", "epochs", "batch_size", "lr", "momentum", "queue_length", "temperature", "hue", "projector")
        assert {name: flat[name] for name in (*shared, *mine)} == {name: study[name] for name in (*shared, *mine)}


def test_mochi_keeps_the_paper_s_shares_of_the_queue():
    paper = {
        "moco-v2 + mochi": (1024, 1024, 128),
        "moco-v2 + mochi (more towards the query)": (1024, 256, 512),
        "moco-v2 + mochi (fewer pairs)": (1024, 128, 256),
    }
    for length in (16384, 4096):
        arms = {arm.name: arm for arm in recipe("mochi-table", queue_length=length).arms}
        for name, sizes in paper.items():
            mochi = arms[name].config(1).method.mochi
            assert (mochi.hardest, mochi.pairs, mochi.towards_query) == tuple(n * length // 16384 for n in sizes)


def test_combinations_cover_every_pair_of_seams():
    mixings = [set(arm.config(1).method.mixing) for arm in recipe("combinations").arms]
    pairs = [{"mochi", "mixco"}, {"mochi", "imix"}, {"imix", "looc"}, {"mixco", "looc"}, {"mochi", "looc"}]
    assert all(wanted in mixings for wanted in [*pairs, {"mochi", "mixco", "looc"}])


def test_tables_share_the_runs_that_they_have_in_common():
    recipes = [recipe(table) for table in tables_of("laptop", None)]
    arms = list(runs_of(recipes, (1, 2)))
    names = [run_name(config) for *_, configs in arms for config in configs]
    assert len(names) == len(set(names)) < 2 * sum(len(one.arms) for one in recipes)
    assert (
        sum(name.startswith("glyphs-moco-v2-") and name.endswith("-seed1") for name in names) == 4
    )  # plain, oracle, bare, short
    of_name = {}
    for one in recipes:
        for arm in one.arms:
            assert of_name.setdefault(run_name(arm.config(1)), arm.config(1)) == arm.config(1)
    assert run_name(recipe("mixco-table", epochs=2).config) != run_name(recipes[0].config)
    assert slug(recipe("mixco-table", data="parquet:x/y", data_name="CIFAR-10 (JPEG)").config) == "cifar-10-jpeg"


def test_unknown_names():
    with pytest.raises(UserError, match="did you mean 'mochi-table'"):
        recipe("mochi-tabel")
    with pytest.raises(UserError, match="unknown scale"):
        recipe("mochi-table", "phone")


def test_turned_images_come_with_how_they_were_turned():
    images = np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3)
    found = turn(Dataset(name="x", split="train", stored=images, labels=np.arange(6)))
    assert found.factors["rotation"].tolist() == np.random.default_rng(0).integers(0, 4, 6).tolist()
    for before, after, quarters in zip(images, found.stored, found.factors["rotation"], strict=True):
        for _ in range(quarters):  # by hand: what was at the right edge comes to the top
            before = before.transpose(1, 0, 2)[::-1]
        assert (before == after).all()
    assert found.labels.tolist() == list(range(6))


def small(table: str, scale: str, data: str, **changes):
    return recipe(table, scale, data, **{**SMALL, **changes})


def test_a_laptop_table_end_to_end_and_where_it_was_cut(data, tmp_path, monkeypatch):
    made = small("mixco-table", "laptop", data)
    made = replace(made, arms=made.arms[:3], measures=())
    sets, out = load_data(made.config.data), tmp_path / "table.json"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "begin", interrupt_at(4))
        with pytest.raises(KeyboardInterrupt):
            run_experiment(made, (1, 2), tmp_path, sets, out)
    first = json.loads(out.read_text())
    assert {row["seed"] for row in first["rows"]} == {1}  # what is done is written
    left = plan([made], (1, 2), tmp_path, sets)
    assert [(e.epochs, e.readouts) for e in left] == [(2, 1), (2, 1), (2, 1)]
    assert {e.known_from for e in left} == {"finished epochs"}
    assert all(e.minutes > 0 for e in left)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*seed1/evaluation.json")}
    assert len(finished) == 3
    table = run_experiment(made, (1, 2), tmp_path, sets, out)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished  # nothing was done twice
    assert json.loads(out.read_text()) == table
    assert [(e.epochs, e.readouts, e.minutes) for e in plan([made], (1, 2), tmp_path, sets)] == [(0, 0, 0.0)] * 3
    assert len(table["rows"]) == 3 * 2 * 2
    run = Run(tmp_path / table["rows"][0]["run"])
    kept = {result.label: 100 * result.accuracy for result in run.results}
    assert [row["value"] for row in table["rows"][:2]] == [kept["linear-features"], kept["knn"]]
    made, about = run.read_json("environment.json"), table["runs"][0]
    assert [about[name] for name in ("commit", "read_out_by")] == [commit(), commit()]
    assert about["minutes"] == pytest.approx(run.metrics["seconds"].sum() / 60, abs=1e-3)
    assert [about[name] for name in ("processor", "dtype", "threads")] == [processor(), made["dtype"], 1]
    assert (table["commit"], table["processor"], table["dtype"]) == (commit(), processor(), made["dtype"])
    assert table["packages"]["torch"]
    assert [(one["arm"], one["seed"]) for one in table["runs"]] == [(arm, s) for s in (1, 2) for arm in table["arms"]]
    caption, header, rows = reproduced_rows(table)
    assert "MixCo on MoCo-v2" in caption
    assert [len(row) for row in rows] == [len(header)] * 3
    (found,) = read_findings(tmp_path, [out]).compare("moco-v2 + mixco", "moco-v2", "knn: label")
    assert found.seeds == 2


def interrupt_at(n: int):
    calls, begin = [], Progress.begin

    def interrupted(self, task):
        calls.append(task)
        if len(calls) == n:
            raise KeyboardInterrupt
        begin(self, task)

    return interrupted


@pytest.mark.slow
def test_a_gpu_table_end_to_end_on_resnet18(data, tmp_path):
    made = small("looc-table", "gpu", data, epochs=1, image_size=8)
    made = replace(made, arms=(made.arms[1], made.arms[3]), measures=())
    sets = load_data(made.config.data)
    estimates = plan([made], (1,), tmp_path, sets)
    assert {e.known_from for e in estimates} == {"a few steps"}
    assert all(e.seconds_an_epoch > 0 and e.seconds_a_readout > 0 for e in estimates)
    assert not list(tmp_path.iterdir())  # a plan leaves nothing behind
    table = run_experiment(made, (1,), tmp_path, sets, tmp_path / "table.json")
    assert table["network"] == "resnet18"
    assert {row["measure"] for row in table["rows"]} == {
        f"{protocol}: {target}" for protocol in ("linear-features", "knn") for target in ("label", "rotation")
    }
    assert table["against"]["moco-v2 + looc (turned)"] == "moco-v2 (turned)"


def test_the_frechet_distance_is_measured_for_i_mix(data, tmp_path):
    made = small("imix-table", "laptop", data, epochs=1)
    made = replace(made, arms=made.arms[:1])
    sets = load_data(made.config.data)
    table = run_experiment(made, (1,), tmp_path, sets, tmp_path / "table.json")
    (distance,) = [row["value"] for row in table["rows"] if row["measure"] == "Fréchet distance"]
    assert distance > 0


def test_the_frechet_distance_leaves_out_what_was_held_out(data, tmp_path):
    """Against the very images that were trained on it is 0, and what was held out is none of them."""
    made = small("imix-table", "laptop", data)
    train, _ = load_data(made.config.data)
    embedder = build_embedder(made.config, *inputs_of(train)).eval()
    held, kept = hold_out(len(train), 8)
    assert train_to_test(embedder, (train, train.select(kept)), 8) == pytest.approx(0, abs=1e-6)
    blank = replace(train, stored=train.stored.copy())
    blank.stored[held] = 0  # would be seen, were they counted
    assert train_to_test(embedder, (blank, train.select(kept)), 8) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_sees_all_classes_of_a_sorted_set(monkeypatch):
    seen, images = [], np.zeros((6000, 1, 1, 3), np.uint8)
    sets = [
        Dataset(name="sorted", split=split, stored=images, labels=np.repeat(np.arange(20), 300))
        for split in ("train", "test")
    ]
    monkeypatch.setattr(measures, "extract", lambda _, part: seen.append(part.labels) or torch.eye(8)[part.labels % 8])
    train_to_test(None, sets, 600)
    assert [np.abs(np.bincount(labels) - 100).max() < 10 for labels in seen] == [True, True]
    assert [len(labels) for labels in seen] == [2000, 2000]


def test_blends_are_read_without_a_temperature_too(data, tmp_path):
    made = small("imix-table", "laptop", data, epochs=1)
    arm = next(arm for arm in made.arms if arm.name == "byol + imix")
    sets = load_data(made.config.data)
    run = train(arm.config(1), "run", sets[0], tmp_path, progress=False)
    found = measures_of(run, ("blends",), sets)
    assert found.keys() == {"fitted calibration error", "balance error", "monotonicity"}


def test_transfer_is_to_images_that_the_encoder_was_not_trained_on(tmp_path):
    for data in ("digits", "optical-digits"):  # rows, and the very images
        run = Run.create(RunConfig.of(data=data), data, tmp_path)
        assert transfer(run, tuple(load(data, split) for split in ("train", "test"))) == {}


CLEAN = ("linear-features: label, clean statistics", "knn: label, clean statistics")
EXPECTED = {
    (): ("uniformity: head", "proxy accuracy", "false negatives, last", "few-shot: label", *CLEAN),
    ("mochi",): ("proxy accuracy, real negatives", "effective negatives, first", "class alignment: backbone"),
    ("mixco",): ("calibration error", "balance error", "linear-features: label of optical digits", *CLEAN),
    ("looc",): ("knn: rotation, rotation", "knn: rotation, all", "fall-off rotation: rotation"),
}


@pytest.mark.parametrize("mixing", EXPECTED, ids=str)
def test_measures_are_numbers_and_kept_next_to_the_run(data, tmp_path, mixing):
    settings = {"mixing": mixing, "rotation": 0.5, "looc_left_out": ["rotation"], "mochi_hardest": 8}
    made = small("mixco-table", "laptop", data, film_frames=3, **settings)
    made = replace(made, measures=tuple(MEASURES))
    sets = load_data(made.config.data)
    run = train(made.config, "run", sets[0], tmp_path, progress=False)
    found = measures_of(run, made.measures, sets)
    assert found.keys() >= set(EXPECTED[mixing])
    assert all(np.isfinite(value) for value in found.values())
    kept = json.loads((run.path / "measures.json").read_text())
    assert found == {name: value for measure in made.measures for name, value in kept[measure].items()}
    kept["few labels"] = {"few-shot: label": -1.0}
    (run.path / "measures.json").write_text(json.dumps(kept))
    assert measures_of(run, ("few labels",), sets) == {"few-shot: label": -1.0}  # read, not computed again
