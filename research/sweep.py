"""Trains and evaluates a grid of runs on Ray: `python -m research.sweep EXPERIMENT...`.

Experiments, seeds and backends make the grid. A run is a Ray task that starts `research.train` and
then `research.evaluate`, as processes of their own, since a process has exactly one backend.
"""

import contextlib
import datetime
import functools
import json
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import tyro
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from research import experiments
from research.config import Config
from research.data import corpora
from research.files import atomic
from research.processes import backends, command
from research.processes.choices import choose

POLL_SECONDS = 0.5

# The order of the table, which is cut at its end where the terminal is too low for it.
STATES = ("running", "failed", "done", "recorded", "stopped", "waiting")


@dataclass(frozen=True)
class Options:
    """Trains and evaluates every EXPERIMENT with every seed on every backend.

    A run whose record is in results/runs is skipped, and one that was begun goes on. Options after
    a `--` are those of `python -m research.train`, for all runs: `-- --corpus-path news20.tar.gz`.
    """

    experiment: tyro.conf.Positional[tuple[str, ...]]
    """Names of experiments, as in research/experiments.py."""
    seeds: int = 1
    """How many seeds, from 0."""
    backends: Annotated[str | None, tyro.conf.arg(metavar="NAME,NAME")] = None
    """Backends, with commas between them; by default the one that a command takes by itself."""
    address: str | None = None
    """A Ray cluster that runs, as HOST:PORT or auto; by default one of its own on this machine.
    Its machines must have this package installed, and share this working directory."""
    cpus: int | None = None
    """Cores, and so threads, of a run; by default all of a machine's, or its share for a GPU, so
    that runs don't slow each other down and step times compare."""


@dataclass(frozen=True)
class Passed:
    """The options after a `--`."""

    config: Annotated[Config, tyro.conf.arg(name="")]


@dataclass
class Job:
    """A run of the grid, and how it fares: `state` is one of `STATES`."""

    experiment: str
    backend: str
    config: Config
    state: str = "waiting"
    reason: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    started: float | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.name = f"{self.experiment}/{self.backend}-seed{self.config.seed}"
        self.run = Path("runs", self.name)
        self.log = Path("runs", f"{self.name}.log")  # beside it: a new run folder must be empty
        self.record = Path("results/runs", f"{self.name}.json")

    def follow(self, state: str) -> None:
        """Notes its state, the time since it was first seen running, and its epochs so far."""
        now = time.monotonic()
        self.started = self.started or now
        self.state, self.seconds = state, now - self.started
        with contextlib.suppress(FileNotFoundError):
            lines = (self.run / "history.jsonl").read_text().splitlines()
            self.history = [json.loads(line) for line in lines]

    def figures(self) -> tuple[str, str, str]:
        """Returns epochs, best validation accuracy, which is no test score, and time, or ""."""
        epochs = f"{len(self.history)}/{self.config.epochs}" if self.history else ""
        scores = [e["validation_accuracy"] for e in self.history if "validation_accuracy" in e]
        best = max(scores, default=None)
        elapsed = datetime.timedelta(seconds=round(self.seconds))
        return epochs, "" if best is None else f"{best:.4f}", str(elapsed) if self.started else ""

    def __str__(self) -> str:
        if self.state == "failed":
            log = f"; log: {self.log}" if self.started else ""
            return f"failed {self.name}: {self.reason}{log}"
        units = zip(("epoch", "validation accuracy", "time"), self.figures(), strict=True)
        return ", ".join([f"{self.state} {self.name}", *(f"{u} {v}" for u, v in units if v)])


def main() -> None:
    """Parses the command line, runs the grid, and exits with 1 if a run failed."""
    arguments, passed = sys.argv[1:], []
    if "--" in arguments:
        end = arguments.index("--")
        arguments, passed = arguments[:end], arguments[end + 1 :]
    options = tyro.cli(Options, args=arguments, prog=command.program())
    jobs = _grid(options, passed)
    for job in jobs:
        _look_up(job)
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _display(jobs) as display:
        waiting = [job for job in jobs if job.state == "waiting"]
        if waiting:
            with _ray(options.address) as ray:
                signal.signal(signal.SIGINT, stop)  # now, since Ray sets its own
                signal.signal(signal.SIGTERM, stop)
                _run(ray, waiting, passed, options.cpus, display)
    failures = [job for job in jobs if job.state == "failed"]
    print(*failures, _counts(jobs), sep="\n")
    if received:
        print(f"go on with: {shlex.join(['python', '-m', 'research.sweep', *sys.argv[1:]])}")
        sys.exit(128 + received[0])
    sys.exit(1 if failures else 0)


def _grid(options: Options, passed: Sequence[str]) -> list[Job]:
    if not options.experiment:
        known = ", ".join(experiments.EXPERIMENTS)
        raise ValueError(f"expected experiments, received none; name some of {known}")
    for option, value in (("--seeds", options.seeds), ("--cpus", options.cpus)):
        if value is not None and value < 1:
            raise ValueError(f"expected {option} of 1 or more, received {value}; raise it")
    wanted = options.backends.split(",") if options.backends else [backends.select()]
    for backend in wanted:
        choose("a backend", backend, backends.BACKENDS)
    jobs = []
    for experiment in dict.fromkeys(options.experiment):
        default = experiments.get(experiment)
        prog = f"{command.program()} ... --"
        config = tyro.cli(Passed, args=passed, default=Passed(default), prog=prog).config
        if config.seed != default.seed:
            raise ValueError(
                f"expected seeds by --seeds, received --seed {config.seed}; leave it out"
            )
        for seed in range(options.seeds):
            for backend in dict.fromkeys(wanted):
                jobs.append(Job(experiment, backend, replace(config, seed=seed)))
    return jobs


def _look_up(job: Job) -> None:
    """Finds out whether a run has its record, or whether another run stands in its place."""
    if job.record.exists():
        record = atomic.read_json(job.record)
        job.history = record["history"]
        job.reason = _difference(job.record, record["config"], job.config)
        if job.config.corpus_path and not job.reason:
            before, now = record["data"]["corpus_digest"], _digest(replace(job.config, seed=0))
            if before != now:
                job.reason = (
                    f"expected {job.record} to be of the corpus at {job.config.corpus_path}, "
                    "received one of another corpus; move it away"
                )
        job.state = "failed" if job.reason else "recorded"
    elif (job.run / "config.json").exists():
        job.reason = _difference(job.run, atomic.read_json(job.run / "config.json"), job.config)
        job.state = "failed" if job.reason else "waiting"


def _difference(place: Path, saved: Mapping[str, Any], config: Config) -> str:
    # A corpus is known by its digest, not by where it lies. An option that is younger than the
    # record had its default.
    before = Config().to_json() | dict(saved) | {"corpus_path": None}
    now = config.to_json() | {"corpus_path": None}
    differing = [name for name in before if before[name] != now.get(name)]
    if not differing:
        return ""
    expected, received = (
        ", ".join(f"{name} {options.get(name)}" for name in differing) for options in (now, before)
    )
    return f"expected {place} with {expected}, received it with {received}; move it away"


@functools.cache
def _digest(config: Config) -> str:
    return corpora.load(
        config.corpus,
        config.corpus_path,
        text_column=config.text_column,
        label_column=config.label_column,
        split_column=config.split_column,
    ).digest


def _run(
    ray: Any,
    jobs: Sequence[Job],
    passed: Sequence[str],
    cpus: int | None,
    display: Callable[[], None],
) -> None:
    """Runs the jobs and keeps their states; Ctrl-C lets them save and stop."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(machine["CPU"]) for machine in machines if "CPU" in machine]
    gpus = max(int(machine.get("GPU", 0)) for machine in machines)
    if cpus is not None and cpus > max(cores):
        raise ValueError(f"expected --cpus of up to {max(cores)}, received {cpus}; lower it")
    settings = {name: os.environ[name] for name in _THREADS if name in os.environ}
    if cpus is not None and cpus < max(cores):
        settings = dict.fromkeys(_THREADS, str(cpus))
    # A task whose worker died is begun again by Ray, three times, and its training goes on.
    task = ray.remote(
        num_cpus=cpus or max(1, min(cores) // max(1, gpus)),
        num_gpus=min(1, gpus),
    )(_execute)

    tasks, sizes = {}, {}
    for job in jobs:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        sizes[job.name] = job.log.stat().st_size if job.log.exists() else 0
        seed, run, record = str(job.config.seed), str(job.run), str(job.record)
        train = [job.experiment, *passed, "--seed", seed, "--run-dir", run, "--resume"]
        commands = [["research.train", *train], ["research.evaluate", run, "--record", record]]
        environment = settings | {"KERAS_BACKEND": job.backend}
        tasks[task.remote(commands, environment, Path.cwd(), job.log)] = job

    def settle(reference: Any) -> None:
        job = tasks[reference]
        try:
            job.reason = ray.get(reference)
        except ray.exceptions.TaskCancelledError:
            job.state = "stopped" if job.state == "running" else "waiting"
            return
        except ray.exceptions.RayError as error:
            job.reason = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        job.follow("failed" if job.reason else "done")

    pending = list(tasks)
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=POLL_SECONDS)
            for reference in done:
                settle(reference)
            for job in (tasks[reference] for reference in pending):
                if job.log.exists() and job.log.stat().st_size > sizes[job.name]:
                    job.follow("running")
            display()
    except KeyboardInterrupt:
        print("\nstopping; runs save first; once more to leave at once", file=sys.stderr)
        left = [
            reference for reference, job in tasks.items() if job.state in ("running", "waiting")
        ]
        for reference in left:
            ray.cancel(reference)
        for reference in left:
            settle(reference)
        display()


@contextlib.contextmanager
def _display(jobs: Sequence[Job]) -> Iterator[Callable[[], None]]:
    """Gives what shows the jobs as they stand: in a terminal a table, else a line per change."""
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def show() -> None:
                failures = [str(job) for job in jobs if job.state == "failed"]
                live.update(Group(_counts(jobs), *failures, _table(jobs)), refresh=True)

            show()
            yield show
            live.update(_table(jobs), refresh=True)
    else:
        said = {job.name: "waiting" for job in jobs}

        def say() -> None:
            for job in jobs:
                if job.state != said[job.name]:
                    said[job.name] = job.state
                    print(job, flush=True)

        say()
        yield say


def _table(jobs: Sequence[Job]) -> Table:
    table = Table("experiment", "backend", "seed", "state", box=box.ROUNDED)
    for column in ("epoch", "validation", "time"):
        table.add_column(column, justify="right")
    for job in sorted(jobs, key=lambda job: STATES.index(job.state)):
        table.add_row(job.experiment, job.backend, str(job.config.seed), job.state, *job.figures())
    return table


def _counts(jobs: Sequence[Job]) -> str:
    count = Counter(job.state for job in jobs)
    return f"{len(jobs)} runs: " + ", ".join(f"{count[s]} {s}" for s in STATES if count[s])


if __name__ == "__main__":
    command.guard(main)
