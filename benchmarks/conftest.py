"""What a benchmark's process is told on its command line: `python -m benchmarks.run` starts it."""

import pytest

from research.processes import backends

backends.select()

from benchmarks.work import Work, load  # noqa: E402  (after the backend is settled)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of the suite."""
    parser.addoption("--embedding-dim", type=int, default=50)
    parser.addoption("--quick", action="store_true")


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    """Whether this is a try on tiny sizes."""
    return bool(pytestconfig.getoption("--quick"))


@pytest.fixture(scope="session")
def work(pytestconfig: pytest.Config, quick: bool) -> Work:
    """The data."""
    return load(pytestconfig.getoption("--embedding-dim"), quick)
