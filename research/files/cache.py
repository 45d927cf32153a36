"""The cache: folders named by a digest of what they were made from.

An entry also holds the SHA-256 of each of its files. They are checked each time the entry is used.
An entry is complete when it appears under its name.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from research.files import locks, moves

_DIGESTS = "digests.json"
CANNOT_WRITE = {
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
}
"""Error numbers which mean that the cache cannot be written."""

logger = logging.getLogger(__name__)


def cache_dir() -> Path:
    """Return the folder of the cache: `$RESEARCH_CACHE`, or one in the user's cache folder."""
    chosen = os.environ.get("RESEARCH_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("keras-text-research")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(kind: str, key: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
    """Return the cache entry (a folder) that belongs to `key`; build it first if it is missing.

    An entry whose files do not match their digests is built again, with a warning. If two processes
    ask for the same entry, one builds it and the other waits. An intact entry is returned without a
    lock, so a read-only cache works.

    Args:
      kind: the folder below `cache_dir()`, such as "token_ids".
      key: everything that determines the content, as JSON values.
      build: writes the entry's files into the empty folder it is given.

    Raises:
      OSError: the cache cannot be written. Earlier entries stay as they were.
    """
    canonical = json.dumps(key, sort_keys=True)
    entry = cache_dir() / kind / hashlib.sha256(canonical.encode()).hexdigest()[:32]
    if _is_intact(entry, canonical):
        return entry
    with explain_errors(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        with locks.hold(entry.with_suffix(".lock")):
            if _is_intact(entry, canonical):  # another process built it while this one waited
                return entry
            if entry.exists():
                logger.warning(
                    "cache entry %s does not match its digests: building it again", entry
                )
                shutil.rmtree(entry)
            # The lock makes the fixed name safe. The next process removes what a killed one left.
            partial = entry.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir()
                build(partial)
                _write_digests(partial, canonical)
                moves.move(partial, entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return entry


def _is_intact(entry: Path, canonical_key: str) -> bool:
    try:
        recorded = json.loads((entry / _DIGESTS).read_bytes())
        return recorded["key"] == canonical_key and all(
            sha256_of(entry / name) == digest for name, digest in recorded["files"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False  # missing, or damaged in any way


def _write_digests(folder: Path, canonical_key: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}
    recorded = json.dumps({"key": canonical_key, "files": digests}, indent=1)
    (folder / _DIGESTS).write_text(recorded, encoding="utf-8")


@contextmanager
def explain_errors(target: Path) -> Iterator[None]:
    """Turn the error of a read-only or full cache into one line that says what to do."""
    try:
        yield
    except OSError as error:
        of_the_cache = error.filename is None or str(error.filename).startswith(str(cache_dir()))
        if error.errno not in CANNOT_WRITE or not of_the_cache:
            raise
        raise OSError(
            error.errno,
            f"cannot write {target}: {os.strerror(error.errno)}; free some space, or set "
            "RESEARCH_CACHE to a folder that can be written",
        ) from error
