"""A Python process of its own, and its answer."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class ChildFailed(ValueError):  # noqa: N818  (a result that callers report in their own words)
    """A Python process failed.

    Attributes:
      reason: the last line of what it printed, or why there is none.
      output: all that it printed to stderr.
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
    """Run Python in a process of its own and return what it printed to stdout.

    Args:
      arguments: of the interpreter, such as `["-m", "research.train"]`.
      environment: variables that are added to those of this process.
      folder: its working directory; None for that of this process.
      timeout_s: after how many seconds it is killed; None for never.

    Raises:
      ChildFailed: it ended with another exit code than 0, or not in time.
    """
    words = [str(argument) for argument in arguments]
    changes = dict(environment or {})
    backend = [f"KERAS_BACKEND={changes['KERAS_BACKEND']}"] if "KERAS_BACKEND" in changes else []
    alone = " ".join([*backend, shlex.join(["python", *words])])
    try:
        process = subprocess.run(
            [sys.executable, *words],
            env=os.environ | changes,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"no end within {timeout_s:g} s"
        raise ChildFailed(f"{reason}; run it alone: {alone}", reason, str(error.stderr)) from None
    if process.returncode:
        lines = (process.stderr.strip() or process.stdout.strip()).splitlines()
        reason = lines[-1].strip().removeprefix("error: ") if lines else "no output"
        raise ChildFailed(
            f"a process ended with exit code {process.returncode} ({reason:.500}); "
            f"run it alone: {alone}",
            reason,
            process.stderr or process.stdout,
        )
    return process.stdout
