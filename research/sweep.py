"""Trains and evaluates a grid of runs on Ray: `python -m research.sweep EXPERIMENT...`.

The grid has a run for each experiment, seed and backend. A run starts `research.train` and then
`research.evaluate`, each in a process of its own, since a process has exactly one backend.
"""

import contextlib
import datetime
import functools
import json
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
from research.data.corpora import CorpusSource
from research.evaluation import records
from research.processes import backends, command, escape
from research.processes.choices import choose
from research.training.cluster import Cluster, connect

POLL_SECONDS = 0.5

# The order of the table. Where the terminal is too low for it, its end is cut off.
STATES = ("running", "failed", "done", "recorded", "stopped", "waiting")


@dataclass(frozen=True)
class GridOptions:
    """Trains and evaluates every EXPERIMENT with every seed on every backend.

    A run that has a record is skipped, and one that was begun is continued. Options after a `--`
    are passed to `python -m research.train`: `-- --corpus-path news20.tar.gz`.
    """

    experiment: tyro.conf.Positional[tuple[str, ...]]
    """Names of experiments, as in research/experiments.py."""
    seeds: int = 1
    """How many seeds, from 0."""
    backends: Annotated[str | None, tyro.conf.arg(metavar="NAME,NAME")] = None
    """Backends, separated by commas; by default KERAS_BACKEND, or the first that is installed."""
    address: str | None = None
    """A running Ray cluster, as HOST:PORT or auto; by default a new one on this machine. The
    machines of a cluster must have this package installed and share this working directory."""
    results: Path = Path("runs/records")
    """The folder of the records. Those of the project's own tables are in results/runs."""
    cpus: int | None = None
    """Cores, and so threads, of a run. By default all of a machine, or its cores per GPU, so that
    runs don't slow each other down and their step times can be compared."""


@dataclass(frozen=True)
class TrainingOptions:
    """The options after a `--`."""

    config: Annotated[Config, tyro.conf.arg(name="")]


@dataclass
class Job:
    """A run of the grid and its progress.

    Attributes:
      experiment: the name of the experiment.
      backend: the name of the backend.
      config: the options of the run.
      state: one of `STATES`.
      reason: why it failed, or "".
      history: its epochs so far.
      log_begin: the size of the log, in bytes, when the job was queued.
      started: when it was first seen running, by the monotonic clock.
      seconds: the time since then.
    """

    experiment: str
    backend: str
    config: Config
    results: Path
    state: str = "waiting"
    reason: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    log_begin: int = 0
    started: float | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.name = f"{self.experiment}/{self.backend}-seed{self.config.seed}"
        self.run = Path("runs", self.name)
        self.log = Path("runs", f"{self.name}.log")  # beside it: a new run folder must be empty
        self.record = self.results / f"{self.name}.json"

    def commands(self, passed: Sequence[str]) -> list[list[str]]:
        """Return the modules to run, each with its arguments."""
        seed, run, record = str(self.config.seed), str(self.run), str(self.record)
        own = ["--seed", seed, "--run-dir", run, "--resume"]
        return [
            ["research.train", self.experiment, *passed, *own],
            ["research.evaluate", run, "--record", record, "--no-compare"],
        ]

    def has_output(self) -> bool:
        """Return whether the log has grown since the job was queued."""
        return self.log.exists() and self.log.stat().st_size > self.log_begin

    def follow(self, state: str) -> None:
        """Note the state, the time since the job was first seen running, and its epochs so far."""
        now = time.monotonic()
        self.started = self.started or now
        self.state, self.seconds = state, now - self.started
        with contextlib.suppress(FileNotFoundError):
            lines = (self.run / "history.jsonl").read_text().splitlines()
            self.history = [json.loads(line) for line in lines]

    def figures(self) -> tuple[str, str, str]:
        """Return epochs, best validation accuracy and time; "" for what is not known yet."""
        epochs = f"{len(self.history)}/{self.config.epochs}" if self.history else ""
        scores = [e["validation_accuracy"] for e in self.history if "validation_accuracy" in e]
        best = max(scores, default=None)
        elapsed = datetime.timedelta(seconds=round(self.seconds))
        return epochs, "" if best is None else f"{best:.4f}", str(elapsed) if self.started else ""

    def __str__(self) -> str:
        if self.state == "failed":
            log = f"; log: {self.log}" if self.started else ""
            return f"failed {self.name}: {escape.terminal(self.reason)}{log}"
        units = zip(("epoch", "validation accuracy", "time"), self.figures(), strict=True)
        return ", ".join([f"{self.state} {self.name}", *(f"{u} {v}" for u, v in units if v)])


def main() -> None:
    """Parse the command line, run the grid, and exit with 1 if a run failed."""
    options, passed = parse(sys.argv[1:])
    jobs = make_jobs(options, passed)
    for job in jobs:
        look_up(job)
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)  # Ray raises a KeyboardInterrupt of its own in place of this one
        raise KeyboardInterrupt

    with live_display(jobs) as refresh:
        waiting = [job for job in jobs if job.state == "waiting"]
        if waiting:
            with connect(options.address, options.cpus) as cluster:
                signal.signal(signal.SIGINT, stop)  # only now, since Ray sets its own handlers
                signal.signal(signal.SIGTERM, stop)
                run_jobs(cluster, waiting, passed, refresh)
    failures = [job for job in jobs if job.state == "failed"]
    print(*failures, counts(jobs), sep="\n")
    if received:
        again = shlex.join(["python", "-m", "research.sweep", *sys.argv[1:]])
        print(f"continue with: {escape.terminal(again)}")
        sys.exit(128 + received[0])
    sys.exit(1 if failures else 0)


def parse(arguments: list[str]) -> tuple[GridOptions, list[str]]:
    """Return the options of the sweep, and the arguments after `--` for the training."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = tyro.cli(GridOptions, args=arguments[:end], prog=command.program())
    return options, arguments[end + 1 :]


def make_jobs(options: GridOptions, passed: Sequence[str]) -> list[Job]:
    """Return a job for each experiment, seed and backend.

    Raises:
      ValueError: an option is missing, unknown or out of its range.
    """
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
        config = experiment_config(experiment, passed)
        for seed in range(options.seeds):
            for backend in dict.fromkeys(wanted):
                jobs.append(Job(experiment, backend, replace(config, seed=seed), options.results))
    return jobs


def experiment_config(experiment: str, passed: Sequence[str]) -> Config:
    """Return the options of an experiment, changed by those after the `--`."""
    default = experiments.get(experiment)
    prog = f"{command.program()} ... --"
    config = tyro.cli(
        TrainingOptions, args=passed, default=TrainingOptions(default), prog=prog
    ).config
    if config.seed != default.seed:
        raise ValueError(f"expected seeds by --seeds, received --seed {config.seed}; leave it out")
    return config


def look_up(job: Job) -> None:
    """Set the state of a job from its record, or from the run folder that is in its place."""
    try:
        job.state = "recorded" if job.record.exists() else "waiting"
        if job.state == "recorded":
            record = records.load(job.record)
            job.history = record["history"]
            job.reason = other_options(job.record, record["config"], job.config)
            if job.config.corpus_path and not job.reason:
                job.reason = other_corpus(job, record["data"].get("corpus_digest"))
        elif (job.run / "config.json").exists():
            saved = Config.read(job.run).to_json()
            job.reason = other_options(job.run, saved, job.config)
    except (ValueError, OSError) as error:  # a damaged file is the failure of one job
        job.reason = str(error)
    if job.reason:
        job.state = "failed"


def other_options(place: Path, saved: Mapping[str, Any], config: Config) -> str:
    """Return in which options a record or run differs from what is wanted, or "".

    An option that is younger than the record has its default there. The paths of corpus and
    vectors may differ, since both are known by their digests.
    """
    before, now = (
        options | {"corpus_path": None, "vectors": Path(options["vectors"]).name}
        for options in (Config().to_json() | dict(saved), config.to_json())
    )
    differing = [name for name in before if before[name] != now.get(name)]
    if not differing:
        return ""
    expected, received = (
        ", ".join(f"{name} {options.get(name)}" for name in differing) for options in (now, before)
    )
    return f"expected {place} with {expected}, received it with {received}; move it away"


def other_corpus(job: Job, recorded_digest: object) -> str:
    """Return that the record of a job is of another corpus, or ""."""
    if corpus_digest(job.config.corpus_source) == recorded_digest:
        return ""
    return (
        f"expected {job.record} to be of the corpus at {job.config.corpus_path}, "
        "received one of another corpus; move it away"
    )


@functools.cache
def corpus_digest(source: CorpusSource) -> str:
    """Return the digest of a corpus, which is loaded once however many jobs use it."""
    return corpora.load(source).digest


def run_jobs(
    cluster: Cluster, jobs: Sequence[Job], passed: Sequence[str], refresh: Callable[[], None]
) -> None:
    """Run the jobs and keep their states up to date; on KeyboardInterrupt let them save and stop.

    Args:
      cluster: where they run.
      jobs: those to run.
      passed: options of the training.
      refresh: is called after each change, and shows the jobs.
    """
    job_of: dict[Any, Job] = {}
    for job in jobs:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log_begin = job.log.stat().st_size if job.log.exists() else 0
        environment = {"KERAS_BACKEND": job.backend}
        job_of[cluster.start(job.commands(passed), environment, job.log)] = job

    pending = list(job_of)
    try:
        while pending:
            ended, pending = cluster.wait(pending, POLL_SECONDS)
            for reference in ended:
                settle(job_of[reference], cluster.outcome(reference))
            for job in (job_of[reference] for reference in pending):
                if job.has_output():
                    job.follow("running")
            refresh()
    except KeyboardInterrupt:
        print(
            "\nstopping; the runs save first; press Ctrl-C again to leave at once", file=sys.stderr
        )
        unsettled = [r for r, job in job_of.items() if job.state in ("running", "waiting")]
        for reference in unsettled:
            cluster.cancel(reference)
        for reference in unsettled:
            settle(job_of[reference], cluster.outcome(reference))
        refresh()


def settle(job: Job, outcome: str | None) -> None:
    """Set the last state of a job: `outcome` is why it failed, "", or None if it was cancelled."""
    if outcome is None:
        job.state = "stopped" if job.state == "running" else "waiting"
    else:
        job.reason = outcome
        job.follow("failed" if outcome else "done")


@contextlib.contextmanager
def live_display(jobs: Sequence[Job]) -> Iterator[Callable[[], None]]:
    """Give what shows the jobs: as a table in a terminal, else as a line for each change."""
    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:

            def show() -> None:
                failures = [str(job) for job in jobs if job.state == "failed"]
                live.update(Group(counts(jobs), *failures, table(jobs)), refresh=True)

            show()
            yield show
            live.update(table(jobs), refresh=True)
    else:
        said = {job.name: "waiting" for job in jobs}

        def say() -> None:
            for job in jobs:
                if job.state != said[job.name]:
                    said[job.name] = job.state
                    print(job, flush=True)

        say()
        yield say


def table(jobs: Sequence[Job]) -> Table:
    """Return the jobs as a table, sorted by state."""
    rows = Table("experiment", "backend", "seed", "state", box=box.ROUNDED)
    for column in ("epoch", "validation", "time"):
        rows.add_column(column, justify="right")
    for job in sorted(jobs, key=lambda job: STATES.index(job.state)):
        rows.add_row(job.experiment, job.backend, str(job.config.seed), job.state, *job.figures())
    return rows


def counts(jobs: Sequence[Job]) -> str:
    """Return how many jobs are in each state."""
    count = Counter(job.state for job in jobs)
    return f"{len(jobs)} runs: " + ", ".join(f"{count[s]} {s}" for s in STATES if count[s])


if __name__ == "__main__":
    command.guard(main)
