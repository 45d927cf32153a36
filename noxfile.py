"""Every task, each in an environment of its own: `pip install nox && nox -s tests`."""

import os
import time

import nox

BACKENDS = ("tensorflow", "jax", "torch")

nox.options.sessions = ["lint", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True


def install(session: nox.Session, extras: str = "") -> None:
    """Install this project with the versions that everything was measured with."""
    session.install("-c", "constraints.txt", "-e", f".[{extras}]" if extras else ".")


@nox.session
def train(session: nox.Session) -> None:
    """Train and evaluate: `nox -s train -- [EXPERIMENT] [--option value]`."""
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
    """Run all tests on TensorFlow, and on JAX and PyTorch those that run Keras."""
    install(session, "all")
    # XLA takes most of the time of the tests on JAX, and compiles the same each time.
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(session.cache_dir.absolute() / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    for backend in BACKENDS:
        selected = ["-m", "not faults" if backend == BACKENDS[0] else "backend and not faults"]
        # In parallel, a file to a process, since much of the time goes into starting processes.
        parallel = ["-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"]
        environment = {"KERAS_BACKEND": backend, **compiled}
        session.run("pytest", *parallel, *selected, *session.posargs, env=environment)


@nox.session
def faults(session: nox.Session) -> None:
    """Damage run folders at random, and let processes race for them."""
    install(session, "all")
    environment = {"KERAS_BACKEND": "torch"}
    session.run("pytest", "-n", "2", "-m", "faults", *session.posargs, env=environment)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Time steps on every backend: `nox -s benchmarks -- [--quick] [--embedding-dim 100]`."""
    install(session, "all")
    session.run("python", "-m", "benchmarks.run", *session.posargs)
    is_full = not {"--quick", "--tiny"} & set(session.posargs)
    rough = ["--records", "runs/benchmarks", "--results", "runs/benchmarks"]
    session.run("python", "-m", "benchmarks.table", *([] if is_full else rough))


@nox.session
def report(session: nox.Session) -> None:
    """Make the tables and figures, and README's table, from the records."""
    install(session)
    session.run("python", "-m", "research.report", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, and who imports whom."""
    install(session, "dev")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; a warning is an error."""
    install(session, "docs")
    session.run(
        *("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html"), "docs", "docs/_build/html"
    )
