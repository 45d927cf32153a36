"""Is a model better than a linear SVM on the same splits?"""

import numpy as np
import pytest

from research.data.corpora import Split
from research.evaluation import comparison, metrics

CLASSES = ["fruit", "tool"]
WORDS = {0: ["apple", "pear", "plum"], 1: ["saw", "axe", "file"]}


def split(name, examples, seed, noise=0.0):
    """Texts of two words of their class; a share of the labels is the other class."""
    generator = np.random.default_rng(seed)
    classes = np.arange(examples) % 2
    texts = [" ".join(generator.choice(WORDS[label], 2)) for label in classes]
    wrong = generator.random(examples) < noise
    return Split(name, texts, np.where(wrong, 1 - classes, classes).astype("int32"))


SPLITS = {
    "train": split("train", 60, 0),
    "validation": split("validation", 20, 1),
    "test": split("test", 200, 2, noise=0.2),
}


def compared(predictions, splits=SPLITS, scored="test"):
    by_class = metrics.predictions_by_class(splits[scored].labels, predictions, CLASSES)
    return comparison.with_linear_svm(splits, CLASSES, by_class)


def test_a_perfect_model_is_better():
    found = compared(SPLITS["test"].labels)
    share = float((np.arange(200) % 2 == SPLITS["test"].labels).mean())  # the words tell no more
    assert found["accuracy"] == pytest.approx(share)
    assert found["difference"] == pytest.approx(1 - share)
    low, high = found["interval"]
    assert 0 < low < found["difference"] < high
    assert found["p_value"] < 0.001
    assert ": better, +0." in comparison.sentence(found)


def test_a_model_that_guesses_is_worse():
    found = compared(np.zeros(200, "int32"))
    assert found["difference"] < -0.2
    assert ": worse, -0." in comparison.sentence(found)


def test_a_model_that_says_the_same_does_not_differ():
    found = compared(np.arange(200) % 2)
    assert (found["difference"], found["p_value"]) == (0, 1)
    assert ": no difference to be seen, +0.0000" in comparison.sentence(found)


def test_examples_are_paired_whatever_their_order():
    # The model is wrong on exactly the texts that the SVM gets right, so none is shared.
    test = SPLITS["test"]
    svm = np.arange(200) % 2
    found = compared(np.where(svm == test.labels, 1 - test.labels, test.labels))
    assert found["difference"] == pytest.approx(1 - 2 * found["accuracy"])


def test_without_a_test_split_nothing_is_chosen():
    splits = {name: SPLITS[name] for name in ("train", "validation")}
    found = compared(splits["validation"].labels, splits, "validation")
    assert found["name"] == "TF-IDF + LinearSVC on words"
    assert found["difference"] == 0


@pytest.mark.parametrize(("texts", "exists"), [("a b", False), ("apple {}", True)])
def test_texts_without_words_for_scikit_learn_are_not_compared(texts, exists):
    splits = {
        name: Split(name, [texts.format(f"w{i}") for i in range(len(split.texts))], split.labels)
        for name, split in SPLITS.items()
    }
    assert bool(compared(SPLITS["test"].labels, splits)) is exists


def test_without_pairs_in_two_texts_words_are_compared():
    splits = {
        name: Split(name, [f"{name}{i // 2}" for i in range(len(split.texts))], split.labels)
        for name, split in SPLITS.items()
    }
    splits["train"] = Split("train", [f"only{i}" for i in range(60)], SPLITS["train"].labels)
    found = compared(SPLITS["test"].labels, splits)
    assert found["name"] == "TF-IDF + LinearSVC on words"


def test_texts_without_spaces_are_compared_by_characters():
    signs = {0: "日本国", 1: "山川海"}
    splits = {
        name: Split(name, [signs[i % 2] for i in range(len(split.texts))], split.labels)
        for name, split in SPLITS.items()
    }
    by_class = metrics.predictions_by_class(splits["test"].labels, np.arange(200) % 2, CLASSES)
    found = comparison.with_linear_svm(splits, CLASSES, by_class, unit="char")
    assert found["name"] == "TF-IDF + LinearSVC on characters"
    assert found["difference"] == 0
