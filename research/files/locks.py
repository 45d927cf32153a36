"""Locks between processes. A lock names its holder, so that those who wait know for whom.

The system releases a lock when its holder ends, however it ends. The holder describes itself in the
file of the lock and empties the file before it releases the lock.
"""

import contextlib
import datetime
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import filelock

SAY_AFTER_S = 5.0
"""Seconds after which a process that waits says so."""

_POLL_S = 0.1
_LONGEST_COMMAND = 200
_LONGEST_DESCRIPTION_BYTES = 10_000


class HeldError(BlockingIOError):
    """Another process holds a lock."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def hold(path: Path, wait: bool = True, say: Callable[[str], None] = _say) -> Iterator[int]:
    """Hold the lock at a path, and give its file descriptor.

    A child process that inherits the descriptor holds the lock too, until it ends.

    Args:
      path: the file of the lock. It is created if it is missing, and it stays.
      wait: whether to wait for another holder, and to say so once after 5 seconds.
      say: takes that line.

    Raises:
      HeldError: `wait` is False and another process holds the lock. The message says which.
      OSError: the file cannot be created or was removed, or its file system has no locks.
    """
    with path.open("ab+", buffering=0) as file:
        started, said = time.monotonic(), False
        while not _acquire(file, path):
            holder = _describe_holder(file)
            if not wait:
                raise HeldError(
                    f"expected {path.parent} to be free, received {path}, which {holder} holds; "
                    "wait until that has ended, or stop it"
                )
            if not said and time.monotonic() - started >= SAY_AFTER_S:
                say(f"waiting for {path}, which {holder} holds")
                said = True
            time.sleep(_POLL_S)
        file.truncate(0)
        with contextlib.suppress(OSError):  # on a full disk it locks all the same
            file.write(_own_description())
        try:
            yield file.fileno()
        finally:
            file.truncate(0)  # closing the file releases the lock


def _acquire(file: BinaryIO, path: Path) -> bool:
    try:
        acquired = filelock.lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        raise OSError(
            f"expected a file system with locks (flock), received {path}, which cannot be locked "
            f"({error.strerror}); choose a folder on another file system"
        ) from error
    if os.fstat(file.fileno()).st_nlink == 0:
        raise FileNotFoundError(
            f"expected {path} to stay, but it was removed, so that it locks nothing; "
            "repeat the command"
        )
    return acquired


def _own_description() -> bytes:
    command = shlex.join(sys.orig_argv)
    about = {
        "pid": os.getpid(),
        "began": _began(os.getpid()),
        "host": socket.gethostname(),
        "command": command[:_LONGEST_COMMAND] + "..." * (len(command) > _LONGEST_COMMAND),
        "since": datetime.datetime.now().astimezone().isoformat(" ", "seconds"),
    }
    return json.dumps(about).encode()


def _describe_holder(file: BinaryIO) -> str:
    """Return who holds a lock, or "another process" if what the file says may be outdated.

    It is outdated if its writer was killed. Then the lock is held by a child of that process, or by
    a process that has not described itself yet. A writer on another machine is believed.
    """
    file.seek(0)
    try:
        about = json.loads(file.read(_LONGEST_DESCRIPTION_BYTES))
        if about["host"] == socket.gethostname() and about["began"] != _began(about["pid"]):
            return "another process"
        text = (
            f"process {about['pid']} on {about['host']} ({about['command']}, since "
            f"{about['since']})"
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another process"
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _began(pid: int) -> str | None:
    """Return when a process of this machine began, in ticks of its clock; "" if it has ended.

    Return None on a system without /proc.

    Page: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    if not Path("/proc/self/stat").exists():
        return None
    try:
        stat = Path(f"/proc/{int(pid)}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]  # a zombie has ended, and its parent has not looked
