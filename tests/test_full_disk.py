"""A full disk is one line, and nothing partial stays on it."""

import errno
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import assert_refused, python

from research.files import atomic, cache, downloads

MEGABYTES = 2


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 2 MB, which holds the cache."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a small file system, which this user cannot mount ({error})")
    monkeypatch.setenv("RESEARCH_CACHE", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no space on the disk."""
    with pytest.raises(OSError, match="No space"), (folder / "large").open("wb") as file:
        while True:
            file.write(bytes(4096))


def is_clean(folder: Path) -> bool:
    return all(path.suffix == ".lock" for path in files(folder))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# TensorFlow is replaced by what gives the numbers of 1,000 words for each text.
ENCODE = """
import numpy as np, types
from research.data import tokens
from research.processes import command
tokens._vectorizer = lambda vocabulary, length: lambda batch: types.SimpleNamespace(
    numpy=lambda: np.ones((len(batch), length), np.int64)
)
command.guard(lambda: tokens.encode_cached(["a"] * 5000, ["", "[UNK]", "a"], 1000))
"""


def test_token_ids_that_do_not_fit(disk: Path) -> None:
    answer = python("-c", ENCODE)  # in a process of its own, which a mapped file would kill
    assert_refused(answer, f"cannot write {disk}/token_ids/", "No space left", "RESEARCH_CACHE")
    assert is_clean(disk)


@pytest.mark.parametrize("filled_by", ["the build", "its last byte"])
def test_a_cache_entry_that_does_not_fit(disk: Path, filled_by: str) -> None:
    def build(folder: Path) -> None:
        if filled_by == "the build":
            (folder / "vocabulary.txt").write_bytes(bytes(MEGABYTES * 2**20))
        fill(folder)  # so that the digests do not fit

    with pytest.raises(OSError, match=rf"{disk}/words/.*No space.*RESEARCH_CACHE") as raised:
        cache.cached("words", {}, build)
    assert "\n" not in str(raised.value)
    assert is_clean(disk)


def test_the_lock_of_an_entry_that_does_not_fit(disk: Path) -> None:
    (disk / "words").mkdir()
    fill(disk)
    with pytest.raises(OSError, match=rf"{disk}/words/.*No space.*RESEARCH_CACHE"):
        cache.cached("words", {}, lambda _: None)


def test_a_file_of_a_run_that_does_not_fit(disk: Path) -> None:
    atomic.write(disk / "index.json", b"old")
    with pytest.raises(OSError, match=rf"{disk}/index.json: No space.*free some space"):
        atomic.write(disk / "index.json", bytes(MEGABYTES * 2**20))
    assert (disk / "index.json").read_bytes() == b"old"
    assert files(disk) == [disk / "index.json"]


def test_a_download_that_does_not_fit(disk: Path) -> None:
    class Endless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(MEGABYTES * 2):
                self.wfile.write(bytes(2**20))

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/large"
        with pytest.raises(OSError, match=rf"{disk}/downloads/a.zip: No space") as raised:
            downloads.fetch_url(downloads.RemoteFile(url, "a.zip", 10**9, None))
        server.shutdown()
    assert raised.value.errno == errno.ENOSPC
    assert files(disk) == [disk / "downloads" / "a.zip.lock"]
