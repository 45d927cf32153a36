"""A grid of runs on Ray: what runs, what fails, what is skipped and what goes on."""

from research.files import atomic
from research.processes import backends, command

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import options

import research
from research import sweep

BACKEND = backends.select()
EXPERIMENTS = ("newsgroups", "kim")
TINY = {"batch_size": 64, "epochs": 60}  # enough of them to interrupt
PATIENCE_SECONDS = 300


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def ignore_sigint():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def start(folder, *arguments, **how):
    return subprocess.Popen(
        [sys.executable, "-m", "research.sweep", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(research.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **how,
    )


def answer_of(process):
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Answer(process.returncode, out, err)


def wait_for(path, process=None):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.05)


class Swept(NamedTuple):
    folder: Path
    interrupted: Answer
    finished: Answer


@pytest.fixture(scope="module")
def swept(tiny, tmp_path_factory):
    """A sweep that was interrupted, and then ran to its end; a third run can't but fail."""
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("a folder whose path is longer than any socket's may be" * 2)
    (folder / "runs" / "r8" / f"{BACKEND}-seed0").mkdir(parents=True)
    (folder / "runs" / "r8" / f"{BACKEND}-seed0" / "thesis.tex").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("TMPDIR", str(folder))
        command = (*EXPERIMENTS, "r8", "--backends", BACKEND, "--cpus", 1, "--")
        # As a shell starts what is to run in the background.
        process = start(folder, *command, *options(tiny | TINY), preexec_fn=ignore_sigint)
        wait_for(folder / "runs" / "newsgroups" / f"{BACKEND}-seed0" / "history.jsonl", process)
        process.send_signal(signal.SIGINT)
        interrupted = answer_of(process)
        finished = answer_of(start(folder, *command, *options(tiny | TINY)))
    return Swept(folder, interrupted, finished)


def test_an_interrupted_sweep_says_how_to_go_on(swept):
    code, out, err = swept.interrupted
    assert code == 130
    assert "stopped newsgroups/" in out
    assert "Traceback" not in out + err
    *_, last = out.splitlines()
    assert last.startswith("go on with: python -m research.sweep newsgroups kim r8 --backends ")
    log = (swept.folder / "runs" / "newsgroups" / f"{BACKEND}-seed0.log").read_text()
    assert "saved after epoch " in log


def test_a_run_that_was_stopped_goes_on(swept):
    environment = atomic.read_json(
        swept.folder / "runs" / "newsgroups" / f"{BACKEND}-seed0" / "environment.json"
    )
    assert [process["from"]["epoch"] > 0 for process in environment] == [False, True]


def test_every_run_that_can_has_its_record(swept):
    for experiment in EXPERIMENTS:
        record = atomic.read_json(
            swept.folder / "results" / "runs" / experiment / f"{BACKEND}-seed0.json"
        )
        assert record["metrics"]["split"] == "test"
        assert record["config"]["model"] == {"newsgroups": "tutorial", "kim": "kim"}[experiment]
        assert (record["config"]["corpus"], record["config"]["seed"]) == ("folder", 0)
        assert len(record["history"]) == TINY["epochs"]
        last = record["environment"][-1]
        assert last["backend"] == BACKEND
        assert last["command"].startswith(f"python -m research.train {experiment} --corpus folder")
        pinned = "1" if os.cpu_count() > 1 else None
        assert last["settings"].get("OMP_NUM_THREADS") == pinned
        line = f"done {experiment}/{BACKEND}-seed0, epoch 60/60, validation accuracy "
        assert line in swept.finished.out


def test_a_failed_run_says_why_and_fails_nobody_else(swept):
    code, out, err = swept.finished
    assert code == 1
    assert err == ""
    *_, failure, counts = out.splitlines()
    assert failure.startswith(f"failed r8/{BACKEND}-seed0: expected a run folder, or a place for")
    assert failure.endswith(
        f"which is something else; give another --run-dir; log: runs/r8/{BACKEND}-seed0.log"
    )
    assert counts == "3 runs: 1 failed, 2 done"
    assert not (swept.folder / "results" / "runs" / "r8").exists()


@pytest.fixture
def again(swept, tiny, monkeypatch, capsys):
    """Sweeps once more what has records, without Ray, which it does not need."""
    monkeypatch.chdir(swept.folder)
    monkeypatch.setitem(sys.modules, "ray", None)

    def call(*arguments, **changed):
        passed = options(tiny | TINY | changed)
        command = [*arguments, "--backends", BACKEND, "--", *passed]
        monkeypatch.setattr(sys, "argv", ["research/sweep.py", *map(str, command)])
        with pytest.raises(SystemExit) as leaving:
            command.guard(sweep.main)
        return Answer(leaving.value.code, *capsys.readouterr())

    return call


def test_what_has_a_record_is_skipped(again):
    code, out, err = again(*EXPERIMENTS)
    assert (code, err) == (0, "")
    assert out.startswith(f"recorded newsgroups/{BACKEND}-seed0, epoch 60/60, validation accuracy")
    assert out.endswith("2 runs: 2 recorded\n")


def test_a_record_of_other_options_is_not_taken_for_it(again):
    code, out, _ = again(*EXPERIMENTS, epochs=61)
    assert code == 1
    for experiment in EXPERIMENTS:
        record = f"results/runs/{experiment}/{BACKEND}-seed0.json"
        assert f"expected {record} with epochs 61, received it with epochs 60; move" in out
    assert out.endswith("2 runs: 2 failed\n")


def test_a_run_of_other_options_is_not_gone_on_with(again, swept):
    record = swept.folder / "results" / "runs" / "kim" / f"{BACKEND}-seed0.json"
    content = record.read_bytes()
    record.unlink()
    try:
        code, out, _ = again("kim", dropout=0.25)
    finally:
        record.write_bytes(content)
    assert code == 1
    assert f"expected runs/kim/{BACKEND}-seed0 with dropout 0.25, received it with " in out


def test_a_record_of_another_corpus_is_not_taken_for_it(again, tiny, tmp_path):
    corpus = shutil.copytree(tiny["corpus_path"], tmp_path / "moved")
    assert again("kim", corpus_path=corpus).code == 0
    (corpus / "space" / "000.txt").write_text("other words")
    sweep._digest.cache_clear()  # as in another process
    code, out, _ = again("kim", corpus_path=corpus)
    assert code == 1
    assert f"to be of the corpus at {corpus}, received one of another corpus" in out


def test_a_record_older_than_an_option_had_its_default(again, swept):
    path = swept.folder / "results" / "runs" / "kim" / f"{BACKEND}-seed0.json"
    content, record = path.read_bytes(), atomic.read_json(path)
    try:
        del record["config"]["dropout"]
        atomic.write_json(path, record)
        assert again("kim").code == 0
        assert again("kim", dropout=0.25).code == 1
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["expected experiments, received none", "newsgroups"]),
        (["newsgruops"], ["did you mean 'newsgroups'?"]),
        (["kim", "--backends", "jax,troch"], ["did you mean 'torch'?"]),
        (["kim", "--seeds", 0], ["--seeds of 1 or more, received 0"]),
        (["kim", "--cpus", -1], ["--cpus of 1 or more, received -1"]),
        (["kim", "--", "--seed", 3], ["seeds by --seeds, received --seed 3"]),
        (["kim", "--", "--epochs", 0], ["--epochs to be at least 1, received 0"]),
        (["kim"], ["expected Ray", "pip install 'keras-text-research[sweep]'"]),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, parts, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)  # Python's way to say that there is none
    monkeypatch.setattr(sys, "argv", ["research/sweep.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as leaving:
        command.guard(sweep.main)
    assert leaving.value.code.startswith("error: expected ")
    for part in parts:
        assert part in leaving.value.code
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_option_of_the_training_gets_a_suggestion(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["research/sweep.py", "kim", "--", "--epoch", "3"])
    with pytest.raises(SystemExit, match="2"):
        command.guard(sweep.main)
    err = capsys.readouterr().err
    assert "--epochs" in err.split("Perhaps you meant")[1]


ORPHAN = """
import os, pathlib, sys, time

if pathlib.Path("worker").exists():  # the second time
    sys.exit(0 if pathlib.Path("saved").exists() else "error: two at once")
os.setpgid(0, 0)  # so that Ray does not find it when it cleans up after the worker
pathlib.Path("worker").write_text(str(os.getppid()))
time.sleep(6)
pathlib.Path("saved").touch()
"""


def test_a_run_whose_worker_dies_is_begun_again_once_nothing_is_left_of_it(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "orphan.py").write_text(ORPHAN)
    with sweep._ray(None) as ray:
        task = ray.remote(sweep._execute)
        reference = task.remote([["orphan"]], {}, tmp_path, Path("log"))
        wait_for(tmp_path / "worker")
        time.sleep(0.5)
        os.kill(int((tmp_path / "worker").read_text()), signal.SIGKILL)
        assert ray.get(reference, timeout=PATIENCE_SECONDS) == ""
    assert (tmp_path / "log").read_text().count("$ python -m orphan") == 2


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"])
def test_an_address_where_nothing_listens_is_refused_at_once(address, tmp_path):
    started = time.monotonic()
    answer = answer_of(start(tmp_path, "newsgroups", "--address", address))
    assert answer.code == 1
    assert answer.err.startswith(f"error: expected a Ray cluster at {address}, received ")
    assert "leave --address out" in answer.err
    assert answer.err.count("\n") == 1
    assert time.monotonic() - started < 60
    assert list(tmp_path.iterdir()) == []
