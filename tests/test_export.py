"""Artefacts: that each runs by itself and answers as the run does, and what is refused."""

import contextlib
import importlib.util
import json
import os
import shutil
import sys

import numpy as np
import pytest
from conftest import TOPICS, assert_refused, python

import research
from research import export, train
from research.config import Config
from research.data import tokens
from research.files import atomic, moves, sealed
from research.processes import backends
from research.serving import formats, runtimes, self_check
from research.serving.runtimes import RUNTIMES
from research.training import checkpoints

BACKEND = backends.select()
TEXTS = [
    *TOPICS.values(),
    "",
    "The MOON, the p.u.c.k! gr\u00f6\u00dfer",
    "\0the rocket\0 launch\0salt a\0",
    "oven " * 1_000,
]

exports_here = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="exports in this process, which has one backend"
)


def skip_unless_installed(name):
    writer = formats.WRITERS[name]
    for package in (*writer.packages, *RUNTIMES[name].packages, writer.backend):
        if not importlib.util.find_spec(package):
            pytest.skip(f"the format {name} needs {package}")


def trained(tiny, folder, **more):
    options = tiny | {"learning_rate": 0.003, "batch_size": 16, "epochs": 6} | more
    return train.train("tiny", Config(**options), folder / "run")


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return trained(tiny, tmp_path_factory.mktemp("tutorial"))


@pytest.fixture(scope="module")
def run_of(tiny, tmp_path_factory, run):
    """Runs by model. Except in the tutorial's, [UNK] has a vector, so it differs from padding."""
    options = {"sequence_length": 60, "trainable_embeddings": True, "missing_vectors": "random"}
    made = {"tutorial": run}

    def get(model):
        if model not in made:
            made[model] = trained(tiny, tmp_path_factory.mktemp(model), model=model, **options)
        return made[model]

    return get


def export_alone(run, name, output):
    return python("-m", "research.export", run, "--format", name, "--output", output)


def export_here(run, name, output):
    """Export in this process if its backend writes the format; that saves starting another."""
    if formats.WRITERS[name].backend == BACKEND:
        export.main(run, name, output)
    else:
        answer = export_alone(run, name, output)
        assert answer.code == 0, answer.err


def example(path):
    """Run the example of the model card where the artefact is; return what it defines."""
    card = path.with_name(f"{path.name}.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    names = {}
    with contextlib.chdir(path.parent):
        exec(compile(code, "card", "exec"), names)
    return names


def run_example(classifier, name, path, texts):
    """Return labels, probabilities and metadata, as the example of the card gives them."""
    names = example(path)
    given = texts
    if not RUNTIMES[name].takes_texts:
        given = tokens.encode(texts, classifier.vocabulary, classifier.config.sequence_length)
    return *names["run"](given), names["metadata"]


def test_each_format_has_a_writer_and_a_runtime():
    assert list(formats.WRITERS) == list(RUNTIMES)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tutorial", "saved_model"),
        pytest.param("tutorial", "onnx", marks=pytest.mark.backend),
        *(
            pytest.param("tutorial", name, marks=pytest.mark.slow)
            for name in ("onnx-token-ids", "keras-token-ids", "openvino", "litert", "torch")
        ),
        pytest.param("kim", "keras", marks=pytest.mark.slow),
        pytest.param("wide-deep", "onnx", marks=pytest.mark.slow),
    ],
)
def test_an_artefact_answers_as_the_run_does(model, name, run_of, tiny, tmp_path):
    skip_unless_installed(name)
    run = run_of(model)
    output = tmp_path / f"artefact{RUNTIMES[name].suffix}"
    export_here(run, name, output)
    assert output.is_file() == bool(RUNTIMES[name].suffix)
    assert (output / RUNTIMES[name].folder_holds).exists()
    card = " ".join((tmp_path / f"{output.name}.md").read_text().split())
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, f"{output.name}.md"]
    assert f"Trained on {BACKEND}, " in card

    classifier = research.load(run)
    labels, probabilities, metadata = run_example(classifier, name, output, TEXTS)
    expected = classifier.predict(TEXTS)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert probabilities.dtype == np.float32
    assert labels == [classifier.classes[i] for i in expected.argmax(axis=1)]
    assert labels[: len(TOPICS)] == list(TOPICS)
    one = run_example(classifier, name, output, TEXTS[1:2])
    np.testing.assert_allclose(one[1], expected[1:2], atol=1e-5)
    assert metadata["classes"] == classifier.classes
    assert metadata["vocabulary"] == classifier.vocabulary
    assert metadata["tokenizer"]["sequence_length"] == classifier.config.sequence_length
    assert metadata["origin"]["backend"] == BACKEND
    assert metadata["licences"]["vectors"] == "those of vectors.txt"
    assert str(tiny["corpus_path"].parent) not in json.dumps(metadata)


@exports_here
@pytest.mark.parametrize("name", ["keras", "keras-token-ids"])
def test_a_model_of_layers_that_keras_lacks_is_refused_by_keras(name, run_of, tmp_path):
    with pytest.raises(ValueError, match=r"expected a model of .*, received .*; use another"):
        export.main(run_of("wide-deep"), name, tmp_path / "a.keras")
    assert list(tmp_path.iterdir()) == []


@exports_here
def test_a_run_in_bfloat16_becomes_an_artefact_in_float32(run, tmp_path, monkeypatch):
    # Other tests check; this one saves the time.
    monkeypatch.setattr(self_check, "check", lambda *_: [(1, 1.0)])
    other = changed(run, tmp_path / "run", precision="mixed_bfloat16")
    output = tmp_path / "a"
    export.main(other, "saved_model", output)
    classifier = research.load(run)
    _, probabilities, _ = run_example(classifier, "saved_model", output, TEXTS)
    np.testing.assert_allclose(probabilities, classifier.predict(TEXTS), atol=1e-5)
    assert " The run computed in mixed_bfloat16; " in (tmp_path / "a.md").read_text()


def changed(run, folder, **options):
    """Return a copy of a run with other options, without the digests that older runs lack too."""
    shutil.copytree(run, folder)
    config, index = folder / "config.json", folder / "checkpoint" / "index.json"
    atomic.write_json(config, atomic.read_json(config) | options)
    content = sealed.parse(index.read_bytes(), index) | {"inputs": {}}
    atomic.write_json(index, sealed.seal(content))
    return folder


# --- what is refused ----------------------------------------------------------------------------


def test_a_format_that_does_not_exist(run, tmp_path):
    answer = export_alone(run, "onx", tmp_path / "a.onnx")
    assert_refused(answer, "'onx'", "did you mean 'onnx'?")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a run folder"):
        export.main(tmp_path / "none", "saved_model", tmp_path / "a")


@pytest.mark.parametrize("epoch", [0, 6])
def test_a_run_that_did_not_finish(epoch, run, tmp_path):
    unfinished = changed(run, tmp_path / "run", epochs=7)
    if not epoch:
        shutil.rmtree(unfinished / "checkpoint")
    received = "at epoch 6 of 7" if epoch else "not finished an epoch"
    with pytest.raises((ValueError, FileNotFoundError), match=rf"{received}; .* --resume"):
        export.main(unfinished, "saved_model", tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_a_run_that_stopped_early_is_finished(run, tmp_path):
    stopped = changed(run, tmp_path / "run", epochs=7, patience=1)
    with checkpoints.opened(stopped, "best") as opened:
        opened.position.best_epoch = 5  # of 6: the last one was no better
        export._check_finished(opened)
        opened.position.best_epoch = 6
        with pytest.raises(ValueError, match="at epoch 6 of 7"):
            export._check_finished(opened)


def test_an_option_of_another_version_such_as_a_standardisation(run, tmp_path):
    other = changed(run, tmp_path / "run", standardize="mine")
    with pytest.raises(ValueError, match=r"config.json, received standardize: "):
        export.main(other, "saved_model", tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_an_output_with_another_suffix(run, tmp_path):
    with pytest.raises(ValueError, match=rf"end in .keras.*use {tmp_path / 'a.keras'}"):
        export.main(run, "keras", tmp_path / "a.h5")


@exports_here
def test_an_output_that_exists_is_kept_unless_forced(run, tmp_path, monkeypatch):
    output = tmp_path / "a"
    output.write_text("mine")
    with pytest.raises(ValueError, match=f"received {output}, but {output} exists;.* --force"):
        export.main(run, "saved_model", output)
    assert output.read_text() == "mine"
    monkeypatch.setattr(formats, "WRITERS", {"saved_model": formats.Writer(_write_a_folder)})
    monkeypatch.setattr(self_check, "check", lambda *_: [(1, 1.0)])
    for _ in range(2):  # over a file, and over an artefact
        export.main(run, "saved_model", output, force=True)
        assert (output / "saved_model.pb").exists()
        assert {path.name for path in tmp_path.iterdir()} == {"a", "a.md"}


# Python tells a hook before it renames or removes anything. The hook kills the process at the n-th
# such event, so n = 1, 2, ... stops between any two of them.
KILLED = """
import os, signal, sys
from pathlib import Path
from research import export
from research.files import moves

folder, has_exchange = Path(sys.argv[1]), sys.argv[2] == "True"
output, card, events = folder / "a", folder / "a.md", 0

def write(place, content):
    place.mkdir(parents=True)
    for name in ("saved_model.pb", "classifier.json"):
        (place / name).write_text(content)

def kill(event, _):
    global events
    events += event in {"os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "ctypes.dlsym"}
    if events == wanted and event != "os.kill":
        os.kill(os.getpid(), signal.SIGKILL)

if not has_exchange:
    moves._exchange = lambda *_: False
write(output, "old")
card.write_text("old card")
for wanted in range(1, 100):
    made = folder / f".a.{wanted}" / "artefact"
    write(made, f"new {wanted}")
    if (child := os.fork()) == 0:
        sys.addaudithook(kill)
        export._put_in_place(made, output, f"card {wanted}", card)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found = [path.read_text() for path in sorted(output.glob("*"))]
    print(wanted, status, found, card.read_text() if card.exists() else None, sep=";")
    if status == 0:
        break
    if (kept := folder / ".a.replaced").exists() and not found:
        kept.rename(output)  # as the documentation says
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("has_exchange", [sys.platform == "linux", False])
def test_an_export_that_is_killed_leaves_an_artefact_as_a_whole(has_exchange, tmp_path):
    answer = python("-c", KILLED, tmp_path, has_exchange)
    assert answer.code == 0, answer.err
    lines = [line.split(";") for line in answer.out.splitlines()]
    assert len(lines) > 4
    assert [line[1] for line in lines] == ["9"] * (len(lines) - 1) + ["0"]  # SIGKILL
    missing = 0
    before = "old"
    for wanted, _, found, card in lines:
        new = f"new {wanted}"
        if found == "[]":
            missing += 1
            continue
        assert found in (f"['{before}', '{before}']", f"['{new}', '{new}']")
        before = before if before in found else new
        assert card in (before.replace("new", "card"), f"{before} card", "None")
    assert before == new
    assert missing == (0 if has_exchange else 1)


@pytest.mark.parametrize("fails", ["before the move", "after the move"])
def test_an_artefact_that_cannot_be_moved_keeps_its_card(fails, tmp_path, monkeypatch):
    def broken(made, place):
        if fails == "after the move":
            move(made, place)
        raise OSError("the disk broke")

    output, card, made = tmp_path / "a", tmp_path / "a.md", tmp_path / ".a.1" / "artefact"
    for artefact in (output, made):
        _write_a_folder(None, None, artefact)
    card.write_text("old")
    move = moves.move
    monkeypatch.setattr(moves, "move", broken)
    with pytest.raises(OSError, match="broke"):
        export._put_in_place(made, output, "new", card)
    # A card is of the artefact beside it.
    assert [path.read_text() for path in tmp_path.glob("*.md")] == ["old"] * made.exists()


def _write_a_folder(classifier, metadata, path):
    path.mkdir(parents=True)
    (path / "saved_model.pb").touch()


def test_a_folder_of_something_else_is_kept_even_if_forced(run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    with pytest.raises(ValueError, match="a folder of something else"):
        export.main(run, "saved_model", tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter").exists()


def test_a_package_that_is_missing(run, tmp_path, monkeypatch):
    writer = formats.Writer(None, ("no_such_package",))
    monkeypatch.setattr(formats, "WRITERS", {"onnx": writer})
    with pytest.raises(ModuleNotFoundError, match=r"without no_such_package.*\[export\]"):
        export.main(run, "onnx", tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@exports_here
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"probabilities": lambda p: (np.array(p) + 9e-6).tolist()}, None),
        ({"probabilities": lambda p: (np.array(p) + 2e-5).tolist()}, "a difference of 2.0e-05, 0"),
        ({"probabilities": lambda p: (np.array(p) * np.nan).tolist()}, "a difference of nan"),
        ({"labels": lambda labels: ["none", *labels[1:]]}, ", 1 other labels and equal metadata"),
        ({"metadata": lambda metadata: metadata | {"classes": []}}, "and other metadata"),
    ],
)
def test_an_artefact_that_fails_its_check_is_not_left(
    change, complaint, run, tmp_path, monkeypatch
):
    metadata = {}

    def write(classifier, of_artefact, path):
        metadata.update(of_artefact)
        path.mkdir()

    def run_alone(name, path, texts, timed, backend):
        assert timed == len(texts) - len(self_check.EDGE_CASES)
        classifier = research.load(run)
        probabilities = classifier.predict(texts)
        labels = [classifier.classes[i] for i in probabilities.argmax(axis=1)]
        right = {"labels": labels, "probabilities": probabilities.tolist(), "metadata": metadata}
        changed = {key: alter(right[key]) for key, alter in change.items()}
        return right | changed | {"latency_ms": [[1, 0.5]]}

    monkeypatch.setattr(formats, "WRITERS", {"saved_model": formats.Writer(write)})
    monkeypatch.setattr(self_check, "run_alone", run_alone)
    if complaint is None:
        export.main(run, "saved_model", tmp_path / "a")
        return
    with pytest.raises(ValueError, match=complaint):
        export.main(run, "saved_model", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_artefact_that_does_not_run_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"process of its own, received .*none.*; use another"):
        self_check.run_alone("torch", tmp_path / "none", [[0]])


@pytest.mark.parametrize("hidden", ["research", "keras"])
def test_a_fresh_process_has_no_more_than_the_format_needs(hidden, tmp_path):
    code = f"""
import importlib.metadata, importlib.util, runpy, sys
runtimes = runpy.run_path({runtimes.__file__!r})
sys.meta_path[:] = [runtimes["_Hide"]({{{hidden!r}}}, list(sys.meta_path))]
import numpy
print(importlib.util.find_spec({hidden!r}), importlib.metadata.version("numpy"))
import {hidden}
"""
    answer = python("-c", code)
    assert answer.out == f"None {np.__version__}\n"
    assert answer.err.splitlines()[-1].startswith("ModuleNotFoundError: No module named")
