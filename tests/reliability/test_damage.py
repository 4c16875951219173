"""A damaged run: one line that names the file, in whatever reads it; two sound runs beside it are as before."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from victim import config_of, pictures

from mixviz.__main__ import main
from mixviz.errors import UserError
from mixviz.result import Result
from mixviz.runs import Run, list_runs, split_readable
from mixviz.train import train
from mixviz.widgets.history import History

FILES = ("config.json", "environment.json", "metrics.csv", "evaluation.json", "film.npz", "checkpoint.pt")
RESULT = {"data": "noise", "split": "test", "protocol": "linear-features", "encoder": "backbone", "target": "label"}
RESULT |= {"train_images": 56, "test_images": 8, "classes": 4, "device": "cpu"}


def changed(change):
    """A damage that changes the bytes of a file."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def content(text):
    return lambda path: path.write_text(text)


def missing(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_link_to_itself(path):
    path.unlink()
    path.symlink_to(path.name)


def flipped(path):
    """One bit, in the middle."""
    path.write_bytes(bytes(b ^ (i == path.stat().st_size // 2) << 4 for i, b in enumerate(path.read_bytes())))


EVERY = {
    "empty": content(""),
    "half": changed(lambda old: old[: len(old) // 2]),
    "twice": changed(lambda old: old + old),
    "zeros": changed(lambda old: bytes(len(old))),
    "no text": lambda path: path.write_bytes(b"\xe9\xff\n"),
    "null": content("null"),
    "number": content("1e999"),
    "list": content("[]"),
    "objects": content("[{}]"),
    "nested": content("[" * 100_000),
    "missing": missing,
    "folder": a_folder,
    "pipe": a_pipe,
    "link": a_link_to_itself,
    "flipped": flipped,
}


def with_json(name, change):
    def damage(path):
        file = path.parent / name
        new = json.loads(file.read_text())
        change(new)
        file.write_text(json.dumps(new))

    return damage


OTHERS = {
    "config: a setting of a newer version": with_json("config.json", lambda c: c["train"].update(new_setting=1)),
    "config: a section is a list": with_json("config.json", lambda c: c.update(train=[])),
    "config: epochs of text": with_json("config.json", lambda c: c["train"].update(epochs="many")),
    "config: another encoder": with_json("config.json", lambda c: c["encoder"].update(dim=64)),
    "config: data that are gone": with_json("config.json", lambda c: c["data"].update(data="numpy:gone.npz")),
    "results: without accuracy": with_json("evaluation.json", lambda rows: rows[0].pop("accuracy")),
    "results: accuracy of text": with_json("evaluation.json", lambda rows: rows[0].update(accuracy="high")),
    "results: a list for a protocol": with_json("evaluation.json", lambda rows: rows[0].update(protocol=[1])),
    "log: text among numbers": lambda path: (path.parent / "metrics.csv").write_text("epoch,loss\n1,low\n"),
    "log: no epoch": lambda path: (path.parent / "metrics.csv").write_text("loss\n1\n"),
    "log: rows of unequal length": lambda path: (path.parent / "metrics.csv").write_text("epoch,loss\n1,2,3,4\n5\n"),
    "film: arrays of other frames": lambda path: np.savez(path.parent / "film.npz", epochs=np.arange(9)),
    "film: Python objects": lambda path: np.savez(path.parent / "film.npz", epochs=np.array([{}], dtype=object)),
    "checkpoint: Python objects": lambda path: torch.save({"epoch": Run}, path.parent / "checkpoint.pt"),
    "checkpoint: other weights": lambda path: torch.save(
        {"epoch": 3, "shape": (3, 8, 8), "method": {}, "optimizer": {}}, path.parent / "checkpoint.pt"
    ),
}

DAMAGES = {f"{file} {name}": (file, damage) for file in FILES for name, damage in EVERY.items()}
DAMAGES |= {name: ("config.json", damage) for name, damage in OTHERS.items()}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two runs, trained and with a result each."""
    root, images = tmp_path_factory.mktemp("data"), pictures()
    np.savez(root / "noise.npz", images=images.stored, labels=images.labels)
    for seed, name in enumerate(("first", "second")):
        config = config_of("moco-v2", data=f"numpy:{root / 'noise.npz'}", seed=seed, epochs=2)
        run = train(config, name, root=root / "runs", progress=False)
        run.add_results([Result(**RESULT | {"seed": seed, "accuracy": 0.4 + seed / 4})])
    return root


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(sound, tmp_path, monkeypatch, capsys, name):
    shutil.copytree(sound / "runs", tmp_path / "runs")
    shutil.copytree(sound / "runs" / "first", tmp_path / "runs" / "damaged")
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    file, damage = DAMAGES[name]
    run = Run(tmp_path / "runs" / "damaged")
    damage(run.path / file)

    for command in ("list", "compare"):
        assert main([command]) == 0
        out = capsys.readouterr().out
        assert "first" in out
        assert "second" in out
    readable = split_readable(list_runs())[0]
    assert {"first", "second"} <= {one.name for one in readable}
    assert [run.name for run in History(tmp_path / "runs").runs] == [run.name for run in readable]
    for read in (lambda: run.film, run.encoder, run.method, lambda: run.metrics, lambda: run.results):
        assert len(problem(read).splitlines()) <= 1
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file() and path.name != ".lock"}
    code = main(["train", "--resume", str(run.path), "--quiet"])
    err = capsys.readouterr().err
    assert code in (0, 2)
    if code == 2:
        assert err.splitlines()[-1].startswith("mixviz: ")
        after = {name: (run.path / name).read_bytes() for name in before}
        assert after == before
    else:
        assert run.epoch == run.config.train.epochs or "rows were lost" in err
        film = problem(lambda: run.film)
        assert film == "" or (file == "film.npz" and film.startswith("there is no film"))


def problem(read):
    """What the user is told; empty if it could be read. Any other error is a fault."""
    try:
        read()
    except UserError as error:
        return str(error)
    return ""
