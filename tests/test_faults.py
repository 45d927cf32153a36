"""A run killed without warning goes on, and ends as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from research import runs, train
from research.config import Config

EPOCHS = 6


def _train(run: Path, options: dict, writes_to_live: int | None = None) -> None:
    """Trains in a child process, which kills itself in place of its n-th change of the disk."""
    if writes_to_live is not None:
        changes = iter(range(writes_to_live))

        def mortal(change):
            def live_or_die(*arguments, **keywords):
                if next(changes, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return change(*arguments, **keywords)

            return live_or_die

        os.fsync, Path.replace, Path.unlink = map(mortal, (os.fsync, Path.replace, Path.unlink))
    train.train("tiny", Config(**options), run, resume=True)


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
            process = context.Process(
                target=_train, args=(run, tiny | {"epochs": EPOCHS}, writes_to_live)
            )
            process.start()
            return process

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
        runs.load_arrays(run, "last"),
        runs.load_arrays(run, "best"),
        time.perf_counter() - started,
    )


def assert_ends_like(whole, child, run):
    process = child(run)
    process.join()
    assert process.exitcode == 0
    assert runs.load_position(run)["epoch"] == EPOCHS
    assert len((run / "history.jsonl").read_text().splitlines()) == EPOCHS
    for name, expected in (("last", whole[0]), ("best", whole[1])):
        state = runs.load_arrays(run, name)
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


@pytest.mark.parametrize("writes", range(0, 60, 4))
def test_a_run_killed_while_it_writes_ends_like_a_whole_one(whole, child, tmp_path, writes):
    process = child(tmp_path / "run", writes)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert_ends_like(whole, child, tmp_path / "run")
