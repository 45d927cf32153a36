"""Run folders: what is written is whole or absent, and what is damaged is refused."""

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
from research.training import checkpoints, run_folder

LAST = {"kernel": np.arange(6, dtype="float32").reshape(2, 3), "steps": np.array([0, 4], "uint32")}
BEST = {"kernel": np.full((2, 3), 0.5, "float32")}


@pytest.fixture
def run(tmp_path):
    """A run folder with a checkpoint."""
    folder = tmp_path / "run"
    atomic.write_json(folder / "config.json", {})
    checkpoints.save_checkpoint(folder, {"epoch": 1, "step": 0}, LAST, BEST)
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


# --- files --------------------------------------------------------------------------------------


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
    with pytest.raises(OSError, match="expected") as caught:
        atomic.write(path, b"after")
    monkeypatch.undo()
    assert str(caught.value) == (
        f"expected to write {path}, received {os.strerror(number)!r} from the file system; "
        "make room there or choose another place, then repeat the command"
    )
    assert files(tmp_path) == {"file.txt": b"before"}


def test_a_file_is_on_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    happened = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda n: (happened.append("synced"), fsync(n)))
    monkeypatch.setattr(Path, "replace", lambda *p: (happened.append("renamed"), replace(*p)))
    atomic.write(tmp_path / "file.txt", b"content")
    assert happened == ["synced", "renamed"]


def test_a_file_in_the_place_of_a_folder_is_an_error_of_three_parts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match=r"write .*/file/inner\.json, received 'File exists' .*; make"
    ):
        atomic.write_json(tmp_path / "file" / "inner.json", {})


def test_a_number_that_json_does_not_have_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        atomic.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert files(tmp_path) == {}


def test_what_is_no_run_folder_and_what_is_no_json(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=rf"with config\.json in it, received {folder}"):
            atomic.read_json(folder / "config.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileNotFoundError, match="expected a run folder"):
        atomic.read_json(tmp_path / "file" / "config.json")
    for content in (b'{"a": 1', b"\xff", b""):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(ValueError, match=r"expected JSON in .*config\.json, received .*; rest"):
            atomic.read_json(tmp_path / "config.json")


def test_history_is_a_line_per_epoch(tmp_path):
    history = [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5}]
    run_folder.write_history(tmp_path, history)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_arrays_are_read_by_numpy(tmp_path):
    atomic.write_arrays(tmp_path / "predictions.npz", LAST)
    with np.load(tmp_path / "predictions.npz", allow_pickle=False) as arrays:
        assert_equal(dict(arrays), LAST)


# --- run folders --------------------------------------------------------------------------------


def test_a_new_run_gets_the_first_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("jax-seed3", "jax-seed3-2", "jax-seed3-3"):
        folder = run_folder.new_folder("kim", "jax", 3)
        assert folder == Path("runs/kim") / name
        folder.mkdir(parents=True)
    assert run_folder.new_folder("kim", "jax", 4) == Path("runs/kim/jax-seed4")
    assert run_folder.new_folder("kim", "torch", 3) == Path("runs/kim/torch-seed3")


def test_a_run_takes_a_free_place_or_goes_on_but_writes_over_nothing(run, tmp_path):
    assert run_folder.check_free(tmp_path / "absent", resume=False) is False
    assert run_folder.check_free(tmp_path / "absent", resume=True) is False
    (tmp_path / "empty").mkdir()
    assert run_folder.check_free(tmp_path / "empty", resume=False) is False
    assert run_folder.check_free(run, resume=True) is True
    with pytest.raises(ValueError, match=r"holds a run; .* --resume"):
        run_folder.check_free(run, resume=False)

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "thesis", tmp_path / "file"):
        for resume in (False, True):
            with pytest.raises(ValueError, match=rf"received {place}, which is something else"):
                run_folder.check_free(place, resume)


def test_a_run_does_not_go_on_with_other_data(run):
    run_folder.check_same_data(run, {"corpus": "r8"})  # a run that wrote none yet
    atomic.write_json(run / "data.json", {"corpus": "r8", "parameters": 7})
    run_folder.check_same_data(run, {"corpus": "r8", "parameters": 7})
    with pytest.raises(ValueError, match="received other parameters; bring the data back"):
        run_folder.check_same_data(run, {"corpus": "r8", "parameters": 8})


def test_the_environment_is_logged_each_time_a_run_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/place/research/train.py", "kim", "--seed", "3"])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run_folder.log_environment(tmp_path, "jax", "cpu: cpu", 0, 0)
    run_folder.log_environment(tmp_path, "torch", "gpu: a name", 1, 8)
    first, second = atomic.read_json(tmp_path / "environment.json")
    assert first["command"] == "python -m research.train kim --seed 3"
    assert first["settings"]["OMP_NUM_THREADS"] == "2"
    assert first["versions"]["numpy"] == np.__version__
    assert (second["backend"], second["device"]) == ("torch", "gpu: a name")
    assert second["from"] == {"epoch": 1, "step": 8}


# --- checkpoints --------------------------------------------------------------------------------


def test_a_checkpoint_reads_as_it_was_saved(run):
    assert checkpoints.has_checkpoint(run)
    assert checkpoints.load_position(run) == {"epoch": 1, "step": 0}
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)


def test_the_best_weights_stay_until_there_are_better_ones(run):
    checkpoints.save_checkpoint(run, {"epoch": 2}, {"kernel": np.zeros(1)}, None)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)
    better = {"kernel": np.ones(2)}
    checkpoints.save_checkpoint(run, {"epoch": 3}, LAST, better)
    assert_equal(checkpoints.load_arrays(run, "best"), better)
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)


def test_arrays_that_no_longer_count_are_removed(run):
    for epoch in range(2, 5):
        checkpoints.save_checkpoint(run, {"epoch": epoch}, {"kernel": np.full(3, epoch)}, None)
    index = json.loads((run / "checkpoint" / "index.json").read_text())
    names = {path.name for path in (run / "checkpoint").iterdir()}
    assert names == {"index.json", index["files"]["last"], index["files"]["best"]}


def test_equal_arrays_make_equal_files(run, tmp_path):
    atomic.write_json(tmp_path / "other" / "config.json", {})
    checkpoints.save_checkpoint(tmp_path / "other", {"epoch": 1, "step": 0}, LAST, BEST)
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
    with pytest.raises(OSError, match="make room there"):
        checkpoints.save_checkpoint(run, {"epoch": 2, "step": 0}, new, {"kernel": np.ones(7)})
    assert checkpoints.load_position(run) == {"epoch": 1, "step": 0}
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)
    assert_equal(checkpoints.load_arrays(run, "best"), BEST)

    monkeypatch.setattr(os, "fsync", fsync)  # and with room again, the next one tidies up
    checkpoints.save_checkpoint(run, {"epoch": 2, "step": 0}, new, None)
    assert_equal(checkpoints.load_arrays(run, "last"), new)
    assert len(files(run / "checkpoint")) == 3


def test_a_disk_that_gives_back_other_bytes_is_noticed(run, monkeypatch):
    write = atomic.write
    monkeypatch.setattr(runs, "write", lambda path, content: write(path, content[:-1] + b"?"))
    with pytest.raises(OSError, match=r"to read as it was written, .*; check the disk"):
        checkpoints.save_checkpoint(run, {"epoch": 2}, {"kernel": np.ones(7)}, None)
    monkeypatch.undo()
    assert_equal(checkpoints.load_arrays(run, "last"), LAST)


def test_a_run_without_a_finished_epoch_has_no_best_checkpoint(tmp_path):
    atomic.write_json(tmp_path / "config.json", {})
    assert not checkpoints.has_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"with index\.json in it"):
        checkpoints.load_position(tmp_path)
    checkpoints.save_checkpoint(tmp_path, {"epoch": 0, "step": 8}, LAST, None)
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
    checkpoints.save_checkpoint(run, {"epoch": 1, "step": 0}, LAST, None)
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
        assert position == {"epoch": 1, "step": 0}
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
    # Everything about this checkpoint is in order, but for its being a pickle.
    content = {"position": {}, "files": {"last": f"{digest}.npz"}}
    atomic.write_json(run / "checkpoint" / "index.json", {**content, "sha256": checkpoints._digest(content)})
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoints.load_arrays(run, "last")


def test_a_pickle_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        atomic.write_arrays(tmp_path / "predictions.npz", {"a": np.array([Evil()], dtype=object)})
    assert files(tmp_path) == {}


# --- records ------------------------------------------------------------------------------------


def test_a_record_holds_an_evaluated_run_and_no_path_of_its_corpus(run):
    checkpoints.save_checkpoint(run, {"epoch": 1, "history": [{"epoch": 1, "loss": 2.0}]}, LAST, BEST)
    atomic.write_json(run / "config.json", {"corpus": "csv", "corpus_path": "/home/me/posts.csv"})
    for part in ("data", "environment"):
        atomic.write_json(run / f"{part}.json", {"part": part})
    with pytest.raises(FileNotFoundError, match=r"metrics\.json"):
        run_folder.read_record(run)
    atomic.write_json(run / "metrics.json", {"accuracy": 0.5})
    assert run_folder.read_record(run) == {
        "config": {"corpus": "csv", "corpus_path": None},
        "data": {"part": "data"},
        "environment": {"part": "environment"},
        "metrics": {"accuracy": 0.5},
        "history": [{"epoch": 1, "loss": 2.0}],
    }
