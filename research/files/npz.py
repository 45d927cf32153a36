"""Files of named arrays, in NumPy's `.npz` format, of which nothing is read before it is checked.

An array is read only if it has the form that the caller expects, as safetensors does it. So a
damaged or hostile file costs no more memory than an intact one.
Page: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import contextlib
import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from research.files import atomic


class Form(NamedTuple):
    """Shape and type of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to a file atomically."""
    atomic.write(path, to_bytes(arrays))


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return named arrays as the content of an `.npz` file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def forms(file: BinaryIO) -> dict[str, Form]:
    """Return the form of each array of a file, without reading the arrays.

    Raises:
      ValueError: the file is damaged, is compressed, or holds something else than real numbers.
    """
    with _explained(), zipfile.ZipFile(file) as archive:
        return {
            info.filename.removesuffix(".npy"): _form(archive, info) for info in archive.infolist()
        }


def read(file: BinaryIO, expected: Mapping[str, Form]) -> dict[str, np.ndarray]:
    """Return the expected arrays of a file, which may hold more.

    Args:
      file: as `write` makes it.
      expected: the form of each array by name. Types of integers count as equal, and so do those
        of floating-point numbers, since backends differ in them.

    Raises:
      ValueError: an array is missing or of another form, has NaN or infinity, or is damaged.
    """
    received = forms(file)
    for name, form in expected.items():
        if name not in received or not _alike(received[name], form):
            raise ValueError(f"{name}: {received.get(name, 'nothing')} instead of {form}")
    file.seek(0)
    with _explained(), np.load(file, allow_pickle=False) as arrays:
        values = {name: arrays[name] for name in expected}
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: NaN or infinity")
    return values


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what the readers of archives raise on damaged ones, which is nearly anything."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error!s:.80}") from None


def _form(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Form:
    """Return the form of a member, and check that it has as many bytes as it needs."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):  # what NumPy writes, unless a header is very long
            raise ValueError(f"{info.filename} of version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        size = member.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in "fiu":
        raise ValueError(f"{info.filename} of type {dtype}")
    # Compressed, a small file could unfold to any size.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != size:
        raise ValueError(f"{info.filename} of {info.file_size:,} bytes instead of {size:,}")
    return Form(shape, dtype)


def _alike(one: Form, other: Form) -> bool:
    def kind(form: Form) -> str:
        return "f" if form.dtype.kind == "f" else "i"

    return one.shape == other.shape and kind(one) == kind(other)
