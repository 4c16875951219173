"""Several processes train as one does with the same batch, and end together."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from random import Random

import pytest
import ranks
import torch

from mixviz.__main__ import main
from mixviz.config import RunConfig
from mixviz.distributed import World, _place, joined
from mixviz.errors import UserError
from mixviz.paths import runs_root
from mixviz.runs import Run

EXACT = {"rtol": 0, "atol": 1e-9}
SIZES = (2, 4)
EPOCHS = 12
LONGEST = 300  # seconds, on a machine that has much else to do
TRAIN = [
    *("train", "--quiet", "--data", "glyphs", "--train-images", "200", "--holdout", "20"),
    *("--backbone", "convnet-narrow", "--dim", "8", "--hidden", "16", "--batch-size", "32", "--bn-splits", "2"),
    *("--dtype", "float32", "--film-frames", "3", "--knn-every", "6", "--epochs", str(EPOCHS)),
]


@pytest.fixture(autouse=True, scope="module")
def server():
    """The processes find ``ranks``, which their server imports once, and take one thread each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(ranks.__file__).parent), *sys.path]))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """By number of processes and rank: what ``ranks.calculate`` wrote."""
    folder = tmp_path_factory.mktemp("found")
    for size in SIZES:
        processes = ranks.start(ranks.calculate, size, folder)
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * size
    return {(size, rank): torch.load(folder / f"{size}-{rank}.pt") for size in SIZES for rank in range(size)}


@cache
def alone(case: str, size: int) -> dict:
    return ranks.run_case(ranks.cases(size)[case], World())


def weights_and_queue(case: dict) -> dict:
    return {name: tensor for name, tensor in case["state"].items() if ".running_" not in name}


@pytest.mark.parametrize(("case", "size"), [(case, size) for size in SIZES for case in ranks.cases(size)])
def test_processes_compute_what_one_does(found, case, size):
    """Loss, all columns of the log, gradients, queue, and weights after two steps."""
    one = alone(case, size)
    for rank in range(size):
        several = found[size, rank]["cases"][case]
        torch.testing.assert_close(several["rows"], one["rows"], **EXACT)
        torch.testing.assert_close(several["gradients"], one["gradients"], **EXACT)
        torch.testing.assert_close(weights_and_queue(several), weights_and_queue(one), **EXACT)
        for name, tensor in several["state"].items():  # bit for bit, or the processes would drift apart
            assert torch.equal(tensor, found[size, 0]["cases"][case]["state"][name]), name


@pytest.mark.parametrize("size", SIZES)
def test_running_statistics_are_those_of_one_process_but_for_the_order_of_the_parts(found, size):
    for case in ranks.cases(size):
        one, several = alone(case, size)["state"], found[size, 0]["cases"][case]["state"]
        for name in one:
            if ".running_" in name:
                apart = (several[name] - one[name]).norm() / one[name].norm().clamp(min=0.1)
                assert apart < 0.1, (case, name)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", ["glyphs", "tones", "digits"])
def test_views_are_augmented_in_shares(found, source, size):
    """Also where a row takes features of others: then nothing is shared."""
    for rank in range(size):
        torch.testing.assert_close(
            found[size, rank]["views"][source], ranks.views_of(source, World()), rtol=0, atol=1e-5
        )


@pytest.fixture(scope="module")
def whole():
    """A run of two processes, by torchrun, and what was said."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "mixviz"]
    done = subprocess.run([*launch, *TRAIN, "--name", "whole"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return Run.open("whole"), done.stdout


def test_a_run_of_two_processes_is_logged_filmed_and_saved_once(whole):
    run, said = whole
    assert said.count("training whole") == said.count("next: python -m mixviz evaluate whole") == 1
    assert run.metrics["epoch"].tolist() == [*range(1, EPOCHS + 1)]
    assert run.metrics["loss"].iloc[-1] < run.metrics["loss"].iloc[0]
    assert run.metrics["knn_accuracy"].notna().sum() == 2
    assert len(run.film) == 3
    assert run.load_checkpoint()["epoch"] == EPOCHS
    assert run.read_json("environment.json")["processes"] == 2


def test_two_processes_give_the_run_of_one(whole):
    """In single precision, whose rounding errors grow with the steps: the first epochs are alike."""
    config = whole[0].config
    assert config.encoder.bn_splits == 2
    main([*TRAIN, "--name", "one"])
    both = [run.metrics["loss"].iloc[:2].tolist() for run in (whole[0], Run.open("one"))]
    assert both[0] == pytest.approx(both[1], rel=1e-3)


def test_its_encoder_is_evaluated_like_any_other(whole):
    assert main(["evaluate", "whole", "--protocol", "knn"]) == 0
    assert whole[0].results


def several(folder: Path, size: int, argv: list[str], victim: int | None = None, due=None, delay: float = 0.0):
    """Runs a command in several processes, of which one may be killed: this many seconds after ``due()`` is true.

    The exit codes, and all that was said. No process may take longer than LONGEST.
    """
    folder.mkdir(exist_ok=True)
    processes = ranks.start(ranks.command, size, argv, folder)
    try:
        if victim is not None:
            while not due() and processes[victim].is_alive():
                time.sleep(0.01)
            time.sleep(delay)
            processes[victim].kill()
        for process in processes:
            process.join(LONGEST)
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
    return codes, "".join(path.read_text() for path in sorted(folder.glob("said-*")))


def only_line(said: str) -> str:
    """What mixviz said, if that is one line and nothing else."""
    lines = re.findall(r"^mixviz: .*", said, re.MULTILINE)
    assert len(lines) == 1, said
    assert "Traceback" not in said
    return lines[0]


def killed_and_resumed(name: str, folder: Path, victim: int, size: int, later: int, epoch: int, delay: float) -> Run:
    """Trains in ``size`` processes, kills one in the epoch, counted from 0, and resumes with ``later`` processes.

    The moment is this many seconds after the epoch has begun, or after the run has its folder.
    """
    run = Run(runs_root() / name)
    log = run.path / "metrics.csv"

    def begun() -> bool:
        if epoch == 0:
            return (run.path / "config.json").exists()
        return log.exists() and log.read_text().count("\n") > epoch  # a header, and one line an epoch

    codes, said = several(folder / "first", size, [*TRAIN, "--name", name], victim, begun, delay)
    assert codes == [-signal.SIGKILL if rank == victim else 2 for rank in range(size)], said
    assert re.search(rf"another of the {size} processes has ended .*--resume", only_line(said))

    codes, said = several(folder / "second", later, ["train", "--quiet", "--resume", name])
    assert codes == [0] * later, said
    assert run.metrics["epoch"].tolist() == [*range(1, EPOCHS + 1)]
    return run


@pytest.mark.parametrize(("victim", "size", "later"), [(0, 2, 2), (1, 2, 1), (3, 4, 2)])
def test_a_killed_process_ends_all_with_one_line_and_any_number_resumes(whole, tmp_path, victim, size, later):
    run = killed_and_resumed(f"killed-{victim}", tmp_path, victim, size, later, epoch=1, delay=0.1)
    if size == later:
        same_weights(run, whole[0])


def moments(count: int) -> list[tuple[int, float]]:
    """Random epochs, of which the last two are left out, lest the run ends first, and seconds within them."""
    random = Random(17)
    return [(random.randrange(EPOCHS - 2), random.uniform(0, 0.2)) for _ in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "moment"), list(enumerate(moments(10))))
def test_a_process_is_killed_at_random_moments(whole, tmp_path, number, moment):
    """One of two; 1, 2 and 4 processes resume in turns, and two of them end where an unbroken run does."""
    later = (1, 2, 4)[number % 3]
    run = killed_and_resumed(f"moment-{number}", tmp_path, number % 2, 2, later, *moment)
    if later == 2:
        same_weights(run, whole[0])


def same_weights(run: Run, other: Run) -> None:
    """Bit for bit, queue and statistics included."""
    one, two = (each.load_checkpoint()["method"] for each in (run, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_an_error_is_said_once(tmp_path):
    codes, said = several(tmp_path / "odd", 2, [*TRAIN, "--batch-size", "33", "--name", "odd"])
    assert codes == [2, 2]
    assert only_line(said) == ("mixviz: --batch-size 33 cannot be divided among 2 processes: take 32 or 34")
    assert not (runs_root() / "odd").exists()


def test_every_process_has_a_part_of_batchnorm_at_least():
    config = RunConfig.of(framework="simclr", batch_size=8)
    assert World(0, 4).divide(config).encoder.bn_splits == 4
    assert World(0, 2).divide(RunConfig.of(bn_splits=4, batch_size=8)).encoder.bn_splits == 4
    assert World().divide(config) is config
    with pytest.raises(UserError, match="--device cuda:1 is one GPU for 2 processes: leave it out"):
        World(0, 2).divide(RunConfig.of(device="cuda:1"))
    with pytest.raises(UserError, match="fewer than 2 images for each of 8 BatchNorm splits in 8 processes"):
        World(0, 8).divide(config)


MACHINE = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, None),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None),  # a batch script that does not mean it
        ({**MACHINE, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, None),
        ({**MACHINE, "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, (5, 8, 1)),
        ({**MACHINE, "SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"}, (3, 4, 1)),
        (
            {**MACHINE, "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "SLURM_PROCID": "2", "SLURM_NTASKS": "4"},
            (5, 8, 1),  # srun started torchrun
        ),
    ],
)
def test_the_place_among_processes_of_several_machines(environment, place):
    found = _place(environment)
    assert (tuple(found.values()) if found else None) == place


@pytest.mark.parametrize("wrong", [{"RANK": "8"}, {"RANK": "one"}, {"WORLD_SIZE": "-1"}])
def test_a_wrong_place_is_one_line(wrong):
    with pytest.raises(UserError, match="start by torchrun"):
        _place({**MACHINE, "RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", **wrong})


def test_a_single_process_is_left_as_it_is(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    tensor = torch.ones(3)
    with joined() as world:
        assert world == World()
        assert world.gather(tensor, 3) is tensor
        world.wait()
        world.average([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert signal.getsignal(signal.SIGTERM) is handler
