"""The options and fixtures of the timed tests, which `python -m benchmarks.run` starts."""

import pytest

from benchmarks import workload as workloads
from benchmarks.workload import Workload
from research.processes import backends

backends.select()  # before the tests import Keras


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    parser.addoption("--embedding-dim", type=int, default=50)
    parser.addoption("--quick", action="store_true")


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    """Return whether this is a quick try on tiny sizes."""
    return bool(pytestconfig.getoption("--quick"))


@pytest.fixture(scope="session")
def workload(pytestconfig: pytest.Config, quick: bool) -> Workload:
    """Return the data."""
    return workloads.load(pytestconfig.getoption("--embedding-dim"), quick)
