"""A finished file or folder takes its place in one step, and a power cut does not undo that."""

import contextlib
import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP}


def move(made: Path, place: Path) -> None:
    """Write a finished file or folder to disk and move it to its place, in the same file system.

    It replaces what is there. A process that is killed, or a power cut, leaves at `place` the old
    or the new, and always as a whole. There is one exception: without Linux's renameat2, a folder
    first moves to `.NAME.replaced` beside it, and stays there if the process is killed at that
    moment.

    Raises:
      OSError: it cannot be moved. What was there stays.
    """
    for path in [made, *made.rglob("*")]:
        sync(path)
    kept = place.with_name(f".{place.name}.replaced")
    if not os.path.lexists(place) or not (made.is_dir() or place.is_dir()):
        made.replace(place)
    elif not _exchange(made, place):
        _remove(kept)
        place.rename(kept)
        try:
            made.rename(place)
        except BaseException:
            kept.rename(place)
            raise
    sync(place.parent)  # before the old is removed
    _remove(made)
    _remove(kept)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, those that are missing."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(path: Path) -> None:
    """Write to disk the content of a file, or which names a folder holds. Windows does it itself.

    Raises:
      OSError: the disk is full or broken.
    """
    if sys.platform == "win32":  # it opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in _NO_FOLDER_SYNC:  # as some file systems answer
            raise
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step, and return whether the system can.

    Page: https://man7.org/linux/man-pages/man2/rename.2.html
    """
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if renameat2(*paths, _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
