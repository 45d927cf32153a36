"""A grid of runs on Ray: what runs, what fails, what is skipped and what is continued."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from conftest import HANG_S, ROOT, Answer, assert_refused, options, wait_for

from research import sweep
from research.data import corpora
from research.files import atomic
from research.processes import backends
from research.training import checkpoints, cluster

BACKEND = backends.select()
NAME = f"{BACKEND}-seed0"


@pytest.fixture
def without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # so Python finds no such package


# --- the command line ----------------------------------------------------------------------------


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
def test_a_mistake_is_reported_in_one_line(
    arguments, parts, call, without_ray, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(sweep, *arguments), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_option_of_the_training_gets_a_suggestion(call):
    answer = call(sweep, "kim", "--", "--epoch", 3)
    assert answer.code == 2
    assert "--epochs" in answer.err.split("Perhaps you meant")[1]


def test_the_grid_has_every_experiment_seed_and_backend_once():
    grid, passed = sweep.parse(
        ["kim", "r8", "kim", "--seeds", "2", "--backends", "jax,torch", "--", "--epochs", "3"]
    )
    jobs = sweep.make_jobs(grid, passed)
    assert [job.name for job in jobs] == [
        *("kim/jax-seed0", "kim/torch-seed0", "kim/jax-seed1", "kim/torch-seed1"),
        *("r8/jax-seed0", "r8/torch-seed0", "r8/jax-seed1", "r8/torch-seed1"),
    ]
    assert [job.config.seed for job in jobs] == [0, 0, 1, 1] * 2
    assert {job.config.epochs for job in jobs} == {3}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"])
def test_an_address_where_nothing_listens_is_refused_before_ray_tries(
    address, call, monkeypatch, tmp_path
):
    def init(*_, **__):
        raise AssertionError("Ray would try for minutes")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    answer = call(sweep, "kim", "--address", address)
    assert_refused(answer, f"expected a Ray cluster at {address}, received", "leave --address out")
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_refuses_is_reported_in_one_line(call, monkeypatch, tmp_path):
    def init(*_, **__):
        raise RuntimeError("version mismatch\nmore about it")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    answer = call(sweep, "kim", "--address", "auto")
    assert_refused(answer, "a Ray cluster at auto, received 'version mismatch'; start one")


# --- records and runs of before ------------------------------------------------------------------


@pytest.fixture
def recorded(tiny, tmp_path, monkeypatch):
    """The path of a record of `kim`, as `research.evaluate` writes it, in the working directory."""
    monkeypatch.chdir(tmp_path)
    config = sweep.experiment_config("kim", options(tiny))
    record = {
        "config": config.to_json(),
        "data": {"corpus_digest": corpora.load(config.corpus_source).digest},
        "environment": [],
        "metrics": {},
        "history": [{"epoch": epoch, "validation_accuracy": epoch / 4} for epoch in (1, 2)],
    }
    path = tmp_path / "runs" / "records" / "kim" / f"{NAME}.json"
    atomic.write_json(path, record)
    return path


@pytest.fixture
def sweep_kim(tiny, call, without_ray):
    """Sweeps `kim` with changed options, without Ray, which nothing here needs."""

    def sweep_once(**changed):
        passed = options(tiny | changed)
        return call(sweep, "kim", "--backends", BACKEND, "--", *passed)

    return sweep_once


def test_what_has_a_record_is_skipped(recorded, sweep_kim):
    assert sweep_kim() == (
        0,
        f"recorded kim/{NAME}, epoch 2/2, validation accuracy 0.5000\n1 runs: 1 recorded\n",
        "",
    )


def test_a_record_of_other_options_is_not_taken_for_it(recorded, sweep_kim):
    code, out, _ = sweep_kim(epochs=3)
    assert code == 1
    record = f"runs/records/kim/{NAME}.json"
    assert f"expected {record} with epochs 3, received it with epochs 2; move" in out
    assert out.endswith("1 runs: 1 failed\n")


@pytest.mark.parametrize("content", ["", '{"config": {', "[]", '{"config": {}}'])
def test_a_half_written_record_is_the_failure_of_one_job(recorded, sweep_kim, content):
    recorded.write_text(content)
    code, out, _ = sweep_kim()
    assert code == 1
    assert f"failed kim/{NAME}: expected " in out
    assert f"runs/records/kim/{NAME}.json, received " in out
    assert out.endswith("1 runs: 1 failed\n")


def test_a_run_of_other_options_is_not_continued(recorded, sweep_kim, tmp_path):
    config = atomic.read_json(recorded)["config"]
    recorded.unlink()
    atomic.write_json(tmp_path / "runs" / "kim" / NAME / "config.json", config)
    code, out, _ = sweep_kim(dropout=0.25)
    assert code == 1
    assert f"expected runs/kim/{NAME} with dropout 0.25, received it with dropout 0.5" in out
    assert_refused(sweep_kim(), "expected Ray")  # it would be continued


def test_a_record_of_another_corpus_is_not_taken_for_it(recorded, sweep_kim, tiny, tmp_path):
    corpus = shutil.copytree(tiny["corpus_path"], tmp_path / "moved")
    assert sweep_kim(corpus_path=corpus).code == 0
    (corpus / "space" / "000.txt").write_text("other words")
    sweep.corpus_digest.cache_clear()  # as in another process
    code, out, _ = sweep_kim(corpus_path=corpus)
    assert code == 1
    assert f"to be of the corpus at {corpus}, received one of another corpus" in out


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ("dropout", 0.25),
        ("deep_vocabulary_size", 1000),
        ("deep_sequence_length", 100),
        ("word_dropout", 0.1),
    ],
)
def test_an_option_that_a_record_lacks_had_its_default(option, other, recorded, sweep_kim):
    record = atomic.read_json(recorded)
    default = record["config"].pop(option)
    atomic.write_json(recorded, record)
    assert sweep_kim().code == 0
    code, out, _ = sweep_kim(**{option: other})
    assert code == 1
    assert f"with {option} {other}, received it with {option} {default}; " in out


# --- jobs ----------------------------------------------------------------------------------------


class InterruptedCluster:
    """Finishes the first job. Then the others run, or wait, when a person presses Ctrl-C."""

    def __init__(self):
        self.commands, self.cancelled = [], []

    def start(self, commands, environment, log):
        self.commands.append(commands)
        if len(self.commands) < 3:
            log.write_text("it runs")
        return len(self.commands)

    def wait(self, references, timeout_s):
        if 1 in references:
            return [1], [2, 3]
        raise KeyboardInterrupt

    def cancel(self, reference):
        self.cancelled.append(reference)

    def outcome(self, reference):
        return "" if reference == 1 else None


def test_ctrl_c_cancels_what_has_not_ended(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    jobs = sweep.make_jobs(sweep.GridOptions(("kim",), seeds=3), [])
    on_ray = InterruptedCluster()
    sweep.run_jobs(on_ray, jobs, ["--epochs", "3"], lambda: None)
    assert on_ray.cancelled == [2, 3]
    assert [job.state for job in jobs] == ["done", "stopped", "waiting"]
    assert sweep.counts(jobs) == "3 runs: 1 done, 1 stopped, 1 waiting"
    assert "stopping; the runs save first" in capsys.readouterr().err
    train, evaluate = on_ray.commands[2]
    run, record = f"runs/kim/{BACKEND}-seed2", f"runs/records/kim/{BACKEND}-seed2.json"
    passed = ["--epochs", "3", "--seed", "2", "--run-dir", run, "--resume"]
    assert train == ["research.train", "kim", *passed]
    assert evaluate == ["research.evaluate", run, "--record", record, "--no-compare"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("pass", ""),
        ("import sys; print('error: no data'); print('bye'); sys.exit(1)", "no data"),
        ("import sys; print('no more memory'); sys.exit(1)", "no more memory"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_why_a_command_failed(source, reason, tmp_path):
    (tmp_path / "first.py").write_text("print('error: of another command')")
    (tmp_path / "second.py").write_text(source)
    commands = [["first"], ["second", "--option"]]
    assert cluster.execute(commands, {}, tmp_path, Path("log")) == reason
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line for line in lines if line.startswith("$")] == [
        "$ python -m first",
        "$ python -m second --option",
    ]


ORPHAN = f"""
import os, pathlib, sys, time

if pathlib.Path("worker").exists():  # the second time
    sys.exit(0 if pathlib.Path("saved").exists() else "error: two at once")
os.setpgid(0, 0)  # so that Ray does not find it when it cleans up after the worker
pathlib.Path("started").write_text(f"{{os.getppid()}} {{os.nice(0)}}")
pathlib.Path("started").rename("worker")
deadline = time.monotonic() + {HANG_S}
while not pathlib.Path("may end").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
pathlib.Path("saved").touch()
"""


@pytest.fixture(scope="module")
def patient_ray():
    """Lets Ray wait for its own processes, which start slowly on a busy machine."""
    if not importlib.util.find_spec("ray"):
        pytest.skip("needs Ray")
    with pytest.MonkeyPatch.context() as patch:  # before Ray is imported, since it reads them then
        patch.setenv("RAY_DASHBOARD_STARTUP_TIMEOUT_S", str(HANG_S))
        patch.setenv("RAY_gcs_server_port_wait_time_s", str(HANG_S))
        patch.setenv("RAY_raylet_start_wait_time_s", str(HANG_S))
        patch.setenv("RAY_agent_register_timeout_ms", str(1000 * HANG_S))
        patch.setenv("RAY_worker_register_timeout_seconds", str(HANG_S))
        patch.setenv("RAY_health_check_timeout_ms", str(1000 * HANG_S))
        yield


def skip_if_ray_gave_up(message):
    """Skips the test if Ray met its one limit that cannot be changed."""
    if "timed out during startup" in message:
        pytest.skip("Ray gives its processes 30 s to start, and this machine is too busy for that")


@pytest.fixture
def on_ray(patient_ray, tmp_path, monkeypatch):
    """A Ray cluster whose jobs run in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        try:
            connected = stack.enter_context(cluster.connect(None, None))
        except Exception as error:
            skip_if_ray_gave_up(str(error))
            raise
        yield connected


@pytest.mark.slow
def test_a_run_whose_worker_dies_begins_again_once_nothing_is_left_of_it(on_ray):
    Path("orphan.py").write_text(ORPHAN)
    job = on_ray.start([["orphan"]], {}, Path("log"))

    def is_alive():
        _, others = on_ray.wait([job], 0)
        return bool(others)

    try:
        wait_for(Path("worker").exists, is_alive)
        worker, niceness = map(int, Path("worker").read_text().split())
        os.kill(worker, signal.SIGKILL)
        waiting = f"waiting for {Path('log.lock').absolute()}, which another process holds"
        wait_for(lambda: waiting in Path("log").read_text(), is_alive)
    finally:
        Path("may end").touch()
    wait_for(lambda: not is_alive(), lambda: True)
    assert on_ray.outcome(job) == ""
    assert niceness == os.nice(0)  # a run yields to others no more than one without Ray
    assert Path("log").read_text().count("$ python -m orphan") == 2


# --- the whole command, with Ray, training and evaluation ----------------------------------------


class Swept(NamedTuple):
    folder: Path
    epochs: int
    interrupted: Answer
    finished: Answer


ENDLESS_EPOCHS = 100_000


def ignore_sigint():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def sweeping(folder, *arguments):
    """Starts a sweep in the background, as a shell does, and leaves none behind."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "research.sweep", *map(str, arguments)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=err,
            preexec_fn=ignore_sigint,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(HANG_S)


def is_alive(process, folder):
    if process.poll() is None:
        return True
    answer_of(process, folder)
    return False


def answer_of(process, folder):
    process.wait(HANG_S)
    answer = Answer(process.returncode, (folder / "out").read_text(), (folder / "err").read_text())
    print(answer)  # pytest shows it if a test fails
    skip_if_ray_gave_up(answer.err)
    return answer


@pytest.fixture(scope="module")
def swept(tiny, tmp_path_factory, patient_ray):
    """A sweep that was interrupted, and then ran to its end with a second run that must fail."""
    folder = tmp_path_factory.mktemp("a folder whose path is longer than any socket's may be" * 2)
    run = folder / "runs" / "newsgroups" / NAME
    command = ("--backends", BACKEND, "--cpus", 1, "--")
    endless = options(tiny | {"epochs": ENDLESS_EPOCHS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        with sweeping(folder, "newsgroups", *command, *endless) as process:

            def is_running():
                said = (folder / "out").read_text()
                return (run / "history.jsonl").exists() and "running newsgroups" in said

            wait_for(is_running, lambda: is_alive(process, folder))
            process.send_signal(signal.SIGINT)
            interrupted = answer_of(process, folder)

        # However fast the machine is, the run had not ended. Now it may, after one more epoch.
        epochs = len((run / "history.jsonl").read_text().splitlines()) + 1
        with checkpoints.opened(run, "last") as checkpoint:
            inputs = dict(checkpoint.inputs)
        config = json.loads(inputs["config.json"])
        inputs["config.json"] = atomic.json_bytes(config | {"epochs": epochs})
        checkpoints.Saver(run, inputs).write_inputs()
        (folder / "runs" / "r8" / NAME).mkdir(parents=True)
        (folder / "runs" / "r8" / NAME / "thesis.tex").touch()
        passed = options(tiny | {"epochs": epochs})
        with sweeping(folder, "newsgroups", "r8", *command, *passed) as process:
            finished = answer_of(process, folder)
    return Swept(folder, epochs, interrupted, finished)


@pytest.mark.slow
def test_an_interrupted_sweep_says_how_to_continue(swept):
    code, out, err = swept.interrupted
    assert code == 130, err
    assert "stopped newsgroups/" in out
    assert "Traceback" not in out + err
    *_, last = out.splitlines()
    assert last.startswith("continue with: python -m research.sweep newsgroups --backends ")
    log = (swept.folder / "runs" / "newsgroups" / f"{NAME}.log").read_text()
    assert "saved after epoch " in log


@pytest.mark.slow
def test_a_run_that_was_stopped_is_continued(swept):
    environment = atomic.read_json(swept.folder / "runs" / "newsgroups" / NAME / "environment.json")
    assert [process["from"]["epoch"] > 0 for process in environment] == [False, True]


@pytest.mark.slow
def test_a_run_that_succeeds_has_its_record(swept):
    record = atomic.read_json(swept.folder / "runs" / "records" / "newsgroups" / f"{NAME}.json")
    assert record["metrics"]["split"] == "test"
    assert record["config"]["model"] == "tutorial"
    assert (record["config"]["corpus"], record["config"]["seed"]) == ("folder", 0)
    assert len(record["history"]) == swept.epochs
    last = record["environment"][-1]
    assert last["backend"] == BACKEND
    assert last["command"].startswith("python -m research.train newsgroups --corpus folder")
    pinned = "1" if os.cpu_count() > 1 else None
    assert last["settings"].get("OMP_NUM_THREADS") == pinned
    progress = f"epoch {swept.epochs}/{swept.epochs}, validation accuracy "
    assert f"done newsgroups/{NAME}, {progress}" in swept.finished.out


@pytest.mark.slow
def test_a_failed_run_says_why_and_the_others_succeed(swept):
    code, out, err = swept.finished
    assert code == 1
    assert err == ""
    *_, failure, counts = out.splitlines()
    assert failure.startswith(f"failed r8/{NAME}: expected a run folder or a new folder, received")
    assert failure.endswith(
        f"which holds something else; give another --run-dir; log: runs/r8/{NAME}.log"
    )
    assert counts == "2 runs: 1 failed, 1 done"
    assert not (swept.folder / "runs" / "records" / "r8").exists()


@pytest.mark.slow
def test_a_run_that_succeeded_is_skipped_the_next_time(swept, tiny, call, without_ray, monkeypatch):
    monkeypatch.chdir(swept.folder)
    passed = options(tiny | {"epochs": swept.epochs})
    answer = call(sweep, "newsgroups", "--backends", BACKEND, "--", *passed)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("1 runs: 1 recorded\n")
