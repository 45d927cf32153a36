"""Checkpoints: what is saved can be loaded, and what is damaged or of another run is refused."""

import errno
import hashlib
import io
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import arrays_of, position_of
from hypothesis import given, settings
from hypothesis import strategies as st

from research.files import atomic, sealed
from research.training import checkpoints, run_folder
from research.training.checkpoints import Position, Saver

LAST = {"kernel": np.arange(6, dtype="float32").reshape(2, 3), "steps": np.array([0, 4], "uint32")}
BEST = {"kernel": np.full((2, 3), 0.5, "float32")}
INPUTS = {name: name.encode() for name in run_folder.INPUTS}


def at(epoch, **more):
    """Return the position after so many epochs."""
    history = [{"epoch": number} for number in range(1, epoch + 1)]
    return Position(epoch=epoch, history=history, **more)


def new_run(folder, best=BEST):
    saver = Saver(folder, INPUTS)
    saver.write_inputs()
    saver.save(at(1), LAST, best)
    return saver


@pytest.fixture
def saver(tmp_path):
    """What saves the checkpoints of a run that has one."""
    return new_run(tmp_path / "run")


@pytest.fixture
def run(saver):
    return saver.run


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def index_of(run):
    return json.loads((run / "checkpoint" / "index.json").read_text())


def write_index(run, **changes):
    """Change the index of a checkpoint and seal it again, as a forger would."""
    content = {name: value for name, value in index_of(run).items() if name != "sha256"}
    atomic.write_json(run / "checkpoint" / "index.json", sealed.seal(content | changes))


def assert_equal(arrays, expected):
    assert arrays.keys() == expected.keys()
    for name, value in expected.items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_a_checkpoint_reads_as_it_was_saved(run):
    assert checkpoints.exists(run)
    assert position_of(run) == at(1)
    assert_equal(arrays_of(run, "last"), LAST)
    assert_equal(arrays_of(run, "best"), BEST)
    with checkpoints.opened(run, "best") as checkpoint:
        assert checkpoint.inputs == INPUTS


def test_the_best_weights_stay_until_there_are_better_ones(saver, run):
    saver.save(at(2, best_epoch=1), {"kernel": np.zeros(1)}, None)
    assert_equal(arrays_of(run, "best"), BEST)
    with checkpoints.opened(run, "best") as best, checkpoints.opened(run, "last") as last:
        assert (best.epoch, last.epoch) == (1, 2)
    better = {"kernel": np.ones(2)}
    saver.save(at(3, best_epoch=3), LAST, better)
    assert_equal(arrays_of(run, "best"), better)
    assert_equal(arrays_of(run, "last"), LAST)


def test_arrays_that_no_longer_count_are_removed(saver, run):
    for epoch in range(2, 5):
        saver.save(at(epoch), {"kernel": np.full(3, epoch)}, None)
    names = {path.name for path in (run / "checkpoint").iterdir()}
    assert names == {"index.json", *index_of(run)["files"].values()}
    assert len(names) == 3


def test_equal_arrays_make_equal_files(run, tmp_path):
    new_run(tmp_path / "other")
    assert files(tmp_path / "other") == files(run)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_the_checkpoint_before_survives_whichever_write_fails(saver, run, writes, monkeypatch):
    fsync, left = os.fsync, iter([True] * writes)

    def fails_later(number):
        if not next(left, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    monkeypatch.setattr(os, "fsync", fails_later)
    new = {"kernel": np.ones(1000)}
    with pytest.raises(OSError, match="No space left"):
        saver.save(at(2), new, {"kernel": np.ones(7)})
    assert position_of(run) == at(1)
    assert_equal(arrays_of(run, "last"), LAST)
    assert_equal(arrays_of(run, "best"), BEST)

    monkeypatch.setattr(os, "fsync", fsync)  # and with room again, the next one tidies up
    saver.save(at(2), new, None)
    assert_equal(arrays_of(run, "last"), new)
    assert len(files(run / "checkpoint")) == 3


def test_a_disk_that_gives_back_other_bytes_is_noticed(saver, run, monkeypatch):
    write = atomic.write
    monkeypatch.setattr(atomic, "write", lambda path, content: write(path, content[:-1] + b"?"))
    with pytest.raises(OSError, match=r"what was written, received other bytes; check the disk"):
        saver.save(at(2), {"kernel": np.ones(7)}, None)
    monkeypatch.undo()
    assert_equal(arrays_of(run, "last"), LAST)


def test_a_run_without_a_finished_epoch_has_no_best_checkpoint(tmp_path):
    saver = Saver(tmp_path, INPUTS)
    saver.write_inputs()
    assert not checkpoints.exists(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"not finished an epoch; .* --resume"):
        position_of(tmp_path)
    saver.save(Position(step=8), LAST, None)
    assert_equal(arrays_of(tmp_path, "last"), LAST)
    with pytest.raises(FileNotFoundError, match=r"'best'.* not finished an epoch; .* --resume"):
        arrays_of(tmp_path, "best")


def test_a_missing_arrays_file_is_named(run):
    name = index_of(run)["files"]["last"]
    (run / "checkpoint" / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"the arrays of the checkpoint .*{name}"):
        arrays_of(run, "last")
    assert_equal(arrays_of(run, "best"), BEST)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_of_a_run_is_refused(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    new_run(run, best=None)
    path = data.draw(st.sampled_from(sorted(p for p in run.rglob("*") if p.is_file())))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        position, arrays = position_of(run), arrays_of(run, "last")
    except (ValueError, FileNotFoundError) as error:
        assert path.name in str(error) or str(run) in str(error)
    else:  # white space of index.json may change, and nothing else
        assert path.name == "index.json"
        assert position == at(1)
        assert_equal(arrays, LAST)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_a_cut_file_is_refused(run, length):
    for path in (run / "checkpoint").iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=path.name):
            arrays_of(run, "last"), arrays_of(run, "best")
        path.write_bytes(whole)


@pytest.mark.parametrize("name", run_folder.INPUTS)
def test_an_input_of_another_run_is_refused(run, name):
    (run / name).write_bytes(b"of another run")
    with pytest.raises(ValueError, match=rf"{name} to be of the same run as its checkpoint"):
        position_of(run)


def test_a_run_whose_inputs_are_being_replaced_can_be_read(run, monkeypatch):
    changed = INPUTS | {"config.json": b"more epochs", "environment.json": b"and a process"}
    write, left = atomic.write, iter(range(2))

    def dies(path, content):
        next(left)  # the index, then config.json, but not environment.json
        write(path, content)

    monkeypatch.setattr(atomic, "write", dies)
    with pytest.raises(StopIteration):
        Saver(run, changed).write_inputs()
    monkeypatch.undo()
    with checkpoints.opened(run, "last") as checkpoint:
        assert checkpoint.inputs["config.json"] == b"more epochs"
        assert checkpoint.inputs["environment.json"] == INPUTS["environment.json"]
    saver = Saver(run, changed)
    saver.write_inputs()
    saver.save(at(2), LAST, None)
    (run / "config.json").write_bytes(INPUTS["config.json"])
    with pytest.raises(ValueError, match=r"config\.json to be of the same run"):
        position_of(run)


def test_a_run_from_before_inputs_were_sealed_is_read(run):
    content = {name: index_of(run)[name] for name in ("position", "files")}
    atomic.write_json(run / "checkpoint" / "index.json", sealed.seal(content))
    (run / "config.json").write_bytes(b"any")
    assert_equal(arrays_of(run, "best"), BEST)


def test_a_reader_beside_a_trainer_gets_one_whole_checkpoint(saver, run):
    """Each checkpoint holds its epoch in the arrays, in the position and in an input."""

    def weights(epoch):
        return {"kernel": np.full((50, 50), epoch, "float32")}

    def keep_training():
        for epoch in range(2, 200):
            of_epoch = Saver(run, INPUTS | {"config.json": str(epoch).encode()})
            of_epoch.write_inputs()
            of_epoch.save(at(epoch, best_epoch=epoch), weights(epoch), weights(epoch))

    saver.save(at(1, best_epoch=1), weights(1), weights(1))
    training = threading.Thread(target=keep_training)
    training.start()
    reads = 0
    while training.is_alive():
        with checkpoints.opened(run, "best") as checkpoint:
            arrays = checkpoint.arrays(checkpoint.forms())
            assert (arrays["kernel"] == checkpoint.epoch).all()
            assert checkpoint.position.epoch == checkpoint.epoch
            reads += 1
    training.join()
    assert reads


def npz_file(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def compressed():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, kernel=np.zeros((1_000, 1_000)))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            npz_file(kernel=np.array([Evil()], dtype=object)), "of type object", id="pickle"
        ),
        pytest.param(npz_file(kernel=np.array(["a"])), "of type <U1", id="strings"),
        pytest.param(npz_file(kernel=np.ones(3, complex)), "of type complex128", id="complex"),
        pytest.param(npz_file(kernel=np.ones(3, bool)), "of type bool", id="bool"),
        pytest.param(npz_file(kernel=np.array([1.0, np.nan])), "NaN or infinity", id="nan"),
        pytest.param(npz_file(other=np.ones(2)), "kernel: nothing", id="missing"),
        pytest.param(npz_file(kernel=np.ones(3)), r"float64\[3\] instead of", id="shape"),
        pytest.param(npz_file(kernel=np.ones(2, int)), r"int64\[2\] instead of", id="integers"),
        pytest.param(compressed(), "of 8,000,128 bytes instead of", id="bomb"),
        pytest.param(b"PK\5\6 and no archive", "BadZipFile", id="no archive"),
    ],
)
def test_arrays_that_no_run_writes_are_refused_before_they_are_read(run, content, message):
    digest = hashlib.sha256(content).hexdigest()
    (run / "checkpoint" / f"{digest}.npz").write_bytes(content)
    write_index(run, files={"last": f"{digest}.npz"})  # everything else is in order
    expected = {"kernel": checkpoints.Form((2,), np.dtype("float32"))}
    with checkpoints.opened(run, "last") as checkpoint, pytest.raises(ValueError, match=message):
        checkpoint.arrays(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"last": "../../elsewhere.npz"}},
        {"files": {"last": "/dev/zero"}},
        {"files": {"last": None}},
        {"files": {"worst": "0" * 64 + ".npz"}},
        {"files": []},
        {"position": {"epoch": 2}},
        {"position": {"epoch": -1}},
        {"position": {"epoch": "1", "history": [{"epoch": 1}]}},
        {"position": {"epoch": 1, "history": [{"epoch": 1}], "best_epoch": 2}},
        {"position": {"epoch": 1, "history": [1]}},
        {"position": None},
        {"inputs": {"config.json": "none"}},
    ],
)
def test_an_index_of_another_form_is_refused(run, changes):
    write_index(run, **changes)
    with pytest.raises(ValueError, match=r"expected the index of a checkpoint in .*index\.json"):
        position_of(run)


@pytest.mark.parametrize("name", ["config.json", "checkpoint/index.json", "checkpoint/ARRAYS"])
def test_a_pipe_or_device_in_a_run_folder_is_refused_and_not_waited_for(run, name):
    path = run / name.replace("ARRAYS", index_of(run)["files"]["last"])
    for make, kind in (
        (os.mkfifo, "a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ):
        path.unlink()
        make(path)
        with pytest.raises(ValueError, match=rf"{path.name}, which is {kind}"):
            arrays_of(run, "last")


def test_a_file_that_is_longer_than_any_of_a_run_is_not_read(run):
    with (run / "vocabulary.txt").open("wb") as file:
        file.truncate(1 << 40)  # it has a hole, so it takes no room
    with pytest.raises(ValueError, match=r"at most 268,435,456 bytes in .*vocabulary\.txt"):
        position_of(run)


def test_a_checkpoint_folder_of_another_run_is_refused(run, tmp_path):
    other = Saver(tmp_path / "other", INPUTS | {"data.json": b"other data"})
    other.write_inputs()
    other.save(at(1), LAST, BEST)
    shutil.rmtree(run / "checkpoint")
    shutil.copytree(other.run / "checkpoint", run / "checkpoint")
    with pytest.raises(ValueError, match=r"data\.json to be of the same run"):
        position_of(run)


def test_a_position_keeps_all_that_it_holds(saver, run):
    position = Position(1, 8, 1.5, best_epoch=1, history=[{"epoch": 1, "loss": 2.5}])
    saver.save(position, LAST, None)
    assert position_of(run) == position
