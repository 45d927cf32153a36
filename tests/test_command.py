"""Commands: options come from a signature, and whose error it is decides what is printed."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import ROOT

from research.processes import command


def raise_in(file: Path, error: str) -> None:
    """Raise an error as if a line of this file did."""
    exec(compile(f"raise {error}", str(file), "exec"))


@pytest.mark.parametrize("file", ["research/data/readers.py", "benchmarks/run.py"])
@pytest.mark.parametrize("error", ["ValueError('expected  x')", "ImportError('expected\\nx')"])
def test_an_error_raised_by_this_project_becomes_one_line(file: str, error: str) -> None:
    with pytest.raises(SystemExit, match=r"^error: expected x$"):
        command.guard(lambda: raise_in(ROOT / file, error))


@pytest.mark.parametrize("error", ["ValueError('x')", "ImportError('x')", "ZeroDivisionError('x')"])
def test_an_error_raised_elsewhere_keeps_its_traceback(error: str) -> None:
    for file in (ROOT / "site-packages" / "library.py", Path("/elsewhere/research/train.py")):
        with pytest.raises((ValueError, ImportError, ZeroDivisionError), match=r"^x$"):
            command.guard(lambda file=file: raise_in(file, error))


def test_an_os_error_becomes_one_line_wherever_it_is_raised() -> None:
    with pytest.raises(SystemExit, match=r"^error: no space$"):
        command.guard(lambda: raise_in(Path("/elsewhere/library.py"), "OSError('no space')"))


def test_work_without_errors_exits_with_0() -> None:
    with pytest.raises(SystemExit) as leaving:
        command.guard(lambda: None)
    assert leaving.value.code == 0


def test_interrupting_is_one_word() -> None:
    with pytest.raises(SystemExit, match=r"^interrupted$"):
        command.guard(lambda: raise_in(Path("/elsewhere/library.py"), "KeyboardInterrupt"))


def test_too_little_memory_is_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^error: expected enough memory, .*9 GiB.*; use less"):
        command.guard(lambda: raise_in(Path("/elsewhere/library.py"), "MemoryError('9 GiB')"))


PRINTS = """
import sys
from research.processes import command
command.guard(lambda: print("line\\n" * 1_000_000), prints_only=sys.argv[1] == "only")
"""


@pytest.mark.parametrize(
    ("how", "code", "err"), [("only", 0, b""), ("and works", 1, b"error: expected a reader of ")]
)
def test_a_reader_that_has_seen_enough_ends_only_commands_that_print(
    how: str, code: int, err: bytes
) -> None:
    arguments = [sys.executable, "-c", PRINTS, how]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(arguments, cwd=ROOT, **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        received = process.stderr.read()
    assert process.returncode == code
    assert received.startswith(err)
    assert received.count(b"\n") == code  # one line or none


@pytest.mark.parametrize(
    ("redirection", "message"),
    [(">&-", "expected an open standard output"), ("> /dev/full", "No space left on device")],
)
def test_output_that_nobody_gets_is_an_error(redirection: str, message: str) -> None:
    shell = f"{shlex.join([sys.executable, '-c', PRINTS, 'only'])} {redirection}"
    finished = subprocess.run(shell, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: ")
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> NoReturn:
    def main(name: str, count: int = 1) -> None:
        """Prints a name."""
        print(name * count)

    monkeypatch.setattr(sys, "argv", ["/somewhere/research/show.py", *arguments])
    command.run(main)


def test_a_signature_becomes_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(monkeypatch, "--name", "ab", "--count", "2")
    assert leaving.value.code == 0
    assert capsys.readouterr().out == "abab\n"


def test_the_help_names_the_command_as_it_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(monkeypatch, "--help")
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: python -m research.show [-h] ")
    assert "Prints a name." in printed


def test_a_wrong_option_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run(monkeypatch, "--name", "ab", "--count", "many")
    assert leaving.value.code not in (0, None)
    assert "--count" in capsys.readouterr().err
