"""Files that are written completely or not at all."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from research.files import atomic

ARRAYS = {"kernel": np.arange(6, dtype="float32").reshape(2, 3), "steps": np.array([4], "uint32")}


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "a" / "b" / "file.json"
    for value in ({"ä": [1, None]}, {"ä": 2}):
        atomic.write_json(path, value)
        assert atomic.read_json(path) == value
    assert files(tmp_path).keys() == {"a/b/file.json"}


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (Path, "open", errno.EACCES),  # a folder that this user may not write
        (Path, "open", errno.EROFS),
        (os, "fsync", errno.ENOSPC),  # some file systems notice no earlier
        (os, "fsync", errno.EIO),
        (Path, "replace", errno.EACCES),
    ],
)
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    tmp_path, monkeypatch, owner, name, number
):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "file.txt"
    path.write_bytes(b"before")
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(OSError, match=rf"{path}: {os.strerror(number)}"):
        atomic.write(path, b"after")
    monkeypatch.undo()
    assert files(tmp_path) == {"file.txt": b"before"}


def test_a_power_cut_brings_back_neither_half_a_file_nor_the_old_one(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, Path.replace

    def record(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        happened.append("folder" if is_folder else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(Path, "replace", lambda *p: (happened.append("renamed"), replace(*p)))
    atomic.write(tmp_path / "file.txt", b"content")
    assert happened == ["file", "renamed", "folder"]


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"/file/inner\.json: File exists"):
        atomic.write_json(tmp_path / "file" / "inner.json", {})


def test_a_number_that_json_does_not_have_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert files(tmp_path) == {}


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff", b""])
def test_a_file_that_is_not_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"expected JSON in .*file\.json"):
        atomic.read_json(tmp_path / "file.json")


def test_a_path_that_is_not_unicode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected Unicode .* received '.*/a\\udcff'; rename"):
        atomic.write_json(tmp_path / "a.json", {"corpus_path": "/of/the/user/a\udcff"})
    assert list(tmp_path.iterdir()) == []
