"""The machine: how many threads a process may use, how fast it multiplies, how busy it is."""

import importlib.metadata
import os
import platform
import sys
import time
from typing import Any

import numpy as np

from research.processes import provenance

BUSY_LOAD_PER_CORE = 0.5
"""Load average per core, before the benchmark starts, above which its numbers are doubtful."""
RATE_SPREAD = 0.15
"""How far the rate of one library may differ between processes before numbers are doubtful."""

_PACKAGES = (
    "keras",
    "tensorflow",
    "jax",
    "jaxlib",
    "torch",
    "numpy",
    "scikit-learn",
    "pytest-benchmark",
)
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def settings(threads: int) -> dict[str, str]:
    """Returns the environment in which every process runs, whatever library it is about.

    XLA has no such setting and counts the cores it may run on: see `use_cores`.
    """
    return {
        **dict.fromkeys(_THREAD_SETTINGS, str(threads)),
        # On a GPU every library has its own rules for when float32 factors lose 13 of their bits.
        # It never happens here, so that float32 means the same in every row.
        "NVIDIA_TF32_OVERRIDE": "0",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def use_cores(cores: int) -> list[int] | None:
    """Ties this process and those it starts to the first cores it has, and returns them.

    Where the system can't, as on macOS, nothing happens and the result is None.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, chosen)
    return chosen


def cores() -> int:
    """Returns how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float | None:
    """Returns the processes that were running, as a mean over the last minute; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def wait_until_quiet(cores: int) -> float | None:
    """Waits till the load of what ran before is over, two minutes at most; returns what is left.

    The load average remembers a minute, and an installation just before is no other user.
    """
    for _ in range(24):
        load = load_average()
        if load is None or load <= BUSY_LOAD_PER_CORE * cores:
            break
        time.sleep(5)
    return load_average()


def describe(cores: int, threads: int, cores_used: list[int] | None) -> dict[str, Any]:
    """Returns what a time may depend on besides the code."""
    versions: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "processor": provenance.processor(),
        "cores": cores,
        "cores_used": cores_used,
        "threads": threads,
        "settings": settings(threads),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "versions": versions,
        "commit": provenance.commit(),
    }


def matmul_gflops(device: str, quick: bool) -> float:
    """Returns the best rate of float32 matrix products on the running backend, in GFLOP/s.

    Args:
      device: as `research.loop.device` says; on other than a CPU the matrices are larger.
      quick: small ones will do, since nobody reads the rate.
    """
    from keras import ops  # after the backend is settled

    size, products = (1536 if device.startswith("cpu") else 8192), 4
    if quick:
        size = 128
    generator = np.random.default_rng(0)
    # The entries' spread keeps a product of several from growing out of range.
    matrix = ops.convert_to_tensor(generator.normal(0, size**-0.5, (size, size)).astype("float32"))
    best_s = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        product = matrix
        for _ in range(products):
            product = ops.matmul(product, matrix)
        float(product[0, 0])  # waits for the device
        best_s = min(best_s, time.perf_counter() - started)
    return 2 * size**3 * products / best_s / 1e9
