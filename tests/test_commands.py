"""The commands as a user types them: what they print, write and refuse."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import HOSTILE, ROOT, TOPICS, assert_refused, options, position_of, python

import research
from research import evaluate, predict, train
from research.data import corpora
from research.evaluation import figures, label_errors
from research.evaluation.metrics import read_predictions
from research.files import atomic
from research.processes import backends, escape
from research.training.checkpoints import Saver

TEXTS = [*TOPICS.values(), "the\ta  of", "größer"]


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """What `python -m research.train` printed, and the run that it wrote."""
    run = tmp_path_factory.mktemp("runs") / "a run"
    changes = {"epochs": 1, "learning_rate": 0.003, "batch_size": 16}
    arguments = ["newsgroups", *options(tiny | changes), "--run-dir", str(run)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "argv", ["research/train.py", *arguments])
        train.main()
    return out.getvalue(), run


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to write into."""
    return shutil.copytree(trained[1], tmp_path / "run")


# --- train --------------------------------------------------------------------------------------


@pytest.mark.backend
def test_train_ends_with_the_run_folder_as_its_last_line(trained):
    out, run = trained
    *lines, last = out.splitlines()
    assert last == f"run: {run}"
    assert lines[0].startswith(f"training 'newsgroups' with {backends.select()} on ")
    assert "corpus corpus: 3 classes, " in out
    assert any(line.startswith("  1/1 ") for line in lines)
    assert lines[-1].startswith("best validation accuracy: ")
    environment = atomic.read_json(run / "environment.json")[0]
    assert environment["command"].startswith("python -m research.train newsgroups --corpus folder")


def test_a_misspelt_experiment_gets_a_suggestion(call):
    assert_refused(call(train, "newsgruops"), "'newsgruops'", "did you mean 'newsgroups'?")


@pytest.mark.parametrize(
    ("module", "typed", "meant"),
    [(train, "--epoch", "--epochs"), (evaluate, "--chekpoint", "--checkpoint")],
)
def test_a_misspelt_option_gets_a_suggestion(call, module, typed, meant):
    code, out, err = call(module, *(["run"] if module is evaluate else []), typed, "3")
    assert code == 2
    assert typed in err
    assert meant in err.split("Perhaps you meant")[1]
    assert "Traceback" not in out + err


@pytest.mark.parametrize("module", [train, evaluate, predict])
def test_an_unknown_backend_is_refused(call, module, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "tensorfow")
    arguments = {train: (), evaluate: (tmp_path,), predict: (tmp_path, "text")}[module]
    refusal = call(module, *arguments)
    assert_refused(refusal, "'tensorfow'", "set KERAS_BACKEND=tensorflow")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--epochs", 0], ["--epochs to be at least 1", "received 0"]),
        (["--learning-rate", "nan"], ["--learning-rate", "received nan"]),
        (["--sequence-length", 100], ["149 or more", "received 100"]),
        (["--model", "kin"], ["received 'kin'", "did you mean 'kim'?"]),
        (["--corpus", "news20-date"], ["received 'news20-date'", "did you mean 'news20-bydate'?"]),
        (["--corpus", "folder"], ["folder", "--corpus-path"]),
        (["--corpus", "csv", "--corpus-path", "no.csv"], ["'csv' at 'no.csv'", "check the path"]),
        (["--resume"], ["--run-dir with --resume", "give the run to continue"]),
    ],
)
def test_train_refuses_what_cannot_be(call, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(train, *arguments), *parts)
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_vectors_that_are_not_there(call, tiny, tmp_path):
    run = tmp_path / "run"
    arguments = options(tiny | {"vectors": "glove.6B.50"})
    refusal = call(train, *arguments, "--run-dir", run)
    assert_refused(refusal, "'glove.6B.50'", "glove.6B.50d")
    assert not run.exists()


# --- evaluate -----------------------------------------------------------------------------------


@pytest.mark.backend
def test_evaluate_scores_the_test_split(run, call, tiny, tmp_path):
    code, out, err = call(evaluate, run, "--record", tmp_path / "record.json")
    assert (code, err) == (0, "")

    def refuse(name):
        pytest.fail(f"{name} is not JSON")

    metrics = json.loads((run / "metrics.json").read_text(), parse_constant=refuse)
    test = corpora.load(corpora.CorpusSource("folder", tiny["corpus_path"]), splits=["test"])
    test = test.splits["test"]
    assert (metrics["split"], metrics["examples"]) == ("test", len(test.texts))
    for score in ("accuracy", "macro_f1"):
        low, high = metrics[f"{score}_interval"]
        assert 0 <= low <= metrics[score] <= high <= 1
    assert {row["class_name"] for row in metrics["per_class"]} == set(TOPICS)
    labels, predictions = read_predictions(metrics["predictions"])
    assert labels.tolist() == sorted(test.labels)
    assert (labels == predictions).mean() == pytest.approx(metrics["accuracy"])
    assert f"test accuracy: {metrics['accuracy']:.4f} (95% interval " in out
    assert out.splitlines()[-1].startswith(f"written to {run}: metrics.json")

    with np.load(run / "predictions.npz", allow_pickle=False) as predictions:
        labels, probabilities = predictions["labels"], predictions["probabilities"]
    np.testing.assert_array_equal(labels, test.labels)
    assert (probabilities.argmax(axis=1) == labels).mean() == pytest.approx(metrics["accuracy"])
    np.testing.assert_allclose(probabilities, research.load(run).predict(test.texts), atol=1e-5)
    with (run / "suspicious_labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    suspicious = label_errors.find(labels, probabilities)
    assert [int(row["index"]) for row in rows] == suspicious.examples.tolist()
    assert f"for a person to check: {len(rows)}\n" in out
    for row, likely in zip(rows, suspicious.likely, strict=True):
        assert row["label"] == sorted(TOPICS)[labels[int(row["index"])]]
        assert row["predicted"] == sorted(TOPICS)[likely]
        assert test.texts[int(row["index"])].startswith(row["text"])
    assert (run / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "confusion_matrix.svg").read_text().startswith("<?xml")
    del metrics["sha256"]
    assert json.loads((tmp_path / "record.json").read_text())["metrics"] == metrics


@pytest.mark.backend
def test_evaluate_says_so_where_there_is_no_test_split(run, call, monkeypatch):
    load = corpora.load

    def like_the_tutorial(*arguments, **options):
        corpus = load(*arguments, **options)
        corpus.splits.pop("test")
        return corpus

    monkeypatch.setattr(corpora, "load", like_the_tutorial)
    assert call(evaluate, run, "--checkpoint", "best")[1].startswith(
        "this corpus has no test split; these are validation scores, of the best epoch, which was "
        "chosen on the same examples"
    )
    code, out, err = call(evaluate, run)  # the last epoch, which nobody chose
    assert (code, err) == (0, "")
    assert out.startswith("this corpus has no test split; these are validation scores, of the last")
    assert "validation accuracy: " in out
    assert "test accuracy" not in out
    metrics = atomic.read_json(run / "metrics.json")
    assert (metrics["split"], metrics["checkpoint"]) == ("validation", "last")
    validation = position_of(run).history[-1]["validation_accuracy"]
    assert metrics["accuracy"] == pytest.approx(validation)


@pytest.mark.backend
def test_evaluate_takes_the_corpus_from_where_it_is_now_if_it_is_the_same(
    run, call, tiny, tmp_path
):
    moved = shutil.copytree(tiny["corpus_path"], tmp_path / "moved")
    config = atomic.read_json(run / "config.json") | {"corpus_path": "/no/longer/here"}
    Saver(run, {"config.json": atomic.json_bytes(config)}).write_inputs()
    assert_refused(call(evaluate, run), "/no/longer/here")
    assert call(evaluate, run, "--corpus-path", moved)[0] == 0

    (run / "metrics.json").unlink()
    (moved / "space" / "000.txt").write_text("other words")
    assert_refused(call(evaluate, run, "--corpus-path", moved), "digest", "--corpus-path")
    assert not (run / "metrics.json").exists()


# --- predict ------------------------------------------------------------------------------------


@pytest.mark.backend
def test_predict_labels_lines_of_standard_input(run, call):
    texts = ["orbit moon rocket", "", "größer als null"]
    code, out, _ = call(predict, run, stdin="\r\n".join(texts).encode())
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [text for _, _, text in rows] == texts
    probabilities = research.load(run).predict(texts)
    classes = sorted(TOPICS)
    assert [label for label, _, _ in rows] == [classes[i] for i in probabilities.argmax(axis=1)]
    for (_, shown, _), probability in zip(rows, probabilities.max(axis=1), strict=True):
        assert float(shown) == pytest.approx(probability, abs=1e-4)


@pytest.mark.backend
def test_predict_labels_its_arguments(run, call):
    code, out, _ = call(predict, run, *TEXTS)
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [len(row) for row in rows] == [3] * len(TEXTS)
    assert [text for _, _, text in rows] == [" ".join(text.split()) for text in TEXTS]


@pytest.mark.backend
def test_predict_shows_several_labels_and_json(run, call):
    probabilities = research.load(run).predict(TEXTS)
    _, out, _ = call(predict, run, *TEXTS, "--top", "3")
    rows = [line.split("\t") for line in out.splitlines()]
    for row, expected in zip(rows, probabilities, strict=True):
        assert sorted(row[0:6:2]) == sorted(TOPICS)
        assert [float(p) for p in row[1:6:2]] == pytest.approx(sorted(expected)[::-1], abs=1e-4)

    _, out, _ = call(predict, run, *TEXTS, "--json", "--top", "2")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["text"] for answer in answers] == TEXTS  # tabs and all
    for answer, row in zip(answers, rows, strict=True):
        assert [best["label"] for best in answer["predictions"]] == [row[0], row[2]]


@pytest.mark.backend
def test_predict_answers_nothing_with_nothing(run, call):
    assert call(predict, run, stdin=b"") == (0, "", "")


@pytest.mark.backend
def test_predict_shows_all_labels_if_more_are_asked_for(run, call):
    assert call(predict, run, *TEXTS, "--top", 99) == call(predict, run, *TEXTS, "--top", 3)


@pytest.mark.backend
@pytest.mark.parametrize("as_json", [True, False])
def test_predict_leaves_a_label_empty_below_the_threshold(run, call, as_json):
    probabilities = research.load(run).predict(TEXTS)
    threshold = float(np.median(probabilities.max(axis=1)))
    code, out, _ = call(predict, run, *TEXTS, "--threshold", threshold, *["--json"] * as_json)
    assert code == 0
    labels = [
        json.loads(line)["predictions"][0]["label"] if as_json else line.split("\t")[0] or None
        for line in out.splitlines()
    ]
    classes, sure = sorted(TOPICS), probabilities.max(axis=1) >= threshold
    assert labels == [
        classes[row.argmax()] if is_sure else None
        for row, is_sure in zip(probabilities, sure, strict=True)
    ]
    assert None in labels
    assert len(set(labels)) > 1


@pytest.mark.backend
def test_predict_labels_a_file(run, call, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id,body\n" + "".join(f"00{i},{text}\n" for i, text in enumerate(TEXTS)))
    arguments = ("--input", source, "--output", target, "--text-column", "body")
    code, out, err = call(predict, run, *arguments, "--threshold", 0.5)
    assert (code, out, err) == (0, f"written to {target}: 5 rows\n", "")
    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "body", "label", "probability"]
    assert [(row["id"], row["body"]) for row in rows] == [
        (f"00{i}", text) for i, text in enumerate(TEXTS)
    ]
    classes = sorted(TOPICS)
    for row, expected in zip(rows, research.load(run).predict(TEXTS), strict=True):
        assert float(row["probability"]) == pytest.approx(expected.max(), abs=1e-5)
        assert row["label"] == (classes[expected.argmax()] if expected.max() >= 0.5 else "")


def test_predict_takes_what_separates_the_columns(run, call, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id~text\n1~the moon; a rocket\n")
    answer = call(predict, run, "--input", source, "--output", target, "--delimiter", "~")
    assert (answer.code, answer.err) == (0, "")
    header, row = target.read_text().splitlines()
    assert header == "id~text~label~probability"
    assert row.startswith("1~the moon; a rocket~")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["a", "--delimiter", ";"], ["--delimiter with a .csv or .tsv file", "leave it out"]),
        (
            ["--input", "a.jsonl", "--output", "b.jsonl", "--delimiter", ";"],
            ["--delimiter with a .csv or .tsv file", "leave it out"],
        ),
        (["a", "--top", 0], ["--top to be 1 or more", "received 0"]),
        (["a", "--top", -1], ["--top to be 1 or more", "received -1"]),
        (["a", "--threshold", 2], ["--threshold", "from 0 to 1, received 2;"]),
        (["a", "--threshold=-0.1"], ["--threshold", "received -0.1;"]),
        (["a", "--threshold", "nan"], ["--threshold", "received nan;"]),
        (["--input", "a.csv"], ["--input and --output together", "add --output"]),
        (["--output", "a.csv"], ["--input and --output together", "add --input"]),
        (["a", "--input", "a.csv", "--output", "b.csv"], ["received also 'a'; leave it out"]),
        (["--json", "--input", "a.csv", "--output", "b.csv"], ["received also '--json'"]),
        (["--explain", "--input", "a.csv", "--output", "b.csv"], ["received also '--explain'"]),
        (["--top", 2, "--input", "a.csv", "--output", "b.csv"], ["received also '--top'"]),
        (["--input", "a.csv", "--output", "b.csv"], ["found nothing at 'a.csv'"]),
    ],
)
def test_predict_refuses_what_cannot_be(call, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(predict, "run", *arguments), *parts)  # before the run is read
    assert list(tmp_path.iterdir()) == []


@pytest.mark.backend
def test_predict_explains_its_labels(run, call):
    classifier = research.load(run)
    texts = ["The MOON, a rocket!", ""]
    words = [classifier.explain(text) for text in texts]
    code, out, _ = call(predict, run, *texts, "--explain")
    assert code == 0
    line, explanation, empty = out.splitlines()  # without words there is no line
    assert line.split("\t")[2] == texts[0]
    assert explanation.split() == [
        part for word, value in words[0] for part in (f"{value:+.2f}", word)
    ]
    assert empty.endswith("\t")

    answers = [
        json.loads(line)
        for line in call(predict, run, *texts, "--explain", "--json")[1].splitlines()
    ]
    assert [[word for word, _ in answer["words"]] for answer in answers] == [
        [word for word, _ in of_text] for of_text in words
    ]
    values = [value for _, value in answers[0]["words"]]
    np.testing.assert_allclose(values, [value for _, value in words[0]], atol=1e-5)
    assert "words" not in json.loads(call(predict, run, texts[0], "--json")[1])


@pytest.mark.backend
def test_predict_explains_no_label_that_is_empty(run, call):
    arguments = ("moon", "--explain", "--threshold", 1)
    assert len(call(predict, run, *arguments)[1].splitlines()) == 1
    assert json.loads(call(predict, run, *arguments, "--json")[1])["words"] == []


@pytest.mark.backend
def test_words_for_and_against_have_colours_in_a_terminal(run, call, monkeypatch):
    arguments = (run, " ".join(TOPICS.values()), "--explain")
    plain = call(predict, *arguments)[1].splitlines()[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    coloured = call(predict, *arguments)[1].splitlines()[1]
    parts = re.findall(r"\x1b\[(\d+)m +([+-])\S+ \S+\x1b\[0m", coloured)
    assert len(parts) == 10  # of fifteen words
    assert set(parts) == {("32", "+"), ("31", "-")}
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


@pytest.mark.backend
def test_predict_refuses_what_is_not_utf8(run, call):
    refusal = call(predict, run, stdin=b"fine\nna\xefve\n")
    assert_refused(refusal, "UTF-8", "0xef at byte 2 of line 2", "iconv")


@pytest.mark.parametrize("module", [evaluate, predict])
def test_a_folder_that_is_no_run_is_refused(call, module, tmp_path):
    for place in (tmp_path, tmp_path / "absent"):
        arguments = (place, "text") if module is predict else (place,)
        assert_refused(call(module, *arguments), f"received {place}", "give the folder that")


@pytest.mark.backend
def test_a_damaged_run_is_refused_by_the_name_of_the_file(run, call):
    (vocabulary, config) = (run / "vocabulary.txt", run / "config.json")
    vocabulary.write_bytes(vocabulary.read_bytes()[:-1])
    assert_refused(call(predict, run, "text"), str(vocabulary))
    config.write_bytes(config.read_bytes()[:-20])
    assert_refused(call(predict, run, "text"), str(config))


# --- what a terminal could obey ----------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tiny, tmp_path_factory):
    """What training printed, and its run, where path, texts and class names are hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "\x1b[31m"
    folder.mkdir()
    lines = [
        json.dumps({"text": f"{TOPICS[topic]} \x1b]0;title\x07\u202e {number}", "label": label})
        for number in range(60)
        for topic, label in (("space", HOSTILE), ("hockey", "größe"), ("cooking", "x" * 20_000))
    ]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    changes = {"corpus": "jsonl", "corpus_path": folder / "corpus.jsonl", "epochs": 1}
    arguments = [*options(tiny | changes), "--run-dir", str(folder / "run")]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "argv", ["research/train.py", "newsgroups", *arguments])
        train.main()
    return out.getvalue(), (folder / "run").rename(folder / "\udcff")


def assert_harmless(printed):
    assert "".join(printed.split("\n")).isprintable()


@pytest.mark.backend
def test_training_prints_only_what_is_printable(hostile):
    assert_harmless(hostile[0])
    assert hostile[0].endswith("\\x1b[31m/run\n")


@pytest.mark.backend
def test_evaluate_prints_only_what_is_printable(hostile, call, monkeypatch):
    _, run = hostile
    monkeypatch.setenv("COLUMNS", "300")
    code, out, err = call(evaluate, run)
    assert (code, err) == (0, "")
    assert_harmless(out)
    assert f" {escape.terminal(HOSTILE)} " in out  # with :car: and all
    assert "x" * 201 not in out
    assert "/\\x1b[31m/\\udcff: metrics.json" in out
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["class_name"] for row in metrics["per_class"]] == sorted(
        [HOSTILE, "größe", "x" * 20_000]
    )
    assert (run / "confusion_matrix.png").exists()


@pytest.mark.backend
def test_predict_keeps_its_columns_whatever_is_in_them(hostile, call):
    texts = ["orbit\tmoon\x1b[31m", "goal \u202e \x85 \u2028 \udcff", "oven\r\nsalt"]
    code, out, _ = call(predict, hostile[1], *texts, "--top", "3")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    assert [len(row) for row in rows] == [7, 7, 7]
    assert {label for row in rows for label in row[0:6:2]} == {
        *(escape.terminal(HOSTILE), "größe", "x" * 20_000)
    }
    assert [row[6] for row in rows] == [r"orbit moon\x1b[31m", r"goal \u202e \udcff", "oven salt"]
    assert "".join("".join(row) for row in rows).isprintable()

    out = call(predict, hostile[1], *texts, "--json", "--top", "3")[1]
    assert_harmless(out)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["text"] for answer in answers] == texts
    for answer in answers:
        assert HOSTILE in [best["label"] for best in answer["predictions"]]


@pytest.mark.backend
def test_predict_explains_hostile_words_harmlessly(hostile, call):
    text, word = "the moon \x1b]0;title\x07\u202e", "\x1b0title\x07\u202e"  # one of the vocabulary
    out = call(predict, hostile[1], text, "--explain")[1]
    assert_harmless(out.replace("\t", ""))
    assert escape.terminal(word) in out.splitlines()[1]
    out = call(predict, hostile[1], text, "--explain", "--json")[1]
    assert_harmless(out)
    assert word in dict(json.loads(out)["words"])


@pytest.mark.backend
def test_predict_prints_in_any_encoding(hostile, call, monkeypatch):
    for encoding in ("ascii", "latin-1"):
        for as_json in ([], ["--json"]):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            with contextlib.redirect_stdout(stream):
                assert call(predict, hostile[1], "größer 新 😀", "--top", "3", *as_json)[0] == 0
            printed = stream.buffer.getvalue().decode(encoding)
            if as_json:
                assert json.loads(printed)["text"] == "größer 新 😀"
            else:
                assert printed.endswith("er \\u65b0 \\U0001f600\n")


@pytest.mark.parametrize("module", [evaluate, predict])
def test_the_line_of_an_error_cannot_control_the_terminal(call, module, tmp_path):
    arguments = (tmp_path / "\x1b[31m\u202e\udcff", *(["text"] if module is predict else []))
    refusal = call(module, *arguments)
    assert_refused(refusal, r"\x1b[31m\u202e\udcff")
    assert_harmless(refusal.err)


@pytest.mark.backend
def test_scores_come_before_the_picture(run, call, monkeypatch, tmp_path):
    for name in ("metrics.json", "predictions.npz"):
        (run / name).unlink(missing_ok=True)

    def fail(*arguments):
        raise OSError("the picture fails")

    monkeypatch.setattr(figures, "confusion_matrix", fail)
    answer = call(evaluate, run, "--record", tmp_path / "record.json")
    assert_refused(answer, "the picture fails")
    assert "test accuracy: " in answer.out
    assert "the most confident of the other mistakes:" in answer.out
    assert "written to" not in answer.out
    assert (run / "metrics.json").exists()
    assert (run / "predictions.npz").exists()
    assert (tmp_path / "record.json").exists()


# --- processes of their own ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.backend
def test_commands_run_from_a_shell(tiny, tmp_path):
    run = tmp_path / "run"
    arguments = options(tiny | {"epochs": 1})
    trained = python("-m", "research.train", "kim", *arguments, "--run-dir", run)
    assert trained.code == 0, trained.err
    assert trained.out.splitlines()[-1] == f"run: {run}"
    evaluated = python("-m", "research.evaluate", run)
    assert evaluated.code == 0, evaluated.err
    assert (run / "metrics.json").exists()
    assert_refused(python("-m", "research.evaluate", tmp_path), f"received {tmp_path}")


@pytest.mark.slow
@pytest.mark.backend
def test_a_run_predicts_the_same_on_another_backend(trained):
    _, run = trained
    available = backends.installed()
    if len(available) < 2:
        pytest.skip("needs two backends")
    other = available[available.index(backends.select()) - 1]
    answer = python(
        *("-m", "research.predict", run, "--json", "--top", "3", "--explain"),
        environment={"KERAS_BACKEND": other},
        stdin="\n".join(TEXTS),
    )
    assert answer.code == 0, answer.err
    answers = [json.loads(line) for line in answer.out.splitlines()]
    assert [answer["text"] for answer in answers] == TEXTS
    shares = [{best["label"]: best["probability"] for best in a["predictions"]} for a in answers]
    rows = [[share[label] for label in sorted(TOPICS)] for share in shares]
    classifier = research.load(run)
    np.testing.assert_allclose(rows, classifier.predict(TEXTS), atol=1e-5)
    for text, answer in zip(TEXTS, answers, strict=True):
        assert dict(answer["words"]) == pytest.approx(dict(classifier.explain(text)), abs=1e-3)


@pytest.mark.slow
@pytest.mark.backend
def test_a_line_is_labelled_before_the_next_one_is_written(trained):
    process = subprocess.Popen(
        [sys.executable, "-m", "research.predict", str(trained[1])],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    with process:
        for text in TEXTS:
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            assert process.stdout.readline().split("\t")[2] == " ".join(text.split()) + "\n"
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


# --- mistakes and defects -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.backend
def test_a_corpus_without_an_experiment_takes_the_recommended_model_and_is_compared(
    tiny, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    rows = [
        {"text": " ".join(generator.choice(words.split(), 5)), "label": topic}
        for topic, words in TOPICS.items()
        for _ in range(60)
    ]
    with (tmp_path / "mail.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    arguments = ["--corpus", "csv", "--corpus-path", "mail.csv", "--vectors", tiny["vectors"]]
    trained = python("-m", "research.train", *arguments, "--epochs", 2)
    assert trained.code == 0, trained.err
    run = f"runs/mail/{backends.select()}-seed0"
    assert trained.out.splitlines()[-1] == f"run: {run}"
    assert "compared with TF-IDF + LinearSVC on words" in trained.out
    config = atomic.read_json(tmp_path / run / "config.json")
    assert (config["model"], config["monitor"]) == ("wide-deep", "loss")
    metrics = atomic.read_json(tmp_path / run / "metrics.json")
    assert metrics["baseline"].keys() >= {"name", "accuracy", "difference", "interval", "p_value"}
    assert metrics["baseline"]["difference"] == pytest.approx(
        metrics["accuracy"] - metrics["baseline"]["accuracy"]
    )
