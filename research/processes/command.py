"""A command: a typed signature becomes options, and a user's mistake becomes one line."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import tyro

_ROOT = Path(__file__).parents[2]


def run(main: Callable[..., object]) -> NoReturn:
    """Parse the command line by the signature of `main`, call it, and exit."""
    guard(lambda: tyro.cli(main, prog=program()))


def program() -> str:
    """Return the command as the user typed it, such as `python -m research.train`."""
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}.{path.stem}"


def guard(command: Callable[[], object]) -> NoReturn:
    """Call `command` and exit: 0, or 1 and one line on stderr for a user's mistake.

    A mistake is an `OSError`, or a `ValueError` or `ImportError` raised by this project itself. The
    same error from inside a library is a defect of ours and keeps its traceback.
    """
    try:
        command()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except (OSError, ValueError, ImportError) as error:
        if not isinstance(error, OSError) and not _was_raised_here(error):
            raise
        sys.exit("error: " + " ".join(str(error).split()))
    sys.exit(0)


def _was_raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return False
    path = Path(frames[-1].filename)
    return any(path.is_relative_to(_ROOT / folder) for folder in ("research", "benchmarks"))
