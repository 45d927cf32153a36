"""Commands: options from a typed signature, and one line for a user's mistake."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import tyro

_ROOT = Path(__file__).parents[2]


def run(main: Callable[..., object]) -> NoReturn:
    """Parse the command line with the signature of `main`, call `main`, and exit."""
    guard(lambda: tyro.cli(main, prog=program()))


def program() -> str:
    """Return the command as the user typed it, such as `python -m research.train`."""
    path = Path(sys.argv[0])
    return f"python -m {path.parent.name}.{path.stem}"


def guard(command: Callable[[], object]) -> NoReturn:
    """Call `command` and exit: with 0, or with 1 and one line on stderr for a user's mistake.

    An `OSError` counts as a mistake, and so does a `ValueError` or `ImportError` that this project
    raises itself. If a library raises one, that is a defect of this project, which keeps its
    traceback.
    """
    try:
        command()
    except BrokenPipeError:  # the reader, such as `head`, reads no further
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
