"""A run that was started on one backend continues on another."""

import itertools
import json
import shutil

import numpy as np
import pytest
from conftest import arrays_of, position_of, python

from research.files import atomic
from research.processes import backends

pytestmark = pytest.mark.slow

TRAIN = """
import json, sys
from pathlib import Path
from research import train
from research.config import Config
options, wanted = json.loads(sys.argv[1]), json.loads(sys.argv[2])
options["corpus_path"] = Path(options["corpus_path"])
for run, epochs in wanted.items():
    train.train("tiny", Config(**options | {"epochs": epochs}), Path(run), resume=True)
"""
DIRECTIONS = list(itertools.permutations(backends.BACKENDS, 2))


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """Runs by name: `jax` of two epochs, and `jax-torch` with the second epoch on PyTorch."""
    if len(backends.installed()) < 3:
        pytest.skip("needs all three backends")
    folder = tmp_path_factory.mktemp("portability")
    options = json.dumps(tiny | {"corpus_path": str(tiny["corpus_path"])})

    def train(backend, wanted):
        runs_and_epochs = json.dumps({str(folder / run): epochs for run, epochs in wanted.items()})
        answer = python(
            *("-c", TRAIN, options, runs_and_epochs), environment={"KERAS_BACKEND": backend}
        )
        assert answer.code == 0, answer.err

    for begun in backends.BACKENDS:
        train(begun, {begun: 2, f"{begun}-half": 1})
    for begun, ended in DIRECTIONS:
        shutil.copytree(folder / f"{begun}-half", folder / f"{begun}-{ended}")
    for ended in backends.BACKENDS:
        train(ended, {f"{begun}-{ended}": 2 for begun, other in DIRECTIONS if other == ended})
    return folder


def difference(state, expected):
    """Return the largest difference of a variable, as a share of its largest value."""
    assert state.keys() == expected.keys()
    return max(
        np.abs(state[name].astype("float64") - value).max() / max(np.abs(value).max(), 1e-30)
        for name, value in expected.items()
        if value.size
    )


@pytest.mark.parametrize(("begun", "ended"), DIRECTIONS)
def test_a_run_continues_on_another_backend(folder, begun, ended):
    run = folder / f"{begun}-{ended}"
    position, stayed = position_of(run), position_of(folder / begun)
    assert position.epoch == 2
    assert position.history[0]["loss"] == stayed.history[0]["loss"]
    processes = atomic.read_json(run / "environment.json")
    assert [process["backend"] for process in processes] == [begun, ended]
    # Every weight, optimizer slot and counter: 1e-6 was measured, after five steps in float32.
    expected = arrays_of(folder / begun, "last")
    assert difference(arrays_of(run, "last"), expected) < 1e-5
    half = arrays_of(folder / f"{begun}-half", "last")
    assert difference(half, expected) > 0.1, "the second epoch must have changed something"
