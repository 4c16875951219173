"""What every test shares: one thread, no windows, a data folder of its own, and small double-precision frameworks.

The whole suite runs on all cores, a process each; a part of it, named on the command line, runs in one.
"""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from xdist.scheduler import LoadFileScheduling

from mixviz.frameworks import FRAMEWORKS, Framework

MOST_WORKERS = 8


def pytest_xdist_auto_num_workers(config):
    """How many processes ``-n auto`` stands for."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, MOST_WORKERS) if whole else 0


class ByNotebook(LoadFileScheduling):  # xdist_group marks do nothing: xdist 3.8 sets _nodeid, which pytest 9 ignores
    """A notebook's tests, in a browser or not, stay in one process, and so do a file's others."""

    def _split_scope(self, nodeid: str) -> str:
        notebook = re.search(r"\[(\d\d_\w+)\]$", nodeid)
        return notebook[1] if notebook else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByNotebook(config, log)


def pytest_configure(config):
    """Processes side by side take one thread each, whatever their libraries, and so do the kernels that they start."""
    if config.getoption("numprocesses"):  # not in the processes themselves: it is too late there
        os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Whatever number of threads an earlier file's tests left behind."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def data_folder(tmp_path_factory):
    """No test reads or writes the user's own data folder; the tests of one file share one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXVIZ_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures are drawn without a window and closed; matplotlib is not imported for it."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].use("Agg")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class Linear(nn.Module):
    """An embedder that is one linear map for each space, (n, ...) -> (n, H, D); it keeps what went through it."""

    bn_splits = 1

    def __init__(self, weight: Tensor):
        super().__init__()
        self.spaces, self.dim = weight.shape[:2]
        self.weight = nn.Parameter(weight)  # (H, D, F)
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return torch.einsum("nf,hdf->nhd", inputs.flatten(1), self.weight)


class Rotation(nn.Module):
    """BYOL's predictor as one square matrix, (n, H, D) -> (n, H, D)."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)  # (D, D)

    def forward(self, embeddings: Tensor) -> Tensor:
        return embeddings @ self.weight.T


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def build_framework():
    """Makes a framework by name in double precision, its momentum encoder and queue unlike the online encoder."""

    def build(name: str, spaces: int = 1, dim: int = 6, features: int = 48, **options) -> Framework:
        embedder, kind = Linear(random(spaces, dim, features, seed=1)), FRAMEWORKS[name]
        predictor = Rotation(random(dim, dim, seed=2)) if kind.predicts else None
        if name == "moco-v2":
            options = {"queue_length": 20, **options}
        framework = kind(embedder, kind.Settings(**options), predictor).double()
        if hasattr(framework, "target"):
            framework.target.weight.data = random(spaces, dim, features, seed=3)
        if name == "moco-v2":
            framework.queue.keys = F.normalize(random(*framework.queue.keys.shape, seed=4), dim=2)
        return framework

    return build


@pytest.fixture
def make_views():
    """Makes views of N images of 3 x 4 x 4 in double precision; those of one image are alike."""

    def make(count: int = 2, n: int = 8) -> list[Tensor]:
        images = random(n, 3, 4, 4, seed=5)
        return [images + 0.3 * random(n, 3, 4, 4, seed=6 + view) for view in range(count)]

    return make


@pytest.fixture(scope="session")
def write_colours() -> Callable[[Path, int], str]:
    """Writes n training and 40 test images of three colours, 16 px, to an .npz; gives its name as a source."""

    def write(path: Path, n: int) -> str:
        random, arrays = np.random.default_rng(0), {}
        for prefix, count in [("", n), ("test_", 40)]:
            labels = random.integers(0, 3, count)
            images = random.integers(0, 60, (count, 16, 16, 3))
            images[np.arange(count), :, :, labels] += 150
            arrays |= {f"{prefix}images": images.astype(np.uint8), f"{prefix}labels": labels}
        np.savez(path, **arrays)
        return f"numpy:{path}"

    return write
