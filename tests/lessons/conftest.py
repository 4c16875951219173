"""A test that takes an exercise takes each one of every notebook."""

import importlib
import pkgutil

import mixviz.lessons

MODULES = [
    importlib.import_module(f"mixviz.lessons.{module.name}") for module in pkgutil.iter_modules(mixviz.lessons.__path__)
]
EXERCISES = [exercise for module in MODULES for exercise in getattr(module, "EXERCISES", ())]


def pytest_generate_tests(metafunc):
    if "exercise" in metafunc.fixturenames:
        metafunc.parametrize("exercise", EXERCISES, ids=[exercise.name for exercise in EXERCISES])
