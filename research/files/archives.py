"""Archives from strangers, read as streams. Nothing is unpacked to disk."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import IO, cast


def read_tar(archive: Path, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file in a `.tar.gz` that may be hostile.

    Nothing is written to disk. Names that point outside the archive are refused nevertheless,
    since no honest archive has them.

    Args:
      archive: the `.tar.gz` file.
      max_bytes: the most that the archive may unpack to, its headers included.

    Raises:
      ValueError: a member is a link, a device or a sparse file, or its name is absolute or holds
        `..`; the archive unpacks to more than `max_bytes`, or is truncated or corrupt.
    """
    try:
        with gzip.open(archive) as unzipped:
            stream = _Limited(unzipped, archive, max_bytes)
            # "r|" only reads forward, so a decompression bomb is stopped at the limit.
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
                for member in tar:
                    _check_member(member, archive)
                    if member.isreg():
                        # extractfile returns None only for members that are not files
                        yield member.name, cast(IO[bytes], tar.extractfile(member)).read()
            while stream.read(1 << 20):  # gzip's checksum is at the very end
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"expected a whole .tar.gz archive, received {archive} ({error}); get the file again"
        ) from error


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    # Windows rules are the stricter ones: they split at both slashes and know drives.
    name = PureWindowsPath(member.name)
    is_plain = (member.isreg() and not member.issparse()) or member.isdir()
    if name.anchor or ".." in name.parts or not is_plain:
        raise ValueError(
            f"expected only files and folders with names inside the archive, received "
            f"{member.name!r} in {archive}; do not trust this archive"
        )


class _Limited:
    """A stream that raises an error after `max_bytes`."""

    def __init__(self, stream: gzip.GzipFile, archive: Path, max_bytes: int) -> None:
        self._stream, self._archive, self._max_bytes = stream, archive, max_bytes
        self._given = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._given += len(data)
        if self._given > self._max_bytes:
            raise ValueError(
                f"expected an archive that unpacks to at most {self._max_bytes:,} bytes, received "
                f"more from {self._archive}; do not trust this archive"
            )
        return data
