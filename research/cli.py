"""What the commands share: a typed signature becomes options, a user's mistake becomes one line."""

import ctypes
import platform
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import tyro

_PACKAGE = Path(__file__).parent

# From malloc.h: M_MMAP_MAX, no array has pages of its own, which would go when it is freed;
# M_TRIM_THRESHOLD, the end of the heap stays; M_ARENA_MAX, one heap serves all threads.
_KEEP_FREED_MEMORY = {-4: 0, -1: 2**31 - 1, -8: 1}


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
    keep_freed_memory()
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


def keep_freed_memory() -> None:
    """Keeps memory that is freed in this process, instead of giving it back to the system.

    XLA and PyTorch allocate the large arrays of a step anew each time. GNU's allocator gives such
    memory back when it is freed, and then the system clears every page again: 12,000 pages a step
    of the tutorial's network, a third of its time on JAX. No other allocator is touched.

    Page: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL(None)
        for parameter, value in _KEEP_FREED_MEMORY.items():
            allocator.mallopt(parameter, value)


def _raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).parent == _PACKAGE
