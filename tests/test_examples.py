"""The examples in docstrings run, and give what they show."""

import doctest
import importlib

import pytest

MODULES = (
    *("losses", "config", "paired", "data.sources", "train", "pretrained", "evaluate.evaluation"),
    *("embedding", "encoder_files", "transformer"),
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXVIZ_DATA", str(tmp_path))
    found = doctest.testmod(importlib.import_module(f"mixviz.{name}"))
    assert found.attempted
    assert not found.failed
