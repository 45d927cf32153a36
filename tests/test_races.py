"""Two processes at one run folder: it never holds a mixture of theirs."""

import contextlib
import json
import os
import random
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, arrays_of, exit_code, options, position_of

from research import evaluate, sweep, train
from research.config import Config
from research.evaluation import figures, records
from research.files import sealed
from research.processes import command
from research.training import checkpoints, cluster

pytestmark = pytest.mark.faults

REPETITIONS = 50


def command_in_child(main, arguments, delay, output: Path) -> None:
    """Run a command in a child process after a delay in seconds, with its output in a file."""
    time.sleep(delay)
    sys.argv = [f"research/{main.__module__.rpartition('.')[2]}.py", *map(str, arguments)]
    sys.stdout = sys.stderr = output.open("w", buffering=1)
    figures.save = lambda *_: None  # they take most time
    command.run(main) if main is evaluate.main else command.guard(main)


def assert_whole(run, dropout_of):
    """Assert that options, history and weights of a run are of one process."""
    config = Config.read(run)
    position = position_of(run)
    assert position.epoch == config.epochs
    assert dropout_of[config.seed] == config.dropout
    lines = (run / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == position.history
    arrays_of(run, "best"), arrays_of(run, "last")
    assert len(json.loads((run / "environment.json").read_text())) == 1


def test_two_trainers_never_share_a_run_folder(start, tiny, tmp_path):
    generator = random.Random(0)
    dropout_of = {0: 0.5, 1: 0.25}
    for repetition in range(REPETITIONS):
        run = tmp_path / f"run{repetition}"
        processes = [
            start(
                command_in_child,
                train.main,
                ["kim", *options(tiny | {"seed": seed, "dropout": dropout}), "--run-dir", run],
                generator.uniform(0, 1),
                tmp_path / f"output{repetition}-{seed}",
            )
            for seed, dropout in dropout_of.items()
        ]
        codes = [exit_code(process) for process in processes]
        assert sorted(codes) == [0, 1], codes  # one trains, the other is told why it may not
        refused = (tmp_path / f"output{repetition}-{codes.index(1)}").read_text()
        assert refused.startswith("error: expected ") and refused.count("\n") == 1, refused
        assert_whole(run, dropout_of)
        assert Config.read(run).seed == codes.index(0)


def test_two_trainers_of_one_experiment_take_two_folders(start, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = random.Random(1)
    for _ in range(REPETITIONS):
        arguments = ["newsgroups", *options(tiny)]
        processes = [
            start(
                command_in_child,
                train.main,
                arguments,
                generator.uniform(0, 0.5),
                tmp_path / f"output{number}",
            )
            for number in range(2)
        ]
        assert [exit_code(process) for process in processes] == [0, 0]
        folders = {
            (tmp_path / f"output{number}").read_text().splitlines()[-1].removeprefix("run: ")
            for number in range(2)
        }
        assert len(folders) == 2
        for folder in folders:
            assert_whole(tmp_path / folder, {0: 0.5})
    assert len(list((tmp_path / "runs" / "newsgroups").iterdir())) == 2 * REPETITIONS


def test_an_evaluator_beside_a_trainer_scores_one_whole_checkpoint(start, tiny, tmp_path):
    run = tmp_path / "run"
    arguments = ["kim", *options(tiny | {"epochs": 100_000}), "--run-dir", run]
    trainer = start(command_in_child, train.main, arguments, 0, tmp_path / "trainer")
    while not checkpoints.exists(run) or position_of(run).best_epoch is None:
        assert trainer.is_alive()
        time.sleep(0.02)
    generator = random.Random(2)
    record = tmp_path / "record.json"
    epochs = set()
    for repetition in range(REPETITIONS):
        output = tmp_path / f"evaluator{repetition}"
        evaluator = start(
            command_in_child,
            evaluate.main,
            [run, "--record", record, "--checkpoint", "last"],
            generator.uniform(0, 0.3),
            output,
        )
        assert exit_code(evaluator) == 0, output.read_text()
        written = json.loads(record.read_text())
        path = run / "metrics.json"
        assert sealed.parse(path.read_bytes(), path) == written["metrics"]
        assert written["metrics"]["epoch"] == written["history"][-1]["epoch"]
        epochs.add(written["metrics"]["epoch"])
    os.kill(trainer.pid, 15)
    assert exit_code(trainer) == 128 + 15
    assert len(epochs) > REPETITIONS // 2, "training must go on meanwhile"


class SameProcess:
    """Runs the jobs of a sweep one after the other, as a worker of Ray runs one."""

    def __init__(self):
        self.jobs, self.reasons = {}, {}

    def start(self, commands, environment, log):
        self.jobs[log] = (commands, environment, Path.cwd(), log)
        return log

    def wait(self, logs, timeout_s):
        first, *others = logs
        self.reasons[first] = cluster.execute(*self.jobs[first])
        return [first], others

    def outcome(self, log):
        return self.reasons[log]


def sweep_in_child(folder: Path, arguments, delay, output: Path) -> None:
    """Run a sweep in a folder, without Ray, in a child process."""
    os.chdir(folder)
    sweep.connect = lambda *_: contextlib.nullcontext(SameProcess())
    command_in_child(sweep.main, arguments, delay, output)


def test_two_sweeps_of_one_grid_make_each_run_once(start, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    generator = random.Random(3)
    grid = ["newsgroups", "--seeds", 2, "--backends", "torch", "--", *options(tiny)]
    for repetition in range(REPETITIONS):
        folder = tmp_path / f"sweeps{repetition}"
        folder.mkdir()
        outputs = [folder / f"output{number}" for number in range(2)]
        processes = [
            start(sweep_in_child, folder, grid, generator.uniform(0, 8), output)
            for output in outputs
        ]
        codes = [exit_code(process) for process in processes]
        assert codes == [0, 0], [output.read_text() for output in outputs]
        for seed in range(2):
            run = folder / "runs" / "newsgroups" / f"torch-seed{seed}"
            assert_whole(run, {seed: 0.5})
            of_run = folder / "runs" / "records" / "newsgroups" / f"{run.name}.json"
            record = records.load(of_run)
            assert record["config"]["seed"] == seed
            assert record["history"] == position_of(run).history
