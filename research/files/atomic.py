"""Files are replaced as a whole: a reader sees the old content or the new, never a mixture."""

import contextlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """Write a file atomically and durably; create its folder if it is missing.

    Raises:
      OSError: it cannot be written, for lack of space or permission. The old content stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
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
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"expected JSON in {path}, received something else ({error}); restore the file"
        ) from None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to an `.npz` file atomically."""
    write(path, npz(arrays))


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return named arrays as the content of an `.npz` file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
