"""``evaluate`` on the command line: every protocol, the prism, what is kept, and refusals."""

import numpy as np
import pandas as pd
import pytest

from mixviz.__main__ import main
from mixviz.runs import Run

SMALL = ["--epochs", "1", "--batch-size", "16", "--queue-length", "32", "--bn-splits", "2", "--dim", "8"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 80 training and 40 test images of three colours."""
    root = tmp_path_factory.mktemp("root")
    random, arrays = np.random.default_rng(0), {}
    for prefix, n in [("", 80), ("test_", 40)]:
        labels = random.integers(0, 3, n)
        images = random.integers(0, 60, (n, 16, 16, 3))
        images[np.arange(n), :, :, labels] += 150
        arrays |= {f"{prefix}images": images.astype(np.uint8), f"{prefix}labels": labels}
    np.savez(root / "colours.npz", **arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXVIZ_DATA", str(root / "data"))
        train = ["train", "--data", f"numpy:{root / 'colours.npz'}", "--name", "run", "--hidden", "16", "--quiet"]
        assert main([*train, *SMALL]) == 0
        yield Run.open("run")


def kept(run):
    return [(row["protocol"], row["encoder"]) for row in run.results]


def test_without_a_protocol_the_quick_ones_are_read_out_and_kept_once(run):
    for _ in range(2):
        assert main(["evaluate", "run", "--random"]) == 0
    expected = [(name, encoder) for encoder in ("backbone", "random") for name in ("linear-features", "knn")]
    assert kept(run) == expected
    assert {row["run"] for row in run.results} == {"run"}
    assert run.results[0]["versions"]["torch"]


def test_any_protocol_with_its_options(run, capsys):
    names = ["knn:k=3,layer=head", "linear-augmented:scale=0.02", "linear-online:epochs=1", "logistic"]
    assert main(["evaluate", "run", "--protocol", *names]) == 0
    labels = ["knn (layer head, k 3)", "linear-augmented (scale 0.02)", "linear-online (epochs 1)", "logistic"]
    assert [name for name, _ in kept(run)][-4:] == labels
    assert all(label in capsys.readouterr().out for label in labels[:1])


def test_what_is_best_on_test_is_shown_and_not_kept(run, capsys):
    before = kept(run)
    assert main(["evaluate", "run", "--protocol", "linear-features:epoch=best-on-test"]) == 0
    shown = capsys.readouterr().out
    assert "linear-features (epoch best-on-test)" in shown
    assert "not kept in evaluation.json" in shown
    assert kept(run) == before


def test_the_prism_is_written_beside_the_results(run, capsys):
    before = kept(run)
    assert main(["evaluate", "run", "--prism", "--scale", "0.02"]) == 0
    assert "from " in capsys.readouterr().out
    table = pd.read_csv(run.path / "prism.csv")
    assert set(table["run"]) == {"run"}
    assert {"linear, stored features", "kNN 200, τ 0.1, head"} <= set(table["reading"])
    assert kept(run) == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--protocol", "knn:k=0"], "knn: k 0: input should be greater"),
        (["--protocol", "knn:n=0"], "unknown option of knn 'n'"),
        (["--prism", "--scale", "0"], "--scale 0"),
    ],
)
def test_refusals(run, capsys, words, reason):
    assert main(["evaluate", "run", *words]) == 2
    assert reason in capsys.readouterr().err
