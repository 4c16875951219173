"""Sweeps: which arms a grid makes, what each is compared with, and that its runs are kept and resumed."""

import json

import pytest

from mixviz.__main__ import main
from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments.sweep import sweep, values_of
from mixviz.paths import runs_root
from mixviz.runs import Run

GRID = {"framework": ["n-pair"], "lr": [0.03, 0.1], "mixing": [(), ("imix",)], "imix_alpha": [1, 2]}


def test_every_combination_is_an_arm_but_for_what_it_leaves_idle():
    arms = sweep(GRID).arms
    names = [f"n-pair{m} ({a}lr {lr})" for m, a in [("", "")] for lr in ("0.03", "0.1")]
    assert [arm.name for arm in arms[:2]] == names
    assert len(arms) == 2 + 4
    assert all(("imix_alpha" in arm.settings) == (arm.settings["mixing"] == ("imix",)) for arm in arms)
    assert len({arm.name for arm in arms}) == 6


def test_an_arm_differs_from_its_base_in_one_setting_the_mixing_first():
    arms = {arm.name: arm for arm in sweep(GRID).arms}
    assert [arm.against for arm in arms.values()].count(None) == 1
    for arm in arms.values():
        if arm.against is not None:
            own, base = (RunConfig.of(**part.settings).flat() for part in (arm, arms[arm.against]))
            differing = {name for name in own if own[name] != base[name]}
            expected = {"mixing"} if own["mixing"] else {"lr"}
            assert differing - {"imix_alpha"} == expected


def test_the_folder_of_a_run_follows_from_its_settings_only():
    small, large = sweep(GRID), sweep({**GRID, "lr": [0.1, 0.3], "temperature": [0.2, 0.5]})
    folders = [{made.folder(arm, 1) for arm in made.arms} for made in (small, large)]
    assert [len(names) for names in folders] == [6, 12]
    config = RunConfig.of(framework="n-pair", lr=0.1, seed=1)
    assert config.method.temperature == 0.2
    assert len(folders[0] & folders[1]) == 3  # those of lr 0.1 and the default temperature


def test_what_cannot_be_swept_is_refused():
    with pytest.raises(UserError, match="--imix-alpha would have no effect: it is a setting of imix, which is off"):
        sweep({"imix_alpha": [1, 2]})
    with pytest.raises(UserError, match="the runs of a sweep share their data"):
        sweep({"data": ["digits", "wine"]})
    with pytest.raises(UserError, match="unknown mixing 'imux'"):
        sweep({"mixing": [(), ("imux",)]})


def test_words_of_the_command_line():
    assert values_of("mixing", ["none", "imix", "imix+mochi"]) == [(), ("imix",), ("imix", "mochi")]
    assert values_of("lr", ["0.1", "0.3", "0.1"]) == ["0.1", "0.3"]


def test_from_the_command_line_to_a_paired_comparison(tmp_path, monkeypatch, write_colours, capsys):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    data = write_colours(tmp_path / "colours.npz", 60)
    words = ["sweep", "--data", data, "--framework", "n-pair", "--mixing", "none", "imix", "--epochs", "1"]
    words += ["--batch-size", "16", "--dim", "8", "--film-frames", "0", "--jobs", "1"]
    assert main([*words, "--seed", "1"]) == 0
    runs = sorted((runs_root() / "sweep").glob("*/metrics.csv"))
    assert len(runs) == 2
    before = [path.read_text() for path in runs]
    capsys.readouterr()
    assert main([*words, "--seed", "1", "2"]) == 0
    shown = capsys.readouterr().out
    assert "2 arms x 2 seeds" in shown
    assert "n-pair + imix" in shown
    assert [path.read_text() for path in runs] == before
    table = json.loads((runs_root() / "sweep" / "sweep.json").read_text())
    assert table["against"] == {"n-pair": None, "n-pair + imix": "n-pair"}
    assert [(run["arm"], run["seed"]) for run in table["runs"]] == [
        (arm, seed) for seed in (1, 2) for arm in ("n-pair", "n-pair + imix")
    ]
    one = Run(runs_root() / "sweep" / table["runs"][0]["run"])
    assert one.config == RunConfig.of(
        data=data, framework="n-pair", epochs=1, batch_size=16, dim=8, film_frames=0, seed=1
    )
    assert main([*words, "--seed", "x"]) == 2
    assert "--seed x: give whole numbers" in capsys.readouterr().err
