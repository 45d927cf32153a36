"""The options and fixtures of the timed tests, which `python -m benchmarks.run` starts."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import machine, peak_memory
from benchmarks import workload as workloads
from benchmarks.effort import EFFORTS, Effort
from benchmarks.points import BASE, Point
from benchmarks.workload import Workload
from research.processes import backends

backends.select()  # before the tests import Keras


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    for name, value in dataclasses.asdict(BASE).items():
        parser.addoption(f"--{name.replace('_', '-')}", type=type(value or 1), default=value)
    parser.addoption("--effort", choices=EFFORTS, default="full")


def pytest_configure(config: pytest.Config) -> None:
    """Tie the process to as many cores as it has threads, before anything counts them."""
    if config.getoption("--threads"):
        machine.use_cores(config.getoption("--threads"))


@pytest.fixture(scope="session")
def effort(pytestconfig: pytest.Config) -> Effort:
    """Return how long to time a subject."""
    return EFFORTS[pytestconfig.getoption("--effort")]


@pytest.fixture(scope="session")
def workload(pytestconfig: pytest.Config, effort: Effort) -> Workload:
    """Return the data."""
    sizes = {name: pytestconfig.getoption(name) for name in dataclasses.asdict(BASE)}
    return workloads.load(Point(**sizes), effort.is_tiny)


@pytest.fixture(autouse=True)
def memory(benchmark: Any) -> Iterator[None]:
    """Note how much memory the subject takes, where that can be read."""
    if not sys.platform.startswith("linux"):
        yield
        return
    peak_memory.release()
    with peak_memory.PeakMemory() as of_subject:
        yield
    benchmark.extra_info["peak_memory_mb"] = of_subject.over_start_mb
