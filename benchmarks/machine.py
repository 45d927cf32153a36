"""The machine: how many threads a process may use, how fast it multiplies, how busy it is."""

import os
import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from research.processes import hardware, provenance

BUSY_LOAD_PER_CORE = 0.5
"""Load average per core before the benchmark, above which its times are doubtful."""
RATE_SPREAD = 0.15
"""Relative difference of a library's rate between processes, above which times are doubtful."""

_PACKAGES = (*provenance.NETWORK_PACKAGES, "scikit-learn", "pytest-benchmark")
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def settings(threads: int) -> dict[str, str]:
    """Return the environment variables of every process, whatever library it times.

    XLA has no variable for threads. It counts the cores that it may run on: see `use_cores`.
    """
    return {
        **dict.fromkeys(_THREAD_SETTINGS, str(threads)),
        # On a GPU every library has its own rules for when float32 factors lose 13 of their bits.
        # Here they never do, so that float32 means the same in every row.
        "NVIDIA_TF32_OVERRIDE": "0",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        "JAX_ENABLE_COMPILATION_CACHE": "false",  # so that the first call compiles
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def use_cores(cores: int) -> list[int] | None:
    """Tie this process and its children to its first cores, and return their numbers.

    Where the system cannot do this, as on macOS, nothing happens and the result is None.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, chosen)
    return chosen


def load_average() -> float | None:
    """Return the mean number of running processes over the last minute; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def wait_until_quiet(cores: int) -> float | None:
    """Wait until the machine is idle, two minutes at most, and return its load average.

    The load average covers the last minute, so it also counts an installation that just ended.
    """
    for _ in range(24):
        load = load_average()
        if load is None or load <= BUSY_LOAD_PER_CORE * cores:
            break
        time.sleep(5)
    return load_average()


def doubts(load_before: float | None, cores: int, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the reasons not to trust the times; an empty list is good.

    Args:
      load_before: the load average before the first process; None where it is not known.
      cores: how many cores there are.
      rows: those of the record of `benchmarks.run`.
    """
    reasons = []
    if load_before is not None and load_before > BUSY_LOAD_PER_CORE * cores:
        reasons.append(
            f"the machine was busy before the first process: load average {load_before:.2f} "
            f"on {cores} cores"
        )
    rates: dict[str, list[float]] = {}
    for row in rows:
        measured = [rate for rate in row["matmul_gflops"] if rate is not None]
        rates.setdefault(row["backend"], []).extend(measured)
    for backend, of_backend in rates.items():
        if of_backend and max(of_backend) > (1 + RATE_SPREAD) * min(of_backend):
            reasons.append(
                f"the rate of float32 matrix products on {backend} went from {min(of_backend):.0f} "
                f"to {max(of_backend):.0f} GFLOP/s between processes"
            )
    return reasons


def describe(cores: int, threads: int, cores_used: list[int] | None) -> dict[str, Any]:
    """Return what a time may depend on besides the code, as JSON values."""
    return {
        **hardware.describe(),
        "cores": cores,
        "cores_used": cores_used,
        "threads": threads,
        "settings": settings(threads),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": provenance.versions(_PACKAGES),
        "commit": provenance.commit(),
    }


def matmul_gflops(device: str, is_tiny: bool, dtype: str = "float32") -> float:
    """Return the best rate of matrix products on the running backend, in GFLOP/s.

    It is the best of up to five tries, in about a second.

    Args:
      device: as `research.training.devices.device_name` returns it. Unless it is a CPU, the
        matrices are larger.
      is_tiny: use small matrices, for a try whose rate does not matter.
      dtype: "float32" or "bfloat16".
    """
    from keras import ops  # only here, so that the backend can be selected before

    size, products = (1536 if device.startswith("cpu") else 8192), 4
    if is_tiny:
        size = 128
    generator = np.random.default_rng(0)
    # With this standard deviation the products neither overflow nor vanish.
    values = generator.normal(0, size**-0.5, (size, size)).astype("float32")
    matrix = ops.cast(ops.convert_to_tensor(values), dtype)
    tries_s: list[float] = []
    while len(tries_s) < 5 and sum(tries_s) < 1:
        started = time.perf_counter()
        product = matrix
        for _ in range(products):
            product = ops.matmul(product, matrix)
        float(product[0, 0])  # waits for the device
        tries_s.append(time.perf_counter() - started)
    return 2 * size**3 * products / min(tries_s) / 1e9


def memory_gb_s(device: str) -> float:
    """Return the best rate at which the running backend reads and writes memory, in 10**9 bytes/s.

    It is the best of five times that 1 is added to an array that fits into no cache.

    Args:
      device: as `research.training.devices.device_name` returns it.
    """
    from keras import ops  # only here, so that the backend can be selected before

    floats = 2**26 if device.startswith("cpu") else 2**28
    array, tries_s = ops.ones((floats,), "float32"), []
    for _ in range(6):  # the first one compiles
        started = time.perf_counter()
        added = ops.add(array, 1)
        float(added[0])  # waits for the device
        tries_s.append(time.perf_counter() - started)
    return 2 * 4 * floats / min(tries_s) / 1e9
