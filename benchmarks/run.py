"""Runs the benchmarks and writes their record: `python -m benchmarks.run`.

Every subject is timed in several fresh processes. All processes run in a random order, so a machine
that slows down in the meantime slows down all subjects alike. The record says what the times were
measured on, and what makes them doubtful.
"""

import datetime
import random
import re
import shlex
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine, subjects, workload
from benchmarks.subjects import Subject
from benchmarks.tables import step_times
from research.files import atomic
from research.processes import backends, command, hardware, provenance
from research.processes.child import ChildFailed, run_python

ROOT = Path(__file__).parents[1]
HANG_S = 1800
"""Seconds after which a process counts as hung. None needs more than a few minutes."""


def main(
    processes: int = 3,
    embedding_dim: int = 50,
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
      embedding_dim: 50 with GloVe's vectors, or another number with random ones.
      threads: for every library; by default as many as there are cores.
      seed: of the order of the processes.
      quick: a rough answer in a few minutes: the main rows, in one process for each backend. The
        record goes to runs/benchmarks.
      tiny: try the suite on tiny sizes; the times mean nothing and go to runs/benchmarks.
      only: time only what matches this regular expression, such as "torch: our".
      record: the JSON file to write; by default results/benchmarks/DEVICE-DIMENSIONSd.json.
    """
    if processes < 1:
        raise ValueError(f"expected --processes of 1 or more, received {processes}; use 3")
    cores = provenance.cpu_cores()
    threads = cores if threads is None else threads
    if not 1 <= threads <= cores:
        raise ValueError(f"expected --threads in 1 to {cores}, received {threads}; leave it out")
    started, cores_used = _now(), machine.use_cores(threads)
    settings = machine.settings(threads)

    devices = {backend: _device(backend, settings) for backend in backends.installed()}
    about = workload.load(embedding_dim, tiny).description  # also downloads what is missing
    effort = "tiny" if tiny else "quick" if quick else "full"
    only = only or (subjects.MAIN if effort == "quick" else "")
    planned, left_out = subjects.select(subjects.on_backends(devices), devices, only)
    is_full = effort == "full"
    processes = processes if is_full else 1
    jobs = _jobs(planned, processes, seed, is_full)
    load_before = machine.wait_until_quiet(cores) if is_full else machine.load_average()
    content = {
        "about": about | {"slice_texts": workload.TOKENIZED_TEXTS},
        "method": {
            "command": shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]]),
            "started": started,
            "finished": started,
            "effort": effort,
            "processes": processes,
            "seed": seed,
            "order": [[subject.title for subject in job] for job in jobs],
        },
        "machine": machine.describe(cores, threads, cores_used)
        | {"devices": devices, "load_before": load_before},
        "doubts": [],
        "left_out": left_out,
        "rows": [],
    }
    path = record or _record_path(devices, embedding_dim, is_full)
    options = [f"--embedding-dim={embedding_dim}", f"--effort={effort}"]
    _time_all(planned, jobs, options, settings, content, path)
    print(step_times.plain(content))
    for doubt in content["doubts"]:
        print(f"doubtful: {doubt}")
    print(f"record: {path}")


def _jobs(planned: list[Subject], processes: int, seed: int, is_full: bool) -> list[list[Subject]]:
    """Return the subjects of each process, in a random order.

    Unless the run is full, each backend has one process, since starting processes takes long. There
    `model.fit` comes first: it uses the allocator's defaults, which the others change.
    """
    together: dict[str, list[Subject]] = {}
    for subject in planned:
        together.setdefault(subject.process if is_full else subject.backend, []).append(subject)
    jobs = [
        sorted(job, key=lambda subject: subject.kind != "fit")
        for job in together.values()
        for _ in range(processes)
    ]
    random.Random(seed).shuffle(jobs)
    return jobs


def _time_all(
    planned: list[Subject],
    jobs: list[list[Subject]],
    options: list[str],
    settings: dict[str, str],
    content: dict[str, Any],
    path: Path,
) -> None:
    """Run all processes; after each one, complete the record's content and write it.

    So an interruption loses one process at most.
    """
    measured: dict[Subject, list[dict[str, Any]]] = {subject: [] for subject in planned}
    for number, job in enumerate(jobs, start=1):
        titles = "; ".join(subject.title for subject in job)
        print(f"[{number}/{len(jobs)}] {titles}", flush=True)
        try:
            for subject, result in zip(job, _time(job, options, settings), strict=True):
                measured[subject].append(result)
        except ValueError as error:
            print(f"    failed: {error}", flush=True)
            content["left_out"].append({"subject": f"{titles}, one process", "reason": str(error)})
        content["method"]["finished"] = _now()
        content["rows"] = [
            _row(subject, results) for subject, results in measured.items() if results
        ]
        content["doubts"] = _doubts(content, len(jobs) - number, len(jobs))
        atomic.write_json(path, content)


def _doubts(content: dict[str, Any], missing: int, processes: int) -> list[str]:
    about = content["machine"]
    doubts = machine.doubts(about["load_before"], about["cores"], content["rows"])
    if content["method"]["effort"] == "quick":
        doubts.append("this was a quick run: one process for each backend, and few rounds")
    if content["method"]["effort"] == "tiny":
        doubts.append("this was a try on tiny sizes")
    if missing:
        doubts.append(f"{missing} of {processes} processes had not run yet")
    return doubts


def _device(backend: str, settings: dict[str, str]) -> str:
    code = (
        "from research.processes import backends; backends.select()\n"
        "from research.training.devices import device_name; print(device_name())"
    )
    return _python(["-c", code], backend, settings).splitlines()[-1]


def _time(job: list[Subject], options: list[str], settings: dict[str, str]) -> list[dict[str, Any]]:
    """Time the subjects in one process, and return what pytest-benchmark reports of each.

    Raises:
      ValueError: the process failed or hung.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "benchmark.json")
        # Not on the command line, which an error message quotes: the folder is removed by then.
        files = shlex.join([f"--benchmark-json={path}", f"--basetemp={folder}/pytest"])
        tests = [subject.test for subject in job]
        arguments = ["-m", "pytest", "-q", "--tb=short", *options, *tests]
        _python(arguments, job[0].backend, settings | {"PYTEST_ADDOPTS": files})
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


def _row(subject: Subject, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the results of a subject's processes; a unit is a step, a text or a vector."""
    unit_ms = [[1e3 * s / one["units"] for s in one["rounds_s"]] for one in results]
    together = [ms for of_process in unit_ms for ms in of_process]
    quartiles = statistics.quantiles(together, n=4, method="inclusive")
    first = results[0]
    return {
        "framework": subject.framework,
        "name": subject.name,
        "kind": subject.kind,
        "backend": subject.backend,
        "device": first["device"],
        "precision": first.get("precision"),
        "jit": first.get("jit"),
        "units_per_round": first["units"],
        "gflop_per_round": first.get("gflop"),
        "check": first.get("check"),
        "unit_time_ms": {
            "median": statistics.median(together),
            "first_quartile": quartiles[0],
            "third_quartile": quartiles[2],
            "minimum": min(together),
            "n": len(together),
            "medians_of_processes": [statistics.median(of_process) for of_process in unit_ms],
        },
        "rounds_ms": [[1e3 * s for s in one["rounds_s"]] for one in results],
        "warm_up_ms": [[1e3 * s for s in one["warm_up_s"]] for one in results],
        "first_call_s": [one["first_call_s"] for one in results],
        "matmul_gflops": [one["matmul_gflops"] for one in results],
        "load_average": [one["load_average"] for one in results],
    }


def _record_path(devices: dict[str, str], embedding_dim: int, is_full: bool) -> Path:
    gpus = [device for device in devices.values() if not device.startswith("cpu")]
    # The backends name the same GPU in different ways, so the first name counts.
    name = gpus[0].partition(": ")[2] if gpus else hardware.label(hardware.describe())
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    folder = Path("results" if is_full else "runs") / "benchmarks"
    return folder / f"{name}-{embedding_dim}d.json"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    command.run(main)
