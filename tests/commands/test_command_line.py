"""The command line end to end on small images: train, resume, evaluate, compare, list; and every refusal."""

import json
import os
import platform
import resource
from dataclasses import replace

import numpy as np
import pytest

from mixviz.__main__ import COMMANDS, keep_freed_memory, main
from mixviz.commands.train import describe, summary
from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.paths import runs_root
from mixviz.result import Result
from mixviz.runs import Run

SMALL = {"epochs": 1, "batch-size": 16, "queue-length": 32, "bn-splits": 2, "dim": 8, "hidden": 16}
SMALL = [*[word for name, value in SMALL.items() for word in (f"--{name}", str(value))], "--quiet"]


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))


@pytest.fixture
def data(tmp_path):
    """numpy:PATH of 80 training and 40 test images of four colours."""
    random = np.random.default_rng(0)
    arrays = {}
    for prefix, n in [("", 80), ("test_", 40)]:
        labels = random.integers(0, 3, n)
        images = random.integers(0, 60, (n, 16, 16, 3))
        images[np.arange(n), :, :, labels] += 150
        arrays |= {f"{prefix}images": images.astype(np.uint8), f"{prefix}labels": labels}
    np.savez(tmp_path / "colours.npz", **arrays)
    return f"numpy:{tmp_path / 'colours.npz'}"


def call(*words):
    return main([str(word) for word in words])


def refused(capsys, *words):
    """The one line on stderr of a call that ends with exit code 2."""
    assert call(*words) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


def test_from_training_to_comparison(data, capsys):
    for seed in (0, 1):
        for mixing in ([], ["--mixing", "mixco"]):
            assert call("train", "--data", data, "--seed", seed, *mixing, *SMALL) == 0
    names = sorted(path.name for path in runs_root().iterdir())
    assert names == [f"colours-moco-v2{m}-seed{s}" for m in ("+mixco", "") for s in (0, 1)]
    assert call("evaluate", *names, "--random") == 0
    assert "linear-features" in capsys.readouterr().out
    assert call("compare", *names, "--base", "moco-v2") == 0
    shown = capsys.readouterr().out
    assert "paired differences to moco-v2" in shown
    assert "moco-v2 + mixco" in shown
    assert call("list") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in names)


@pytest.fixture
def three(data):
    """Three runs without an epoch: names and results alone."""
    about = {"data": "colours", "split": "test", "encoder": "backbone", "target": "label", "device": "cpu"}
    about |= {"train_images": 9, "test_images": 3, "classes": 2, "protocol": "knn"}
    for name, mixing, seed, accuracy in [("b", [], 1, 0.5), ("a", ["mixco"], 1, 0.6), ("c", ["mixco"], 2, 0.4)]:
        run = Run.create(RunConfig.of(data=data, mixing=mixing, seed=seed), name)
        run.add_results([Result(accuracy=accuracy, seed=seed, **about)])
        os.utime(run.path / "config.json", (seed, ord(name)))


def first_words(text):
    """Of the lines below the first rule."""
    lines = text.partition("---\n")[2].splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("written")]


def test_runs_are_filtered_sorted_tagged_and_written(three, tmp_path, capsys):
    assert call("list") == 0
    assert first_words(capsys.readouterr().out) == ["a", "b", "c"]
    assert call("list", "--sort", "seed", "--reverse") == 0
    assert first_words(capsys.readouterr().out)[0] == "c"
    for method, names in [("mixco", ["a", "c"]), ("moco-v2", ["a", "b", "c"]), ("moco-v2 + mixco", ["a", "c"])]:
        assert call("list", "--method", method) == 0
        assert first_words(capsys.readouterr().out) == names
    assert call("list", "--data", "nothing") == 0
    assert first_words(capsys.readouterr().out) == []
    assert call("tag", "a", "b", "--add", "good", "old") == 0
    assert call("tag", "a", "--remove", "old") == 0
    assert (runs_root() / "a" / "tags.txt").read_text() == "good\n"
    assert Run(runs_root() / "b").tags == ("good", "old")
    capsys.readouterr()
    assert call("list", "--tag", "good", "old", "--out", tmp_path / "runs.json") == 0
    assert first_words(capsys.readouterr().out) == ["b"]
    (row,) = json.loads((tmp_path / "runs.json").read_text())
    assert (row["run"], row["of"], row["loss"], row["tags"]) == ("b", 20, None, "good old")
    assert call("list", "--out", tmp_path / "runs.csv") == 0
    assert (tmp_path / "runs.csv").read_text().splitlines()[0].startswith("run,method,data,seed,epochs,of,loss")
    capsys.readouterr()
    assert "unknown column 'lose': did you mean 'loss'" in refused(capsys, "list", "--sort", "lose")
    assert "unknown kind of file '.txt'" in refused(capsys, "list", "--out", tmp_path / "runs.txt")
    assert "there is no folder" in refused(capsys, "list", "--below", "sweep")
    assert "is no tag" in refused(capsys, "tag", "a", "--add", "two words")


def test_a_comparison_is_filtered_sorted_and_written(three, tmp_path, capsys):
    assert call("compare", "--base", "moco-v2", "--sort", "knn", "--out", tmp_path / "compared.json") == 0
    assert first_words(capsys.readouterr().out)[:3] == ["c", "b", "a"]
    written = json.loads((tmp_path / "compared.json").read_text())
    assert [row["knn"] for row in written["runs"]] == [0.4, 0.5, 0.6]
    (found,) = written["differences"]
    assert (found["method"], found["base"], found["seeds"], found["low"]) == ("moco-v2 + mixco", "moco-v2", [1], None)
    assert found["mean"] == pytest.approx(0.1)
    assert call("compare", "--method", "mixco", "--out", tmp_path / "compared.csv") == 0
    assert len((tmp_path / "compared.csv").read_text().splitlines()) == 3


def test_a_queue_that_will_be_stale_is_warned_of_in_one_line(data, capsys):
    assert call("train", "--data", data, "--name", "fresh", *SMALL) == 0
    assert capsys.readouterr().err == ""
    assert call("train", "--data", data, "--name", "stale", *SMALL, "--momentum", "0.9") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the queue will be stale")
    assert "--queue-length 16 or --momentum 0.95" in line


def test_resume_of_a_finished_run_says_so(data, capsys):
    assert call("train", "--data", data, "--name", "done", *SMALL) == 0
    assert call("train", "--resume", "done", "--quiet") == 0
    shown = capsys.readouterr().out
    assert "epoch 1" in shown
    assert "\nIs it learning? " in shown


def test_what_is_trained_on_and_what_is_kept_apart_is_said():
    labelled = Dataset(name="x", split="train", stored=np.zeros((242, 8, 8, 3), np.uint8), labels=np.arange(242) % 3)
    own, published = RunConfig.of(data="folder:photos"), RunConfig.of(data="cifar10")
    assert "moco-v2 on 218 images of folder:photos (24 more are held out to watch it" in describe(own, labelled)
    assert "watch it, a fifth of all is kept for evaluate)" in describe(own, labelled)
    for config, images in ((published, labelled), (own, replace(labelled, labels=None))):
        assert "(24 more are held out to watch it)" in describe(config, images)


def test_the_last_line_has_the_last_monitor_whatever_other_epochs_have(tmp_path):
    run = Run.create(RunConfig.of(framework="n-pair"), "gaps", tmp_path)
    row = {"lr": 0.1, "loss": 2.0, "loss_clean": 2.0, "chance_loss": 4.0, "proxy_accuracy_clean": 0.5}
    run.log({"epoch": 1, **row})
    run.log({"epoch": 2, **row, "knn_accuracy": 0.75})
    assert "gaps: epoch 2, loss 2.000, kNN monitor 75.0%" in summary(run)


def test_a_run_is_extended_and_says_what_that_means(data, capsys):
    assert call("train", "--data", data, "--name", "longer", *SMALL) == 0
    capsys.readouterr()
    assert call("train", "--resume", "longer", "--epochs", "3", "--quiet") == 0
    shown = capsys.readouterr().out
    assert "longer is extended from 1 to 3 epochs: from epoch 2 on, the learning rate is that of the cosine" in shown
    assert "longer: epoch 3" in shown
    assert call("train", "--resume", "longer", "--epochs", "3", "--quiet") == 0
    assert "extended" not in capsys.readouterr().out
    assert "fewer than the 3 of the run" in refused(capsys, "train", "--resume", "longer", "--epochs", "2")
    line = refused(capsys, "train", "--resume", "longer", "--epochs", "4", "--lr", "1", "--init", "longer")
    assert line.endswith("leave out --lr, --init")
    file = runs_root() / "longer" / "config.json"
    assert call("train", "--config", file, "--name", "at-once", "--quiet") == 0
    assert Run(runs_root() / "at-once").config.origin.extended == ()
    capsys.readouterr()


def test_a_run_begins_with_anothers_weights(data, capsys):
    assert call("train", "--data", data, "--name", "first", *SMALL, "--backbone", "convnet-narrow") == 0
    assert call("train", "--data", data, "--name", "second", *SMALL, "--init", "first") == 0
    assert "it begins with the weights of first" in capsys.readouterr().out
    second = Run(runs_root() / "second").config
    assert (second.encoder.backbone, second.origin.init) == ("convnet-narrow", "first")
    line = refused(
        capsys, "train", "--data", data, "--name", "third", *SMALL, "--init", "first", "--backbone", "convnet"
    )
    assert "another backbone" in line
    assert not (runs_root() / "third").exists()


def test_a_runs_settings_are_taken_over_and_changed(data, capsys):
    words = [word for word in SMALL if word not in ("--queue-length", "32")]
    assert call("train", "--data", data, "--name", "first", *words, "--framework", "n-pair", "--lr", "0.01") == 0
    file = runs_root() / "first" / "config.json"
    assert call("train", "--config", file, "--name", "same", "--quiet") == 0
    first, same = (Run(runs_root() / name) for name in ("first", "same"))
    assert same.config == first.config
    assert same.metrics["loss"].tolist() == first.metrics["loss"].tolist()
    assert call("train", "--config", file, "--name", "other", "--framework", "moco-v2", "--epochs", "2", "--quiet") == 0
    assert Run(runs_root() / "other").config == first.config.but(framework="moco-v2", epochs=2)
    capsys.readouterr()
    for text, message in [
        ("[1]", "it holds something else"),
        ("{", "it is damaged"),
        ('{"train": {"epoch": 1}}', "epoch"),
    ]:
        file.write_text(text)
        assert message in refused(capsys, "train", "--config", file)


def test_help_lists_ranges_and_defaults(capsys):
    with pytest.raises(SystemExit) as caught:
        call("train", "--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--temperature NUMBER τ; default: the framework's [> 0; default: moco-v2 0.2, simclr 0.5" in text
    assert "--schedule TEXT how the learning rate falls [cosine | step; default: cosine]" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        call(command, "--help")
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m mixviz {command}")


def test_without_a_command_the_commands_are_listed(capsys):
    assert call() == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "unknown command 'trian': did you mean 'train'"),
        (["train", "--epoch", "3"], "unknown flag '--epoch': did you mean '--epochs'"),
        (["train", "cifar10"], "unexpected argument 'cifar10'"),
        (["train", "--epochs"], "expected one argument"),
        (["train", "--epochs", "x"], "--epochs x"),
        (["train", "--framework", "mocov2"], "did you mean 'moco-v2'"),
        (["train", "--mixing", "mixco", "imix"], "both change the queries"),
        (["train", "--mixing", "mochi", "--framework", "byol"], "take MoCHi on moco-v2"),
        (["train", "--mixing", "mixco", "--batch-size", "33"], "make --batch-size even"),
        (["train", "--mixing", "mochi", "--mochi-hardest", "9999"], "take 1024 or fewer"),
        (["train", "--queue-length", "8"], "take 256 or more"),
        (["train", "--temperature", "-1"], "greater than 0"),
        (["train", "--device", "cuda:99"], "take auto or cpu"),
        (["train", "--device", "gpu"], "take auto or cpu"),
        (["train", "--backbone", "resnet19"], "did you mean 'resnet18'"),
        (["train", "--data", "cifar01"], "did you mean 'cifar10"),
        (["train", "--data", "folder:/nowhere"], "/nowhere"),
        (["train", "--resume", "nothing"], "unknown run 'nothing'"),
        (["train", "--init", "nothing"], "unknown run 'nothing'"),
        (["train", "--init", "published"], "--init published is for torchvision:NAME"),
        (["train", "--width", "2", "--backbone", "resnet18"], "it is a setting of convnet, not of resnet18"),
        (["train", "--logger", "tensorbord"], "unknown logger 'tensorbord': did you mean 'tensorboard'"),
        (["train", "--changed-data"], "--changed-data is of --resume"),
        (["train", "--trust"], "--trust is of a run"),
        (["train", "--framework", "simclr", "--queue-length", "512"], "it is a setting of moco-v2, not of simclr"),
        (["train", "--mixco-weight", "0.5"], "mixco, which is off: give --mixing mixco"),
        (["train", "--decay-factor", "0.5"], "give --schedule step"),
        (["train", "--hidden", "64", "--projector", "linear"], "a linear head has no hidden units"),
        (["train", "--hue", "0.5", "--jitter", "0"], "colour jitter, which is off"),
        (["train", "--knn-every", "2", "--holdout", "0"], "give --holdout"),
        (["evaluate"], "the following arguments are required"),
        (["evaluate", "nothing"], "unknown run 'nothing'"),
        (["compare"], "no run has been evaluated"),
        (["tour", "--seeds", "0"], "take 1 or more"),
        (["tour", "--report", "/dev/null/report.html"], "cannot make the folder /dev/null"),
        (["bench", "--out", "/"], "cannot write /"),
        (["bench", "--seconds", "0"], "give a number greater than 0"),
        (["list", "more"], "unexpected argument 'more'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals(words, message, capsys):
    assert message in refused(capsys, *words)
    assert not runs_root().exists() or not any(runs_root().iterdir())


def test_refusals_that_need_data(data, capsys, tmp_path):
    assert "larger than the 72 training images" in refused(capsys, "train", "--data", data, "--batch-size", 256)
    assert call("train", "--data", data, "--name", "run", *SMALL) == 0
    capsys.readouterr()
    assert "the run run exists" in refused(capsys, "train", "--data", data, "--name", "run", *SMALL)
    assert "unknown factor" in refused(capsys, "evaluate", "run", "--target", "hue")
    assert "unknown protocol" in refused(capsys, "evaluate", "run", "--protocol", "svm")


def test_an_unwritable_runs_folder(data, capsys, monkeypatch, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "runs").write_text("in the way")
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "root"))
    assert "cannot write" in refused(capsys, "train", "--data", data, *SMALL)


def test_doctor_finds_everything_here(capsys):
    assert call("doctor") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("python", "torch", "device", "data folder"))


def test_doctor_names_what_is_missing_and_the_cure(capsys, monkeypatch):
    from mixviz.commands import doctor

    def version(name):
        if name == "seaborn":
            raise doctor.PackageNotFoundError
        return "0.1" if name == "pandas" else "99"

    monkeypatch.setattr(doctor, "version", version)
    assert call("doctor") == 1
    shown = capsys.readouterr().out
    assert 'pip install "seaborn' in shown
    assert 'pip install --upgrade "pandas' in shown


def test_an_interrupt_says_how_to_resume(data, capsys, monkeypatch):
    def interrupt(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("mixviz.commands.train.train", interrupt)
    assert call("train", "--data", data, *SMALL) == 130
    assert "--resume" in capsys.readouterr().err


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_freed_memory_is_kept():
    keep_freed_memory()
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.ones(24 * 2**20, np.uint8)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 24 * 2**20 / resource.getpagesize() / 4  # the second time the block is there already
