"""A full disk is one line, and nothing partial stays on it."""

import errno
import http.server
import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from conftest import Answer, assert_refused, python

from research import evaluate, train
from research.config import Config
from research.data import labelled_tables
from research.evaluation import figures
from research.files import atomic, cache, downloads
from research.serving.runtimes import RUNTIMES

MEGABYTES = 8
HISTORY = [{"epoch": epoch, "loss": 1.0, "accuracy": 0.5} for epoch in (1, 2, 3)]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small file system, which holds the cache."""
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
tokens._vectorizer = lambda vocabulary, length, split: lambda batch: types.SimpleNamespace(
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


def test_a_picture_that_does_not_fit(disk: Path) -> None:
    figures.learning_curves(HISTORY, disk / "curves")
    old = (disk / "curves.svg").read_bytes()
    fill(disk)
    with pytest.raises(OSError, match=rf"{disk}/curves.svg: No space.*free some space"):
        figures.learning_curves(HISTORY * 2, disk / "curves")
    assert (disk / "curves.svg").read_bytes() == old
    assert {path.name for path in files(disk)} == {"curves.svg", "curves.png", "large"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_that_do_not_fit(disk: Path, tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", disk / f"b{suffix}"
    texts = [random.Random(row).randbytes(1_000).hex() for row in range(MEGABYTES * 2_000)]
    table = pa.table({"text": texts})
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, source)
    else:
        pyarrow.parquet.write_table(table, source)
    target.write_text("old")
    with pytest.raises(OSError, match=rf"cannot write {target}: No space.*free some space"):
        labelled_tables.write(source, target, "text", lambda of_rows: [("a", 1.0)] * len(of_rows))
    assert target.read_text() == "old"
    assert files(disk) == [target]


@pytest.fixture(scope="module")
def run(tiny: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train.train("tiny", Config(**tiny), tmp_path_factory.mktemp("full") / "run")


@pytest.mark.slow
def test_scores_that_do_not_fit(
    disk: Path, run: Path, call: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = shutil.copytree(run, disk / "run", ignore=shutil.ignore_patterns("learning_curves*"))
    before = {path: path.read_bytes() for path in files(moved)}
    monkeypatch.setenv("RESEARCH_CACHE", str(run.parent / "cache"))
    fill(disk)
    assert_refused(call(evaluate, moved), f"cannot write {moved}/metrics.json: No space left")
    after = {path: path.read_bytes() for path in files(moved)}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} <= {".evaluation.lock"}


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["saved_model", "onnx", "keras"])
def test_an_artefact_that_does_not_fit(disk: Path, run: Path, format_name: str) -> None:
    output = disk / f"model{RUNTIMES[format_name].suffix}"
    fill(disk)
    with (disk / "large").open("r+b") as file:  # room for the beginning
        file.truncate((MEGABYTES << 20) - 100_000)
    arguments = ("--format", format_name, "--output", output)
    cache_folder = {"RESEARCH_CACHE": str(run.parent / "cache")}
    answer = python("-m", "research.export", run, *arguments, environment=cache_folder)
    assert_refused(answer, str(output), "No space left")
    assert [path.name for path in disk.iterdir()] == ["large"]
