"""Commands: options come from a signature, and whose error it is decides what is printed."""

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


@pytest.mark.parametrize("error", ["ValueError('x')", "ImportError('x')"])
def test_an_error_raised_elsewhere_keeps_its_traceback(error: str) -> None:
    for file in (ROOT / "site-packages" / "library.py", Path("/elsewhere/research/train.py")):
        with pytest.raises((ValueError, ImportError), match=r"^x$"):
            command.guard(lambda file=file: raise_in(file, error))


def test_an_os_error_becomes_one_line_wherever_it_is_raised() -> None:
    with pytest.raises(SystemExit, match=r"^error: no space$"):
        command.guard(lambda: raise_in(Path("/elsewhere/library.py"), "OSError('no space')"))


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
