"""The run folder: written whole or not at all, found again, described by itself."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from mixviz.build import build_method, dtype_name
from mixviz.config import RunConfig
from mixviz.encoders import Normalise
from mixviz.errors import UserError
from mixviz.result import Result
from mixviz.runs import Run, default_name, list_runs
from mixviz.train import resume

ABOUT = {"encoder": "backbone", "target": "label", "data": "x", "split": "test", "seed": 0, "device": "cpu"}
CONFIG = RunConfig.of(framework="simclr", mixing=["mixco"], epochs=3, seed=7)


MEAN, STD = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)


def result(protocol, accuracy=0.5, **more):
    sizes = {"train_images": 9, "test_images": 3, "classes": 2}
    return Result(protocol=protocol, accuracy=accuracy, **ABOUT, **sizes, **more)


def saved(run):
    method = build_method(run.config, (3, 32, 32), Normalise(MEAN, STD, torch.channels_last))
    run.save_checkpoint({"epoch": 1, "shape": (3, 32, 32), "method": method.state_dict()})
    return method


def test_create_writes_config_and_environment(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    assert run.name == "glyphs-simclr+mixco-seed7"
    assert run.config == CONFIG
    assert run.read_json("environment.json")["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert run.read_json("environment.json")["dtype"] == dtype_name(CONFIG)
    assert run.results == []
    assert run.metrics.empty


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"data": "parquet:/data/CIFAR-10 (x)"}, "cifar-10-x-moco-v2-seed0"),
        ({"data": "folder:my/photos", "mixing": ["mochi", "mixco"]}, "photos-moco-v2+mochi+mixco-seed0"),
        ({"data": "numpy:a/b.npz", "data_name": "My set"}, "my-set-moco-v2-seed0"),
    ],
)
def test_default_names(settings, name):
    assert default_name(RunConfig.of(**settings)) == name


def test_names_of_folders_are_whole_and_their_own(tmp_path, monkeypatch):
    (tmp_path / "photos.v1").mkdir()
    monkeypatch.chdir(tmp_path / "photos.v1")
    for data in ("folder:.", f"folder:{tmp_path / 'photos.v1'}"):
        assert default_name(RunConfig.of(data=data)) == "photos.v1-moco-v2-seed0"


def test_a_run_of_data_of_the_same_name_is_not_to_be_resumed(tmp_path):
    here, there = (RunConfig.of(data=f"folder:{tmp_path / place / 'photos'}", device="cpu") for place in "ab")
    Run.create(here, root=tmp_path)
    with pytest.raises(UserError, match="exists: continue it with --resume"):
        Run.create(here, root=tmp_path)
    with pytest.raises(UserError, match="exists: it has other data: choose another --name"):
        Run.create(there, root=tmp_path)


def test_own_data_of_runs_of_older_versions_are_split_as_before(tmp_path):
    run = Run.create(RunConfig.of(data=f"folder:{tmp_path}", device="cpu"), "new", tmp_path)
    assert run.config.data.split_by == "name"
    path = run.path / "config.json"
    path.write_text(path.read_text("utf-8").replace('"split_by": "name",', ""), "utf-8")
    assert run.config.data.split_by == "row"


def test_an_existing_run_is_not_overwritten(tmp_path):
    run = Run.create(CONFIG, "a", tmp_path)
    before = (run.path / "config.json").read_text()
    with pytest.raises(UserError, match="the run a exists: continue it with --resume"):
        Run.create(RunConfig.of(), "a", tmp_path)
    assert (run.path / "config.json").read_text() == before


@pytest.mark.parametrize("name", ["a/b", "..", "a b", ""])
def test_names_that_are_no_folder_names(tmp_path, name):
    if name == "":
        assert Run.create(CONFIG, name, tmp_path).name == default_name(CONFIG)
        return
    with pytest.raises(UserError, match="is not a valid folder name"):
        Run.create(CONFIG, name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"cannot write .*Not a directory") as caught:
        Run.create(CONFIG, root=tmp_path / "runs")
    assert "\n" not in str(caught.value)


def test_open_by_name_and_by_path_and_unknown(tmp_path):
    run = Run.create(CONFIG, "mine", tmp_path)
    assert Run.open("mine", tmp_path).path == run.path
    assert Run.open(run.path).path == run.path
    with pytest.raises(UserError, match="unknown run 'mien': did you mean 'mine'"):
        Run.open("mien", tmp_path)


def test_log_replaces_rows_of_a_run_that_was_cut(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    for epoch, loss in [(1, 3.0), (2, 2.0), (3, 1.0), (2, 2.5)]:
        run.log({"epoch": epoch, "loss": loss})
    assert run.metrics.to_dict("list") == {"epoch": [1, 2], "loss": [3.0, 2.5]}


def test_log_takes_columns_that_come_later(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    run.log({"epoch": 1, "loss": 3.0})
    run.log({"epoch": 2, "loss": 2.0, "knn_accuracy": 0.5})
    assert run.metrics["knn_accuracy"].isna().tolist() == [True, False]


def test_encoder_comes_back_with_its_weights_frozen(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    method = saved(run)
    with torch.no_grad():
        for parameter in method.framework.online.parameters():
            parameter.add_(0.01)
    run.save_checkpoint({"epoch": 1, "shape": (3, 32, 32), "method": method.state_dict()})
    images = torch.rand(3, 3, 32, 32)
    encoder = run.encoder()
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())
    expected = method.framework.online.eval().features(images)
    torch.testing.assert_close(encoder.features(images), expected, rtol=0, atol=0)


def test_checkpoints_of_older_runs_are_read(tmp_path):
    """They keep the size of their square images, and call the statistics of the data otherwise."""
    run = Run.create(CONFIG, root=tmp_path)
    method, images = saved(run).eval(), torch.rand(3, 3, 32, 32)
    renamed = {name.replace("normalise.", ""): tensor for name, tensor in method.state_dict().items()}
    run.save_checkpoint({"epoch": 1, "image_size": 32, "method": renamed})
    expected = method.framework.online.features(images)
    torch.testing.assert_close(run.encoder().features(images), expected, rtol=0, atol=0)
    torch.testing.assert_close(run.encoder(trained=False).features(images), expected, rtol=0, atol=0)
    torch.testing.assert_close(run.method().framework.online.features(images), expected, rtol=0, atol=0)


def test_untrained_encoder_is_the_initial_one_with_the_data_statistics(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    initial = saved(run).framework.online.eval()
    images = torch.rand(3, 3, 32, 32)
    expected = initial.features(images)
    method = build_method(run.config, (3, 32, 32), Normalise(MEAN, STD, torch.channels_last))
    with torch.no_grad():
        method.framework.online.backbone[0][0].weight.zero_()
    run.save_checkpoint({"epoch": 1, "shape": (3, 32, 32), "method": method.state_dict()})
    torch.testing.assert_close(run.encoder(trained=False).features(images), expected, rtol=0, atol=0)


def test_no_checkpoint_and_a_damaged_one(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    with pytest.raises(UserError, match="has no checkpoint yet"):
        run.encoder()
    (run.path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is damaged") as caught:
        run.encoder()
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_last_good_file(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    saved(run)
    before = (run.path / "checkpoint.pt").read_bytes()
    with pytest.raises(AttributeError):
        run.save_checkpoint({"epoch": 2, "method": lambda: None})  # cannot be pickled
    assert (run.path / "checkpoint.pt").read_bytes() == before


def test_a_damaged_checkpoint_costs_one_epoch(tmp_path, monkeypatch, capsys):
    run, flushed = Run.create(CONFIG, root=tmp_path), []
    with monkeypatch.context() as patch:
        patch.setattr("mixviz.files._flush", lambda path: flushed.append(path.name))
        for epoch in (1, 2, 3):
            run.save_checkpoint({"epoch": epoch, "shape": (3, 32, 32), "method": {}})
    assert len(flushed) == 6  # each time the file before it gets its name, and then the folder
    (run.path / "checkpoint.pt").write_bytes(b"cut off")
    state = run.rewind()
    assert state is not None
    assert state["epoch"] == 2
    assert "is damaged" in (said := capsys.readouterr().err)
    assert "resuming from the epoch before" in said
    assert run.load_checkpoint()["epoch"] == 2


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    with run.locked():
        with pytest.raises(UserError, match=rf"is in use by process {os.getpid()} on .*: wait until"):
            resume(Run(run.path), progress=False)
        with pytest.raises(UserError, match="exists: continue it"):
            Run.create(CONFIG, root=tmp_path)
    with run.locked():
        pass


def test_results_take_the_place_of_older_ones(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    knn = result(protocol="knn", accuracy=0.1)
    run.add_results([knn, replace(knn, target="hue"), replace(knn, options={"k": 5}), replace(knn, data="other")])
    run.add_results([replace(knn, accuracy=0.2, date="later")])
    assert [(r.data, r.label, r.target, r.accuracy) for r in run.results] == [
        ("x", "knn", "hue", 0.1),
        ("x", "knn (k 5)", "label", 0.1),
        ("other", "knn", "label", 0.1),
        ("x", "knn", "label", 0.2),
    ]
    assert {r.run for r in run.results} == {run.name}


def test_results_that_are_added_at_the_same_time_are_all_kept(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: Run(run.path).add_results([result(protocol="knn", options={"k": k})]), range(1, 33)))
    assert sorted(one.options["k"] for one in run.results) == list(range(1, 33))


def test_rows_that_no_new_result_replaces_stay_as_they_are_in_the_file(tmp_path):
    """Those of an older version, and keys of a newer one."""
    run = Run.create(CONFIG, root=tmp_path)
    knn = result(protocol="knn").to_dict()
    older = {key: value for key, value in knn.items() if key not in ("options", "run", "commit", "versions")}
    rows = [older | {"protocol": "knn (k 5)", "settings": {"k": 5}}, knn | {"target": "hue", "novelty": 1}]
    (run.path / "evaluation.json").write_text(json.dumps(rows))
    run.add_results([result(protocol="linear-features")])
    assert json.loads((run.path / "evaluation.json").read_text())[:2] == rows
    run.add_results([result(protocol="knn", options={"k": 5})])
    assert [r.label for r in run.results] == ["knn", "linear-features", "knn (k 5)"]


def test_own_results_are_of_the_data_that_the_run_was_trained_on(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    own, transfer = result(protocol="knn"), result(protocol="logistic", settings={"encoder_trained_on": "y"})
    run.add_results([own, transfer, replace(own, encoder="random"), replace(own, target="hue")])
    assert list(run.own_results()) == ["knn"]
    assert list(run.own_results("hue")) == ["knn"]
    assert run.own_results(encoder="random")["knn"].encoder == "random"


def test_list_runs_is_in_order_of_age(tmp_path):
    for age, name in [(3, "c"), (1, "a"), (2, "b")]:
        run = Run.create(CONFIG, name, tmp_path)
        os.utime(run.path / "config.json", (1e9 - age, 1e9 - age))
    assert [run.name for run in list_runs(tmp_path)] == ["c", "b", "a"]
    assert list_runs(tmp_path / "nothing") == []


def test_an_unreadable_config_names_the_file(tmp_path):
    run = Run.create(CONFIG, root=tmp_path)
    (run.path / "config.json").write_text(json.dumps({})[:1])
    with pytest.raises(UserError, match=r"cannot read .*config\.json"):
        _ = run.config


def test_a_list_of_runs_needs_neither_torch_nor_pandas():
    code = "import sys; from mixviz.__main__ import main; main(['list']); main(['tag', 'nothing'])\n"
    code += "print([name for name in ('torch', 'pandas', 'pydantic', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
