"""Work side by side: every piece once, in processes of one thread, none of which outlives what it was started for."""

import math
import multiprocessing
import os
import time

import pytest
import torch

from mixviz.errors import UserError
from mixviz.experiments import workers
from mixviz.experiments.workers import MEMORY_OF_A_JOB, default_jobs, side_by_side

THREADS = "__import__('torch').get_num_threads(), __import__('os').environ['OMP_NUM_THREADS']"


def test_every_piece_is_done_once_and_whoever_stops_listening_ends_the_processes():
    results = side_by_side(time.sleep, [0, 0.01, 600, 601], jobs=2)
    assert sorted([next(results), next(results)]) == [(0, None), (0.01, None)]
    assert len(multiprocessing.active_children()) == 2
    began = time.perf_counter()
    results.close()
    assert time.perf_counter() - began < 120
    assert multiprocessing.active_children() == []
    assert list(side_by_side(math.sqrt, [], jobs=2)) == []


def test_pieces_are_drawn_when_a_process_is_free_and_by_that_many_processes_with_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    drawn = []

    def pieces():
        for _ in range(3):
            drawn.append(len(drawn))
            yield f"({THREADS}, __import__('os').getpid())"

    results = side_by_side(eval, pieces(), jobs=1)
    found = [(len(drawn), result) for _, result in results]
    assert [n for n, _ in found] == [1, 2, 3]
    assert len({pid for *_, pid in (result for _, result in found)}) == 1
    assert {result[:2] for _, result in found} == {(1, "1")}
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_an_error_of_the_work_comes_back_with_its_place_and_ends_the_others():
    with pytest.raises(ValueError, match="domain") as caught:
        list(side_by_side(math.sqrt, [4, -1, 9], jobs=1))
    assert "in a worker" in caught.value.__notes__[0]
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_reported():
    with pytest.raises(UserError, match="a worker ended with exit code 7"):
        list(side_by_side(os._exit, [7], jobs=1))


def test_while_all_are_at_work_somebody_may_look(monkeypatch):
    looks = []
    assert list(side_by_side(time.sleep, [1.5], jobs=1, on_wait=lambda: looks.append(1))) == [(1.5, None)]
    assert looks


@pytest.mark.parametrize(("jobs_of_memory", "expected"), [(0.5, 1), (2.5, 2), (100, 3)])
def test_there_are_as_many_jobs_as_cores_and_memory_allow(jobs_of_memory, expected, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    monkeypatch.setattr(workers, "find_device", lambda name: torch.device("cpu"))
    monkeypatch.setattr(workers, "free_memory", lambda: jobs_of_memory * MEMORY_OF_A_JOB)
    assert default_jobs() == expected
    monkeypatch.setattr(workers, "find_device", lambda name: torch.device("cuda"))
    assert default_jobs() == 1
