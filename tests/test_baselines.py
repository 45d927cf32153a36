"""Baselines: what they learn from, how they are chosen, and the records of the command."""

import importlib.util

import numpy as np
import pytest
from conftest import TOPICS, assert_refused

from research import baselines
from research.config import Config
from research.data import corpora
from research.data.corpora import CorpusSource, Split
from research.evaluation import baseline_methods, metrics, records
from research.evaluation.baseline_methods import METHODS, Baseline, TokenLimits
from research.files import atomic
from research.processes import provenance

HAS_FASTTEXT = importlib.util.find_spec("fasttext") is not None
NAMES = sorted(TOPICS)


@pytest.fixture(scope="module")
def splits(tiny):
    return corpora.load(CorpusSource("folder", tiny["corpus_path"]), splits=None).splits


def run(baseline, splits):
    return baseline_methods.run(baseline, splits, NAMES)


def with_shuffled_labels(split):
    order = np.random.default_rng(0).permutation(len(split.labels))
    return Split(split.name, split.texts, split.labels[order])


def test_the_command_writes_a_record_of_each_baseline(call, tiny, splits, tmp_path):
    path = tiny["corpus_path"]
    code, out, err = call(baselines, "folder", "--corpus-path", path, "--results", tmp_path)
    assert (code, err) == (0, "")
    expected = {b.name for b in baselines.all_baselines() if b.method != "fasttext" or HAS_FASTTEXT}
    assert {path.stem for path in (tmp_path / "corpus").iterdir()} == expected
    assert len(expected) == len(baselines.all_baselines()) - (not HAS_FASTTEXT)
    assert out.count("test accuracy ") == len(expected)
    for path in (tmp_path / "corpus").iterdir():
        record = atomic.read_json(path)
        labels, predictions = metrics.read_predictions(record["metrics"]["predictions"])
        assert labels.tolist() == sorted(splits["test"].labels)
        assert (labels == predictions).mean() == pytest.approx(record["metrics"]["accuracy"])
        assert record["metrics"]["accuracy"] > 0.9  # the topics hardly share a word
        assert [row["class_name"] for row in record["metrics"]["per_class"]] == NAMES
        assert "loss" not in record["metrics"]
        (environment,) = record["environment"]
        assert environment["command"].startswith("python -m research.baselines folder")
        assert environment["versions"].keys() >= {"scikit-learn", "numpy"}
        assert (environment["backend"], environment["device"]) == ("scikit-learn", "cpu")
        assert environment["commit"] == provenance.commit()
    assert len(records.read(tmp_path, Config().to_json())) == len(expected)


def test_the_command_takes_a_csv_file_with_its_columns(call, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "all_baselines", lambda: [Baseline("bayes")])
    words = {topic: words.split() for topic, words in TOPICS.items()}
    lines = [
        f"{topic},{topic_words[n % 5]} {topic_words[(n + n // 5) % 5]} text{n}"
        for topic, topic_words in words.items()
        for n in range(30)
    ]
    (tmp_path / "mail.csv").write_text("\n".join(["folder,body", *lines]))
    options = ("--text-column", "body", "--label-column", "folder", "--results", tmp_path)
    code, out, _ = call(baselines, "csv", "--corpus-path", tmp_path / "mail.csv", *options)
    assert code == 0
    record = atomic.read_json(tmp_path / "mail" / "bayes.json")
    assert record["data"]["class_names"] == NAMES
    assert record["data"]["corpus"] == "mail"
    assert f"test accuracy {record['metrics']['accuracy']:.4f}: " in out


def test_the_hyperparameter_is_chosen_on_validation(splits):
    outcome = run(Baseline("svm"), splits)
    accuracy_of = {line["C"]: line["validation_accuracy"] for line in outcome["history"]}
    assert tuple(accuracy_of) == METHODS["svm"].values
    best = [value for value in accuracy_of if accuracy_of[value] == max(accuracy_of.values())]
    assert outcome["config"]["C"] == best[0]  # the most regularised of equals
    assert outcome["config"]["trained_on"] == ["train"]


def test_the_value_with_the_best_accuracy_is_the_one_that_predicts(splits, monkeypatch):
    """A classifier that predicts its own hyperparameter for every text."""

    class Constant:
        def __init__(self, value):
            self.value = value

        def fit(self, features, labels):
            pass

        def predict(self, features):
            return np.full(features.shape[0], self.value)

    method = baseline_methods.Method("constant", "class", (0, 1, 2), 0, Constant, "counts")
    monkeypatch.setitem(METHODS, "constant", method)
    texts = ["orbit moon"] * 4
    validation = Split("validation", texts, np.array([1, 1, 2, 0], np.int32))
    outcome = run(Baseline("constant"), splits | {"validation": validation})
    assert [line["validation_accuracy"] for line in outcome["history"]] == [0.25, 0.5, 0.25]
    assert outcome["config"]["class"] == 1
    _, predictions = metrics.read_predictions(outcome["metrics"]["predictions"])
    assert set(predictions) == {1}


def test_without_a_test_split_the_default_is_scored_on_validation(splits):
    train_only = {name: splits[name] for name in ("train", "validation")}
    outcome = run(Baseline("svm"), train_only)
    assert [line["C"] for line in outcome["history"]] == [outcome["config"]["C"]] == [1]
    assert outcome["metrics"]["split"] == "validation"


def test_without_a_test_split_no_baseline_learns_from_validation():
    assert not any(baseline.refitted for baseline in baselines.choose_baselines(has_test=False))
    assert any(baseline.refitted for baseline in baselines.choose_baselines(has_test=True))


def test_the_labels_of_the_test_split_have_no_part_in_training(splits):
    outcome = run(Baseline("logistic"), splits)
    other = run(Baseline("logistic"), splits | {"test": with_shuffled_labels(splits["test"])})
    assert other["metrics"]["accuracy"] < outcome["metrics"]["accuracy"]
    for line in outcome["history"] + other["history"]:
        line["seconds"] = 0
    assert outcome["history"] == other["history"]


def test_a_refitted_baseline_has_learned_from_validation():
    """Only validation tells the classes of the words in the test split."""
    labels = np.repeat(np.array([0, 1], np.int32), 6)
    made_up = {
        "train": Split("train", [f"alpha w{n}" for n in range(12)], labels),
        "validation": Split("validation", ["beta"] * 6 + ["gamma"] * 6, labels),
        "test": Split("test", ["beta", "gamma"], np.array([0, 1], np.int32)),
    }
    alone, both = (
        baseline_methods.run(Baseline("svm", refitted=refitted), made_up, ["a", "b"])
        for refitted in (False, True)
    )
    assert alone["metrics"]["accuracy"] == 0.5
    assert both["metrics"]["accuracy"] == 1
    assert both["config"]["trained_on"] == ["train", "validation"]
    assert "validation_accuracy" not in both["history"][-1]


def test_truncated_texts_are_the_tokens_of_a_network(splits):
    labels = splits["train"].labels
    train = Split("train", ["Orbit, moon! " * 150, "PUCK ice"], labels[:2])
    validation = Split("validation", ["orbit xyz"], labels[:1])
    limits = TokenLimits(vocabulary_size=20_000, sequence_length=200)
    truncated = baseline_methods.truncate({"train": train, "validation": validation}, limits)
    assert truncated["train"].texts == [" ".join(["orbit", "moon"] * 100), "puck ice"]
    assert truncated["validation"].texts == ["orbit [UNK]"]


def test_truncated_baselines_see_what_their_networks_see():
    limits = {baseline.name: baseline.limits for baseline in baselines.all_baselines()}
    assert limits["svm-1grams"] is None
    assert limits["svm-1grams-200tokens"] == TokenLimits(20_000, 200)


@pytest.mark.parametrize("method", METHODS)
def test_training_again_gives_the_same(method, splits):
    if method == "fasttext" and not HAS_FASTTEXT:
        pytest.skip("fastText is not installed")
    once, again = (run(Baseline(method), splits) for _ in range(2))
    assert once["metrics"] == again["metrics"]
    assert once["config"] == again["config"]


def test_few_examples_are_those_that_a_network_with_that_seed_learns_from(call, tiny, tmp_path):
    path = tiny["corpus_path"]
    options = ["folder", "--corpus-path", path, "--results", tmp_path]
    for seed in (0, 1):
        code, *_ = call(baselines, *options, "--train-examples", 12, "--seed", seed)
        assert code == 0
    names = {file.name for file in (tmp_path / "corpus").iterdir()}
    assert names == {f"svm-{n}grams-12texts-seed{seed}.json" for n in (1, 2) for seed in (0, 1)}
    record = atomic.read_json(tmp_path / "corpus" / "svm-1grams-12texts-seed1.json")
    assert record["config"]["train_examples"] == record["data"]["examples"]["train"] == 12
    assert record["config"]["seed"] == 1


def test_fasttext_is_left_out_if_it_is_not_installed(call, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "all_baselines", lambda: [Baseline("fasttext")])
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "fasttext" else find_spec(name)
    )
    path = tiny["corpus_path"]
    code, out, _ = call(baselines, "folder", "--corpus-path", path, "--results", tmp_path)
    assert (code, list(tmp_path.iterdir())) == (0, [])
    assert out == "fasttext: left out; to include it, pip install fasttext-community\n"


def test_an_unknown_corpus_is_refused(call, tmp_path):
    refusal = call(baselines, "r88", "--results", tmp_path)
    assert_refused(refusal, ", ".join(corpora.CORPORA), "received 'r88'; did you mean 'r8'?")
