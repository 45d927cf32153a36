"""Run folders: where a run may write, and what is written there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from research.data.tokens import parse_vocabulary
from research.files import atomic
from research.training import run_folder


def test_a_new_run_gets_the_first_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("jax-seed3", "jax-seed3-2", "jax-seed3-3"):
        with run_folder.claimed(None, "kim", "jax", 3) as folder:
            assert folder == Path("runs/kim") / name
            (folder / "config.json").write_text("")
    with run_folder.claimed(None, "kim", "jax", 4) as folder:
        assert folder == Path("runs/kim/jax-seed4")
        assert folder.is_dir()  # at once, so that no other process takes it
        with run_folder.claimed(None, "kim", "jax", 4) as other:
            assert other == Path("runs/kim/jax-seed4-2")
    assert sorted(path.name for path in Path("runs/kim").iterdir()) == [
        "jax-seed3",
        "jax-seed3-2",
        "jax-seed3-3",
    ], "a folder into which nothing was written is removed"


def test_a_run_folder_has_one_owner_and_the_second_is_told_who_it_is(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from research.training import run_folder\n"
        "with run_folder.claimed(Path(sys.argv[1]), 'kim', 'jax', 0):\n"
        "    print('claimed', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    run = tmp_path / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", script, run],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "claimed\n"
    with (
        pytest.raises(OSError, match=rf"{run}.*process {holder.pid} on "),
        run_folder.claimed(run, "kim", "jax", 0),
    ):
        pytest.fail("two own it")
    assert (run / ".lock").exists(), "the one that is refused leaves the lock alone"
    holder.kill()  # and a lock that a killed process left does not hold
    holder.wait()
    holder.stdin.close()
    holder.stdout.close()
    with run_folder.claimed(run, "kim", "jax", 0) as claimed:
        assert claimed == run


def test_a_run_takes_a_free_place_or_resumes_but_overwrites_nothing(tmp_path):
    run, empty = tmp_path / "run", tmp_path / "empty"
    atomic.write_json(run / "config.json", {})
    empty.mkdir()
    assert run_folder.has_begun(empty, resume=False) is False
    assert run_folder.has_begun(empty, resume=True) is False
    assert run_folder.has_begun(run, resume=True) is True
    with pytest.raises(ValueError, match=r"already holds a run; .* --resume"):
        run_folder.has_begun(run, resume=False)

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    for resume in (False, True):
        with pytest.raises(ValueError, match=r"received .*thesis, which holds something else"):
            run_folder.has_begun(tmp_path / "thesis", resume)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with (
            pytest.raises(ValueError, match=rf"received {place}, which is a file or lies in one"),
            run_folder.claimed(place, "kim", "jax", 0),
        ):
            pytest.fail("a file became a run folder")


def test_a_run_does_not_resume_with_other_data(tmp_path):
    run_folder.check_same_data(tmp_path, {"corpus": "r8"})  # nothing was written yet
    atomic.write_json(tmp_path / "data.json", {"corpus": "r8", "parameters": 7})
    run_folder.check_same_data(tmp_path, {"corpus": "r8", "parameters": 7})
    with pytest.raises(ValueError, match="received other parameters; restore the data"):
        run_folder.check_same_data(tmp_path, {"corpus": "r8", "parameters": 8})


def test_the_environment_is_logged_each_time_a_run_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/place/research/train.py", "kim", "--seed", "3"])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for backend, device, epoch, step in (("jax", "cpu: cpu", 0, 0), ("torch", "gpu: a", 1, 8)):
        process = run_folder.process_entry(backend, device, epoch, step)
        inputs = run_folder.inputs(tmp_path, {}, {}, ["", "[UNK]"], process)
        (tmp_path / "environment.json").write_bytes(inputs["environment.json"])
    first, second = atomic.read_json(tmp_path / "environment.json")
    assert first["command"] == "python -m research.train kim --seed 3"
    assert first["settings"]["OMP_NUM_THREADS"] == "2"
    assert first["versions"]["numpy"] == np.__version__
    assert (second["backend"], second["device"]) == ("torch", "gpu: a")
    assert second["from"] == {"epoch": 1, "step": 8}


def test_history_is_a_line_per_epoch(tmp_path):
    history = [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5}]
    run_folder.write_history(tmp_path, history)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_the_inputs_of_a_run_read_as_they_were_written(tmp_path):
    vocabulary = ["", "[UNK]", "the", "größer"]
    inputs = run_folder.inputs(tmp_path, {"epochs": 3}, {"corpus": "r8"}, vocabulary, {"from": 0})
    assert tuple(inputs) == run_folder.INPUTS
    assert json.loads(inputs["config.json"]) == {"epochs": 3}
    assert json.loads(inputs["data.json"]) == {"corpus": "r8"}
    assert json.loads(inputs["environment.json"]) == [{"from": 0}]
    assert parse_vocabulary(inputs["vocabulary.txt"], tmp_path) == vocabulary


DESCRIPTION = {
    "corpus": "r8",
    "corpus_digest": "abc",
    "class_names": ["ham", "spam"],
    "examples": {"train": 2},
    "vocabulary_size": 3,
    "embedding_dim": 8,
    "vectors": {"name": "glove.6B.50d", "found": 1, "missing": 2},
    "parameters": 100,
}


def test_a_description_is_read(tmp_path):
    read = run_folder.description(json.dumps(DESCRIPTION).encode(), tmp_path)
    assert read.class_names == ["ham", "spam"]
    assert read.embedding_dim == 8


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ["ham", "ham"]},
        {"class_names": ["ham", None]},
        {"class_names": ["ham", ""]},
        {"class_names": ["ham"]},
        {"class_names": "ham"},
        {"embedding_dim": 0},
        {"embedding_dim": "8"},
        {"embedding_dim": True},
        {"vocabulary_size": 2.5},
        {"examples": [1]},
        {"corpus_digest": None},
    ],
)
def test_a_description_of_another_form_is_refused(changes, tmp_path):
    content = json.dumps(DESCRIPTION | changes).encode()
    with pytest.raises(ValueError, match="expected the description of the data of a run in "):
        run_folder.description(content, tmp_path / "data.json")


def test_a_folder_that_is_no_run_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(FileNotFoundError, match=rf"with config\.json in it, received {folder}"):
            run_folder.read_json(folder / "config.json")


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff", b"", b"[" * 100_000])
def test_a_file_of_a_run_that_is_not_json_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"expected JSON in .*config\.json, received .*; restore"):
        run_folder.read_json(tmp_path / "config.json")
