"""Runs the benchmarks and writes their record: `python -m benchmarks.run`.

Every subject is timed in fresh processes. All processes run in a random order, so a machine that
slows down in the meantime slows down all subjects alike. The record says what the times were
measured on, and what makes them doubtful. An interrupted run goes on where it stopped.
"""

import datetime
import json
import random
import shlex
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import machine, points, subjects, workload
from benchmarks import record as records
from benchmarks.points import BASE
from benchmarks.subjects import Subject
from benchmarks.tables import step_times
from benchmarks.unfinished import Unfinished
from research.files import atomic
from research.processes import backends, command, provenance
from research.processes.child import ChildFailed, run_python

ROOT = Path(__file__).parents[1]
HANG_S = 1800
"""Seconds after which a process counts as hung. None needs more than a few minutes."""
UNFINISHED = Path("runs/benchmarks/unfinished")


@dataclass(frozen=True)
class Job:
    """What one process times, one subject after the other.

    Attributes:
      subjects: all of one backend and of the same sizes.
      effort: a key of `EFFORTS`.
      threads: of the process.
    """

    subjects: tuple[Subject, ...]
    effort: str
    threads: int

    @property
    def title(self) -> str:
        """The titles of the subjects."""
        return "; ".join(subject.title for subject in self.subjects)


def main(
    processes: int = 2,
    embedding_dim: int = BASE.embedding_dim,
    threads: int | None = None,
    seed: int = 0,
    quick: bool = False,
    tiny: bool = False,
    only: str = "",
    record: Path | None = None,
) -> None:
    """Times training steps, inference and tokenizing on every installed backend.

    Args:
      processes: how many processes time each subject; with quick or tiny it is one.
      embedding_dim: 50 with GloVe's vectors, or another number with random ones, which leaves the
        comparison of sizes out.
      threads: for every library; by default as many as there are cores.
      seed: of the order of the processes.
      quick: a rough answer in a few minutes: the main rows, in one process for each backend. The
        record goes to runs/benchmarks.
      tiny: try the suite on tiny sizes; the times mean nothing and go to runs/benchmarks.
      only: time only what matches this regular expression, such as "torch: our".
      record: the JSON file to write; by default results/benchmarks/DEVICE-DIMENSIONSd.json.
    """
    if processes < 1:
        raise ValueError(f"expected --processes of 1 or more, received {processes}; use 2")
    cores = provenance.cpu_cores()
    threads = cores if threads is None else threads
    if not 1 <= threads <= cores:
        raise ValueError(f"expected --threads in 1 to {cores}, received {threads}; leave it out")
    started, cores_used = _now(), machine.use_cores(threads)
    effort = "tiny" if tiny else "quick" if quick else "full"
    base = replace(BASE, embedding_dim=embedding_dim)

    probes = {name: _probe(name, machine.settings(threads)) for name in backends.installed()}
    devices = {name: probe["device"] for name, probe in probes.items()}
    about = workload.load(base, tiny).description  # also downloads what is missing
    candidates = subjects.on_backends(devices, base)
    if effort == "full" and base == BASE and threads == cores:
        candidates += subjects.at_points(devices)
        _encode_all_lengths()
    only = only or (subjects.MAIN if effort == "quick" else "")
    planned, left_out = subjects.select(candidates, devices, only)
    jobs = _jobs(planned, processes if effort == "full" else 1, seed, effort, threads)
    method = {
        "command": shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]]),
        "effort": effort,
        "processes": processes if effort == "full" else 1,
        "seed": seed,
        "order": [[subject.title for subject in job.subjects] for job in jobs],
    }
    about_machine = machine.describe(cores, threads, cores_used) | {"devices": devices}
    path = record or records.path(devices, embedding_dim, effort == "full")
    unfinished = Unfinished(UNFINISHED / path.name, {"method": method, "machine": about_machine})
    failed = _time_all(jobs, cores, effort, unfinished)
    loads = [load for load in unfinished.load_before if load is not None]
    content = {
        "about": about | {"slice_texts": workload.TOKENIZED_TEXTS},
        "method": method | {"started": started, "finished": _now()},
        "machine": about_machine
        | {
            "load_before": max(loads, default=None),
            "memory_gb_s": max(probe["memory_gb_s"] for probe in probes.values()),
        },
        "left_out": left_out + failed,
        **_rows(jobs, unfinished, threads),
    }
    content["doubts"] = _doubts(content)
    atomic.write_json(path, content)
    print(step_times.plain(content))
    for doubt in content["doubts"]:
        print(f"doubtful: {doubt}")
    print(f"record: {path}")
    if failed:
        raise ValueError(
            f"expected all {len(jobs)} processes to end, {len(failed)} failed, as the record says; "
            "mend them and run this again, which times only those"
        )
    unfinished.remove()


def _encode_all_lengths() -> None:
    """Fill the cache of token ids for each length, so that no process has to."""
    for length in sorted({point.sequence_length for point in points.DESIGN}):
        workload.load(replace(BASE, model="kim", sequence_length=length))


def _jobs(
    planned: list[Subject], processes: int, seed: int, effort: str, threads: int
) -> list[Job]:
    """Return the processes, in a random order.

    Unless the run is full, each backend has one process, since starting processes takes long. There
    `model.fit` comes first: it uses the allocator's defaults, which the others change. Points have
    one process and fewer rounds, since there are many.
    """
    together: dict[str, list[Subject]] = {}
    for subject in planned:
        together.setdefault(subject.process if effort == "full" else subject.backend, []).append(
            subject
        )
    jobs = []
    for group in together.values():
        in_order = tuple(sorted(group, key=lambda subject: subject.kind != "fit"))
        if group[0].is_point:
            jobs.append(Job(in_order, "point", group[0].point.threads or threads))
        else:
            jobs += [Job(in_order, effort, threads)] * processes
    random.Random(seed).shuffle(jobs)
    return jobs


def _time_all(
    jobs: list[Job], cores: int, effort: str, unfinished: Unfinished
) -> list[dict[str, str]]:
    """Run the processes that have not ended yet; return `subject` and `reason` of those that fail.

    Each one's results are stored when it ends, so an interruption loses one process at most.
    """
    if unfinished.results:
        print(
            f"going on with a run of which {len(unfinished.results)} of {len(jobs)} processes have "
            f"ended; remove {unfinished.path} to begin anew"
        )
    is_full = effort == "full"
    unfinished.begin(machine.wait_until_quiet(cores) if is_full else machine.load_average())
    failed = []
    for number, job in enumerate(jobs, start=1):
        if str(number) in unfinished.results:
            continue
        print(f"[{number}/{len(jobs)}] {job.title}", flush=True)
        try:
            unfinished.add(number, _time(job))
        except ValueError as error:
            print(f"    failed: {error}", flush=True)
            failed.append({"subject": f"{job.title}, one process", "reason": str(error)})
    return failed


def _rows(jobs: list[Job], unfinished: Unfinished, threads: int) -> dict[str, Any]:
    """Return the `rows` and the `points` of the record."""
    measured: dict[Subject, list[dict[str, Any]]] = {}
    for number, job in enumerate(jobs, start=1):
        results = unfinished.results.get(str(number), [])
        for subject, result in zip(job.subjects, results, strict=False):  # none if it failed
            measured.setdefault(subject, []).append(result)
    found: dict[str, Any] = {"rows": [], "points": []}
    for subject, results in sorted(measured.items(), key=lambda item: item[0].title):
        of_point = "points" if subject.is_point else "rows"
        found[of_point].append(records.row(subject, results, threads))
    return found


def _doubts(content: dict[str, Any]) -> list[str]:
    about = content["machine"]
    doubts = machine.doubts(about["load_before"], about["cores"], content["rows"])
    if content["method"]["effort"] == "quick":
        doubts.append("this was a quick run: one process for each backend, and few rounds")
    if content["method"]["effort"] == "tiny":
        doubts.append("this was a try on tiny sizes")
    return doubts


def _probe(backend: str, settings: dict[str, str]) -> dict[str, Any]:
    """Return the `device` that a backend computes on, and its `memory_gb_s`."""
    code = (
        "from research.processes import backends; backends.select()\n"
        "import json; from benchmarks.machine import memory_gb_s\n"
        "from research.training.devices import device_name; name = device_name()\n"
        "print(json.dumps({'device': name, 'memory_gb_s': memory_gb_s(name)}))"
    )
    found: dict[str, Any] = json.loads(_python(["-c", code], backend, settings).splitlines()[-1])
    return found


def _time(job: Job) -> list[dict[str, Any]]:
    """Time the subjects in one process, and return what pytest-benchmark reports of each.

    Raises:
      ValueError: the process failed or hung.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "benchmark.json")
        # Not on the command line, which an error message quotes: the folder is removed by then.
        files = shlex.join([f"--benchmark-json={path}", f"--basetemp={folder}/pytest"])
        tests = [subject.test for subject in job.subjects]
        sizes = [*job.subjects[0].point.options(), f"--threads={job.threads}"]
        arguments = ["-m", "pytest", "-q", "--tb=short", *sizes, f"--effort={job.effort}", *tests]
        settings = machine.settings(job.threads) | {"PYTEST_ADDOPTS": files}
        _python(arguments, job.subjects[0].backend, settings)
        results = {result["fullname"]: result for result in atomic.read_json(path)["benchmarks"]}
    return [
        {"rounds_s": results[test]["stats"]["data"], **results[test]["extra_info"]}
        for test in tests
    ]


def _python(arguments: list[str], backend: str, settings: dict[str, str]) -> str:
    """Run Python in the root of the code and return what it printed.

    Raises:
      ValueError: it failed or hung. The message has pytest's reasons, if there are any.
    """
    try:
        return run_python(arguments, settings | {"KERAS_BACKEND": backend}, ROOT, HANG_S)
    except ChildFailed as error:
        lines = error.output.splitlines()
        reasons = " ".join(line[1:].strip() for line in lines if line.startswith("E  "))
        raise ValueError(f"{reasons:.500}: {error}" if reasons else str(error)) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    command.run(main)
