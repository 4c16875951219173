"""The comparison shows the rows that are asked for, the verdict that of the differences that are looked at."""

import json

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mixviz.analysis.verdict import drawn
from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.evaluate.protocol_comparison import NAMED_PROTOCOLS, compare_protocols
from mixviz.paired import mean_interval, seeds_to_settle
from mixviz.pretrained import find
from mixviz.train import train
from mixviz.widgets import ProtocolComparison, SeedVerdict
from mixviz.widgets.controls import stops
from mixviz.widgets.evaluation import TABLES
from mixviz.widgets.networks import GLYPHS


@pytest.fixture(scope="module")
def recorded() -> ProtocolComparison:
    return ProtocolComparison()


@pytest.fixture
def shown(recorded) -> ProtocolComparison:
    return recorded.set(**recorded.defaults)


@pytest.fixture
def seeds() -> SeedVerdict:
    return SeedVerdict({"ours, against base": (1.0, 2.0, 4.5), "theirs, against base": (-0.1, 0.2)})


def test_the_table_of_the_recording_has_all_readings_of_its_checkpoint(shown):
    table = shown.result
    assert table["reading"].tolist() == [reading.name for reading in NAMED_PROTOCOLS]
    results = {label: result.accuracy for label, result in find(GLYPHS).own_results().items()}
    rows = table.set_index("reading")["accuracy"]
    assert rows["linear, stored features"] == pytest.approx(results["linear-features"], abs=0.25)  # of fewer images
    assert rows["kNN 1, cosine"] > 0.5


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"family": "linear"}, lambda r: not r.name.startswith("kNN")),
        ({"family": "nearest neighbours"}, lambda r: r.name.startswith("kNN")),
        ({"peeking": False}, lambda r: not r.selects_on_test),
        ({"head": False}, lambda r: all(one.layer == "backbone" for one in r.protocols)),
        ({"reported_by": "MoCo demo"}, lambda r: r.reported_by == "MoCo demo"),
        ({"reported_by": "i-Mix", "peeking": False}, lambda r: False),
    ],
)
def test_filters_keep_what_they_say_and_the_reference(shown, values, kept):
    wanted = [reading.name for place, reading in enumerate(NAMED_PROTOCOLS) if kept(reading) or place == 0]
    assert shown.set(**values).result["reading"].tolist() == wanted
    assert shown.numbers()["read-outs"] == len(wanted)
    assert shown.caption().count("read-outs") == 1


def test_the_axis_stays_when_readings_are_left_out(shown):
    limits = [draw_axes(shown.set(family=family)).get_xlim() for family in ("all", "linear", "nearest neighbours")]
    shown.set(family="all")
    assert len(set(limits)) == 1


def draw_axes(widget):
    drawn = Figure(figsize=widget.size)
    widget.draw(drawn)
    return drawn.axes[0]


def test_numbers_are_of_the_rows_that_are_shown(shown):
    table = shown.set(family="nearest neighbours").result
    best = table.sort_values("accuracy").iloc[-1]
    assert shown.numbers()["highest"] == f"{best.reading} {best.points:+.1f}"
    assert shown.numbers()["reference"] == 100 * table["accuracy"].iloc[0]


def test_every_control_of_the_comparison_changes_what_is_seen(shown):
    for name, control in shown.controls.items():
        seen = [shown.compute(**(shown.defaults | {name: stop}))["reading"] for stop in stops(control)]
        assert len({tuple(readings) for readings in seen}) > 1, name


def test_a_run_without_a_table_is_read_out_once_on_a_few_images(tmp_path, monkeypatch):
    config = RunConfig.of(framework="n-pair", train_images=400, batch_size=64, epochs=1, film_frames=0, knn_every=0)
    run = train(config, "own", root=tmp_path, progress=False)
    short, calls = NAMED_PROTOCOLS[-3:], []

    def few(source):
        calls.append((len(source.train), len(source.test)))
        return compare_protocols(source, readings=short)

    monkeypatch.setattr("mixviz.widgets.evaluation.compare_protocols", few)
    widget = ProtocolComparison(run, images=200)
    assert widget.result["reading"].tolist() == [reading.name for reading in short]
    assert len(widget.set(peeking=False).result) == 2
    assert "glyphs" in widget.caption()
    ProtocolComparison(str(run.path), images=200)
    assert calls == [(200, 200)]


def test_images_without_labels_are_a_line_in_the_pictures_place(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=pixels, test_images=pixels)
    config = RunConfig.of(
        framework="n-pair", data=f"numpy:{tmp_path / 'own.npz'}", batch_size=16, epochs=1, film_frames=0, knn_every=0
    )
    widget = ProtocolComparison(train(config, "own", root=tmp_path, progress=False))
    assert "has no labels" in widget.problem
    assert widget.picture_widget.value


def test_no_run_is_a_line():
    with pytest.raises(UserError, match="unknown run"):
        ProtocolComparison("glyphs-moco-v3")


def test_pretended_differences_are_drawn_from_the_truth(seeds):
    seeds.set(seeds=7, effect=-1.5, deviation=2.0, draw=4, confidence=0.9, wanted=0.95)
    values = drawn(-1.5, 2.0, 7, 4)
    mean, low, high = mean_interval(values, 0.9)
    found = seeds.numbers()
    assert (found["seeds"], found["mean"], found["interval"]) == (7, mean, [low, high])
    assert found["seeds to settle"] == seeds_to_settle([-3.5, -1.5, 0.5], 0.9, 0.95)


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (2, 2), (40, 3)])
def test_measured_differences_are_as_many_as_there_are(seeds, asked, given):
    seeds.set(source="ours, against base", seeds=asked)
    found = seeds.numbers()
    assert found["seeds"] == given
    assert found["mean"] == pytest.approx(sum((1.0, 2.0, 4.5)[:given]) / given)
    if given > 1:
        assert found["interval"] == list(mean_interval((1.0, 2.0, 4.5)[:given])[1:])
    else:
        assert found["interval"] == "none of one seed"


def test_the_projects_own_tables_are_there():
    names = set()
    for path in TABLES.glob("*.json"):
        table = json.loads(path.read_text(encoding="utf-8"))
        done = {row["arm"] for row in table["rows"]}  # the recipe's other arms are not run yet
        pairs = [(arm, base) for arm, base in table["against"].items() if base and {arm, base} <= done]
        names |= {f"{table['data']}: {arm}, against {base}" for arm, base in pairs}
    widget = SeedVerdict()
    assert set(widget.tables) == names
    assert len(names) >= 6
    name = "CIFAR-10 (JPEG): moco-v2 + mixco, against moco-v2"
    rows = pd.DataFrame(
        json.loads((TABLES / "mixco-table-laptop-cifar-10-jpeg.json").read_text(encoding="utf-8"))["rows"]
    )
    linear = rows[rows["measure"] == "linear-features: label"].pivot(index="seed", columns="arm", values="value")
    assert widget.tables[name] == pytest.approx(tuple(linear["moco-v2 + mixco"] - linear["moco-v2"]))


def test_every_control_of_the_verdict_changes_numbers_or_picture_or_has_no_say(seeds):
    for source in seeds.controls["source"].options:
        seeds.set(**seeds.defaults).set(source=source)
        for name, control in seeds.controls.items():
            if control.disabled or name == "source":
                continue
            before = control.value
            seen = set()
            for stop in stops(control):
                control.value = stop
                seen.add((repr(seeds.numbers()), seeds.picture_widget.value))
            control.value = before
            assert len(seen) > 1, (source, name)
    assert {name for name, control in seeds.controls.items() if control.disabled} == {"effect", "deviation", "draw"}


def test_captions_say_what_is_settled_and_for_what_data(seeds):
    assert "with this truth" in seeds.caption()
    assert "not settled" in seeds.caption()
    assert "higher" in seeds.set(seeds=40).caption()
    said = seeds.set(source="theirs, against base", seeds=1).caption()
    assert said.startswith("Over 1 seed the method is -0.10 points from its base.")
    assert "were mean and deviation the true ones" in said


def test_states_come_back(shown):
    verdict = SeedVerdict(seeds=9, effect=-0.5, confidence=0.99)
    assert SeedVerdict.from_state(verdict.state()).values == verdict.values
    shown.set(family="linear", peeking=False)
    assert ProtocolComparison.from_state(shown.state()).values == shown.values


def test_numbers_of_live_runs_are_how_many_seeds_there_are(seeds):
    live = SeedVerdict(seeds.tables, live=True, source="ours, against base")
    assert live.numbers() == {"seeds": 3}
    assert live.caption() == seeds.set(source="ours, against base").caption()
    assert stops(live.controls["source"]) == list(seeds.tables)
    assert (live.controls["seeds"].max, "draw" in live.controls) == (3, False)
    assert live.set(seeds=2).numbers() == {"seeds": 2}
