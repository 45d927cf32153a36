"""Child processes that run Python."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class ChildFailed(ValueError):  # noqa: N818  (a result that callers report in their own words)
    """A child process failed.

    Attributes:
      reason: the last line that it printed, or that it printed nothing or took too long.
      output: what it printed to stderr, followed by what it printed to stdout.
    """

    def __init__(self, message: str, reason: str, output: str) -> None:
        super().__init__(message)
        self.reason, self.output = reason, output


def run_python(
    arguments: Sequence[object],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout_s: float | None = None,
) -> str:
    """Run Python in a child process, and return what it printed to stdout.

    Args:
      arguments: those of the interpreter, such as `["-m", "research.train"]`.
      environment: variables to set, besides those of this process.
      folder: the working directory; None for that of this process.
      timeout_s: seconds after which the process is killed; None for never.

    Raises:
      ChildFailed: the exit code was not 0, or the process took longer than `timeout_s`.
    """
    words = [str(argument) for argument in arguments]
    settings = dict(environment or {})
    command_line = shlex.join(["python", *words])
    if "KERAS_BACKEND" in settings:
        command_line = f"KERAS_BACKEND={settings['KERAS_BACKEND']} {command_line}"
    try:
        process = subprocess.run(
            [sys.executable, *words],
            env=os.environ | settings,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"not finished after {timeout_s:g} s"
        output = (error.stderr or b"").decode(errors="replace")  # bytes in spite of text=True
        message = f"a child process was {reason}; run it alone: {command_line}"
        raise ChildFailed(message, reason, output) from None
    if process.returncode:
        lines = (process.stderr.strip() or process.stdout.strip()).splitlines()
        reason = lines[-1].strip().removeprefix("error: ") if lines else "no output"
        raise ChildFailed(
            f"a child process ended with exit code {process.returncode} ({reason:.500}); "
            f"run it alone: {command_line}",
            reason,
            process.stderr + process.stdout,
        )
    return process.stdout
