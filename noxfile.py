"""Every task, each in an environment of its own: `pip install nox && nox -s tests`."""

import os
import time

import nox

BACKENDS = ("tensorflow", "jax", "torch")

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True


def install(session: nox.Session, extras: str = "") -> None:
    """Installs this project with the versions that everything was measured with."""
    session.install("-c", "constraints.txt", "-e", f".[{extras}]" if extras else ".")


@nox.session
def train(session: nox.Session) -> None:
    """Trains and evaluates: `nox -s train -- [EXPERIMENT] [--option value]`."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    install(session, backend if backend in ("jax", "torch") else "")
    arguments = list(session.posargs)
    if "--run-dir" not in arguments:
        arguments += ["--run-dir", f"runs/nox/{backend}-{time.strftime('%Y%m%d-%H%M%S')}"]
    run = arguments[arguments.index("--run-dir") + 1]
    session.run("python", "-m", "research.train", *arguments)
    session.run("python", "-m", "research.evaluate", run)


@nox.session
def tests(session: nox.Session) -> None:
    """Runs all tests on TensorFlow, and those that run Keras on JAX and PyTorch too."""
    install(session, "all")
    for backend in BACKENDS:
        selected = [] if backend == BACKENDS[0] else ["-m", "backend"]
        # In parallel, a file each, since much of the time is processes that start one by one.
        parallel = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
        environment = {"KERAS_BACKEND": backend}
        session.run("pytest", *parallel, *selected, *session.posargs, env=environment)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Times steps on every backend: `nox -s benchmarks -- [--quick] [--embedding-dim 100]`."""
    install(session, "all")
    session.run("python", "-m", "benchmarks.run", *session.posargs)
    quick = ["--records", "runs/benchmarks", "--results", "runs/benchmarks"]
    session.run(
        "python", "-m", "benchmarks.table", *(quick if "--quick" in session.posargs else [])
    )


@nox.session
def report(session: nox.Session) -> None:
    """Makes the tables and figures, and the README's table, from the records."""
    install(session)
    session.run("python", "-m", "research.report", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style, types, and which module may import what."""
    install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("pytest", "-q", "tests/test_imports.py")
