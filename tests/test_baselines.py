"""What a sceptic would try first: from a corpus to records."""

from research.data import corpora
from research.evaluation import metrics, records
from research.files import atomic
from research.processes import command, provenance

import importlib.util
import sys

import numpy as np
import pytest
from conftest import TOPICS

from research import baselines

HAS_FASTTEXT = importlib.util.find_spec("fasttext") is not None


@pytest.fixture(scope="module")
def splits(tiny):
    return corpora.load("folder", tiny["corpus_path"], splits=None).splits


@pytest.fixture
def main(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["research/baselines.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            command.run(baselines.main)
        return leaving.value.code, capsys.readouterr().out

    return call


def test_the_command_writes_a_record_of_each(main, tiny, splits, tmp_path):
    code, out = main("folder", "--corpus-path", tiny["corpus_path"], "--results", tmp_path)
    assert code == 0
    expected = {b.name for b in baselines.BASELINES if b.method != "fasttext" or HAS_FASTTEXT}
    assert {path.stem for path in (tmp_path / "folder").iterdir()} == expected
    assert len(expected) == len(baselines.BASELINES) - (not HAS_FASTTEXT)
    assert out.count("test accuracy ") == len(expected)
    test = splits["test"]
    for path in (tmp_path / "folder").iterdir():
        record = atomic.read_json(path)
        labels, predictions = metrics.read_predictions(record["metrics"]["predictions"])
        assert labels.tolist() == sorted(test.labels)
        assert (labels == predictions).mean() == pytest.approx(record["metrics"]["accuracy"])
        assert record["metrics"]["accuracy"] > 0.9  # topics hardly share a word
        assert {row["class_name"] for row in record["metrics"]["per_class"]} == set(TOPICS)
        assert "loss" not in record["metrics"]
        (environment,) = record["environment"]
        assert environment["command"].startswith("python -m research.baselines folder")
        assert environment["versions"].keys() >= {"scikit-learn", "numpy"}
        assert environment["commit"] == provenance.commit()
    assert len(records.read(tmp_path)) == len(expected)


def test_what_is_chosen_is_chosen_on_validation(splits):
    shown = baselines.run(baselines.Baseline("svm"), splits, list(TOPICS))
    tried = {line["C"]: line["validation_accuracy"] for line in shown["history"]}
    assert tuple(tried) == baselines.METHODS["svm"].values
    best = [value for value in tried if tried[value] == max(tried.values())]
    assert shown["config"]["C"] == best[0]  # the most regularised of equals
    assert shown["config"]["trained_on"] == ["train"]

    spoiled = splits | {"validation": _shuffled(splits["validation"])}
    assert baselines.run(baselines.Baseline("svm"), spoiled, list(TOPICS))["config"]["C"] in tried
    without = {name: splits[name] for name in ("train", "validation")}
    alone = baselines.run(baselines.Baseline("svm"), without, list(TOPICS))
    assert [line["C"] for line in alone["history"]] == [alone["config"]["C"]] == [1]
    assert alone["metrics"]["split"] == "validation"


def _shuffled(split):
    order = np.random.default_rng(0).permutation(len(split.labels))
    return corpora.Split(split.name, split.texts, split.labels[order])


def test_the_test_split_has_no_part_in_training(splits):
    """Other labels there give other scores, and the same predictions."""
    shown = baselines.run(baselines.Baseline("logistic"), splits, list(TOPICS))
    other = baselines.run(
        baselines.Baseline("logistic"), splits | {"test": _shuffled(splits["test"])}, list(TOPICS)
    )
    assert other["metrics"]["accuracy"] < shown["metrics"]["accuracy"]
    without_time = [
        [line | {"seconds": 0} for line in found["history"]] for found in (shown, other)
    ]
    assert without_time[0] == without_time[1]


def test_a_refitted_one_has_seen_validation_too(splits):
    """Texts with a word that only validation has are labelled by it alone."""
    labels = np.repeat(np.array([0, 1], np.int32), 6)
    train = corpora.Split("train", [f"alpha w{n}" for n in range(12)], labels)
    validation = corpora.Split("validation", ["beta"] * 6 + ["gamma"] * 6, labels)
    test = corpora.Split("test", ["beta", "gamma"], np.array([0, 1], np.int32))
    made_up = {"train": train, "validation": validation, "test": test}
    alone, both = (
        baselines.run(baselines.Baseline("svm", refitted=refitted), made_up, ["a", "b"])
        for refitted in (False, True)
    )
    assert alone["metrics"]["accuracy"] == 0.5
    assert both["metrics"]["accuracy"] == 1
    assert both["config"]["trained_on"] == ["train", "validation"]
    assert "validation_accuracy" not in both["history"][-1]


def test_truncated_texts_are_the_tokens_of_a_network(splits):
    long = corpora.Split("train", ["Orbit, moon! " * 150, "PUCK ice"], splits["train"].labels[:2])
    shown = baselines._truncated({"train": long, "validation": long}, 20_000, 200)["train"]
    assert shown.texts == [" ".join(["orbit", "moon"] * 100), "puck ice"]
    rare = corpora.Split("validation", ["orbit xyz"], splits["train"].labels[:1])
    cut = baselines._truncated({"train": long, "validation": rare}, 20_000, 200)
    assert cut["validation"].texts == ["orbit [UNK]"]


def test_the_same_again(splits):
    for method in ("svm", "logistic", "bayes", "wide", *(["fasttext"] if HAS_FASTTEXT else [])):
        once, again = (
            baselines.run(baselines.Baseline(method), splits, list(TOPICS)) for _ in range(2)
        )
        assert once["metrics"] == again["metrics"], method
        assert once["config"] == again["config"], method


def test_without_fasttext_it_is_left_out(main, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "BASELINES", [baselines.Baseline("fasttext")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "fasttext" or None)
    code, out = main("folder", "--corpus-path", tiny["corpus_path"], "--results", tmp_path)
    assert (code, list(tmp_path.iterdir())) == (0, [])
    assert out == "fasttext: left out; pip install fasttext-community to have it\n"


def test_an_unknown_corpus_is_refused(main, tmp_path):
    code, _ = main("r88", "--results", tmp_path)
    assert (
        code
        == "error: expected the corpus to be one of "
        + ", ".join(corpora.CORPORA)
        + ", received 'r88'; did you mean 'r8'?"
    )
