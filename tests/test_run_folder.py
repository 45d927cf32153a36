"""Run folders: where a run may write, and what is written there."""

import json
from pathlib import Path

import numpy as np
import pytest

from research.data.tokens import read_vocabulary
from research.files import atomic
from research.training import run_folder


def test_a_new_run_gets_the_first_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("jax-seed3", "jax-seed3-2", "jax-seed3-3"):
        folder = run_folder.new_folder("kim", "jax", 3)
        assert folder == Path("runs/kim") / name
        folder.mkdir(parents=True)
    assert run_folder.new_folder("kim", "jax", 4) == Path("runs/kim/jax-seed4")
    assert run_folder.new_folder("kim", "torch", 3) == Path("runs/kim/torch-seed3")


def test_a_run_takes_a_free_place_or_resumes_but_overwrites_nothing(tmp_path):
    run = tmp_path / "run"
    atomic.write_json(run / "config.json", {})
    assert run_folder.check_free(tmp_path / "absent", resume=False) is False
    assert run_folder.check_free(tmp_path / "absent", resume=True) is False
    (tmp_path / "empty").mkdir()
    assert run_folder.check_free(tmp_path / "empty", resume=False) is False
    assert run_folder.check_free(run, resume=True) is True
    with pytest.raises(ValueError, match=r"already holds a run; .* --resume"):
        run_folder.check_free(run, resume=False)

    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "thesis", tmp_path / "file"):
        for resume in (False, True):
            with pytest.raises(ValueError, match=rf"received {place}, which holds something else"):
                run_folder.check_free(place, resume)


def test_a_run_does_not_resume_with_other_data(tmp_path):
    run_folder.check_same_data(tmp_path, {"corpus": "r8"})  # nothing was written yet
    atomic.write_json(tmp_path / "data.json", {"corpus": "r8", "parameters": 7})
    run_folder.check_same_data(tmp_path, {"corpus": "r8", "parameters": 7})
    with pytest.raises(ValueError, match="received other parameters; restore the data"):
        run_folder.check_same_data(tmp_path, {"corpus": "r8", "parameters": 8})


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


def test_history_is_a_line_per_epoch(tmp_path):
    history = [{"epoch": 1, "loss": 2.5}, {"epoch": 2, "loss": 1.5}]
    run_folder.write_history(tmp_path, history)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_the_inputs_of_a_run_read_as_they_were_written(tmp_path):
    vocabulary = ["", "[UNK]", "the", "größer"]
    run_folder.write_inputs(tmp_path, {"epochs": 3}, {"corpus": "r8"}, vocabulary)
    assert run_folder.read_json(tmp_path / "config.json") == {"epochs": 3}
    assert run_folder.read_json(tmp_path / "data.json") == {"corpus": "r8"}
    assert read_vocabulary(tmp_path / "vocabulary.txt") == vocabulary


def test_a_folder_that_is_no_run_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(FileNotFoundError, match=rf"with config\.json in it, received {folder}"):
            run_folder.read_json(folder / "config.json")


@pytest.mark.parametrize("content", [b'{"a": 1', b"\xff", b""])
def test_a_file_of_a_run_that_is_not_json_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"expected JSON in .*config\.json, received .*; restore"):
        run_folder.read_json(tmp_path / "config.json")
