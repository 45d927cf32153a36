"""Runs the benchmarks and writes their record: `python -m benchmarks.run`.

Every subject is timed in fresh processes, several of each and all in a random order, so that a
machine that slows down meanwhile slows down all of them alike. What the numbers were measured on,
and whatever makes them doubtful, stands in the record.
"""

import datetime
import json
import os
import random
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks import machine, work
from research.files import atomic
from research.processes import backends, provenance

ROOT = Path(__file__).parent.parent
PROCESS_LIMIT_S = 600


@dataclass(frozen=True)
class Subject:
    """What is timed, and where.

    Attributes:
      framework: what computes, as a table says it.
      name: what is timed, as a table says it; up to the comma, the task.
      kind: "ours", "fit" or "peer" of a training step; for all the rest "inference", or
        "reference" for what the others are compared with.
      test: the test of this folder that times it.
      backend: Keras' backend in its process.
      process: those of the same name share a process, one after the other.
      text: whether it reads strings, for which TensorFlow is needed.
    """

    framework: str
    name: str
    kind: str
    test: str
    backend: str
    process: str
    text: bool = False

    @property
    def title(self) -> str:
        """Says what it is in a word or two."""
        return f"{self.framework}: {self.name}"


def subjects(devices: dict[str, str]) -> list[Subject]:
    """Returns what can be timed on the installed backends.

    Args:
      devices: backend -> what it computes on.
    """
    training, inference = "test_training.py", "test_inference.py"
    found = []
    for backend in devices:
        ours, keras = f"{backend}, ours", f"{backend}, Keras"
        for name, kind, test, process in (
            ("our step", "ours", "test_step", ours),
            ("our epoch", "ours", "test_epoch[float32]", ours),
            ("our epoch, bfloat16", "ours", "test_epoch[mixed_bfloat16]", ours),
            ("model.fit", "fit", "test_fit", keras),
        ):
            found.append(Subject(backend, name, kind, f"{training}::{test}", backend, process))
        for (mode, memory), name in _PEERS[backend].items():
            test = f"{training}::test_peer[{mode}-{memory}]"
            found.append(Subject(backend, name, "peer", test, backend, f"{backend}, {name}"))
        for name, kind, test, process, text in (
            ("token ids to labels, model.predict", "reference", "test_keras_predict", keras, False),
            ("token ids to labels, ours", "inference", "test_our_predict", ours, False),
            ("strings to labels, ours", "inference", "test_our_labels", ours, True),
        ):
            test = f"{inference}::{test}"
            found.append(Subject(backend, name, kind, test, backend, process, text))
    any_backend = next(iter(devices))
    for framework, name, kind, test, text in (
        (
            "scikit-learn",
            "strings to labels, TF-IDF and LinearSVC",
            "reference",
            "test_sklearn_labels",
            False,
        ),
        ("tensorflow", "texts to token ids, ours", "inference", "test_our_tokens", True),
        ("tensorflow", "texts to token ids, tutorial", "reference", "test_tutorial_tokens", True),
        ("numpy", "vectors from the cache", "inference", "test_vectors", False),
    ):
        backend = "tensorflow" if text else any_backend
        test = f"{inference}::{test}"
        found.append(Subject(framework, name, kind, test, backend, f"{backend}, texts", text))
    return found


_PEERS = {
    "tensorflow": {
        ("function", "as is"): "native, tf.function",
        ("function", "kept"): "native, tf.function, memory kept",
        ("xla", "as is"): "native, XLA",
    },
    "jax": {
        ("jit", "as is"): "native, jit",
        ("jit", "kept"): "native, jit, memory kept",
        ("scan", "as is"): "native, scan",
    },
    "torch": {
        ("eager", "as is"): "native, eager",
        ("eager", "kept"): "native, eager, memory kept",
        ("compile", "as is"): "native, torch.compile",
    },
}


def main(
    processes: int = 3,
    embedding_dim: int = 50,
    threads: int | None = None,
    seed: int = 0,
    quick: bool = False,
    only: str = "",
    record: Path | None = None,
) -> None:
    """Times training steps, inference and tokenizing, on every installed backend.

    Args:
      processes: how many of each subject; a quick try takes one.
      embedding_dim: 50, with GloVe's vectors, or another number, with random ones.
      threads: for every library; all cores unless you say otherwise.
      seed: of the order of the processes.
      quick: a try on tiny sizes, whose times mean nothing; it is written to runs/benchmarks.
      only: time only those whose "framework: name" matches this regular expression.
      record: the JSON file to write; by default results/benchmarks/DEVICE-DIMENSIONSd.json.
    """
    if processes < 1:
        raise ValueError(f"expected --processes of 1 or more, received {processes}; use 3")
    cores = machine.cores()
    threads = cores if threads is None else threads
    if not 1 <= threads <= cores:
        raise ValueError(f"expected --threads in 1 to {cores}, received {threads}; leave it out")
    started, cores_used = _now(), machine.use_cores(threads)
    settings = machine.settings(threads)

    devices = {backend: _device(backend, settings) for backend in backends.installed()}
    description = work.load(embedding_dim, quick).description  # fetches what the cache lacks
    planned, left_out = _select(subjects(devices), devices, only)
    load_before = machine.load_average() if quick else machine.wait_until_quiet(cores)

    together: dict[str, list[Subject]] = {}
    for subject in planned:  # in a quick try by backend, since starting a process takes longest
        together.setdefault(subject.backend if quick else subject.process, []).append(subject)
    processes = 1 if quick else processes
    jobs = [job for job in together.values() for _ in range(processes)]
    random.Random(seed).shuffle(jobs)

    path = record or _record_path(devices, embedding_dim, quick)
    measured: dict[Subject, list[dict[str, Any]]] = {subject: [] for subject in planned}
    for number, job in enumerate(jobs, start=1):
        titles = "; ".join(subject.title for subject in job)
        print(f"[{number}/{len(jobs)}] {titles}", flush=True)
        try:
            for subject, result in zip(
                job, _measure(job, embedding_dim, quick, settings), strict=True
            ):
                measured[subject].append(result)
        except ValueError as error:
            print(f"    failed: {error}", flush=True)
            left_out.append({"subject": f"{titles}, one process", "reason": str(error)})

        rows = [_row(subject, found) for subject, found in measured.items() if found]
        missing = len(jobs) - number
        warnings = doubts(load_before, cores, rows)
        warnings += ["this was a quick try on tiny sizes"] * quick
        warnings += [f"{missing} of {len(jobs)} processes had not run yet"] * bool(missing)
        content = {
            "about": description | {"slice_texts": work.SLICE_TEXTS, "quick": quick},
            "method": {
                "command": shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]]),
                "started": started,
                "finished": _now(),
                "processes": processes,
                "seed": seed,
                "order": [[subject.title for subject in job] for job in jobs],
            },
            "machine": machine.describe(cores, threads, cores_used)
            | {"devices": devices, "load_before": load_before},
            "doubts": warnings,
            "left_out": left_out,
            "rows": rows,
        }
        atomic.write_json(path, content)  # each time, so that an interruption loses one process
    for doubt in warnings:
        print(f"doubtful: {doubt}")
    print(f"record: {path}")


def doubts(load_before: float | None, cores: int, rows: list[dict[str, Any]]) -> list[str]:
    """Returns why the times should not be trusted, each in a sentence; an empty list is good.

    Args:
      load_before: the load average before the first process; None where it is not known.
      cores: how many there are.
      rows: of the record.
    """
    found = []
    if load_before is not None and load_before > machine.BUSY_LOAD_PER_CORE * cores:
        found.append(
            f"the machine was busy before the first process: load average {load_before:.2f} "
            f"on {cores} cores"
        )
    for backend in dict.fromkeys(row["backend"] for row in rows):
        rates = [
            rate
            for row in rows
            if row["backend"] == backend
            for rate in row["matmul_gflops"]
            if rate is not None
        ]
        if rates and max(rates) > (1 + machine.RATE_SPREAD) * min(rates):
            found.append(
                f"the rate of float32 matrix products on {backend} went from {min(rates):.0f} to "
                f"{max(rates):.0f} GFLOP/s between processes"
            )
    return found


def _select(
    found: list[Subject], devices: dict[str, str], only: str
) -> tuple[list[Subject], list[dict[str, str]]]:
    """Returns the subjects to time, and those left out, with the reason."""
    planned, left_out = [], []
    for backend in backends.BACKENDS:
        if backend not in devices:
            left_out.append({"subject": backend, "reason": "not installed"})
    for subject in found:
        on_cpu = devices.get(subject.backend, "").startswith("cpu")
        if not re.search(only, subject.title):
            continue
        if subject.text and "tensorflow" not in devices:
            reason = "strings need TensorFlow, which is not installed"
            left_out.append({"subject": subject.title, "reason": reason})
        elif subject.name == "native, scan" and on_cpu:
            reason = "in a loop XLA compiles convolutions for a CPU so that a step takes seconds"
            left_out.append({"subject": subject.title, "reason": reason})
        else:
            planned.append(subject)
    if only:
        left_out.append({"subject": f"what does not match {only!r}", "reason": "not asked for"})
    if not planned:
        raise ValueError(
            f"expected --only to match something, received {only!r}; match one of "
            + ", ".join(subject.title for subject in found)
        )
    return planned, left_out


def _device(backend: str, settings: dict[str, str]) -> str:
    code = "from research import backends; backends.select()\n"
    code += "from research import loop; print(loop.device())"
    return _python(["-c", code], backend, settings).splitlines()[-1]


def _measure(
    job: list[Subject], embedding_dim: int, quick: bool, settings: dict[str, str]
) -> list[dict[str, Any]]:
    """Times the subjects in one process, and returns what pytest-benchmark says of each.

    Raises:
      ValueError: the process failed, or took longer than `PROCESS_LIMIT_S`.
    """
    tests = [f"benchmarks/{subject.test}" for subject in job]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "benchmark.json")
        options = [f"--benchmark-json={path}", f"--basetemp={folder}/pytest"]
        options += [f"--embedding-dim={embedding_dim}", *(["--quick"] if quick else [])]
        arguments = ["-m", "pytest", "-q", "--tb=short", *options, *tests]
        _python(arguments, job[0].backend, settings)
        results = {
            found["fullname"]: found for found in json.loads(path.read_bytes())["benchmarks"]
        }
    return [
        {"rounds_s": results[test]["stats"]["data"], **results[test]["extra_info"]}
        for test in tests
    ]


def _python(arguments: list[str], backend: str, settings: dict[str, str]) -> str:
    """Runs Python in the root of the code and returns what it printed.

    Raises:
      ValueError: it failed; the message holds pytest's reason, or the last line.
    """
    try:
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | settings | {"KERAS_BACKEND": backend},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROCESS_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"expected an end within {PROCESS_LIMIT_S} s, received none; "
            "leave the subject out with --only"
        ) from None
    if finished.returncode != 0:
        lines = finished.stdout.strip().splitlines() or ["no output"]
        reasons = [line[1:].strip() for line in lines if line.startswith("E  ")] or lines[-1:]
        raise ValueError(
            f"expected the process to succeed, received exit status {finished.returncode} and "
            f"{' '.join(reasons)[:500]!r}; run it alone: KERAS_BACKEND={backend} python "
            + shlex.join(part for part in arguments if not part.startswith("--b"))
        )
    return finished.stdout


def _row(subject: Subject, found: list[dict[str, Any]]) -> dict[str, Any]:
    """Joins the processes of a subject; a unit is a step, a text or a vector."""
    unit_ms = [[1e3 * s / one["units"] for s in one["rounds_s"]] for one in found]
    together = [ms for of_process in unit_ms for ms in of_process]
    quartiles = statistics.quantiles(together, n=4, method="inclusive")
    first = found[0]
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
        "rounds_ms": [[1e3 * s for s in one["rounds_s"]] for one in found],
        "warm_up_ms": [[1e3 * s for s in one["warm_up_s"]] for one in found],
        "first_call_s": [one["first_call_s"] for one in found],
        "matmul_gflops": [one["matmul_gflops"] for one in found],
        "load_average": [one["load_average"] for one in found],
    }


def _record_path(devices: dict[str, str], embedding_dim: int, quick: bool) -> Path:
    gpus = [device for device in devices.values() if not device.startswith("cpu")]
    # Each backend names a GPU in its own way; "gpu: " is all that they share.
    name = gpus[0].partition(": ")[2] if gpus else provenance.processor()
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    folder = Path("runs" if quick else "results") / "benchmarks"
    return folder / f"{name}-{embedding_dim}d.json"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m benchmarks.run")
    except (ValueError, OSError) as error:
        sys.exit("error: " + " ".join(str(error).split()))
