"""``evaluate`` on the command line: every protocol, other data, spaces, compared protocols, what is kept."""

import numpy as np
import pandas as pd
import pytest

from mixviz.__main__ import main
from mixviz.commands.evaluate import show
from mixviz.confusion import Confusion
from mixviz.evaluate.storage import with_confusions, with_tables
from mixviz.result import Result
from mixviz.runs import Run

SMALL = ["--epochs", "1", "--batch-size", "16", "--queue-length", "32", "--bn-splits", "2", "--dim", "8"]


def save_colours(path, size=16, added=150):
    """80 training and 40 test images of three colours."""
    random, arrays = np.random.default_rng(0), {}
    for prefix, n in [("", 80), ("test_", 40)]:
        labels = random.integers(0, 3, n)
        images = random.integers(0, 60, (n, size, size, 3))
        images[np.arange(n), :, :, labels] += added
        arrays |= {f"{prefix}images": images.astype(np.uint8), f"{prefix}labels": labels}
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on these, by LooC with a space for colour."""
    root = tmp_path_factory.mktemp("root")
    save_colours(root / "colours.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXVIZ_DATA", str(root / "data"))
        train = ["train", "--data", f"numpy:{root / 'colours.npz'}", "--name", "run", "--hidden", "16", "--quiet"]
        train += ["--mixing", "looc"]
        assert main([*train, *SMALL]) == 0
        yield Run.open("run")


def kept(run):
    return [(result.label, result.encoder) for result in run.results]


def test_without_a_protocol_the_quick_ones_are_read_out_and_kept_once(run):
    for _ in range(2):
        assert main(["evaluate", "run", "--random"]) == 0
    expected = [(name, encoder) for encoder in ("backbone", "random") for name in ("linear-features", "knn")]
    assert kept(run) == expected
    assert {result.run for result in run.results} == {"run"}
    assert run.results[0].versions["torch"]


def test_any_protocol_with_its_options(run, capsys):
    names = ["knn:k=3,layer=head", "linear-augmented:scale=0.02", "linear-online:epochs=1", "logistic"]
    assert main(["evaluate", "run", "--protocol", *names]) == 0
    shown = capsys.readouterr().out
    labels = ["knn (layer head, k 3)", "linear-augmented (scale 0.02)", "linear-online (epochs 1)", "logistic"]
    assert [name for name, _ in kept(run)][-4:] == labels
    assert labels[0] in shown
    assert "note: of 40 test images, so an accuracy may be off by 15 points" in shown


def test_a_large_class_is_named_beside_an_accuracy_that_it_flatters(capsys):
    about = {"encoder": "backbone", "target": "label", "data": "x", "split": "test", "seed": 0, "device": "cpu"}
    about |= {"train_images": 9, "test_images": 20, "classes": 2, "accuracy": 0.95, "protocol": "knn"}
    for rare, noted in ((1, True), (9, False)):
        confusion = Confusion(np.array([[20 - rare, 0], [rare, 0]]), ("sound", "ill"))
        show([Result(**about, confusion=confusion)], classes=False)
        said = "note: 95.0% of the test images have label sound, which an encoder that knows nothing gets right too"
        assert (said in capsys.readouterr().out) == noted


def test_what_is_best_on_test_is_shown_and_not_kept(run, capsys):
    before = kept(run)
    assert main(["evaluate", "run", "--protocol", "linear-features:epoch=best-on-test"]) == 0
    shown = capsys.readouterr().out
    assert "linear-features (epoch best-on-test)" in shown
    assert "not stored in evaluation.json" in shown
    assert kept(run) == before


def test_few_labels_are_results_like_every_other(run, capsys):
    assert main(["evaluate", "run", "--protocol", "few-shot", "few-shot:shots=2,trials=4", "few-labels:share=0.2"]) == 0
    rows = {result.label: result for result in run.results}
    few, part = rows["few-shot (shots 2, trials 4)"], rows["few-labels (share 0.2)"]
    assert few.settings["low"] <= few.accuracy <= few.settings["high"]
    assert (few.data, few.split, few.seed, part.settings["share"]) == ("numpy:colours", "test", 0, 0.2)
    half = 50 * (few.settings["high"] - few.settings["low"])
    assert f"{few.accuracy:.1%} ± {half:.1f}" in capsys.readouterr().out
    (first, second) = with_tables(run.path, run.results, "few-shot")
    assert (len(first.table), len(second.table)) == (10, 4)
    assert second.table["accuracy"].mean() == pytest.approx(few.accuracy)


def test_corruptions_are_a_table_and_their_mean_a_result(run, capsys):
    name = "corruptions:kinds=fog/motion_blur,severities=1/5"
    for _ in range(2):
        assert main(["evaluate", "run", "--protocol", "linear-features", name]) == 0
    shown = capsys.readouterr().out
    (mean,) = with_tables(run.path, run.results, "corruptions")
    table = mean.table
    assert list(zip(table["kind"], table["severity"], strict=True))[1:] == [
        ("fog", 1), ("fog", 5), ("motion_blur", 1), ("motion_blur", 5)
    ]  # fmt: skip
    assert mean.label == "corruptions (kinds fog/motion_blur, severities 1/5)"
    assert mean.accuracy == pytest.approx(table["accuracy"][1:].mean())
    assert mean.settings["clean"] == table["accuracy"][0] == run.own_results()["linear-features"].accuracy
    cells = [f"{100 * value:.1f}" for value in table["accuracy"][3:]]
    assert ["motion", "blur", *cells] in [line.split() for line in shown.splitlines()]


def test_class_by_class(run, capsys):
    assert main(["evaluate", "run", "--protocol", "knn", "few-shot", "--classes"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    (result,) = with_confusions(run.path, run.results)
    confusion = result.confusion
    assert (result.label, confusion.names) == ("knn", ("0", "1", "2"))
    assert confusion.accuracy == result.accuracy
    for row in confusion.per_class().itertuples():
        assert [row[1], f"{row.images}", f"{100 * row.accuracy:.1f}"] in shown


def test_transfer_is_read_out_on_the_other_data_in_the_run_s_size(run, capsys, tmp_path):
    before = kept(run)
    save_colours(tmp_path / "larger.npz", size=24, added=60)
    words = [
        "--transfer",
        f"numpy:{tmp_path / 'larger.npz'}",
        "--random",
        "--protocol",
        "knn",
        "linear-augmented:scale=0.01",
    ]
    assert main(["evaluate", "run", *words]) == 0
    assert "numpy:larger: 80 training and 40 test images" in capsys.readouterr().out
    rows = run.results[len(before) :]
    assert kept(run)[: len(before)] == before  # nothing of the run's own data was replaced
    assert [row.encoder for row in rows] == ["backbone"] * 2 + ["random"] * 2
    assert {(row.data, row.target) for row in rows} == {("numpy:larger", "label")}
    assert {row.settings["encoder_trained_on"] for row in rows} == {"numpy:colours"}
    assert {result.data for result in run.own_results().values()} == {"numpy:colours"}
    capsys.readouterr()
    assert main(["compare", "run"]) == 0
    shown = capsys.readouterr().out
    assert "numpy:colours" in shown
    assert "numpy:larger" in shown


def test_spaces_singly_together_and_with_the_backbone(run, capsys):
    before = kept(run)
    assert main(["evaluate", "run", "--spaces", "--protocol", "knn"]) == 0
    names = ["space all", "space color", "all spaces", "backbone + all spaces"]
    assert kept(run) == [*before, *[("knn", name) for name in names]]
    assert "backbone + all spaces" in capsys.readouterr().out


def test_the_comparison_is_written_next_to_the_results(run, capsys):
    before = kept(run)
    assert main(["evaluate", "run", "--compare-protocols", "--scale", "0.02"]) == 0
    assert "from " in capsys.readouterr().out
    table = pd.read_csv(run.path / "protocols.csv")
    assert set(table["run"]) == {"run"}
    assert {"linear, stored features", "kNN 200, τ 0.1, head"} <= set(table["reading"])
    assert kept(run) == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--protocol", "knn:k=0"], "knn: k 0: input should be greater"),
        (["--protocol", "knn:n=0"], "unknown option of knn 'n'"),
        (["--compare-protocols", "--scale", "0"], "--scale 0"),
        (["--protocol", "few-shot:shots=50"], "50 labels per class were requested"),
        (["--protocol", "few-labels:share=0.01"], "too few to choose settings on"),
        (["--protocol", "corruptions:kinds=frog"], "corruptions: kinds frog: input should be 'gaussian_noise'"),
        (["--transfer", "cifar"], "unknown data set 'cifar'"),
        (["--transfer", "own"], "trained on numpy:colours itself"),
        (["--spaces", "--protocol", "corruptions"], "evaluate the encoder"),
        (["--spaces", "--transfer", "glyphs"], "not allowed with argument"),
        (["--spaces", "--random"], "--random evaluates the backbone only"),
    ],
)
def test_refusals(run, capsys, words, reason):
    words = [run.config.data.data if word == "own" else word for word in words]
    assert main(["evaluate", "run", *words]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.splitlines()) == 1
