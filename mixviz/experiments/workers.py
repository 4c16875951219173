"""Tasks in parallel, each in a process of one thread.

On a small network that is faster than threads: two runs of one thread in parallel on two cores take about 0.7 of the
time that they take one after the other with two threads each.
"""

import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, get_context, parent_process
from typing import Any

import torch
from tqdm import tqdm

from mixviz.build import find_device
from mixviz.environment import free_memory
from mixviz.errors import UserError

MEMORY_OF_A_JOB = 1.5 * 2**30  # bytes; a training of the small network with its images takes 1 GB


def default_jobs() -> int:
    """As many processes as cores and free memory allow; 1 on a GPU."""
    if find_device("auto").type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(max(1, min(cores, free_memory() // MEMORY_OF_A_JOB)))


def side_by_side(
    work: Callable[[Any], Any], pieces: Iterable[Any], jobs: int, on_wait: Callable[[], None] = lambda: None
) -> Iterator[tuple[Any, Any]]:
    """Each piece and the result of ``work`` on it, in the order of completion, by ``jobs`` processes at once.

    work: a module-level function, since it is pickled by name; pieces and results are pickled. The next piece is taken
    when a process is free. on_wait: called about every second while all are busy. Closing the iterator, or any error,
    ends the processes. Raises what ``work`` raises, and UserError if a process died.
    """
    pieces, idle, busy, processes = iter(pieces), [], {}, {}
    try:
        while True:
            while len(busy) < jobs and (piece := next(pieces, None)) is not None:
                if not idle:
                    near, process = _start(work)
                    idle, processes = [near], processes | {near: process}
                near = idle.pop()
                near.send(piece)
                busy[near] = piece
            if not busy:
                return
            while not (ready := connection.wait(list(busy), timeout=1.0)):
                on_wait()
            for near in ready:
                result = _received(near, processes[near])
                idle.append(near)
                yield busy.pop(near), result
    finally:
        for process in processes.values():
            process.terminate()
        for near, process in processes.items():
            process.join()
            process.close()
            near.close()


def _start(work: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Our end of the connection to a new process, and the process."""
    context = get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, work), daemon=True)
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the new process loads its libraries
    try:
        process.start()
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    far.close()
    return near, process


def _received(near: Any, process: Any) -> Any:
    try:
        result = near.recv()
    except (EOFError, ConnectionError) as error:
        process.join()
        raise UserError(
            f"a worker ended with exit code {process.exitcode}, most likely out of memory: lower --jobs and run the "
            "command again to resume"
        ) from error
    if isinstance(result, BaseException):
        raise result
    return result


def _serve(far: Any, work: Callable[[Any], Any]) -> None:
    """The loop of a worker: a piece, its result, the next. It ends with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # a thread lock, since one between processes would leak when this process is ended
    torch.set_num_threads(1)
    while True:
        try:
            piece = far.recv()
        except EOFError:
            return
        try:
            result = work(piece)
        except Exception as error:
            error.add_note(f"in a worker:\n{traceback.format_exc()}")
            result = error
        far.send(result)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
