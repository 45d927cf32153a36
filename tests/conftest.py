"""What several test files use: a small corpus, a cache of their own, and commands to call."""

import inspect
import io
import multiprocessing.process
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from research.processes import backends, command
from research.training import checkpoints

backends.select()

ROOT = Path(__file__).parents[1]
HANG_S = 1800
"""Seconds after which a process counts as hung. No process of the tests needs minutes."""

TOPICS = {
    "space": "orbit moon rocket launch shuttle",
    "hockey": "goal puck ice skate referee",
    "cooking": "oven salt dough butter spoon",
}
HOSTILE = "a|b $x_1$ $\\frac$ <script> [l](http://x) # h \\input{x}\x1b[31m\u202e\t\n:car: 新 ``é"
"""A class name that a terminal, a table, a picture or a page could obey."""
COMMON = ["the", "a", "of", "and", "to", "in", "is", "it", "was", "for"]


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give all tests, and the processes that they start, one empty cache instead of the user's."""
    folder = tmp_path_factory.mktemp("cache", numbered=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_CACHE", str(folder))
        yield folder


# --- a corpus ------------------------------------------------------------------------------------


def write_corpus(folder: Path, documents_per_class: int = 60) -> Path:
    """Write class folders with texts of 20 to 60 words, half of them about their topic."""
    generator = np.random.default_rng(0)
    for topic, words in TOPICS.items():
        (folder / topic).mkdir(parents=True)
        for number in range(documents_per_class):
            length = generator.integers(20, 60)
            about = generator.random(length) < 0.5
            text = " ".join(
                generator.choice(words.split() if is_about else COMMON) for is_about in about
            )
            (folder / topic / f"{number:03}.txt").write_text(f"{text} {topic}{number}")
    return folder


def write_vectors(path: Path) -> Path:
    """Write 8-dimensional vectors of the words above, in GloVe's text format."""
    generator = np.random.default_rng(1)
    words = [word for topic in TOPICS.values() for word in topic.split()] + COMMON
    path.write_text(
        "".join(f"{word} {' '.join(map(str, generator.normal(size=8)))}\n" for word in words)
    )
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Return options of a run that takes a second or two, on 180 documents in 3 classes."""
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "corpus": "folder",
        "corpus_path": write_corpus(folder / "corpus"),
        "vectors": str(write_vectors(folder / "vectors.txt")),
        "sequence_length": 150,
        "vocabulary_size": 200,
        "batch_size": 32,
        "epochs": 2,
    }


def options(tiny: dict) -> list[str]:
    """Return the options as a command line takes them."""
    return [
        part for name, value in tiny.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]


# --- runs ----------------------------------------------------------------------------------------


def position_of(run: Path) -> checkpoints.Position:
    """Return where a run stands."""
    with checkpoints.opened(run, "last") as checkpoint:
        return checkpoint.position


def arrays_of(run: Path, which: checkpoints.Which) -> dict[str, np.ndarray]:
    """Return all arrays of a checkpoint."""
    with checkpoints.opened(run, which) as checkpoint:
        return checkpoint.arrays(checkpoint.forms())


# --- commands ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., multiprocessing.process.BaseProcess]]:
    """Return a function that calls another in a process that has imported everything already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")  # the only one that need not compile first
        patch.setenv("OMP_NUM_THREADS", "1")
        context = multiprocessing.get_context("forkserver")
        modules = ("train", "evaluate", "training.trainer", "models.tutorial", "serving.classifier")
        context.set_forkserver_preload([f"research.{module}" for module in modules])

        def start(function: Callable[..., object], *arguments: object) -> Any:
            process = context.Process(target=function, args=arguments)
            process.start()
            return process

        yield start


def exit_code(process: multiprocessing.process.BaseProcess) -> int:
    """Wait for the end of a process, and return its exit code."""
    process.join(HANG_S)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


class Answer(NamedTuple):
    """The exit code of a command, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


def python(
    *arguments: object,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Answer:
    """Run Python in a process of its own, as in `python("-m", "research.train", "kim")`.

    Args:
      arguments: of the interpreter.
      folder: its working directory; None for that of the tests.
      environment: variables that are added to those of the tests.
      stdin: what it reads from standard input.
    """
    finished = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment or {}),
        capture_output=True,
        check=False,
        input=stdin,
        encoding="utf-8",
        timeout=HANG_S,
    )
    return Answer(finished.returncode, finished.stdout, finished.stderr)


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Return a function that runs a command in this process, which is quicker than `python`.

    It is called as in `call(train, "kim", "--epochs", 3)`; `stdin` are bytes.
    """

    def run(module: ModuleType, *arguments: object, stdin: bytes = b"") -> Answer:
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(sys, "argv", [f"research/{name}.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="ascii"))
        capsys.readouterr()
        has_signature = inspect.signature(module.main).parameters
        with pytest.raises(SystemExit) as leaving:
            (command.run if has_signature else command.guard)(module.main)
        out, err = capsys.readouterr()
        if isinstance(leaving.value.code, str):  # Python prints it, and exits with 1
            return Answer(1, out, err + leaving.value.code + "\n")
        return Answer(leaving.value.code or 0, out, err)

    return run


def assert_refused(answer: Answer, *parts: str) -> None:
    """Assert that a command failed with one line that holds these parts, without a traceback."""
    assert answer.code == 1
    assert "Traceback" not in answer.out + answer.err
    line = answer.err.splitlines()[-1]
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def wait_for(holds: Callable[[], bool], is_alive: Callable[[], bool]) -> None:
    """Wait until a condition holds, as long as the process that is to bring it about is alive."""
    started = time.monotonic()
    while not holds():
        # The process may have made it true and ended since the line above.
        assert is_alive() or holds(), "the process ended before it got there"
        assert time.monotonic() - started < HANG_S, "the process hangs"
        time.sleep(0.02)
