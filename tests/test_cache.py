"""The cache: an entry is complete and intact, or it is built again."""

import contextlib
import errno
import functools
import json
import multiprocessing
import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from conftest import HANG_S

from research.files import cache, locks, moves

KEY = {"name": "letters", "format": 1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_letters(folder: Path) -> None:
    (folder / "a.txt").write_text("aaa")
    (folder / "more").mkdir()
    (folder / "more" / "b.txt").write_text("bbb")


def never(_: Path) -> None:
    raise AssertionError("an intact entry must not be built again")


def test_an_entry_is_built_once(own_cache: Path) -> None:
    entry = cache.cached("letters", KEY, write_letters)
    assert entry.parent == own_cache / "letters"
    assert (entry / "more" / "b.txt").read_text() == "bbb"
    assert cache.cached("letters", dict(reversed(KEY.items())), never) == entry
    assert cache.cached("letters", {"name": "others"}, write_letters) != entry


def test_the_digests_say_what_the_entry_is() -> None:
    entry = cache.cached("letters", KEY, write_letters)
    recorded = json.loads((entry / "digests.json").read_text())
    assert json.loads(recorded["key"]) == KEY
    assert recorded["files"] == {
        "a.txt": cache.sha256_of(entry / "a.txt"),
        "more/b.txt": cache.sha256_of(entry / "more" / "b.txt"),
    }


@pytest.mark.parametrize("name", ["a.txt", "more/b.txt", "digests.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_entry_is_built_again(
    name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = cache.cached("letters", KEY, write_letters) / name
    whole = file.read_bytes()
    if damage == "flip":
        file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif damage == "truncate":
        file.write_bytes(whole[:-1])
    else:
        file.unlink()
    cache.cached("letters", KEY, write_letters)
    assert file.read_bytes() == whole
    assert "building it again" in caplog.text


@pytest.mark.parametrize("digests", ["[]", "{}", '{"key": 1}', '{"files": {"a.txt": ""}}', "null"])
def test_digests_of_another_form_count_as_damage(digests: str) -> None:
    entry = cache.cached("letters", KEY, write_letters)
    (entry / "digests.json").write_text(digests)
    (entry / "a.txt").write_text("wrong")
    assert (cache.cached("letters", KEY, write_letters) / "a.txt").read_text() == "aaa"


def test_the_entry_of_another_key_counts_as_damage() -> None:
    other = cache.cached("letters", {"name": "others"}, write_letters)
    entry = cache.cached("letters", KEY, write_letters)
    shutil.copy(other / "digests.json", entry)
    cache.cached("letters", KEY, write_letters)
    assert json.loads(json.loads((entry / "digests.json").read_text())["key"]) == KEY


def test_a_build_that_fails_leaves_nothing_behind(own_cache: Path) -> None:
    entry = cache.cached("letters", KEY, write_letters)

    def fails(folder: Path) -> None:
        write_letters(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.cached("letters", {"name": "fails"}, fails)
    assert [path for path in (own_cache / "letters").iterdir() if path.is_dir()] == [entry]
    assert cache.cached("letters", KEY, never) == entry


def test_what_a_killed_process_left_is_removed() -> None:
    entry = cache.cached("letters", KEY, write_letters)
    entry.rename(entry.with_suffix(".partial"))
    (entry.with_suffix(".partial") / "leftover").touch()
    assert not (cache.cached("letters", KEY, write_letters) / "leftover").exists()


def test_a_full_disk_is_one_line(own_cache: Path) -> None:
    earlier = cache.cached("letters", KEY, write_letters)

    def fills_the_disk(folder: Path) -> None:
        write_letters(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left.*set RESEARCH_CACHE") as raised:
        cache.cached("letters", {"name": "large"}, fills_the_disk)
    assert raised.value.errno == errno.ENOSPC
    assert "\n" not in str(raised.value)
    assert [path for path in (own_cache / "letters").iterdir() if path.is_dir()] == [earlier]


def test_a_read_only_cache_gives_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cache.cached("letters", KEY, write_letters)

    # Permissions would not stop a root user, so the file system is made to refuse.
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(locks, "hold", refuse)
    assert cache.cached("letters", KEY, never) == entry
    with pytest.raises(OSError, match=r"Read-only.*set RESEARCH_CACHE"):
        cache.cached("letters", {"name": "others"}, never)


def test_an_unreadable_source_is_not_blamed_on_the_cache() -> None:
    def reads_a_secret(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret.txt")

    with pytest.raises(PermissionError, match=r"secret.txt") as raised:
        cache.cached("letters", KEY, reads_a_secret)
    assert "RESEARCH_CACHE" not in str(raised.value)


def test_an_entry_is_moved_to_its_place_durably(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    move = moves.move
    monkeypatch.setattr(moves, "move", lambda *paths: (moved.append(paths), move(*paths)))
    entry = cache.cached("letters", KEY, write_letters)
    assert moved == [(entry.with_suffix(".partial"), entry)]


def test_who_waits_for_an_entry_is_told_who_builds_it(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = cache.cached("letters", KEY, write_letters)
    shutil.rmtree(entry)
    monkeypatch.setattr(locks, "SAY_AFTER_S", 0)
    with contextlib.ExitStack() as held:
        held.enter_context(locks.hold(entry.with_suffix(".lock")))
        monkeypatch.setattr(locks.time, "sleep", lambda _: held.close())
        cache.cached("letters", KEY, write_letters)
    lock = entry.with_suffix(".lock")
    assert capsys.readouterr().err.startswith(f"waiting for {lock}, which process {os.getpid()} on")


def logged_build(folder: Path, log: Path) -> None:
    with log.open("a") as output:
        output.write("built\n")
    write_letters(folder)


def fill(start: Barrier, log: Path) -> None:
    start.wait(timeout=HANG_S)
    cache.cached("letters", KEY, functools.partial(logged_build, log=log))


def test_two_processes_build_an_entry_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, log = spawn.Barrier(2), tmp_path / "log"
    processes = [spawn.Process(target=fill, args=(start, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=HANG_S)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "built\n"
    cache.cached("letters", KEY, never)
