"""Checkpoints: what is saved can be loaded, and what is damaged is refused."""

import errno
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.files import atomic
from research.training import checkpoints
from research.training.checkpoints import Position

LAST = {"kernel": np.arange(6, dtype="float32").reshape(2, 3), "steps": np.array([0, 4], "uint32")}
BEST = {"kernel": np.full((2, 3), 0.5, "float32")}


@pytest.fixture
def run(tmp_path):
    """A run folder with a checkpoint."""
    folder = tmp_path / "run"
    atomic.write_json(folder / "config.json", {})
    checkpoints.save(folder, Position(epoch=1), LAST, BEST)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, value in expected.items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_a_checkpoint_reads_as_it_was_saved(run):
    assert checkpoints.exists(run)
    assert checkpoints.load_position(run) == Position(epoch=1)
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)


def test_the_best_weights_stay_until_there_are_better_ones(run):
    checkpoints.save(run, Position(epoch=2), {"kernel": np.zeros(1)}, None)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)
    better = {"kernel": np.ones(2)}
    checkpoints.save(run, Position(epoch=3), LAST, better)
    assert_equal(checkpoints.load_arrays(run, "best"), better)
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)


def test_arrays_that_no_longer_count_are_removed(run):
    for epoch in range(2, 5):
        checkpoints.save(run, Position(epoch=epoch), {"kernel": np.full(3, epoch)}, None)
    index = json.loads((run / "checkpoint" / "index.json").read_text())
    names = {path.name for path in (run / "checkpoint").iterdir()}
    assert names == {"index.json", index["files"]["last"], index["files"]["best"]}


def test_equal_arrays_make_equal_files(run, tmp_path):
    atomic.write_json(tmp_path / "other" / "config.json", {})
    checkpoints.save(tmp_path / "other", Position(epoch=1), LAST, BEST)
    assert files(tmp_path / "other") == files(run)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_the_checkpoint_before_survives_whichever_write_fails(run, writes, monkeypatch):
    fsync, left = os.fsync, iter([True] * writes)

    def fails_later(number):
        if not next(left, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", fails_later)
    new = {"kernel": np.ones(1000)}
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(run, Position(epoch=2), new, {"kernel": np.ones(7)})
    assert checkpoints.load_position(run) == Position(epoch=1)
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)

    monkeypatch.setattr(os, "fsync", fsync)  # and with room again, the next one tidies up
    checkpoints.save(run, Position(epoch=2), new, None)
    assert_equal(checkpoints.load_arrays(run, "last"), new)
    assert len(files(run / "checkpoint")) == 3


def test_a_disk_that_gives_back_other_bytes_is_noticed(run, monkeypatch):
    write = atomic.write
    monkeypatch.setattr(atomic, "write", lambda path, content: write(path, content[:-1] + b"?"))
    with pytest.raises(OSError, match=r"what was written, received other bytes; check the disk"):
        checkpoints.save(run, Position(epoch=2), {"kernel": np.ones(7)}, None)
    monkeypatch.undo()
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)


def test_a_run_without_a_finished_epoch_has_no_best_checkpoint(tmp_path):
    atomic.write_json(tmp_path / "config.json", {})
    assert not checkpoints.exists(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"with index\.json in it"):
        checkpoints.load_position(tmp_path)
    checkpoints.save(tmp_path, Position(step=8), LAST, None)
    assert_equal(checkpoints.load_arrays(tmp_path, "last"), LAST)
    with pytest.raises(FileNotFoundError, match=r"'best'.* not finished an epoch; .* --resume"):
        checkpoints.load_arrays(tmp_path, "best")


def test_a_missing_arrays_file_is_named(run):
    name = json.loads((run / "checkpoint" / "index.json").read_text())["files"]["last"]
    (run / "checkpoint" / name).unlink()
    with pytest.raises(ValueError, match=rf"of the checkpoint .*{name}"):
        checkpoints.load_arrays(run, "last")
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_checkpoint_is_refused(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    atomic.write_json(run / "config.json", {})
    checkpoints.save(run, Position(epoch=1), LAST, None)
    path = data.draw(
        st.sampled_from(sorted((run / "checkpoint").iterdir(), key=lambda p: p.suffix))
    )
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        position, arrays = checkpoints.load_position(run), checkpoints.load_arrays(run, "last")
    except (ValueError, FileNotFoundError) as error:
        assert path.name in str(error) or str(run) in str(error)
    else:  # white space of index.json may change, and nothing else
        assert path.name == "index.json"
        assert position == Position(epoch=1)
        assert_equal(arrays, LAST)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_cut_file_is_refused(run, length):
    for path in (run / "checkpoint").iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=path.name):
            checkpoints.load_arrays(run, "last"), checkpoints.load_arrays(run, "best")
        path.write_bytes(whole)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def test_a_pickle_in_a_checkpoint_is_never_opened(run):
    buffer = io.BytesIO()
    np.savez(buffer, kernel=np.array([Evil()], dtype=object))
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    (run / "checkpoint" / f"{digest}.npz").write_bytes(buffer.getvalue())
    # Everything else about this checkpoint is in order.
    content = {"position": {}, "files": {"last": f"{digest}.npz"}}
    seal = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    atomic.write_json(run / "checkpoint" / "index.json", {**content, "sha256": seal})
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoints.load_arrays(run, "last")


def test_a_position_keeps_all_that_it_holds(run):
    position = Position(2, 8, 1.5, best_epoch=1, history=[{"epoch": 1, "loss": 2.5}])
    checkpoints.save(run, position, LAST, None)
    assert checkpoints.load_position(run) == position
