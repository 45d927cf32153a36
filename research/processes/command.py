"""Commands: options from a typed signature, and one line for a user's mistake."""

import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import tyro

from research.processes import escape

_ROOT = Path(__file__).parents[2]


def run(main: Callable[..., object], prints_only: bool = False) -> NoReturn:
    """Parse the command line with the signature of `main`, call `main`, and exit as `guard`."""
    guard(lambda: tyro.cli(main, prog=program()), prints_only)


def program() -> str:
    """Return the command as the user typed it, such as `python -m research.train`."""
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}.{path.stem}"


def guard(command: Callable[[], object], prints_only: bool = False) -> NoReturn:
    """Call `command` and exit: with 0 if its work is complete, or with 1 and one line on stderr.

    An `OSError` counts as a user's mistake, and so does a `ValueError` or `ImportError` that this
    project raises itself. If a library raises one, that is a defect of this project, which keeps
    its traceback.

    Args:
      command: does the work.
      prints_only: whether all its work is to print. Then it is complete when the reader of its
        output, such as `head`, reads no further.
    """
    if sys.stdout is None:
        sys.exit("error: expected an open standard output, received none; use > /dev/null instead")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # An encoding without "é" prints an escape for it, as on stderr, and does not fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command()
        sys.stdout.flush()  # here, where a full disk is still noticed
    except BrokenPipeError:
        # Python writes what is left to stdout when it exits, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if prints_only:
            sys.exit(0)
        sys.exit(
            "error: expected a reader of the output, received a closed pipe, and stopped; "
            "repeat it, and continue a run with --resume"
        )
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except MemoryError as error:
        sys.exit(
            f"error: expected enough memory, received too little ({escape.terminal(error)}); "
            "use less data, a smaller model or a larger machine"
        )
    except (OSError, ValueError, ImportError) as error:
        if not isinstance(error, OSError) and not _was_raised_here(error):
            raise
        sys.exit("error: " + escape.terminal(" ".join(str(error).split())))
    sys.exit(0)


def _was_raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return False
    path = Path(frames[-1].filename)
    return any(path.is_relative_to(_ROOT / folder) for folder in ("research", "benchmarks"))
