"""Locks: who holds one is said, and never who held it before."""

import contextlib
import errno
import json
import multiprocessing
import os
import socket
import subprocess
import sys
from multiprocessing.synchronize import Event
from pathlib import Path

import filelock
import pytest
from conftest import HANG_S

from research.files import locks

HOLD = "import sys; from pathlib import Path; from research.files import locks\n"
"""What a process runs that holds the lock at its argument until its stdin ends."""
HOLD += "with locks.hold(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / ".lock"


@contextlib.contextmanager
def holder(path: Path):
    """A process that holds the lock."""
    path.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def refusal(path: Path) -> str:
    with pytest.raises(locks.HeldError) as raised, locks.hold(path, wait=False):
        pass
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_second_holder_is_refused_at_once_and_told_who_holds_it(path):
    with holder(path) as process:
        message = refusal(path)
        since = json.loads(path.read_bytes())["since"]
    assert message.startswith(f"expected {path.parent} to be free, received {path}")
    assert f"process {process.pid} on {socket.gethostname()} ({sys.executable} -c" in message
    assert f"since {since})" in message


def test_who_waits_says_once_for_whom(path, monkeypatch):
    said, polls = [], []

    def poll(_):
        polls.append(len(said))
        if len(polls) == 3:
            process.kill()

    monkeypatch.setattr(locks, "SAY_AFTER_S", 0)
    monkeypatch.setattr(locks.time, "sleep", poll)
    with holder(path) as process, locks.hold(path, say=said.append):
        assert json.loads(path.read_bytes())["pid"] == os.getpid()
    assert polls[:3] == [1, 1, 1]
    assert len(said) == 1
    assert said[0].startswith(f"waiting for {path}, which process {process.pid} on ")


def test_nothing_is_said_for_a_short_wait(path, monkeypatch):
    monkeypatch.setattr(locks.time, "sleep", lambda _: process.kill())
    said = []
    with holder(path) as process, locks.hold(path, say=said.append):
        pass
    assert said == []


@pytest.mark.parametrize("killed", [False, True])
def test_a_lock_is_free_when_its_holder_has_ended(path, killed):
    with holder(path) as process:
        process.kill() if killed else process.communicate()
        process.wait()
        assert (path.read_bytes() == b"") is not killed
        with locks.hold(path, wait=False):
            pass
    assert path.read_bytes() == b""


def hold_without_a_word(path: Path, held: Event, end: Event) -> None:
    with path.open("ab+") as file:
        filelock.lock_descriptor(file.fileno())
        held.set()
        end.wait(HANG_S)


def test_a_holder_that_was_killed_is_not_said_to_hold(path):
    with holder(path) as process:
        process.kill()
    assert json.loads(path.read_bytes())["pid"] == process.pid
    spawn = multiprocessing.get_context("spawn")
    held, end = spawn.Event(), spawn.Event()
    successor = spawn.Process(target=hold_without_a_word, args=(path, held, end))
    successor.start()
    try:
        assert held.wait(HANG_S)
        message = refusal(path)
    finally:
        end.set()
        successor.join()
    assert "which another process holds" in message
    assert str(process.pid) not in message.replace(str(path), "")


def test_a_child_that_inherits_the_lock_keeps_it(path):
    path.parent.mkdir()
    wait = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with locks.hold(path) as descriptor:
        child = subprocess.Popen(wait, stdin=subprocess.PIPE, pass_fds=[descriptor])
    with child:
        assert "another process" in refusal(path)
    with locks.hold(path, wait=False):
        pass


@pytest.mark.parametrize(
    "content", [b"", b'{"pid": ', b"[1]", b'{"host": 1}', b"\xff", b"[" * 9999]
)
def test_a_description_of_another_form_is_not_repeated(path, content):
    with holder(path):
        path.write_bytes(content)
        assert "which another process holds" in refusal(path)


def test_a_description_is_printed_without_control_characters(path):
    with holder(path):
        about = json.loads(path.read_bytes())
        path.write_text(json.dumps(about | {"host": "elsewhere", "command": "\x1b[2J\nx"}))
        assert "on elsewhere (?[2J?x, since" in refusal(path)


def test_a_file_system_without_locks_is_refused_in_one_line(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    path.parent.mkdir()
    with pytest.raises(OSError, match=r"with locks \(flock\), .*not implemented.*another file"):
        locks.hold(path).__enter__()


def test_a_lock_whose_file_was_removed_is_not_held(path, monkeypatch):
    def remove(_):
        path.unlink()
        process.kill()

    monkeypatch.setattr(locks.time, "sleep", remove)
    with holder(path) as process, pytest.raises(FileNotFoundError, match="locks nothing"):
        locks.hold(path).__enter__()
