"""What takes the place of something else: the place always holds one of both, as a whole."""

import os
import stat
from pathlib import Path

import pytest

from research.files import moves


def make(path: Path, content: str, is_folder: bool = True) -> Path:
    if is_folder:
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "file").write_text(content)
    else:
        path.write_text(content)
    return path


def content(path: Path) -> str:
    return (path / "inner" / "file" if path.is_dir() else path).read_text()


@pytest.fixture(params=[True, False], ids=["exchange", "no exchange"])
def has_exchange(request, monkeypatch):
    """Whether the system can exchange two names; a test sees both kinds."""
    if not request.param:
        monkeypatch.setattr(moves, "_exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("made_is_folder", [True, False])
@pytest.mark.parametrize("place_was", [None, True, False])
def test_what_was_there_is_replaced(has_exchange, made_is_folder, place_was, tmp_path):
    place = tmp_path / "place"
    if place_was is not None:
        make(place, "old", place_was)
    moves.move(make(tmp_path / "made", "new", made_is_folder), place)
    assert content(place) == "new"
    assert list(tmp_path.iterdir()) == [place]


def test_a_link_is_replaced_and_not_what_it_leads_to(has_exchange, tmp_path):
    target, place = make(tmp_path / "target", "old"), tmp_path / "place"
    place.symlink_to(target)
    moves.move(make(tmp_path / "made", "new"), place)
    assert (content(target), content(place)) == ("old", "new")
    assert not place.is_symlink()


def test_a_move_that_fails_leaves_what_was_there(has_exchange, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("the disk broke")

    place, made = make(tmp_path / "place", "old"), make(tmp_path / "made", "new")
    if has_exchange:
        monkeypatch.setattr(moves, "_exchange", fail)
    else:
        rename = Path.rename
        monkeypatch.setattr(
            Path, "rename", lambda path, to: fail() if path == made else rename(path, to)
        )
    with pytest.raises(OSError, match="broke"):
        moves.move(made, place)
    assert content(place) == "old"
    assert set(tmp_path.iterdir()) == {place, made}


def test_a_folder_that_a_killed_process_kept_is_removed(has_exchange, tmp_path):
    make(tmp_path / ".place.replaced", "older")
    place = make(tmp_path / "place", "old")
    moves.move(make(tmp_path / "made", "new"), place)
    assert content(place) == "new"
    assert list(tmp_path.iterdir()) == [place]


def test_everything_is_on_disk_before_the_move_and_the_new_name_after_it(tmp_path, monkeypatch):
    happened = []
    fsync, exchange = os.fsync, moves._exchange

    def record(descriptor):
        inode = os.fstat(descriptor).st_ino
        happened.append(
            next(p for p in (tmp_path, *tmp_path.rglob("*")) if p.stat().st_ino == inode)
        )
        fsync(descriptor)

    place, made = make(tmp_path / "place", "old"), make(tmp_path / "made", "new")
    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(moves, "_exchange", lambda *p: (happened.append("moved"), exchange(*p))[1])
    moves.move(made, place)
    assert sorted(happened[:3]) == [made, made / "inner", made / "inner" / "file"]
    assert happened[3:] == ["moved", tmp_path]


def test_new_folders_are_on_disk_too(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(moves, "sync", synced.append)
    for _ in range(2):
        moves.make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path / "a", tmp_path]


def test_a_file_system_without_syncing_of_folders_is_accepted(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(22 if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 5, "refused")

    monkeypatch.setattr(os, "fsync", refuse)
    moves.sync(tmp_path)
    with pytest.raises(OSError, match="refused"):
        moves.sync(make(tmp_path / "file", "", is_folder=False))
