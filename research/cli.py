"""What the commands share: a typed signature becomes options, a user's mistake becomes one line."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import tyro

_PACKAGE = Path(__file__).parent


def run(main: Callable[..., object]) -> NoReturn:
    """Parses the command line by the signature of `main`, calls it, and exits."""
    guard(lambda: tyro.cli(main, prog=program()))


def program() -> str:
    """Returns the command as the user typed it, such as `python -m research.train`."""
    return f"python -m research.{Path(sys.argv[0]).stem}"


def guard(command: Callable[[], object]) -> NoReturn:
    """Calls `command` and exits: 0, or 1 and one line on stderr for a user's mistake.

    A mistake is an `OSError`, or a `ValueError` or `ImportError` raised by this package itself;
    the same from inside a library is a defect of ours and keeps its traceback.
    """
    try:
        command()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except (OSError, ValueError, ImportError) as error:
        if not isinstance(error, OSError) and not _raised_here(error):
            raise
        sys.exit("error: " + " ".join(str(error).split()))
    sys.exit(0)


def _raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).parent == _PACKAGE
