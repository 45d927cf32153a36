"""A run killed without warning goes on, and ends as if nothing had happened."""

from research.processes import command
from research.training import checkpoints

import io
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import options

from research import train
from research.config import Config

EPOCHS = 6


def _train(run: Path, options: dict, writes_to_live: int | None = None) -> None:
    """Trains in a child process, which kills itself at its n-th change of the disk."""
    if writes_to_live is not None:
        _die_at_change(writes_to_live)
    train.train("tiny", Config(**options), run, resume=True)


def _die_at_change(number: int) -> None:
    """Kills this process half way through a file, or in place of a sync, rename or removal."""
    changes = iter(range(number))

    def live_or_die() -> None:
        if next(changes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def mortal(change):
        def changed(*arguments, **keywords):
            live_or_die()
            return change(*arguments, **keywords)

        return changed

    class TornFile(io.BufferedWriter):
        def write(self, content):
            half = len(content) // 2
            super().write(content[:half])
            self.flush()
            live_or_die()
            return half + super().write(content[half:])

    def torn_open(path, mode="r", *arguments, **keywords):
        if mode == "wb":
            return TornFile(io.FileIO(path, "w"))
        return whole_open(path, mode, *arguments, **keywords)

    whole_open, Path.open = Path.open, torn_open
    os.fsync, Path.replace, Path.unlink = map(mortal, (os.fsync, Path.replace, Path.unlink))


def _command_line(arguments: list[str], output: Path) -> None:
    """Runs `python -m research.train` in a child process, with its output in a file."""
    sys.argv = ["research/train.py", *arguments]
    sys.stdout = sys.stderr = output.open("w", buffering=1)
    command.guard(train.main)


@pytest.fixture(scope="module")
def child(tiny, tmp_path_factory):
    """Starts `_train` in a process that has imported everything, but computed nothing yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")  # it alone needs no time to compile
        patch.setenv("RESEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["research.train", "research.loop", "research.models"])

        def start(run, writes_to_live=None):
            arguments = (run, tiny | {"epochs": EPOCHS}, writes_to_live)
            process = context.Process(target=_train, args=arguments)
            process.start()
            return process

        start.context = context
        yield start


@pytest.fixture(scope="module")
def whole(child, tmp_path_factory):
    """The final state of a run that nobody killed, and how long it took."""
    run = tmp_path_factory.mktemp("whole") / "run"
    for folder in (run.with_name("cold"), run):  # the first fills the cache
        started = time.perf_counter()
        process = child(folder)
        process.join()
        assert process.exitcode == 0
    return (
        checkpoints.load_arrays(run, "last"),
        checkpoints.load_arrays(run, "best"),
        time.perf_counter() - started,
    )


def assert_ends_like(whole, child, run):
    process = child(run)
    process.join()
    assert process.exitcode == 0
    assert checkpoints.load_position(run)["epoch"] == EPOCHS
    assert len((run / "history.jsonl").read_text().splitlines()) == EPOCHS
    for name, expected in (("last", whole[0]), ("best", whole[1])):
        state = checkpoints.load_arrays(run, name)
        assert state.keys() == expected.keys()
        for variable, value in expected.items():
            np.testing.assert_array_equal(state[variable], value, err_msg=variable)


@pytest.mark.parametrize("moment", range(15))
def test_a_run_killed_at_a_random_moment_ends_like_a_whole_one(whole, child, tmp_path, moment):
    process = child(tmp_path / "run")
    time.sleep(random.Random(moment).uniform(0, whole[2]))
    process.kill()
    process.join()
    assert_ends_like(whole, child, tmp_path / "run")


# An epoch changes the disk 9 to 14 times: all changes of one, and some before it.
@pytest.mark.parametrize("writes", range(9, 24))
def test_a_run_killed_while_it_writes_ends_like_a_whole_one(whole, child, tmp_path, writes):
    process = child(tmp_path / "run", writes)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert_ends_like(whole, child, tmp_path / "run")


def wait_for(path: Path) -> None:
    """Waits until a file is there; a minute is enough for any first epoch."""
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} did not come")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_says_how_to_go_on(whole, child, tiny, tmp_path, number):
    run, output = tmp_path / "run", tmp_path / "output"
    arguments = [*options(tiny | {"epochs": 5_000}), "--run-dir", str(run)]
    process = child.context.Process(target=_command_line, args=(arguments, output))
    process.start()
    wait_for(run / "checkpoint" / "index.json")
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 128 + number
    assert f"python -m research.train --run-dir {run} --resume" in output.read_text()

    # The hint alone goes on, with the options of the run; more epochs than it has are enough.
    done = checkpoints.load_position(run)["epoch"]
    arguments = ["--run-dir", str(run), "--resume", "--epochs", str(done + 1)]
    process = child.context.Process(target=_command_line, args=(arguments, output))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert output.read_text().splitlines()[-1] == f"run: {run}"
    assert checkpoints.load_position(run)["epoch"] == done + 1


def test_a_second_signal_leaves_at_once(whole, child, tiny, tmp_path):
    run, output = tmp_path / "run", tmp_path / "output"
    arguments = [*options(tiny | {"epochs": 5_000}), "--run-dir", str(run)]
    process = child.context.Process(target=_command_line, args=(arguments, output))
    process.start()
    wait_for(run / "checkpoint" / "index.json")
    os.kill(process.pid, signal.SIGSTOP)  # so that both signals come before it can look
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode in (-signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs more rights than there are here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_ends_in_one_line_and_the_run_goes_on_once_there_is_room(
    whole, child, tiny, small_disk, tmp_path
):
    run, output = small_disk / "run", tmp_path / "output"
    arguments = [*options(tiny | {"epochs": 5_000}), "--run-dir", str(run)]
    process = child.context.Process(target=_command_line, args=(arguments, output))
    process.start()
    wait_for(run / "checkpoint" / "index.json")
    filling = small_disk / "filling"
    with pytest.raises(OSError, match="No space left"), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    process.join()
    assert process.exitcode == 1
    *_, last_line = output.read_text().splitlines()
    assert last_line.startswith("error: expected to write") and "No space left" in last_line
    assert "Traceback" not in output.read_text()

    before = checkpoints.load_position(run)["epoch"]
    checkpoints.load_arrays(run, "last")
    filling.unlink()
    arguments = ["--run-dir", str(run), "--resume", "--epochs", str(before + 1)]
    process = child.context.Process(target=_command_line, args=(arguments, output))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert checkpoints.load_position(run)["epoch"] == before + 1
