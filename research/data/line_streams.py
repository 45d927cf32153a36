"""Lines of text that somebody sends while others of them are already used."""

import contextlib
import sys
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import count

from research.data.text_files import MAX_CHARACTERS

_BYTES_AT_A_TIME = 1 << 20


def read_arriving(stream: BufferedIOBase, name: str) -> Iterator[list[str]]:
    r"""Yield the lines of a stream in lists: each time all that have arrived, and at least one.

    So nobody waits for a line that is there, and many that are there come together. Lines end with
    \n or \r\n, which is removed. Memory holds 1 MiB and a line.

    Args:
      stream: a buffered one, such as `sys.stdin.buffer`.
      name: of the stream, for the message of an error.

    Raises:
      ValueError: a line is not UTF-8, or has more than `MAX_CHARACTERS` bytes.
    """
    _widen(stream)
    numbers = count(1)
    begun = bytearray()  # a line whose end has not arrived
    while chunk := stream.read1(_BYTES_AT_A_TIME):  # waits only if nothing has arrived
        complete, end, rest = chunk.rpartition(b"\n")
        if end:
            lines = (begun + complete).split(b"\n")
            begun = bytearray()
            yield [_decoded(line, next(numbers), name) for line in lines]
        begun += rest
        if len(begun) > MAX_CHARACTERS:
            raise ValueError(
                f"expected at most {MAX_CHARACTERS:,} bytes in a line of {name}, received more in "
                f"line {next(numbers):,}; divide it into texts"
            )
    if begun:
        yield [_decoded(begun, next(numbers), name)]


def _widen(stream: BufferedIOBase) -> None:
    """Let a pipe hold what is read at a time, so that more lines arrive together."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # it is no pipe
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _BYTES_AT_A_TIME)


def _decoded(line: bytearray, number: int, name: str) -> str:
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 on {name}, received {line[error.start]:#04x} at byte {error.start} of "
            f"line {number:,}; convert the text, for example with iconv"
        ) from None
