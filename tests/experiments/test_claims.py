"""The ledger: its rows are well formed, its verdicts follow from result files alone, and the file is up to date."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mixviz.config import RunConfig
from mixviz.errors import UserError
from mixviz.experiments.claims import (
    CLAIM,
    FOUND,
    PATH,
    VERDICTS,
    choose,
    counts,
    departures,
    fill,
    headlines,
    judge,
    mistakes,
    read,
    ways,
    write,
)
from mixviz.experiments.claims import findings as findings_of
from mixviz.experiments.claims.findings import MINUS, Finding, Findings, Observation, Setting, read_findings
from mixviz.experiments.claims.tables import count_rows, headline_tables, ledger_rows, others_tried
from mixviz.experiments.study import CLAIMS, Claim
from mixviz.experiments.study import judge as judge_claims
from mixviz.experiments.tables import SCALES, recipe, tables_of
from mixviz.result import Result
from mixviz.runs import Run

LEDGER = read()
TINY = Setting(data="Tiny ImageNet", network="resnet18", epochs="100", device="GPU", file="data/results/a.json")
GLYPHS = Setting(data="glyphs", network="convnet", epochs="6", device="CPU", file="data/results/b.json")
ROW = dict.fromkeys(CLAIM + FOUND, "") | {
    **{"id": "x", "paper": "MixCo", "where": "Table 1", "claim": "it gains", "method": "MoCo-v2 + MixCo"},
    **{"data": "Tiny ImageNet", "network": "ResNet-18", "epochs": "100", "protocol": "linear"},
    **{"paper_difference": "6.84", "expects": "higher", "evidence": "secondary source"},
    **{"arm": "moco-v2 + mixco", "against": "moco-v2", "measure": "linear-features: label"},
}


def finding(low: float, high: float, seeds: int = 3, setting: Setting = TINY, sign: int | None = None) -> Finding:
    sign = (low > 0) - (high < 0) if sign is None else sign
    return Finding(
        value=60.0,
        base_value=55.0,
        difference=(low + high) / 2,
        low=low,
        high=high,
        seeds=seeds,
        setting=setting,
        sign=sign if seeds >= 3 else 0,
    )


def test_the_ledger_is_up_to_date_with_the_result_files():
    filled = fill(LEDGER, read_findings(PATH.parent))
    different = [old["id"] for old, new in zip(LEDGER, filled, strict=True) if old != new]
    assert not different, "run python -m mixviz ledger --fill"


def test_rows_are_well_formed():
    assert [(row["id"], wrong) for row in LEDGER if (wrong := mistakes(row))] == []
    assert max(Counter(row["id"] for row in LEDGER).values()) == 1
    assert {row["verdict"] for row in LEDGER} <= set(VERDICTS)
    assert set(counts(LEDGER, "verdict")) == {"MixCo", "MoCHi", "LooC", "i-Mix"}
    wrong = mistakes(ROW | {"paper_value": "6,8", "evidence": "sure", "arm": "", "needs": ""})
    assert len(wrong) == 3


def test_a_paper_s_difference_is_that_of_its_two_values():
    place = ("paper", "where", "data", "protocol", "unit")
    values = {(*(row[c] for c in place), row["method"], row["epochs"]): row["paper_value"] for row in LEDGER}
    checked = 0
    for row in LEDGER:
        base = values.get((*(row[c] for c in place), row["base"], row["epochs"]), "")
        if row["paper_value"] and row["paper_difference"] and base:
            assert float(row["paper_value"]) - float(base) == pytest.approx(float(row["paper_difference"]), abs=1e-6)
            assert float(row["paper_difference"]) * {"higher": 1, "lower": -1, "": 0}[row["expects"]] >= 0
            checked += 1
    assert checked > 100


def test_known_figures_of_the_papers_are_there_with_how_sure_they_are():
    by_id = {row["id"]: row for row in LEDGER}
    assert by_id["mixco-tiny-r18-gain"]["paper_difference"] == "6.84"
    assert by_id["mochi-t1-moco-v2-class-oracle"]["evidence"] == "unverified"
    assert by_id["looc-t1-moco-rotation-rotation"]["evidence"] == "secondary source"
    assert by_id["mochi-t2-200-moco-v2-published-ap50"]["evidence"] == "authors' code"
    for row in LEDGER:  # figures that nobody is sure of are left out
        if "no augmentation" in row["method"] or row["where"] == "further tables" or "Fréchet" in row["protocol"]:
            assert row["paper_value"] == row["paper_difference"] == ""


def test_every_tested_claim_has_an_arm_in_a_recipe_or_the_study():
    recipes = [
        recipe(table, scale, data) for scale in SCALES for data in (None, "cifar10") for table in tables_of(scale, data)
    ]
    recipes.append(recipe("domains-table", data="covtype"))
    known = {arm.name for one in recipes for arm in one.arms} | {"supervised"}
    claims = {claim.name for claim in CLAIMS}
    for row in LEDGER:
        for arm, against, measure in ways(row):
            if arm == "study":
                assert (against, measure in claims) == ("", True)
            else:
                assert set(arm.split(MINUS)) | set(against.split(MINUS)) <= known


def test_headline_claims_have_a_rank_in_their_paper_and_a_direction():
    for paper in ("MixCo", "MoCHi", "LooC", "i-Mix"):
        ranked = [row for row in headlines(LEDGER) if row["paper"] == paper]
        assert [row["headline"] for row in ranked] == [str(n) for n in range(1, len(ranked) + 1)]
        assert 5 <= len(ranked) <= 8
        assert all(row["expects"] for row in ranked)
    assert "headline is no rank from 1 to 8" in mistakes(ROW | {"headline": "9"})


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (finding(5.0, 7.0), "reproduced", ""),  # holds the paper's 6.84
        (finding(8.0, 9.0), "reproduced", ""),  # better
        (finding(1.0, 6.8), "direction only", "smaller than the paper's"),
        (finding(5.0, 7.0, setting=GLYPHS), "direction only", "glyphs in place of Tiny ImageNet; convnet in place of"),
        (finding(-7.0, -5.0), "not reproduced", ""),
        (finding(-1.0, 7.0), "not settled", "the interval holds 0"),
        (finding(5.0, 7.0, seeds=2), "not settled", "2 seeds; the least is 3"),
        (finding(math.nan, math.nan, seeds=1), "not settled", "1 seed; the least is 3"),
        (None, "not tried", "no result yet"),
    ],
)
def test_verdicts(found, verdict, reason):
    got, because = judge(ROW, found)
    assert got == verdict
    assert because.startswith(reason)


def test_verdicts_of_a_claim_that_expects_less():
    row = ROW | {"expects": "lower", "paper_difference": "-2"}
    assert judge(row, finding(-3.0, -1.0))[0] == "reproduced"
    assert judge(row, finding(-1.9, -1.0))[0] == "direction only"
    assert judge(row, finding(1.0, 3.0))[0] == "not reproduced"
    assert judge(row | {"paper_difference": ""}, finding(-3.0, -1.0)) == (
        "direction only",
        "the paper's figure is not known",
    )


def test_what_is_needed_is_said():
    row = ROW | {"arm": "", "needs": "object detection"}
    assert judge(row, choose(row, Findings())[0]) == ("not tried", "needs object detection")


def test_departures_from_the_paper_s_setting():
    row = ROW | {"data": "CIFAR-10", "network": "ResNet-50", "epochs": "1000", "arm": "moco-v2 + looc; n-pair + looc"}
    assert departures(row, Setting(data="CIFAR-10 (JPEG)", network="resnet50", epochs="1000", device="", file="")) == []
    assert departures(
        row, Setting(data="CIFAR-10 (JPEG)", network="resnet18", epochs="6 and 8", device="", file=""), 1
    ) == [
        "resnet18 in place of ResNet-50",
        "6 and 8 epochs in place of 1000",
        "n-pair in place of moco-v2",
    ]


def observed(arm: str, values: list[float], setting: Setting) -> list[Observation]:
    return [
        Observation(arm=arm, measure=ROW["measure"], seed=seed, value=value, setting=setting)
        for seed, value in enumerate(values, 1)
    ]


def test_seeds_come_before_the_paper_s_setting_and_that_before_more_seeds():
    def chosen(*groups: list[Observation]) -> Setting:
        return choose(ROW, Findings(tuple(seen for group in groups for seen in group)))[0].setting

    def both(n: int, setting: Setting) -> list[Observation]:
        return observed(ROW["arm"], [1.0] * n, setting) + observed(ROW["against"], [2.0] * n, setting)

    assert chosen(both(1, TINY), both(3, GLYPHS)) == GLYPHS
    assert chosen(both(3, TINY), both(5, GLYPHS)) == TINY
    assert chosen(both(1, TINY), both(2, GLYPHS)) == TINY
    assert choose(ROW, Findings(tuple(observed(ROW["arm"], [1.0], TINY)))) == (None, 0)  # without its base


def test_what_was_found_has_no_say_in_what_is_chosen():
    for good, bad in ((GLYPHS, TINY), (TINY, GLYPHS)):
        seen = observed(ROW["arm"], [9.0, 9.1, 9.2], good) + observed(ROW["against"], [1.0, 1.0, 1.1], good)
        seen += observed(ROW["arm"], [1.0, 1.1, 1.2], bad) + observed(ROW["against"], [9.0, 9.0, 9.1], bad)
        assert choose(ROW, Findings(tuple(seen)))[0].setting == TINY


def test_differences_are_paired_by_seed_with_student_s_interval():
    seen = observed(ROW["arm"], [60.0, 62.0, 61.0, 99.0], TINY) + observed(ROW["against"], [55.0, 56.0, 57.0], TINY)
    row = fill([ROW], Findings(tuple(seen)))[0]
    differences = np.array([5.0, 6.0, 4.0])
    half = 4.302652729911275 * differences.std(ddof=1) / math.sqrt(3)
    assert [float(row[name]) for name in ("value", "base_value", "difference", "low", "high")] == pytest.approx(
        [61, 56, 5, 5 - half, 5 + half], abs=5e-3
    )
    assert (row["seeds"], row["on"], row["file"]) == ("3", "Tiny ImageNet", "data/results/a.json")
    assert row["verdict"] == "reproduced"


def test_filling_leaves_the_claim_unchanged_and_nothing_of_a_former_verdict():
    forged = [row | {"verdict": "reproduced", "difference": "50", "seeds": "9"} for row in LEDGER]
    empty = fill(forged, Findings())
    assert {row["verdict"] for row in empty} == {"not tried"}
    assert all(not row["difference"] for row in empty)
    assert [[row[name] for name in CLAIM] for row in empty] == [[row[name] for name in CLAIM] for row in LEDGER]
    assert fill(empty, Findings()) == empty


def test_the_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "ledger.csv"
    write(LEDGER, path)
    assert read(path) == LEDGER
    assert path.read_bytes() == PATH.read_bytes()
    path.write_text("id,paper\nx,y\n")
    with pytest.raises(UserError, match="does not have the columns"):
        read(path)
    with pytest.raises(UserError, match="cannot read"):
        read(tmp_path / "none.csv")


def chosen(row: dict, *groups: list[Observation]) -> Setting | None:
    finding, _ = choose(row, Findings(tuple(seen for group in groups for seen in group)))
    return finding and finding.setting


def on(data: str, network: str = "convnet", row: dict = ROW) -> list[Observation]:
    setting = Setting(data=data, network=network, epochs="6", device="CPU", file=f"{data}.json")
    return observed(row["arm"], [1.0, 2.0, 3.0], setting) + observed(row["against"], [1.0, 1.0, 1.0], setting)


def test_real_images_come_before_drawn_ones_and_rows_of_a_table_are_no_images():
    glyphs, photographs, rows = on("glyphs"), on("STL-10"), on("CovType", "mlp")
    assert chosen(ROW, glyphs, photographs, rows).data == "STL-10"
    assert chosen(ROW, rows, glyphs).data == "glyphs"
    assert chosen(ROW, rows, on("spoken digits")) is None
    assert chosen(ROW, photographs, on("Tiny ImageNet")).data == "Tiny ImageNet"


def test_a_claim_may_name_the_data_on_which_it_is_tested():
    row = ROW | {"tested_on": "CovType; CIFAR-10"}
    assert chosen(row, on("glyphs"), on("Tiny ImageNet")) is None
    assert chosen(row, on("CIFAR-10 (JPEG)"), on("Tiny ImageNet")).data == "CIFAR-10 (JPEG)"
    assert chosen(row, on("CIFAR-10 (JPEG)"), on("CovType", "mlp")).data == "CovType"


def test_several_ways_of_testing_with_measures_of_their_own():
    row = ROW | {"arm": "moco-v2 + mochi; study", "against": "moco-v2;", "measure": "uniformity: head; in its words"}
    assert ways(row) == [("moco-v2 + mochi", "moco-v2", "uniformity: head"), ("study", "", "in its words")]
    study = Findings((), {"in its words": finding(1.0, 2.0, setting=GLYPHS)})
    assert choose(row, study) == (study.claims["in its words"], 1)
    assert departures(row, GLYPHS, 1)[-1].startswith("6 epochs")  # the study is no other framework
    assert ways(ROW | {"arm": "a; b", "against": "c; d"}) == [("a", "c", ROW["measure"]), ("b", "d", ROW["measure"])]


SMALL, LARGE = ("moco-v2 + mixco (narrow)", "moco-v2 (narrow)"), ("moco-v2 + mixco (wide)", "moco-v2 (wide)")
FOUR = {SMALL[0]: (55.0, 58.0, 54.0), SMALL[1]: (50.0, 51.0, 50.0), LARGE[0]: (71.0, 70.5, 72.0)}
FOUR |= {LARGE[1]: (70.0, 70.0, 70.0)}
INTERACTION = ROW | {"arm": " - ".join(SMALL), "against": " - ".join(LARGE), "paper_difference": ""}


def four(setting: Setting, without: str = "") -> Findings:
    seen = [one for arm, values in FOUR.items() if arm != without for one in observed(arm, list(values), setting)]
    return Findings(tuple(seen))


def test_a_difference_of_two_differences_is_paired_by_seed():
    (found,) = four(TINY).compare(INTERACTION["arm"], INTERACTION["against"], ROW["measure"])
    gains = np.array([[5.0, 7.0, 4.0], [1.0, 0.5, 2.0]])
    of_gains = gains[0] - gains[1]  # 4, 6.5, 2
    half = 4.302652729911275 * of_gains.std(ddof=1) / math.sqrt(3)
    assert (found.value, found.base_value) == pytest.approx(tuple(gains.mean(axis=1)))
    assert (found.difference, found.low, found.high) == pytest.approx(
        (of_gains.mean(), of_gains.mean() - half, of_gains.mean() + half)
    )
    assert (found.seeds, found.sign) == (3, 0)
    assert judge(INTERACTION, found) == ("not settled", "the interval holds 0")
    backwards = four(TINY).compare(INTERACTION["against"], INTERACTION["arm"], ROW["measure"])[0]
    assert backwards.difference == pytest.approx(-found.difference)


@pytest.mark.parametrize("missing", FOUR)
def test_a_difference_of_differences_needs_all_four_arms(missing):
    assert four(TINY, without=missing).compare(INTERACTION["arm"], INTERACTION["against"], ROW["measure"]) == []


def test_a_difference_of_differences_takes_the_seeds_that_all_four_have():
    less = [one for one in four(TINY).observations if (one.arm, one.seed) != (LARGE[1], 2)]
    (found,) = Findings(tuple(less)).compare(INTERACTION["arm"], INTERACTION["against"], ROW["measure"])
    assert (found.seeds, found.difference) == (2, pytest.approx(3.0))


def test_arms_of_one_table_are_compared_across_their_settings_and_those_of_two_files_are_not(tmp_path):
    rows = [
        {"arm": arm, "seed": seed, "measure": "m", "value": value}
        for arm, values in FOUR.items()
        for seed, value in enumerate(values, 1)
    ]
    about = {"network": "convnet", "epochs": 50, "train_images": 2000}
    arms = {arm: about | ({"network": "wide", "epochs": 10} if arm in LARGE else {}) for arm in FOUR}
    table = {"table": "t", "data": "X", "device": "CPU", "rows": rows, "arms": arms, **about}
    put(tmp_path, "reproduce/t.json", table)
    (found,) = read_findings(tmp_path).compare(INTERACTION["arm"], INTERACTION["against"], "m")
    setting = found.setting
    assert (setting.network, setting.epochs, setting.images) == ("convnet and wide", "50 and 10", "2000")
    (found,) = read_findings(tmp_path).compare(*SMALL, "m")
    assert (found.setting.network, found.setting.epochs) == ("convnet", "50")  # of its own arms alone
    put(tmp_path, "reproduce/t.json", table | {"rows": [row for row in rows if row["arm"] in SMALL]})
    put(tmp_path, "reproduce/u.json", table | {"rows": [row for row in rows if row["arm"] in LARGE]})
    assert read_findings(tmp_path).compare(INTERACTION["arm"], INTERACTION["against"], "m") == []


def test_two_measures_of_one_arm_are_compared():
    seen = [
        Observation(arm="moco-v2", measure=name, seed=seed, value=value + seed, setting=TINY)
        for name, value in (("effective negatives, first", 900.0), ("effective negatives, last", 300.0))
        for seed in (1, 2, 3)
    ]
    both = "effective negatives, last against effective negatives, first"
    (found,) = Findings(tuple(seen)).compare("moco-v2", "moco-v2", both)
    assert (found.value, found.base_value, found.difference, found.sign) == (302.0, 902.0, -600.0, -1)


def test_a_difference_is_compared_with_a_difference_only():
    assert mistakes(INTERACTION) == []
    assert "a difference is compared with what is none" in mistakes(INTERACTION | {"against": "moco-v2"})


def make_runs(root: Path) -> None:
    accuracies = {("mixco", 0.05): 0.5, ("mixco", 1.0): 0.6, (None, 0.05): 0.4}
    for (mixing, temperature), accuracy in accuracies.items():
        for seed in (0, 1, 2):
            settings = {"mixing": [mixing] if mixing else [], "mixco_temperature": temperature, "seed": seed}
            run = Run.create(RunConfig.of(**settings, epochs=7), f"{mixing}-{temperature}-{seed}", root)
            result = Result(
                protocol="linear-features",
                encoder="backbone",
                target="label",
                accuracy=accuracy + 0.01 * seed,
                data="X",
                split="test",
                train_images=100,
                test_images=50,
                classes=2,
                seed=seed,
                device="cpu",
            )
            transfer = replace(result, data="Y", accuracy=0.9, settings={"encoder_trained_on": "X"})
            run.add_results([result, replace(result, encoder="random", accuracy=0.1), transfer])


def test_findings_of_run_folders(tmp_path):
    make_runs(tmp_path / "results" / "runs")
    make_runs(tmp_path / "results" / "others")
    make_runs(tmp_path / "recordings")  # a choice of runs, no finding of its own
    found = read_findings(tmp_path).compare("moco-v2 + mixco", "moco-v2", "linear-features: label")
    assert [finding.setting.file for finding in found] == ["data/results/others", "data/results/runs"]
    assert (found[0].setting.epochs, found[0].setting.examples) == ("7", "images")
    assert found[0].value == pytest.approx(51)  # that at the default temperature has the method's name
    assert found[0].difference == pytest.approx(10)
    (other,) = {
        seen.arm for seen in read_findings(tmp_path).observations if seen.arm not in ("moco-v2", "moco-v2 + mixco")
    }
    assert other == "moco-v2 + mixco (mixco_temperature 1.0)"


def put(root: Path, name: str, content: dict) -> None:
    path = root / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


SHOWN, SLIGHT, OPEN = (
    Claim(name=name, paper="LooC", measure=("a", name), against=("b", name), sign=1, margin=20)
    for name in ("c", "d", "e")
)


def test_findings_of_the_study_heed_its_margins(tmp_path, monkeypatch):
    claims = (SHOWN, SLIGHT, OPEN)
    monkeypatch.setattr(findings_of, "CLAIMS", claims)
    monkeypatch.setattr(findings_of, "judge", lambda rows: judge_claims(rows, claims))
    values = {"c": (30.0, 31.0, 29.0), "d": (10.0, 11.0, 9.0), "e": (50.0, -50.0, 60.0)}
    rows = [
        {"arm": arm, "seed": seed, "measure": measure, "value": 20.0 + (gain if arm == "a" else 0.0)}
        for measure, gains in values.items()
        for seed, gain in enumerate(gains, 1)
        for arm in ("a", "b")
    ]
    about = {"network": "convnet", "train_images": 10_000, "batch_size": 128}
    arms = {"a": about | {"epochs": 6}, "b": about | {"epochs": 8}}
    table = about | {"table": "study", "data": "glyphs", "epochs": 6, "device": "CPU, x86", "arms": arms, "rows": rows}
    put(tmp_path, "glyphs-study/study.json", table)
    findings = read_findings(tmp_path)
    (shown,) = findings.study("c")
    assert (shown.value, shown.difference, shown.sign) == pytest.approx((50, 30, 1))
    setting = shown.setting
    assert (setting.data, setting.network, setting.epochs, setting.device, setting.images) == (
        "glyphs",
        "convnet",
        "6 and 8",
        "CPU, x86",
        "10000",
    )
    assert [findings.study(name)[0].sign for name in ("d", "e")] == [0, 0]
    row = ROW | {"arm": "study", "measure": "d"}
    assert judge(row, choose(row, findings)[0]) == ("not settled", "within the margin set beforehand")
    assert findings.study("unknown") == []


def test_findings_of_tables(tmp_path):
    rows = [
        {"arm": arm, "measure": "m", "seed": s, "value": v + s}
        for arm, v in (("a", 5.0), ("b", 2.0))
        for s in (1, 2, 3)
    ]
    table = {"table": "t", "data": "X", "network": "resnet18", "epochs": 3, "device": "GPU", "rows": rows}
    outside = tmp_path.parent / f"{tmp_path.name}.json"
    outside.write_text(json.dumps(table))
    (found,) = read_findings(tmp_path, [outside]).compare("a", "b", "m")
    assert (found.value, found.difference, found.seeds, found.setting.file) == (7, 3, 3, outside.name)
    put(tmp_path, "reproduce/t.json", table)
    inside = tmp_path / "results" / "reproduce" / "t.json"
    assert len(read_findings(tmp_path, [inside]).observations) == len(rows)  # read once
    inside.write_text('{"table": "t"}')
    with pytest.raises(UserError, match="cannot read the results"):
        read_findings(tmp_path)


def test_the_ledger_in_tables():
    seen = observed(ROW["arm"], [6.0, 7.0, 8.0], GLYPHS) + observed("moco-v2", [1.0] * 3, GLYPHS)
    found = fill([ROW], Findings(tuple(seen)))
    found[0]["found_images"] = "2000 and 10000"
    header, (row,) = ledger_rows(found)
    assert len(header) == len(row)
    assert row[0] == "MixCo, Table 1, Tiny ImageNet: it gains"
    assert row[1] == "+6.84 (secondary source)"
    assert row[2] == "+6 [+3.52, +8.48]"
    assert row[3] == "glyphs, 2,000 and 10,000 images, convnet, 6 epochs, 3 seeds, CPU"
    assert row[4] == "direction only"
    assert count_rows(found)[1] == [["MixCo", "0", "1", "0", "0", "0"]]


@pytest.mark.parametrize(("data", "word"), [("CovType", "rows"), ("FSDD", "clips"), ("CIFAR-10", "images")])
def test_training_examples_are_called_by_the_word_of_their_domain(tmp_path, data, word):
    rows = [
        {"arm": arm, "measure": ROW["measure"], "seed": s, "value": v + s}
        for arm, v in ((ROW["arm"], 5.0), (ROW["against"], 2.0))
        for s in (1, 2, 3)
    ]
    table = {"table": "t", "data": data, "examples": word, "train_images": 11_340, "network": "n", "epochs": 3}
    put(tmp_path, "reproduce/t.json", table | {"device": "CPU", "rows": rows})
    _, (shown,) = ledger_rows(fill([ROW | {"tested_on": data}], read_findings(tmp_path)))
    assert shown[3] == f"{data}, 11,340 {word}, n, 3 epochs, 3 seeds, CPU"
    assert word == "images" or "images" not in " ".join(shown)


def test_headline_claims_are_shown_first_in_their_order_tried_or_not():
    empty = dict.fromkeys(FOUND, "") | {"verdict": "not tried", "reason": "needs more"}
    tried = {"verdict": "not settled", "difference": "1", "low": "-1", "high": "3"}
    rows = [
        ROW | empty | {"id": "a", "claim": "second", "headline": "2"},
        ROW | empty | tried | {"id": "b", "claim": "other"},
        ROW | empty | tried | {"id": "c", "claim": "first", "headline": "1"},
        ROW | empty | {"id": "d", "claim": "never tried"},
        ROW | empty | {"id": "e", "claim": "of another", "paper": "LooC", "headline": "1"},
    ]
    tables = headline_tables(rows)
    assert list(tables) == ["MixCo", "LooC"]
    line, (header, cells) = tables["MixCo"]
    assert line == "2 headline claims: 1 not settled, 1 not tried"
    assert [row[0] for row in cells] == ["Table 1, Tiny ImageNet: first", "Table 1, Tiny ImageNet: second"]
    assert cells[1][2:] == ["–", "–", "not tried", "needs more"]
    assert {len(row) for row in cells} == {len(header)}
    assert [row["id"] for row in others_tried(rows)] == ["b"]
    assert tables["LooC"][0] == "1 headline claim: 1 not tried"
