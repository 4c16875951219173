"""Loggers: told of each whole epoch, closed in any case; TensorBoard's is lazy, and missing in one line."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mixviz.config import RunConfig
from mixviz.data import Dataset
from mixviz.errors import UserError
from mixviz.loggers import TensorBoard
from mixviz.train import resume, train

SMALL = {"framework": "n-pair", "batch_size": 16, "dim": 8, "hidden": 16, "holdout": 4, "knn_every": 0}
CONFIG = RunConfig.of(**SMALL, epochs=2, film_frames=0, dtype="float32")


class Kept:
    def __init__(self, fails_at=None):
        self.rows, self.closed, self.fails_at = [], 0, fails_at

    def log(self, epoch, values):
        if epoch == self.fails_at:
            raise ConnectionError
        self.rows.append((epoch, dict(values)))

    def close(self):
        self.closed += 1


@pytest.fixture
def images():
    stored = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3), dtype=np.uint8)
    return Dataset(name="noise", split="train", stored=stored)


def test_loggers_are_given_each_row_and_closed(images, tmp_path):
    kept = Kept()
    run = train(CONFIG, "run", images, tmp_path, progress=False, loggers=[kept])
    assert [epoch for epoch, _ in kept.rows] == [1, 2]
    assert [row["loss"] for _, row in kept.rows] == run.metrics["loss"].tolist()
    assert kept.closed == 1
    resume(run, images, progress=False, epochs=3, loggers=[kept])
    assert [epoch for epoch, _ in kept.rows] == [1, 2, 3]


def test_a_logger_that_fails_costs_no_epoch(images, tmp_path):
    kept, fails = Kept(), Kept(fails_at=2)
    with pytest.raises(ConnectionError):
        train(CONFIG, "run", images, tmp_path, progress=False, loggers=[fails, kept])
    assert (fails.closed, kept.closed) == (1, 1)
    run = train(CONFIG, "whole", images, tmp_path, progress=False)
    cut = resume(type(run)(tmp_path / "run"), images, progress=False)
    assert cut.epoch == cut.load_checkpoint()["epoch"] == 2
    assert cut.metrics["loss"].tolist() == run.metrics["loss"].tolist()


def test_tensorboard_gets_scalars_and_forgets_what_a_crash_left(monkeypatch, tmp_path):
    calls = []

    def writer(folder, purge_step):
        calls.append((folder, purge_step))
        return SimpleNamespace(add_scalar=lambda *a: calls.append(a), close=lambda: calls.append("closed"))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=writer))
    board = TensorBoard(tmp_path / "board")
    assert calls == []
    board.log(7, {"epoch": 7, "loss": 0.5})
    board.log(8, {"epoch": 8, "loss": 0.25})
    board.close()
    assert calls == [(str(tmp_path / "board"), 7), ("loss", 0.5, 7), ("loss", 0.25, 8), "closed"]


def test_tensorboard_writes_events(tmp_path):
    pytest.importorskip("tensorboard")
    board = TensorBoard(tmp_path)
    board.log(1, {"epoch": 1, "loss": 0.5})
    board.close()
    assert list(tmp_path.glob("events.out.*"))


def test_a_missing_tensorboard_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"^tensorboard is missing: pip install 'mixviz\[tensorboard\]'$"):
        TensorBoard(tmp_path)
