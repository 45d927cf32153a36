"""Regular files only: a pipe, socket or device under the name of a file could be read forever."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is a folder, pipe, socket or device.
      OSError: it cannot be opened.
    """
    try:  # Without O_NONBLOCK, opening a pipe would wait until somebody writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise _not_regular(path, "a socket") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
        raise _not_regular(path, kinds.get(stat.S_IFMT(mode), "a device"))
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Args:
      path: the file.
      limit: the most bytes it may have.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is longer, or not a regular file.
      OSError: it cannot be read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(
                f"expected at most {limit:,} bytes in {path}, received {size:,}; restore the file"
            )
        return file.read(limit)


def _not_regular(path: Path, kind: str) -> ValueError:
    return ValueError(f"expected a file, received {path}, which is {kind}; restore the file")
