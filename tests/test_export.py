"""Artefacts: that each runs by itself and answers as the run does, and what is refused."""

from research.data import tokens
from research.files import atomic
from research.processes import backends
from research.serving import formats, onnx_tokenizer, runtimes, self_check
from research.training import checkpoints

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TOPICS
from hypothesis import given, settings
from hypothesis import strategies as st

import research
from benchmarks import machine, serving, table
from research import export, train
from research.config import Config

BACKEND = backends.select()
TEXTS = [
    *TOPICS.values(),
    "",
    "The MOON, the p.u.c.k! gr\u00f6\u00dfer",
    "\0the rocket\0 launch\0salt a\0",
    "oven " * 1_000,
]

has_onnx = pytest.mark.skipif(
    any(not importlib.util.find_spec(name) for name in formats.FORMATS["onnx"].packages),
    reason="needs the extra export",
)


exports_here = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="exports in this process, which has one backend"
)


def skip_unless_installed(name):
    artefact = formats.FORMATS[name]
    for package in (*artefact.packages, artefact.backend):
        if not importlib.util.find_spec(package):
            pytest.skip(f"the format {name} needs {package}")


def trained(tiny, folder, **more):
    options = tiny | {"learning_rate": 0.003, "batch_size": 16, "epochs": 6} | more
    return train.train("tiny", Config(**options), folder / "run")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="module")
def run(cache, tiny, tmp_path_factory):
    return trained(tiny, tmp_path_factory.mktemp("tutorial"))


@pytest.fixture(scope="module")
def run_of(cache, tiny, tmp_path_factory, run):
    """Runs by model. In all but the tutorial's [UNK] has a vector, so it is not like padding."""
    options = {"sequence_length": 60, "trainable_embeddings": True, "missing_vectors": "random"}
    made = {"tutorial": run}

    def get(model):
        if model not in made:
            made[model] = trained(tiny, tmp_path_factory.mktemp(model), model=model, **options)
        return made[model]

    return get


def export_run(run, name, output, *more):
    arguments = (run, "--format", name, "--output", output, *more)
    return subprocess.run(
        [sys.executable, "-m", "research.export", *map(str, arguments)],
        capture_output=True,
        check=False,
        text=True,
        env=os.environ,
    )


def export_here(run, name, output):
    """Exports in this process, which saves the start of another, if its backend is the one."""
    if formats.FORMATS[name].backend == BACKEND:
        export.main(run, name, output)
    else:
        finished = export_run(run, name, output)
        assert finished.returncode == 0, finished.stderr


def assert_refused(finished, *parts):
    """One line says what was wrong, in three parts and without a traceback."""
    assert finished.returncode == 1
    assert "Traceback" not in finished.stdout + finished.stderr
    line = finished.stderr.splitlines()[-1]
    assert line.startswith("error: expected ")
    for part in ("received", "; ", *parts):
        assert part in line


def example(path):
    """What the example in the model card of an artefact defines; it runs where the artefact is."""
    card = path.with_name(f"{path.name}.md").read_text()
    code = card.partition("```python\n")[2].partition("```")[0]
    names = {}
    with contextlib.chdir(path.parent):
        exec(compile(code, "card", "exec"), names)
    return names


def answer(classifier, name, path, texts):
    """Labels, probabilities and metadata of an artefact, by the example in its card."""
    names = example(path)
    given = texts
    if not runtimes.takes_texts(name):
        given = tokens.encode(texts, classifier.vocabulary, classifier.config.sequence_length)
    return *names["run"](given), names["metadata"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tutorial", "saved_model"),
        pytest.param("tutorial", "onnx", marks=pytest.mark.backend),
        ("tutorial", "onnx-token-ids"),
        ("tutorial", "keras-token-ids"),
        ("tutorial", "openvino"),
        ("tutorial", "litert"),
        ("tutorial", "torch"),
        ("kim", "keras"),
        ("wide-deep", "onnx"),
    ],
)
def test_an_artefact_answers_as_the_run_does(model, name, run_of, tiny, tmp_path):
    skip_unless_installed(name)
    run = run_of(model)
    output = tmp_path / f"artefact{formats.FORMATS[name].suffix}"
    export_here(run, name, output)
    card = " ".join((tmp_path / f"{output.name}.md").read_text().split())
    assert sorted(path.name for path in tmp_path.iterdir()) == [output.name, f"{output.name}.md"]
    assert f"Trained on {BACKEND}, " in card

    classifier = research.load(run)
    labels, probabilities, metadata = answer(classifier, name, output, TEXTS)
    expected = classifier.predict(TEXTS)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert probabilities.dtype == np.float32
    assert labels == [classifier.classes[i] for i in expected.argmax(axis=1)]
    assert labels[: len(TOPICS)] == list(TOPICS)
    one = answer(classifier, name, output, TEXTS[1:2])
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
    monkeypatch.setattr(export, "_check", lambda *_: [(1, 1.0)])  # see below
    config = atomic.read_json(run / "config.json")
    other = linked(run, tmp_path / "run", config | {"precision": "mixed_bfloat16"})
    output = tmp_path / "a"
    export.main(other, "saved_model", output)
    classifier = research.load(run)
    _, probabilities, _ = answer(classifier, "saved_model", output, TEXTS)
    np.testing.assert_allclose(probabilities, classifier.predict(TEXTS), atol=1e-5)
    assert " The run computed in mixed_bfloat16, " in (tmp_path / "a.md").read_text()


def linked(run, folder, config):
    """Returns a run like another, but for its options."""
    folder.mkdir()
    atomic.write_json(folder / "config.json", config)
    for path in Path(run).iterdir():
        if path.name != "config.json":
            (folder / path.name).symlink_to(path)
    return folder


# --- the model card -----------------------------------------------------------------------------


def test_a_card_gives_validation_scores_until_the_weights_are_evaluated(run):
    history = checkpoints.load_position(run)["history"]
    origin = {"epoch": 2, "checkpoint": "last", "examples": {"validation": 18}}
    text = export._metrics(run, origin)
    assert text.startswith("Not evaluated yet; ")
    assert f"- validation accuracy: {history[1]['validation_accuracy']:.4f} (95% interval" in text
    assert "chosen" not in text
    assert "The epoch was chosen by it" in export._metrics(run, origin | {"checkpoint": "best"})


def test_a_card_gives_the_scores_of_its_own_epoch_alone(run, tmp_path):
    folder = linked(run, tmp_path / "run", atomic.read_json(run / "config.json"))
    scores = {"split": "test", "epoch": 2, "examples": 7528, "accuracy": 0.75, "macro_f1": 0.5}
    intervals = {"accuracy_interval": [0.7, 0.8], "macro_f1_interval": [0.4, 0.6]}
    atomic.write_json(folder / "metrics.json", scores | intervals)
    origin = {"epoch": 2, "checkpoint": "last", "examples": {"validation": 18}}
    assert export._metrics(folder, origin).splitlines() == [
        "- test accuracy: 0.7500 (95% interval 0.7000 to 0.8000)",
        "- test macro-F1: 0.5000 (95% interval 0.4000 to 0.6000)",
        "- 7,528 examples",
    ]
    assert "0.7500" not in export._metrics(folder, origin | {"epoch": 1})


# --- the tokenizer in ONNX ----------------------------------------------------------------------

VOCABULARY = [
    *tokens.SPECIAL_WORDS,
    *("the", "dont", "a", "x1", "größe", "straße", "i̇stanbul", "kelvin", "a\u00a0b", "é"),
    *("e\u0301", "你好", "\U0001f680", "\ufffd", "a\ufffd", "\u2028", "\x1c", "\u03c3"),
    *("\u03c2", "\x7f", "unk"),
]
LENGTH = 5


@pytest.fixture(scope="module")
def tokenizer():
    """The ONNX tokenizer by itself, as a function of texts."""
    import onnxruntime
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        onnx_tokenizer.tokenizer_nodes(VOCABULARY, LENGTH),
        "tokenizer",
        [helper.make_tensor_value_info("texts", TensorProto.STRING, ["texts"])],
        [helper.make_tensor_value_info("token_ids", TensorProto.INT32, ["texts", LENGTH])],
    )
    content = onnx_tokenizer.onnx_model(graph).SerializeToString()
    session = onnxruntime.InferenceSession(content)

    def run(texts):
        # As the artefact's own example does it.
        texts = [text.replace("\0", "\ufffd") for text in texts]
        return session.run(None, {"texts": np.array(texts, object)})[0]

    return run


UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
# Words of the vocabulary, whole, cut by punctuation, in capitals, between any sort of space.
PIECES = st.one_of(
    st.sampled_from(VOCABULARY),
    st.sampled_from([word.upper() for word in VOCABULARY]),
    st.sampled_from([chr(code) for code in range(128)]),
    st.sampled_from([" ", "\t", "\n", "\v", "\f", "\r", "\x1c", "\x85", "\u00a0", "\u2003"]),
    UNICODE,
)


@has_onnx
@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(UNICODE, st.lists(PIECES).map("".join)), min_size=1, max_size=4))
def test_onnx_tokenizes_as_text_vectorization_does(tokenizer, texts):
    np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


@has_onnx
def test_onnx_treats_each_character_as_text_vectorization_does(tokenizer):
    codes = [*range(0x300), 0x130, 0x1E9E, 0x2028, 0x212A, 0x3000, 0xFB01, 0x1F680, 0x10FFFF]
    for texts in (
        [f"the{chr(code)}dont a" for code in codes],
        [f"a{chr(code)}" for code in codes],
        [f"{chr(code)}{chr(code)} the" for code in codes],
    ):
        np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


@has_onnx
def test_onnx_tokenizes_any_number_of_texts(tokenizer):
    for texts in ([""], ["", " !"], ["the " * 1_000, ""], ["?a" * 3_000, "dont"], ["the"] * 300):
        np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


# --- what is refused ----------------------------------------------------------------------------


def test_a_format_that_does_not_exist(run, tmp_path):
    finished = export_run(run, "onx", tmp_path / "a.onnx")
    assert_refused(finished, "'onx'", "did you mean 'onnx'?")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_run(tmp_path):
    assert_refused(export_run(tmp_path / "none", "saved_model", tmp_path / "a"), "run folder")


@pytest.mark.parametrize("epoch", [0, 6])
def test_a_run_that_did_not_finish(epoch, run, tmp_path):
    config = atomic.read_json(run / "config.json")
    unfinished = linked(run, tmp_path / "run", config | {"epochs": 7})
    if not epoch:
        (unfinished / "checkpoint").unlink()
    with pytest.raises(ValueError, match=rf"at epoch {epoch} of 7; .* --resume"):
        export.main(unfinished, "saved_model", tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_an_option_of_another_version_such_as_a_standardisation(run, tmp_path):
    config = atomic.read_json(run / "config.json")
    other = linked(run, tmp_path / "run", config | {"standardize": "mine"})
    with pytest.raises(ValueError, match=r"expected .*config.json to hold .*'standardize'"):
        export.main(other, "saved_model", tmp_path / "a")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_an_output_with_another_suffix(run, tmp_path):
    with pytest.raises(ValueError, match=rf"end in .keras.*use {tmp_path / 'a.keras'}"):
        export.main(run, "keras", tmp_path / "a.h5")


@exports_here
def test_an_output_that_exists_is_kept_unless_forced(run, tmp_path, monkeypatch):
    output = tmp_path / "a"
    output.write_text("mine")
    with pytest.raises(ValueError, match=f"received {output}, and {output} exists;.* --force"):
        export.main(run, "saved_model", output)
    assert output.read_text() == "mine"
    monkeypatch.setattr(formats, "FORMATS", {"saved_model": formats.Format(_write_a_folder)})
    monkeypatch.setattr(export, "_check", lambda *_: [(1, 1.0)])
    for _ in range(2):  # over a file, and over an artefact
        export.main(run, "saved_model", output, force=True)
        assert (output / "saved_model.pb").exists()
        assert {path.name for path in tmp_path.iterdir()} == {"a", "a.md"}


def _write_a_folder(classifier, metadata, path):
    path.mkdir()
    (path / "saved_model.pb").touch()


def test_a_folder_of_something_else_is_kept_even_if_forced(run, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").touch()
    with pytest.raises(ValueError, match="a folder of something else"):
        export.main(run, "saved_model", tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter").exists()


def test_a_package_that_is_missing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        formats, "FORMATS", {"onnx": formats.Format(None, ".onnx", ("no_such_package",))}
    )
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
        assert timed == len(texts) - len(export.WILD_TEXTS)
        classifier = research.load(run)
        probabilities = classifier.predict(texts)
        labels = [classifier.classes[i] for i in probabilities.argmax(axis=1)]
        found = {"labels": labels, "probabilities": probabilities.tolist(), "metadata": metadata}
        changed = {key: change[key](value) for key, value in found.items() if key in change}
        return found | changed | {"latency_ms": [[1, 0.5]]}

    monkeypatch.setattr(formats, "FORMATS", {"saved_model": formats.Format(write)})
    monkeypatch.setattr(artefacts, "run_alone", run_alone)
    if complaint is None:
        export.main(run, "saved_model", tmp_path / "a")
        return
    with pytest.raises(ValueError, match=complaint):
        export.main(run, "saved_model", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_artefact_that_does_not_run_is_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"exit code 1 \(.*none.*\); use another --format"):
        self_check.run_alone("torch", tmp_path / "none", [[0]])


@pytest.mark.parametrize("hidden", ["research", "keras"])
def test_a_fresh_process_has_no_more_than_the_format_needs(hidden, tmp_path):
    code = f"""
import importlib.metadata, importlib.util, runpy, sys
artefacts = runpy.run_path({runtimes.__file__!r})
sys.meta_path[:] = [artefacts["_Hide"]({{{hidden!r}}}, list(sys.meta_path))]
import numpy
print(importlib.util.find_spec({hidden!r}), importlib.metadata.version("numpy"))
import {hidden}
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout == f"None {np.__version__}\n"
    assert finished.stderr.splitlines()[-1].startswith("ModuleNotFoundError: No module named")


# --- how fast they answer -----------------------------------------------------------------------


@exports_here
def test_the_benchmark_times_an_artefact_and_what_it_is_compared_with(run, tmp_path, monkeypatch):
    def here(module, *arguments, **environment):
        if module == "research.export":
            _write_a_folder(None, None, arguments[-1])
            return subprocess.CompletedProcess(arguments, 0)
        latency_ms = serving._reference(arguments[-1], run)
        return subprocess.CompletedProcess(arguments, 0, stdout=json.dumps(latency_ms))

    for name, value in machine.settings(2).items():
        monkeypatch.setenv(name, os.environ.get(name, value))
    monkeypatch.setattr(machine, "wait_until_quiet", lambda cores: 9.0)
    monkeypatch.setattr(machine, "use_cores", lambda cores: None)
    monkeypatch.setattr(backends, "installed", lambda: [BACKEND])
    monkeypatch.setattr(formats, "FORMATS", {"saved_model": formats.FORMATS["saved_model"]})
    monkeypatch.setattr(serving, "_python", here)
    latency = {"latency_ms": [[1, 0.5], [15, 2.5]]}
    monkeypatch.setattr(artefacts, "run_alone", lambda *_: latency)
    monkeypatch.setattr(serving, "PROCESSES", 1)
    serving.main(run, record=tmp_path / "serving.json")
    record = json.loads((tmp_path / "serving.json").read_text())
    assert [row["name"] for row in record["rows"]] == [
        serving.SKLEARN,
        f"{serving.PREDICT}, {BACKEND}",
        f"{serving.MODEL_PREDICT}, {BACKEND}",
        "saved_model",
    ]
    for row in record["rows"]:
        ((one, many),) = row["latency_ms"]
        assert one[0] == 1 < many[0] == record["run"]["texts"]
        assert 0 < one[1] < 10_000
    assert "the machine was busy" in record["doubts"][0]
    assert "| saved_model | texts | " in table.serving(record)
