"""A run that is killed or interrupted can be resumed, and ends as if nothing had happened."""

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import arrays_of, exit_code, options, position_of, wait_for

from research import train
from research.config import Config
from research.processes import command

pytestmark = pytest.mark.slow

EPOCHS = 6


def train_in_child(run: Path, options: dict, changes: int | None = None) -> None:
    """Train in a child process, which kills itself after so many changes of the disk."""
    if changes is not None:
        die_at_change(changes)
    train.train("tiny", Config(**options), run, resume=True)


def die_at_change(number: int) -> None:
    """Kill this process half way through a file, or instead of a sync, rename or removal."""
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


def command_in_child(arguments: list[str], output: Path) -> None:
    """Run `python -m research.train` in a child process, with its output in a file."""
    sys.argv = ["research/train.py", *arguments]
    sys.stdout = sys.stderr = output.open("w", buffering=1)
    command.guard(train.main)


@pytest.fixture(scope="module")
def short(tiny):
    """Options of a run of a few epochs."""
    return tiny | {"epochs": EPOCHS}


@pytest.fixture(scope="module")
def whole(start, short, tmp_path_factory):
    """The final state of a run that nobody killed, and how many seconds it took."""
    run = tmp_path_factory.mktemp("whole") / "run"
    for folder in (run.with_name("cold"), run):  # the first fills the cache
        started = time.perf_counter()
        assert exit_code(start(train_in_child, folder, short)) == 0
    return (
        arrays_of(run, "last"),
        arrays_of(run, "best"),
        time.perf_counter() - started,
    )


def assert_ends_like(whole, run):
    assert position_of(run).epoch == EPOCHS
    assert len((run / "history.jsonl").read_text().splitlines()) == EPOCHS
    for name, expected in (("last", whole[0]), ("best", whole[1])):
        state = arrays_of(run, name)
        assert state.keys() == expected.keys()
        for variable, value in expected.items():
            np.testing.assert_array_equal(state[variable], value, err_msg=variable)


@pytest.mark.parametrize("moment", range(15))
def test_a_run_killed_at_a_random_moment_ends_like_a_whole_one(
    whole, start, short, tmp_path, moment
):
    run = tmp_path / "run"
    process = start(train_in_child, run, short)
    time.sleep(random.Random(moment).uniform(0, whole[2]))
    process.kill()
    exit_code(process)
    assert exit_code(start(train_in_child, run, short)) == 0
    assert_ends_like(whole, run)


# An epoch changes the disk 9 to 14 times: all changes of one, and some before it.
@pytest.mark.parametrize("changes", range(9, 24))
def test_a_run_killed_while_it_writes_ends_like_a_whole_one(whole, start, short, tmp_path, changes):
    run = tmp_path / "run"
    assert exit_code(start(train_in_child, run, short, changes)) == -signal.SIGKILL
    assert exit_code(start(train_in_child, run, short)) == 0
    assert_ends_like(whole, run)


@pytest.fixture
def start_long_run(start, tiny, tmp_path):
    """Return a function that starts the command in a folder, and waits for a checkpoint."""

    def start_it(run):
        arguments = ["newsgroups", *options(tiny | {"epochs": 5_000}), "--run-dir", str(run)]
        process = start(command_in_child, arguments, tmp_path / "output")
        wait_for((run / "checkpoint" / "index.json").exists, process.is_alive)
        return process

    return start_it


def resume_for_an_epoch(start, run, output):
    """Resume a run with the options in its folder, and assert that it does one more epoch."""
    epochs = position_of(run).epoch + 1
    arguments = ["newsgroups", "--run-dir", str(run), "--resume", "--epochs", str(epochs)]
    assert exit_code(start(command_in_child, arguments, output)) == 0
    assert output.read_text().splitlines()[-1] == f"run: {run}"
    assert position_of(run).epoch == epochs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_says_how_to_resume(start, start_long_run, tmp_path, number):
    run, output = tmp_path / "run", tmp_path / "output"
    process = start_long_run(run)
    os.kill(process.pid, number)
    assert exit_code(process) == 128 + number
    assert f"python -m research.train --run-dir {run} --resume" in output.read_text()
    resume_for_an_epoch(start, run, output)


def test_a_second_signal_leaves_at_once(start_long_run, tmp_path):
    process = start_long_run(tmp_path / "run")
    os.kill(process.pid, signal.SIGSTOP)  # both signals come before the process can look
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    os.kill(process.pid, signal.SIGTERM)
    assert exit_code(process) in (-signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder that is a file system of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs more rights than there are here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_ends_in_one_line_and_the_run_can_be_resumed_once_there_is_room(
    start, start_long_run, small_disk, tmp_path
):
    run, output = small_disk / "run", tmp_path / "output"
    process = start_long_run(run)
    filling = small_disk / "filling"
    with pytest.raises(OSError, match="No space left"), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert exit_code(process) == 1
    *_, last_line = output.read_text().splitlines()
    assert last_line.startswith("error: ") and "No space left" in last_line
    assert "Traceback" not in output.read_text()

    arrays_of(run, "last")
    filling.unlink()
    resume_for_an_epoch(start, run, output)
