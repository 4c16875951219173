"""Disks that are full, read-only or gone: one line with a cure, and the training resumes to what it would have been."""

import errno
import itertools
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from PIL import Image
from test_kills import assert_same_run
from victim import CHANGES, NAME, config_of, exit_code, killed_at, pictures, train_or_resume

from mixviz.__main__ import main
from mixviz.encoder_files import export_encoder
from mixviz.errors import UserError
from mixviz.runs import Run, list_runs
from mixviz.train import train

FAULTS = {
    errno.ENOSPC: "free some space, then run the command again",
    errno.EROFS: "make it writable, or choose another place",
    errno.EIO: "make it writable, or choose another place",
}


@contextmanager
def failing(monkeypatch, fault: int, first: int):
    """Every change to a file fails from the one with this number on; gives the number of those that were tried."""
    tried = [0]

    def counted(change):
        def changed(*arguments, **named):
            tried[0] += 1
            if tried[0] > first:
                raise OSError(fault, os.strerror(fault))
            return change(*arguments, **named)

        return changed

    with monkeypatch.context() as patched:
        for name in CHANGES if fault != errno.ENOSPC else ("fsync", "replace", "mkdir"):  # space is freed all the same
            patched.setattr(os, name, counted(getattr(os, name)))
        yield tried


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing interrupted."""
    return train_or_resume(tmp_path_factory.mktemp("whole"), config_of())


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_a_disk_that_fails_from_any_change_on(whole, tmp_path, monkeypatch, fault):
    """At every sixth change to a file; the three kinds of fault begin at different ones."""
    change, said = 2 * list(FAULTS).index(fault), []
    while True:
        root = tmp_path / str(change)
        with failing(monkeypatch, fault, change) as tried:
            try:
                train_or_resume(root, whole.config)
            except UserError as error:
                said.append(str(error))
        assert_same_run(train_or_resume(root, whole.config), whole)
        if tried[0] <= change:
            break
        change += 6
    assert len(said) >= 4
    for line in said:
        assert os.strerror(fault) in line
        assert FAULTS[fault] in line
        assert "\n" not in line


@pytest.fixture
def small(tmp_path):
    """The folder of a real file system of 128 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_training_on_a_full_file_system(whole, small):
    with pytest.raises(UserError, match=r"cannot write .*No space left on device\): free some space"):
        train_or_resume(small, whole.config)
    assert not list(small.glob("**/*.part"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    assert_same_run(train_or_resume(small, whole.config), whole)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_encoder_on_a_full_file_system(whole, small, suffix):
    with pytest.raises(UserError, match=r"cannot write .*No space left on device\): free some space"):
        export_encoder("glyphs-moco-v2-seed1", small / f"encoder{suffix}")
    assert list(small.iterdir()) == []


@pytest.mark.parametrize("renamed", [True, False], ids=["renamed", "removed"])
def test_a_folder_that_is_taken_away_while_it_trains(tmp_path, renamed):
    def take_away(seen, wanted):
        if seen > wanted // 2 and (tmp_path / NAME).exists():
            (tmp_path / NAME).rename(tmp_path / "elsewhere") if renamed else shutil.rmtree(tmp_path / NAME)

    with pytest.raises(UserError, match=r"cannot write .*its folder was moved or removed: put it back") as caught:
        train(config_of(epochs=2), NAME, pictures(), tmp_path, progress=False, watch=take_away)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == (["elsewhere"] if renamed else [])
    if renamed:
        assert Run(tmp_path / "elsewhere").load_checkpoint()["epoch"] == 1


@pytest.mark.parametrize("out", ["features.npz", "features.csv", "features.parquet"])
def test_features_on_a_full_disk_are_one_line(tmp_path, monkeypatch, capsys, out):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        Image.new("RGB", (32, 32), (80 * i, 0, 0)).save(photos / f"{i}.png")
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path / "data"))
    with failing(monkeypatch, errno.ENOSPC, 0):
        command = ["embed", "glyphs-moco-v2-seed1", f"folder:{photos}", "--out", str(tmp_path / out), "--quiet"]
        assert main(command) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "No space left on device): free some space" in said[-1]
    assert not (tmp_path / out).exists()
    assert not list(tmp_path.glob("**/*.part"))


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps(whole, tmp_path, monkeypatch, years):
    """Between a kill and the next start, and at every look at it from then on."""
    assert exit_code(killed_at, tmp_path, whole.config, 20) == -signal.SIGKILL
    jump, looks = years * 365 * 86_400, itertools.count()
    for path in [*tmp_path.rglob("*"), tmp_path]:
        at = path.stat().st_mtime + jump
        os.utime(path, (at, at))
    began = time.time()
    monkeypatch.setattr(time, "time", lambda: began + (-1) ** next(looks) * jump)
    resumed = train_or_resume(tmp_path, whole.config)
    assert_same_run(resumed, whole)
    assert (resumed.metrics["seconds"] >= 0).all()
    assert [run.path for run in list_runs(tmp_path)] == [resumed.path]
