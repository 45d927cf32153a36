"""Verified files: the cache, wheels, URLs and archives, with nothing but this machine."""

import errno
import functools
import http.server
import io
import json
import multiprocessing
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import filelock
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research.files import archives, cache, downloads

KEY = {"name": "letters", "format": 1}
MEMBERS = ["package/data/one.tab", "package/data/two.tab"]

# pytest's folders and patches live for all the examples of one test, which is what we want here
several_examples = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_letters(folder: Path) -> None:
    (folder / "a.txt").write_text("aaa")
    (folder / "more").mkdir()
    (folder / "more" / "b.txt").write_text("bbb")


def never(_: Path) -> None:
    raise AssertionError("an intact entry must not be built again")


# --- the cache ----------------------------------------------------------------------------------


def test_an_entry_is_built_once(cache: Path) -> None:
    entry = cache.cached("letters", KEY, write_letters)
    assert entry.parent == cache / "letters"
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
def test_digests_that_make_no_sense_count_as_damage(digests: str) -> None:
    entry = cache.cached("letters", KEY, write_letters)
    (entry / "digests.json").write_text(digests)
    (entry / "a.txt").write_text("wrong")
    assert (cache.cached("letters", KEY, write_letters) / "a.txt").read_text() == "aaa"


def test_an_entry_in_another_place_is_not_taken_for_it() -> None:
    other = cache.cached("letters", {"name": "others"}, write_letters)
    entry = cache.cached("letters", KEY, write_letters)
    shutil.copy(other / "digests.json", entry)
    cache.cached("letters", KEY, write_letters)
    assert json.loads(json.loads((entry / "digests.json").read_text())["key"]) == KEY


def test_a_build_that_fails_leaves_nothing_and_harms_nothing(cache: Path) -> None:
    entry = cache.cached("letters", KEY, write_letters)

    def fails(folder: Path) -> None:
        write_letters(folder)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.cached("letters", {"name": "fails"}, fails)
    assert [path for path in (cache / "letters").iterdir() if path.is_dir()] == [entry]
    assert cache.cached("letters", KEY, never) == entry


def test_what_a_killed_process_left_is_cleared() -> None:
    entry = cache.cached("letters", KEY, write_letters)
    entry.rename(entry.with_suffix(".partial"))
    (entry.with_suffix(".partial") / "leftover").touch()
    assert not (cache.cached("letters", KEY, write_letters) / "leftover").exists()


def test_a_full_disk_is_one_line(cache: Path) -> None:
    earlier = cache.cached("letters", KEY, write_letters)

    def fills_the_disk(folder: Path) -> None:
        write_letters(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left.*set RESEARCH_CACHE") as raised:
        cache.cached("letters", {"name": "large"}, fills_the_disk)
    assert raised.value.errno == errno.ENOSPC
    assert "\n" not in str(raised.value)
    assert [path for path in (cache / "letters").iterdir() if path.is_dir()] == [earlier]


def test_a_read_only_cache_serves_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = cache.cached("letters", KEY, write_letters)

    # Permissions would not stop a root user, so the file system is made to refuse.
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(filelock, "FileLock", refuse)
    assert cache.cached("letters", KEY, never) == entry
    with pytest.raises(OSError, match=r"Read-only.*set RESEARCH_CACHE"):
        cache.cached("letters", {"name": "others"}, never)


def test_an_unreadable_source_is_not_blamed_on_the_cache() -> None:
    def reads_a_secret(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/secret.txt")

    with pytest.raises(PermissionError, match=r"secret.txt") as raised:
        cache.cached("letters", KEY, reads_a_secret)
    assert "RESEARCH_CACHE" not in str(raised.value)


def logged_build(folder: Path, log: Path) -> None:
    with log.open("a") as output:
        output.write("built\n")
    write_letters(folder)


def fill(start: Barrier, log: Path) -> None:
    start.wait(timeout=30)
    cache.cached("letters", KEY, functools.partial(logged_build, log=log))


def test_two_processes_build_an_entry_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    start, log = spawn.Barrier(2), tmp_path / "log"
    processes = [spawn.Process(target=fill, args=(start, log)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert log.read_text() == "built\n"
    cache.cached("letters", KEY, never)


# --- wheels -------------------------------------------------------------------------------------


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member in MEMBERS:
            archive.writestr(member, f"content of {member}")
        archive.writestr("../outside.txt", "never taken")
    return path


def fetch(wheel: Path, sha256: str | None = None) -> Path:
    return downloads.fetch_wheel(
        "package", "1.0", wheel.name, sha256 or cache.sha256_of(wheel), MEMBERS
    )


def by_hand(wheel: Path) -> Path:
    downloads = cache.cache_dir() / "downloads"
    downloads.mkdir(parents=True)
    return Path(shutil.copy(wheel, downloads))


def pip_that(monkeypatch: pytest.MonkeyPatch, gives: Path | None, says: str = "") -> list[str]:
    """Puts a stand-in in the place of pip; returns the list that will hold its arguments."""
    arguments: list[str] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        arguments.extend(command)
        if gives:
            shutil.copy(gives, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0 if gives else 1, stderr=says)

    monkeypatch.setattr(subprocess, "run", run)
    return arguments


def test_pip_fetches_a_wheel_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = pip_that(monkeypatch, gives=wheel)
    folder = fetch(wheel)
    assert arguments[:4] == [sys.executable, "-m", "pip", "download"]
    assert arguments[-1] == "package==1.0"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["digests.json", "one.tab", "two.tab"]  # the wheel itself is gone
    assert (folder / "two.tab").read_text() == "content of package/data/two.tab"
    arguments.clear()
    assert fetch(wheel) == folder
    assert not arguments


def test_a_wheel_put_there_by_hand_is_taken_first(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = pip_that(monkeypatch, gives=None)
    by_hand(wheel)
    assert (fetch(wheel) / "one.tab").exists()
    assert not arguments


def test_another_wheel_is_refused_by_name(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that(monkeypatch, gives=wheel)
    with pytest.raises(ValueError, match=f"expected SHA-256 0000.*{wheel.name}"):
        fetch(wheel, sha256="0000")
    place = by_hand(wheel)
    with pytest.raises(ValueError, match=f"{place}.*delete that file"):
        fetch(wheel, sha256="0000")


def test_without_network_the_error_says_how_to_do_it_by_hand(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that(monkeypatch, gives=None, says="WARNING: Retrying\nERROR: No matching distribution\n")
    place = cache.cache_dir() / "downloads" / wheel.name
    with pytest.raises(OSError, match=f"No matching distribution.*put it at {place}") as raised:
        fetch(wheel)
    assert "\n" not in str(raised.value)
    assert "Retrying" not in str(raised.value)


# --- URLs ---------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A file, and the URL at which this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "words.txt").write_text("the to of")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/words.txt", folder / "words.txt"
        server.shutdown()


def test_a_url_is_fetched_once(served: tuple[str, Path], cache: Path) -> None:
    url, source = served
    sha256 = cache.sha256_of(source)
    path = downloads.fetch_url(url, sha256, "words.txt")
    assert path == cache / "downloads" / "words.txt"
    assert path.read_bytes() == source.read_bytes()
    source.unlink()
    assert downloads.fetch_url(url, sha256, "words.txt") == path
    assert downloads.fetch_url(url, None, "words.txt") == path


def test_a_download_with_another_digest_is_not_kept(served: tuple[str, Path], cache: Path) -> None:
    with pytest.raises(OSError, match="put it at"):
        downloads.fetch_url(served[0], "0" * 64, "words.txt")
    assert [path.name for path in (cache / "downloads").iterdir()] == ["words.txt.lock"]


def test_a_file_that_is_there_is_checked_too(served: tuple[str, Path]) -> None:
    sha256 = cache.sha256_of(served[1])
    downloads.fetch_url(served[0], sha256, "words.txt").write_text("changed")
    with pytest.raises(ValueError, match=r"expected SHA-256 .*words\.txt.*delete that file"):
        downloads.fetch_url(served[0], sha256, "words.txt")


def test_a_url_that_is_not_there_says_how_to_do_it_by_hand(
    served: tuple[str, Path], cache: Path
) -> None:
    with pytest.raises(OSError, match=f"404.*put it at {cache / 'downloads' / 'x.zip'}"):
        downloads.fetch_url(f"{served[0]}.zip", None, "x.zip")


# --- archives -----------------------------------------------------------------------------------


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    return info


def read(path: Path, max_bytes: int = 10**7) -> list[tuple[str, bytes]]:
    return list(archives.read_tar(path, max_bytes))


names = st.lists(st.from_regex(r"[a-z0-9é ]{1,20}", fullmatch=True), min_size=1, max_size=3)


@several_examples
@given(files=st.dictionaries(names.map("/".join), st.binary(max_size=2000), max_size=5))
def test_an_archive_gives_back_what_went_in(files: dict[str, bytes], tmp_path: Path) -> None:
    members = [(member(name, content), content) for name, content in files.items()]
    folder = (member("folder", kind=tarfile.DIRTYPE), b"")
    assert dict(read(tar_of(tmp_path / "a.tar.gz", folder, *members))) == files


@several_examples
@given(
    before=names.map("/".join),
    slash=st.sampled_from("/\\"),
    after=names.map("/".join),
    shape=st.sampled_from(
        ["{s}{b}", "{b}{s}..{s}{a}", "..{s}{a}", "{b}{s}..", "c:{s}{a}", "c:{a}"]
    ),
)
def test_names_outside_the_archive_are_refused(
    before: str, slash: str, after: str, shape: str, tmp_path: Path
) -> None:
    name = shape.format(b=before, s=slash, a=after)
    archive = tar_of(tmp_path / "a.tar.gz", (member("good"), b""), (member(name), b""))
    with pytest.raises(ValueError, match="expected only files and folders") as raised:
        read(archive)
    assert repr(name) in str(raised.value)


@several_examples
@given(
    kind=st.sampled_from(
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    ),
    name=names.map("/".join),
)
def test_links_and_devices_are_refused(kind: bytes, name: str, tmp_path: Path) -> None:
    info = member(name, kind=kind)
    info.linkname = "target"
    with pytest.raises(ValueError, match="expected only files and folders") as raised:
        read(tar_of(tmp_path / "a.tar.gz", (info, b"")))
    assert repr(name) in str(raised.value)


@several_examples
@given(size=st.integers(0, 30_000))
def test_an_archive_may_unpack_to_so_much_and_no_more(size: int, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", (member("zeros", bytes(size)), bytes(size)))
    unpacked = 10_240 * -(-(512 + -(-size // 512) * 512 + 1024) // 10_240)  # tar's own padding
    assert len(read(archive, max_bytes=unpacked)[0][1]) == size
    with pytest.raises(ValueError, match=f"at most {unpacked - 1:,} bytes"):
        read(archive, max_bytes=unpacked - 1)


def test_a_bomb_stops_early(tmp_path: Path) -> None:
    """Neither a huge file nor a huge header is ever held in memory whole."""
    bomb = bytes(50_000_000)
    header = member("././@PaxHeader", bomb, tarfile.XHDTYPE)
    for hostile in (member("bomb", bomb), header):
        archive = tar_of(tmp_path / "bomb.tar.gz", (hostile, bomb))
        assert archive.stat().st_size < 100_000
        with pytest.raises(ValueError, match="at most 1,000,000 bytes"):
            read(archive, max_bytes=1_000_000)


@several_examples
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_archive_is_refused(share: float, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    whole = tar_of(tmp_path / "a.tar.gz", (member("a", content), content)).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"expected a whole .tar.gz"):
        read(tmp_path / "b.tar.gz")


@settings(several_examples, max_examples=200)
@given(position=st.integers(min_value=0), flip=st.integers(1, 255))
def test_a_flipped_byte_never_changes_the_content(position: int, flip: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4
    damaged = bytearray(tar_of(tmp_path / "a.tar.gz", (member("a", content), content)).read_bytes())
    damaged[position % len(damaged)] ^= flip
    (tmp_path / "b.tar.gz").write_bytes(damaged)
    try:
        files = read(tmp_path / "b.tar.gz")
    except ValueError:
        return
    assert files == [("a", content)]  # the byte was in gzip's own header, such as its time
