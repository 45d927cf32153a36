"""Files are replaced as a whole: a reader sees the old content or the new, never a mixture."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from research.files import moves


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return a value as the content of a JSON file.

    Raises:
      ValueError: a text in it is no Unicode, such as a path with other bytes.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        received = text[max(0, error.start - 60) : error.end]
        raise ValueError(
            f"expected Unicode in paths and names, received {received!a}; rename what has other "
            "bytes in its name"
        ) from None


def write(path: Path, content: bytes) -> None:
    """Write a file atomically and durably; create its folder if it is missing.

    Raises:
      OSError: it cannot be written, for lack of space or permission. The old content stays.
    """
    with writing(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a new file to write to. It takes its place when the block ends without an error.

    It is durable then, and its folder is created if it is missing. After an error the old content
    stays, and nothing else.

    Raises:
      OSError: it cannot be written, for lack of space or permission.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        moves.make_folder(path.parent)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        moves.sync(path.parent)  # or a power cut could bring the old content back
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError) or error.strerror is None:  # it says what to do already
            raise
        raise OSError(
            f"cannot write {path}: {error.strerror}; free some space or choose another place, then "
            "repeat the command"
        ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is not JSON.
    """
    return parse_json(path.read_bytes(), path)


def parse_json(content: bytes, path: Path) -> Any:
    """Return the value of a JSON file.

    Args:
      content: its bytes.
      path: where it is, for the message of an error.

    Raises:
      ValueError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"expected JSON in {path}, received something else ({error}); restore the file"
        ) from None
