"""What a number was made with: the commit of the code that is loaded, the processor, the dtype."""

import math
import subprocess

import pytest
import torch

from mixviz import environment as environment_module
from mixviz.build import dtype_name
from mixviz.config import RunConfig
from mixviz.encoders import fast_dtype
from mixviz.environment import commit, environment, processor


def git(folder, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path):
    """A folder of code in a repository of its own, committed."""
    folder = tmp_path / "project" / "code"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("a = 1\n")
    git(folder.parent, "init", "--quiet")
    git(folder, "add", "a.py")
    git(folder, "commit", "--quiet", "-m", "a")
    return folder


def commit_now(folder) -> str:
    return commit.__wrapped__(folder)


def test_a_commit_is_named_and_changes_of_the_code_with_it(code):
    short = git(code, "rev-parse", "--short", "HEAD")
    assert commit_now(code) == short
    (code.parent / "result.json").write_text("{}")  # no code
    assert commit_now(code) == short
    (code / "a.py").write_text("a = 2\n")
    assert commit_now(code) == f"{short}+changes"
    git(code, "checkout", "a.py")
    (code / "b.py").write_text("b = 1\n")  # not committed yet, but it may be imported
    assert commit_now(code) == f"{short}+changes"


def test_no_commit_where_git_knows_nothing_of_the_code(code, tmp_path, monkeypatch):
    assert commit_now(tmp_path) == ""
    installed = code / "site-packages"  # inside a repository, but not of it
    installed.mkdir()
    (installed / "c.py").write_text("c = 1\n")
    assert commit_now(installed) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_now(code) == ""


def test_the_environment_names_processor_threads_and_versions():
    found = environment()
    assert found["processor"] == (torch.cuda.get_device_name() if torch.cuda.is_available() else processor())
    assert processor()
    assert found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"] == torch.__version__.partition("+")[0]


def test_the_dtype_is_that_in_which_the_encoder_computes():
    fast = str(fast_dtype(torch.device("cpu"))).removeprefix("torch.")
    names = [dtype_name(RunConfig.of(device="cpu", dtype=given)) for given in ("auto", "float32", "bfloat16")]
    assert names == [fast, "float32", "bfloat16"]


def test_free_memory_is_what_the_system_says(tmp_path, monkeypatch):
    pattern = environment_module.MEMORY[1]
    monkeypatch.setattr(environment_module, "MEMORY", (tmp_path / "meminfo", pattern))
    assert environment_module.free_memory() == math.inf
    (tmp_path / "meminfo").write_text("MemTotal:       8000 kB\nMemAvailable:   2000 kB\n")
    assert environment_module.free_memory() == 2000 * 1024
