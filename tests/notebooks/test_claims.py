"""What notebooks say of their numbers is true of the numbers in their files; nbval sees to it that these hold.

Where a number is not in a table but in a picture or in a widget, it is computed from what that shows.
"""

import re
from importlib import import_module

import nbformat
import numpy as np
import pytest
from normalise import FOLDER, drives_of, with_drives

from mixviz.lessons.findings import claims_table
from mixviz.widgets.film import CIFAR
from mixviz.widgets.networks import find

Table = list[list[str]]  # rows of cells, the header first


def cells(name: str) -> list[nbformat.NotebookNode]:
    return with_drives(FOLDER / f"{name}.ipynb").cells


def outputs(name: str, kind: str) -> list[str]:
    """What the cells of a notebook show as one kind of data."""
    return [output.get("data", {}).get(kind, "") for cell in cells(name) for output in cell.get("outputs", [])]


def texts(name: str) -> list[str]:
    return outputs(name, "text/plain")


def tables(name: str, *words: str) -> list[Table]:
    """The tables of a notebook in which all these words stand."""
    found = [html for html in outputs(name, "text/html") if "<table" in html and all(word in html for word in words)]
    return [
        [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)]
        for html in found
    ]


def says(name: str, sentence: str) -> bool:
    """Whether the prose has this sentence, or the answer of a question, so that no test of it is left behind."""
    (lesson,) = re.findall(
        r"from mixviz.lessons import (\w+) as lesson", "\n".join(cell.source for cell in cells(name))
    )
    answers = [question.why for question in import_module(f"mixviz.lessons.{lesson}").QUESTIONS]
    return any(sentence in text for text in [*answers, *(c.source for c in cells(name) if c.cell_type == "markdown")])


def seen(name: str, widget: str) -> list[str]:
    """The lines that a widget says when it is driven."""
    return drives_of(FOLDER / f"{name}.ipynb")[widget][0]["data"]["text/plain"].splitlines()


def numbers(row: list[str]) -> list[float]:
    return [float(cell) for cell in row if re.fullmatch(r"[-+]?[\d.]+", cell)]


def test_training_teaches_shape_and_weakens_hue():
    assert [line.split() for line in seen("00_start_here", "probe")[-3:]] == [
        ["hue", "well", "weakened"],
        ["orientation", "poorly", "taught"],
        ["shape", "poorly", "taught"],
    ]
    assert says("00_start_here", "the probe read it well from the untrained network, and reads it far worse now")


def test_switched_off_a_mixing_is_its_base_and_mochi_takes_over_the_push():
    (same,) = [text for text in texts("01_one_table") if "MoCHi at s = s′ = 0" in text]
    assert [line.split()[-1] for line in same.splitlines()[:3]] == ["True"] * 3
    from mixviz.analysis.targets import mean_mass
    from mixviz.widgets import ContrastTable

    assert says("01_one_table", "MoCHi's synthetic negatives take over half of the push")
    shares = mean_mass(ContrastTable(framework="moco-v2", mixing="mochi").result.table)["gradient_share"]
    assert shares["own key"] == pytest.approx(0.5, abs=0.01)
    assert shares["synthetic"] > shares["queue"]


def test_ever_fewer_negatives_carry_the_probability():
    film = find(CIFAR[0]).film
    ranks = np.array(film.about["ranks"])
    last = film.curve("hardness")[-1]
    shares = np.exp(np.interp(np.log(np.arange(1, ranks[-1] + 1)), np.log(ranks), np.log(last)))
    shares /= shares.sum()
    assert says("02_hard_negatives", "the hardest ten of the queue's 512 negatives have about half")
    assert len(shares) == 512
    assert 0.45 < shares[:10].sum() < 0.55
    assert says("02_hard_negatives", "all those beyond the hundredth less than a tenth")
    assert shares[100:].sum() < 0.1
    effective = film.curve("effective_negatives")
    assert says("02_hard_negatives", "two hundred after the first epoch, in the end a third of them")
    assert effective[1] == pytest.approx(200, rel=0.05)
    assert effective[-1] == pytest.approx(effective[1] / 3, rel=0.05)
    assert says("02_hard_negatives", "of the hardest about one in six is false")
    assert film.curve("false_negatives")[1:] == pytest.approx(1 / 6, abs=0.02)


def test_fewer_of_the_further_negatives_are_false():
    from mixviz.widgets import HardnessMicroscope

    rates = HardnessMicroscope().result.rates
    assert says("02_hard_negatives", "about a third of the hardest sixteen or fewer, then less and less often")
    assert all(0.28 < rates[n - 1] < 0.38 for n in (1, 2, 4, 8, 16))
    assert (np.diff(rates[[n - 1 for n in (8, 16, 32, 64, 128, 256)]]) < 0).all()
    assert says("02_hard_negatives", "less than a sixth of the hardest 256")
    assert rates[255] < 1 / 6


def test_the_mochi_film_is_harder_and_not_wider():
    base, mochi = (find(name).film for name in CIFAR[:2])
    real, counted = mochi.curve("proxy_accuracy")[-1], mochi.curve("proxy_accuracy_with_synthetic")[-1]
    assert says("02_hard_negatives", "11 % at the end where 26 % rank first among real negatives")
    assert (round(100 * counted), round(100 * real)) == (11, 26)
    assert says("02_hard_negatives", "in this run nothing is spread wider")
    assert mochi.curve("uniformity/all")[-1] > base.curve("uniformity/all")[-1]


@pytest.mark.parametrize("name", ["02_hard_negatives", "03_semi_positives"])
def test_three_short_trainings_settle_nothing(name):
    (table,) = tables(name, "≈")
    live = [row for row in table[1:] if "here" in row[0]]
    assert len(live) == 2
    assert all(row[-1] == "≈ not settled" for row in live)
    widths = [float(high) - float(low) for low, high in (re.findall(r"[-+][\d.]+", row[4])[1:] for row in table[1:])]
    assert min(widths[:2]) > 2 * max(widths[2:])  # than of the long runs


def test_positive_cosines_of_a_mixture_grow_when_it_is_normalised():
    from torch import Generator, randn
    from torch.nn.functional import normalize

    query, first, second = normalize(randn(3, 500, 8, generator=Generator().manual_seed(0)), dim=2)
    mixed = 0.3 * first + 0.7 * second
    before, after = ((query * points).sum(1) for points in (mixed, normalize(mixed, dim=1)))
    assert says("02_hard_negatives", "normalising to unit length increases every positive cosine")
    assert (after[before > 0] > before[before > 0]).all()
    assert (after[before < 0] < before[before < 0]).all()  # so it is not true of all


def test_alignment_is_best_before_training():
    assert says("06_space", "Before anything was learned")
    assert seen("06_space", "best")[1] == "committed: measured epoch: 0"


def test_no_mean_gain_of_mochi_is_as_large_as_the_papers():
    rows = [line.split() for line in seen("02_hard_negatives", "gain")[-4:]]
    assert says("02_hard_negatives", "Here no mean is as far from zero, and the intervals of the linear ")
    means, lows, highs = (
        [float(re.findall(r"[-+]\d+\.\d", " ".join(row))[place]) for row in rows] for place in (0, 1, 2)
    )
    assert all(abs(mean) < 1 for mean in means)
    linear = ["linear-features" in row for row in rows]
    assert all(low < 0 < high for low, high, one in zip(lows, highs, linear, strict=True) if one)


def test_a_gain_on_photographs_is_not_found_on_digits():
    rows = {tuple(line.split()[1:4]): line for line in seen("04_virtual_labels", "transfer")[-4:]}
    assert says("04_virtual_labels", "On the photographs that the encoders were trained on, all three seeds gain")
    for words, line in rows.items():
        assert line.split()[-1] == ("settled" if "digits" in words else "higher")


def test_the_luckiest_guess_is_better_than_one_in_sixteen():
    luckiest = float(seen("07_linear_evaluation", "luckiest")[1].split()[-2])
    assert says("07_linear_evaluation", "That is what *best on test* adds, out of nothing")
    assert luckiest > 100 / 16 + 1


def test_blends_are_read_as_well_by_the_network_that_saw_none():
    (table,) = tables("03_semi_positives", "error at its best τ")
    fixed, best = np.array([numbers(row[1:])[:2] for row in table[1:]]).T
    assert says("03_semi_positives", "i-Mix has the lowest error, and MixCo a slightly lower one than its base")
    assert fixed[0] > fixed[1] > fixed[2]
    assert says("03_semi_positives", "The lines have nearly the same depth")
    assert np.ptp(best) < 0.005 < np.ptp(fixed)
    temperatures = [numbers(row[1:])[2] for row in table[1:]]
    assert says("03_semi_positives", "i-Mix's is moved to the left")
    assert temperatures[2] < min(temperatures[:2])


def test_without_augmentation_imix_with_inputmix_gains():
    (facts,) = [text.splitlines()[:-1] for text in texts("04_virtual_labels") if "fewer directions" in text]
    assert [line.split()[-1] for line in facts] == ["True"] * 4 + ["False"]
    (table,) = tables("04_virtual_labels", "≈")
    assert says("04_virtual_labels", "By the linear probe the gain is large, on three short seeds as in the long runs")
    assert [row[-1].removeprefix("≈ ") for row in table[1:] if row[1] == "linear-features"] == ["higher"] * 2
    assert all("no augmentation" in cell.source for cell in cells("04_virtual_labels") if "SEEDS, REAL" in cell.source)


def test_each_head_follows_its_own_change():
    from mixviz.widgets import InvarianceFingerprint

    found = InvarianceFingerprint("glyphs-n-pair+looc-turned-seed1", panel="fingerprint").result.table
    moved = found.pivot(index="augmentation", columns="head", values="fall_off")
    notebook = "05_what_should_not_be_contrastive"
    assert says(notebook, "Blur hardly moves any head")
    assert moved.loc["blur"].max() < 0.05
    assert says(
        notebook, 'a crop moves the backbone half as far as a different image would, and the head "all" about a'
    )
    assert moved.loc["crop", "backbone"] == pytest.approx(0.5, abs=0.05)
    assert moved.loc["crop", "all"] == pytest.approx(0.25, abs=0.05)
    assert says(notebook, "moves every head about as far as a different image, and the backbone more than twice as far")
    assert moved.loc["texture", ["all", "color", "rotation"]].between(0.8, 1.2).all()
    assert moved.loc["texture", "backbone"] > 2
    assert moved.loc["rotation"].drop("backbone").idxmax() == "rotation"
    assert moved.loc["hue"].drop("backbone").idxmax() == moved.loc["grayscale"].drop("backbone").idxmax() == "color"


def test_looc_keeps_the_hue_here_and_in_the_long_runs():
    notebook = "05_what_should_not_be_contrastive"
    (table,) = tables(notebook, "≈")
    verdicts = {(row[0].rpartition(", ")[2], row[1]): row[-1].removeprefix("≈ ") for row in table[1:]}
    assert says(notebook, "The hue: every seed keeps it with LooC")
    for runs in ("here", "as recorded"):
        assert verdicts[runs, "hue, linear-features"] == verdicts[runs, "hue, knn"] == "higher"
        assert verdicts[runs, "orientation, linear-features"] == verdicts[runs, "orientation, knn"] == "not settled"
    assert verdicts["here", "shape, linear-features"] != "higher"
    assert verdicts["here", "shape, knn"] == "lower"
    assert verdicts["as recorded", "shape, linear-features"] == "higher"


def test_heads_and_backbones_know_what_the_notebook_says():
    notebook = "05_what_should_not_be_contrastive"
    heads = [line.split() for line in seen(notebook, "heads")[-4:]]
    assert [row[0] for row in heads] == ["all", "backbone", "color", "rotation"]
    shape, hue, orientation = ({row[0]: float(row[place]) for row in heads} for place in (1, 2, 3))
    assert says(notebook, "The head for colour reads the hue without a mistake, and nothing of the orientation")
    assert hue["color"] > 0.99
    assert orientation["color"] < 0.3
    assert says(notebook, "it is also the best at shapes")
    assert max(shape, key=shape.get) == max(orientation, key=orientation.get) == "rotation"


def test_a_small_temperature_spreads_least_and_the_lowest_loss_has_the_worst_embedding():
    (table,) = tables("06_space", "<th>0.05</th>", "purity")
    values = [numbers(row)[-3:] for row in table[2:]]
    assert says("06_space", "But the smallest spreads least")
    assert says(
        "06_space", "**Purity**, the share of the ten nearest neighbours that have the image's class, says what"
    )
    for start in (0, 3):
        uniformity = [row[1] for row in values[start : start + 3]]
        assert max(uniformity) == uniformity[0]
    assert values[0][2] < min(values[1][2], values[2][2])
    (trials,) = tables("06_space", "<th>neither</th>")
    loss, _, uniformity, purity = zip(*(numbers(row[1:]) for row in trials[1:]), strict=True)
    assert says("06_space", "The lowest loss comes with the worst embedding")
    assert loss[0] == min(loss)
    assert uniformity[0] == max(uniformity)
    assert purity[0] == min(purity)


def test_films_end_where_the_notebook_says():
    (table,) = [table for table in tables("06_space", "moco-v2 + looc") if "alignment/all" in table[0]]
    ends = {row[0]: numbers(row[1:]) for row in table[1:]}
    base, mochi, imix = (ends[name] for name in ("moco-v2", "moco-v2 + mochi", "moco-v2 + imix"))
    assert says("06_space", "MoCHi spreads less than its base, and uses more directions")
    assert mochi[1] > base[1]
    assert mochi[2] > base[2]
    assert says("06_space", "i-Mix goes less far")
    assert imix[1] > mochi[1]
    assert says("06_space", "kNN differs by a few points at most")
    assert np.ptp([row[3] for row in ends.values()]) <= 0.05


def test_training_makes_shape_easier_to_read_and_hue_harder():
    (table,) = tables("07_linear_evaluation", "<th>untrained</th>", "<th>knn</th>")
    before, after = (
        dict(zip(zip(table[0][1:], table[1][1:], strict=True), numbers(row[1:]), strict=True)) for row in table[-2:]
    )
    assert says("07_linear_evaluation", "Training made the shape easier to read and the hue harder")
    for (target, _), value in before.items():
        change = after[next(key for key in after if key[0] == target)] - value
        assert change != 0
    for key, value in before.items():
        assert (after[key] > value) == (key[0] == "shape")


def test_protocols_disagree_about_one_checkpoint_as_the_notebook_says():
    (table,) = tables("07_linear_evaluation", "kNN 200, τ 0.1, head")
    points = {row[0]: numbers(row[1:2])[0] for row in table[1:] if len(row) > 1 and numbers(row[1:2])}
    reference = 81.8
    assert says("07_linear_evaluation", "kNN with 200 neighbours reads it twice as well at the head")
    head, backbone = (reference + points[f"kNN 200, τ 0.1{place}"] for place in (", head", ""))
    assert head / backbone == pytest.approx(2, abs=0.2)
    assert any(
        f"reference {reference}" in cell.outputs[0].data["text/plain"]
        for cell in cells("07_linear_evaluation")
        if "drive()" in cell.source
    )
    chances = next(text for text in texts("07_linear_evaluation") if "Name: chance" in text)
    assert says("07_linear_evaluation", "A real gain of one point goes unseen by three seeds most of the time")
    assert float(re.search(r"^3 +([\d.]+)", chances, re.MULTILINE)[1]) < 0.5


def test_of_four_pairs_the_loss_does_not_tell_the_broken_run():
    from mixviz.lessons.failures import not_seen_in_the_loss

    ends = [(line[:30], list(map(float, line.split()[-4:]))) for line in seen("08_failure_cases", "fallen")[-9:]]
    assert sum(broken <= healthy for _, (healthy, broken, *_) in ends) == not_seen_in_the_loss.solution
    assert says("08_failure_cases", "several faults leave kNN as it was, and LooC's views the wrong way round even")
    changes = [round(broken - healthy, 2) for _, (*_, healthy, broken) in ends]
    assert sum(abs(change) <= 0.02 for change in changes) == 4
    assert changes[7] > 0.1
    assert says("08_failure_cases", "A large fall is the exception")
    assert sum(change < -0.1 for change in changes) < 4.5
    drive = next(cell.outputs[0].data["text/plain"] for cell in cells("08_failure_cases") if "drive()" in cell.source)
    shown = re.search(r"pair inverted-views: .*?loss in training \[([\d.]+) ([\d.]+)\]", drive)
    looc = next(values[:2] for case, values in ends if case.startswith("LooC"))
    assert sorted(map(float, shown.groups())) == pytest.approx(sorted(looc), abs=0.006)


def test_three_gains_in_accuracy_are_settled_besides_the_oracle_s():
    found = claims_table("MoCHi", "MixCo", "i-Mix", "LooC")
    gains = found[found["it says"].str.contains("gains|points") & found["found here"].str.startswith("+")]
    settled = gains[gains["verdict"] == "direction only"]["it says"]
    assert says("07_linear_evaluation", "Three gains in accuracy are settled in their direction")
    assert says("09_your_own_data", "Three are: i-Mix with InputMix gains where images are not augmented")
    assert settled.tolist() == [
        "MoCo-v2 (class oracle) against MoCo-v2 (+3.8 points)",
        "N-pair + i-Mix against N-pair (+3.6 points)",
        "without augmentation, i-Mix with InputMix gains on MoCo-v2",
        "LooC + rotation against MoCo + rotation, rotation (+21.9 points)",
        "LooC + rotation against MoCo + rotation, top-1 (+0.8 points)",
    ]  # LooC's twice: of orientation and of classes


def test_with_mixco_the_loss_is_higher():
    assert seen("09_your_own_data", "higher")[1].endswith("Higher: there is one more term.")


def test_on_rows_imix_gains_without_augmentation_and_not_with_it():
    (facts,) = [text.splitlines()[:-1] for text in texts("10_without_images") if "untrained network" in text]
    assert [(line.startswith("with dropped"), line.split()[-1]) for line in facts] == [
        (False, "True"),
        (False, "True"),
        (True, "False"),
        (False, "True"),
        (False, "True"),
        (False, "True"),
    ]


def test_on_sounds_neither_network_reads_blends_better_by_their_shares():
    plain, imix = (list(map(float, line.split()[-4:])) for line in seen("10_without_images", "follows")[-2:])
    assert says("10_without_images", "Neither. The network that never saw a blend follows the shares as well")
    assert seen("10_without_images", "follows")[1] == "committed: measured about the same"
    assert abs(plain[0] - imix[0]) <= 0.011  # as rounded
    assert abs(plain[1] - imix[1]) <= 0.011
    assert abs(plain[2] - imix[2]) < 1 < imix[3] - plain[3]
