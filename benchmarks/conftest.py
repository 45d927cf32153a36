"""The options and fixtures of the timed tests, which `python -m benchmarks.run` starts."""

import pytest

from benchmarks import workload as workloads
from benchmarks.effort import EFFORTS, Effort
from benchmarks.workload import Workload
from research.processes import backends

backends.select()  # before the tests import Keras


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    parser.addoption("--embedding-dim", type=int, default=50)
    parser.addoption("--effort", choices=EFFORTS, default="full")


@pytest.fixture(scope="session")
def effort(pytestconfig: pytest.Config) -> Effort:
    """Return how long to time a subject."""
    return EFFORTS[pytestconfig.getoption("--effort")]


@pytest.fixture(scope="session")
def workload(pytestconfig: pytest.Config, effort: Effort) -> Workload:
    """Return the data."""
    return workloads.load(pytestconfig.getoption("--embedding-dim"), effort.is_tiny)
