"""The record of the suite: a row for each subject, and where it is stored."""

import dataclasses
import re
import statistics
from pathlib import Path
from typing import Any

from benchmarks.points import DESIGN
from benchmarks.subjects import Subject
from research.processes import hardware


def row(subject: Subject, results: list[dict[str, Any]], all_threads: int) -> dict[str, Any]:
    """Join the results of a subject's processes; a unit is a step, a text or a vector.

    Args:
      subject: what was timed.
      results: what pytest-benchmark reports of each process.
      all_threads: of a process unless the point of the subject says another number.
    """
    unit_ms = [[1e3 * s / one["units"] for s in one["rounds_s"]] for one in results]
    together = [ms for of_process in unit_ms for ms in of_process]
    quartiles = statistics.quantiles(together, n=4, method="inclusive")
    first = results[0]
    return {
        "framework": subject.framework,
        "name": subject.name,
        "kind": subject.kind,
        "backend": subject.backend,
        **(_sizes(subject, all_threads) if subject.is_point else {}),
        "device": first["device"],
        "precision": first.get("precision"),
        "jit": first.get("jit"),
        "units_per_round": first["units"],
        "gflop_per_round": first.get("gflop"),
        "gbyte_per_round": first.get("gbyte"),
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
        "peak_memory_mb": [one.get("peak_memory_mb") for one in results],
        "matmul_gflops": [one["matmul_gflops"] for one in results],
        **_bfloat16(results),
        "load_average": [one["load_average"] for one in results],
    }


def _sizes(subject: Subject, all_threads: int) -> dict[str, Any]:
    sizes = dataclasses.asdict(subject.point)
    sizes["threads"] = sizes["threads"] or all_threads
    return {"point": sizes, "axis": list(DESIGN[subject.point])}


def _bfloat16(results: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [one["bfloat16_gflops"] for one in results if "bfloat16_gflops" in one]
    return {"bfloat16_gflops": rates} if rates else {}


def path(devices: dict[str, str], embedding_dim: int, is_full: bool) -> Path:
    """Return where the record is stored: named after the GPU, or after the processor.

    Args:
      devices: what each backend computes on.
      embedding_dim: of the word vectors.
      is_full: whether it is a record to keep.
    """
    gpus = [device for device in devices.values() if not device.startswith("cpu")]
    # The backends name the same GPU in different ways, so the first name counts.
    name = gpus[0].partition(": ")[2] if gpus else hardware.label(hardware.describe())
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    folder = Path("results" if is_full else "runs") / "benchmarks"
    return folder / f"{name}-{embedding_dim}d.json"
