"""A test that takes an exercise or a question takes each one of every notebook."""

import importlib
import pkgutil

import mixviz.lessons

MODULES = [
    importlib.import_module(f"mixviz.lessons.{module.name}") for module in pkgutil.iter_modules(mixviz.lessons.__path__)
]
EXERCISES = [exercise for module in MODULES for exercise in getattr(module, "EXERCISES", ())]
QUESTIONS = [question for module in MODULES for question in getattr(module, "QUESTIONS", ())]


def pytest_generate_tests(metafunc):
    if "exercise" in metafunc.fixturenames:
        metafunc.parametrize("exercise", EXERCISES, ids=[exercise.name for exercise in EXERCISES])
    if "question" in metafunc.fixturenames:
        metafunc.parametrize("question", QUESTIONS, ids=[question.text for question in QUESTIONS])
