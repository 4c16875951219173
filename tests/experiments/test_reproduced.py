"""A table of ``reproduce`` in words: what it was made with, how far differences spread, and what is not done yet."""

import json

import numpy as np
import pytest

from mixviz.commands.results import ROOT
from mixviz.experiments.reproduced import further_rows, reproduced_rows
from mixviz.paired import seeds_to_settle

JUDGED = "linear-features: label"
VALUES = {"base": (60.0, 62.0, 61.0), "better": (65.0, 68.0, 64.5), "noisy": (63.0, 61.0, 62.5)}


def run(arm: str, seed: int, **more) -> dict:
    about = {"minutes": 2.0 + 0.5 * seed, "threads": 1, "processor": "AMD EPYC 7763", "dtype": "float32"}
    return {"arm": arm, "seed": seed, "run": f"{arm}-{seed}", **about, **more}


def table(values=VALUES, against=None, **more) -> dict:
    against = against or {"base": None, "better": "base", "noisy": "base"}
    rows = [
        {"arm": arm, "seed": seed, "measure": JUDGED, "value": value, "run": f"{arm}-{seed}"}
        for arm, of_arm in values.items()
        for seed, value in enumerate(of_arm, 1)
    ]
    about = {"network": "convnet", "train_images": 1000, "epochs": 6, "batch_size": 128}
    head = {"title": "T", "source": "S", "data": "X", "test_images": 200, "device": "CPU, x86_64", "against": against}
    return head | about | {"arms": {arm: dict(about) for arm in against}, "rows": rows} | more


def cells(content: dict) -> dict[str, dict[str, str]]:
    _, header, rows = reproduced_rows(content)
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def test_each_difference_has_its_interval_its_spread_and_how_many_seeds_would_settle_it():
    found = cells(table())
    differences = np.array([5.0, 6.0, 3.5])
    assert found["better"]["difference"] == "+4.8 [+1.7, +8.0]"
    assert found["better"]["spread over seeds"] == f"{differences.std(ddof=1):.1f}" == "1.3"
    assert found["better"]["verdict"] == "higher"
    noisy = [3.0, -1.0, 1.5]
    assert found["noisy"]["spread over seeds"] == f"{np.std(noisy, ddof=1):.1f}"
    assert found["noisy"]["verdict"] == f"not settled; about {seeds_to_settle(noisy)} seeds would"
    assert found["base"][JUDGED] == "61.0 ± 1.0"
    assert {found["base"][name] for name in ("against", "difference", "spread over seeds", "verdict")} == {""}


def test_measures_that_are_no_read_outs_have_rows_of_their_own():
    content = table()
    for arm, values in {"base": (0.5, 0.6, 0.4), "better": (0.2, 0.3, 0.1)}.items():
        content["rows"] += [
            {"arm": arm, "seed": seed, "measure": "calibration error", "value": value, "run": f"{arm}-{seed}"}
            for seed, value in enumerate(values, 1)
        ]
    assert "calibration error" not in reproduced_rows(content)[1]
    header, rows = further_rows(content)
    assert [dict(zip(header, row, strict=True)) for row in rows] == [
        {
            **{"measure": "calibration error", "arm": "better", "here": "0.2", "against": "base", "there": "0.5"},
            **{"difference": "-0.3 [-0.3, -0.3]", "verdict": "lower"},
        }
    ]
    assert further_rows(table())[1] == []


def test_what_is_not_done_yet_is_a_dash():
    found = cells(table({"base": (60.0, 62.0), "better": (65.0,)}))
    assert found["better"]["difference"] == "+5.0"
    assert (found["better"]["spread over seeds"], found["better"]["verdict"]) == ("–", "not settled")
    assert [found["noisy"][name] for name in (JUDGED, "difference", "spread over seeds", "verdict")] == ["–"] * 4
    assert "up to 2 seeds" in reproduced_rows(table({"base": (60.0, 62.0), "better": (65.0,)}))[0]
    alone = cells(table({"better": (65.0,)}))
    assert (alone["better"][JUDGED], alone["better"]["difference"], alone["base"][JUDGED]) == ("65.0", "–", "–")


def test_the_caption_says_what_it_was_made_with():
    runs = [run(arm, seed) for arm in VALUES for seed in (1, 2, 3)]
    made = {"processor": "AMD EPYC 7763", "dtype": "float32", "commit": "abc1234", "runs": runs}
    caption = reproduced_rows(table(**made))[0]
    wanted = (
        "CPU, x86_64 (AMD EPYC 7763, float32, 1 thread a run, 2.5 to 3.5 minutes of training a run, commit abc1234)"
    )
    assert wanted in caption
    assert "1,000 training and 200 test images), `convnet`, 6 epochs, batches of 128, 3 seeds, CPU" in caption
    gpu = {"device": "NVIDIA X", "processor": "NVIDIA X", "dtype": "bfloat16"}
    assert "NVIDIA X (bfloat16)." in reproduced_rows(table(**gpu))[0]  # the name once


@pytest.mark.parametrize(
    ("difference", "over_seeds"),
    [(5.5, "+5.0 [+1.7, +8.3]: higher, as before"), (-0.4, "+3.0 [-5.0, +11.0]: not settled, no longer higher")],
)
def test_rounding_is_reported_with_the_verdict_that_it_gives(difference, over_seeds):
    rounding = {"arm": "better", "against": "base", "seed": 1, "changed": "2 threads", "was": 5.0}
    caption = reproduced_rows(table(rounding=rounding | {"difference": difference}))[0]
    assert caption.endswith(
        "better minus base, seed 1, is +5.0; trained again with 2 threads, so that only rounding differs, "
        f"{difference:+.1f}. With the latter, the difference over 3 seeds is {over_seeds}."
    )
    one_seed = {"base": VALUES["base"][:1], "better": VALUES["better"][:1]}
    caption = reproduced_rows(table(one_seed, rounding=rounding | {"difference": difference}))[0]
    assert caption.endswith(f"only rounding differs, {difference:+.1f}.")


def test_what_arms_differ_in_has_a_column_of_its_own():
    content = table()
    content["arms"]["noisy"] |= {"epochs": 2000, "train_images": 500, "network": "resnet18"}
    caption, header, rows = reproduced_rows(content)
    assert header[:5] == ["arm", "network", "training images", "epochs", JUDGED]
    assert rows[0][1:4] == ["convnet", "1,000", "6"]
    assert rows[2][1:4] == ["resnet18", "500", "2,000"]
    assert "X (200 test images), batches of 128, 3 seeds" in caption


@pytest.mark.parametrize("path", sorted((ROOT / "data" / "results" / "reproduce").glob("*.json")), ids=lambda p: p.stem)
def test_the_project_s_own_files_are_shown_whatever_their_age(path):
    content = json.loads(path.read_text("utf-8"))
    _, header, rows = reproduced_rows(content)
    assert [row[0] for row in rows] == list(content["against"])
    assert {len(row) for row in rows} == {len(header)}
    old = {
        name: value for name, value in content.items() if name not in ("arms", "runs", "processor", "dtype", "commit")
    }
    assert "minutes" not in reproduced_rows(old)[0]
