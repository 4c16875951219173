"""A run whose data were moved or changed: refused in a line that names the flag, with which it goes on."""

import re
import shutil

import numpy as np
import pytest

from mixviz.__main__ import main
from mixviz.errors import MissingData, UserError
from mixviz.runs import Run

SMALL = ["--framework", "n-pair", "--batch-size", "16", "--dim", "8", "--hidden", "16", "--film-frames", "2", "--quiet"]
MOVED = "if the data of run were moved, give --data"
CHANGED = "are not those that run was trained on: .* --changed-data"


def save_colours(path, added):
    """80 training and 40 test images of three colours."""
    random, arrays = np.random.default_rng(0), {}
    for prefix, n in [("", 80), ("test_", 40)]:
        labels = random.integers(0, 3, n)
        images = random.integers(0, 60, (n, 16, 16, 3))
        images[np.arange(n), :, :, labels] += added
        arrays |= {f"{prefix}images": images.astype(np.uint8), f"{prefix}labels": labels}
    np.savez(path, **arrays)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with images and a run on them."""
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    save_colours(tmp_path / "colours.npz", 150)
    assert main(["train", "--data", f"numpy:{tmp_path / 'colours.npz'}", "--name", "run", "--epochs", "1", *SMALL]) == 0
    return tmp_path


@pytest.fixture
def refused(capsys):
    """Whether a command line is refused in a line with this text."""

    def check(said: str, *words: str) -> bool:
        code, line = main([*words]), capsys.readouterr().err.splitlines()[-1]
        return code == 2 and bool(re.search(said, line))

    return check


def test_data_that_were_moved_are_found_by_a_flag(place, refused, monkeypatch):
    moved = ["--data", f"numpy:{place / 'new.npz'}"]
    (place / "colours.npz").rename(place / "new.npz")
    assert refused(MOVED, "report", "run")
    assert refused(MOVED, "evaluate", "run")
    assert main(["evaluate", "run", "--protocol", "knn", *moved]) == 0
    with monkeypatch.context() as patch:  # a whole report takes long
        patch.setattr("mixviz.commands.report.overview", lambda run, *_: run.load_sets())
        patch.setattr("mixviz.commands.report.write_report", lambda _, found: len(found["n-pair"].all_train))
        assert main(["report", "run", *moved]) == 0
    assert [result.data for result in Run.open("run").results] == ["numpy:colours.npz"]
    assert refused(MOVED, "train", "--resume", "run", "--epochs", "2", "--quiet")
    assert main(["train", "--resume", "run", "--epochs", "2", "--quiet", *moved]) == 0
    assert main(["evaluate", "run", "--protocol", "knn"]) == 0
    assert {result.data for result in Run.open("run").results} == {"numpy:colours.npz"}


def test_data_that_changed_are_taken_by_a_flag(place, refused):
    save_colours(place / "colours.npz", 120)
    assert refused(CHANGED, "report", "run")
    assert refused(CHANGED, "evaluate", "run")
    assert main(["evaluate", "run", "--protocol", "knn", "--changed-data"]) == 0
    assert refused(CHANGED, "train", "--resume", "run", "--epochs", "2", "--quiet")
    assert main(["train", "--resume", "run", "--epochs", "2", "--changed-data", "--quiet"]) == 0
    assert main(["evaluate", "run", "--protocol", "knn"]) == 0


def test_other_data_at_another_place_are_refused(place, refused):
    save_colours(place / "other.npz", 90)
    other = ["--data", f"numpy:{place / 'other.npz'}"]
    assert refused(CHANGED, "evaluate", "run", *other)
    assert refused(CHANGED, "train", "--resume", "run", "--epochs", "2", "--quiet", *other)
    assert Run.open("run").config.data.data.endswith("colours.npz")
    assert refused("is tabular data, and the run's are image data", "evaluate", "run", "--data", "digits")
    assert refused("are of runs on csv:PATH", "embed", "run", "glyphs", "--out", str(place / "f.npz"), *other)


def test_a_table_is_embedded_in_the_columns_and_units_of_the_runs_own(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    rows = np.random.default_rng(0).normal(size=(120, 3))
    lines = ["a,b,c,label", *(",".join(map(str, [*row, "xy"[i % 2]])) for i, row in enumerate(rows))]
    for name in ("old.csv", "new.csv"):
        (tmp_path / name).write_text("\n".join(lines))
    assert main(["train", "--data", f"csv:{tmp_path / 'old.csv'}", "--name", "run", "--epochs", "1", *SMALL]) == 0
    embed = ["embed", "run", f"csv:{tmp_path / 'new.csv'}", "--out", str(tmp_path / "f.npz"), "--quiet"]
    assert main(embed) == 0
    (tmp_path / "old.csv").write_text("\n".join(lines[:100]))
    assert refused(CHANGED, *embed)
    assert main([*embed, "--changed-data"]) == 0
    (tmp_path / "old.csv").unlink()
    assert refused(MOVED, *embed)
    assert main([*embed, "--data", f"csv:{tmp_path / 'new.csv'}"]) == 0


def test_a_run_is_opened_with_its_data_elsewhere(place):
    shutil.move(place / "colours.npz", place / "new.npz")
    with pytest.raises(MissingData, match=MOVED):
        Run.open("run").load_sets()
    run = Run.open("run", data=f"numpy:{place / 'new.npz'}")
    assert (len(run.load_sets().all_train), run.config.data.shown) == (80, "numpy:colours.npz")
    save_colours(place / "new.npz", 120)
    with pytest.raises(UserError, match=CHANGED):
        run.load_sets()
    assert len(Run.open("run", data=run.data, changed_data=True).load_sets().test) == 40
