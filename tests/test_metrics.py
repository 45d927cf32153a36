"""Scores of one run, against hand-made numbers and scikit-learn."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, log_loss

from research.evaluation import metrics

# Class 0: 2 of 3 right, predicted 3 times. Class 1: 2 of 2, predicted 3 times. Class 2: 0 of 1.
LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTIONS = np.array([0, 0, 1, 1, 1, 0])
NAMES = ["atheism", "graphics", "hockey"]


def probabilities_for(predictions, classes=3, confidence=0.8):
    """Probabilities whose largest is `confidence`, at the predicted class."""
    others = (1 - confidence) / (classes - 1)
    return np.where(np.eye(classes)[predictions] == 1, confidence, others)


def test_summary_by_hand():
    scores = metrics.summary(LABELS, probabilities_for(PREDICTIONS))
    assert scores["examples"] == 6
    assert scores["accuracy"] == pytest.approx(4 / 6)
    # F1 = 2 right / (labelled + predicted)
    assert scores["macro_f1"] == pytest.approx((2 * 2 / (3 + 3) + 2 * 2 / (2 + 3) + 0) / 3)
    # four labels got a probability of 0.8, two of 0.1
    assert scores["loss"] == pytest.approx(-(4 * np.log(0.8) + 2 * np.log(0.1)) / 6)


def test_accuracy_interval_is_wilsons_formula():
    share, examples, z = 4 / 6, 6, 1.959963984540054
    middle = share + z**2 / (2 * examples)
    half = z * np.sqrt(share * (1 - share) / examples + z**2 / (4 * examples**2))
    expected = np.array([middle - half, middle + half]) / (1 + z**2 / examples)
    scores = metrics.summary(LABELS, probabilities_for(PREDICTIONS))
    np.testing.assert_allclose(scores["accuracy_interval"], expected)


def test_summary_survives_json_and_repeats_exactly():
    scores = metrics.summary(LABELS, probabilities_for(PREDICTIONS))
    assert json.loads(json.dumps(scores)) == scores
    assert metrics.summary(LABELS, probabilities_for(PREDICTIONS)) == scores


@settings(deadline=None)  # a busy machine is no error
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1), st.floats(0.3, 0.99))
def test_scores_equal_scikit_learns(pairs, confidence):
    labels, predictions = np.array(pairs).T
    probabilities = probabilities_for(predictions, classes=5, confidence=confidence)
    scores = metrics.summary(labels, probabilities)
    assert scores["macro_f1"] == pytest.approx(
        f1_score(labels, predictions, average="macro", zero_division=0)
    )
    assert scores["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(5)))
    expected = confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(metrics.confusion(labels, predictions, 5), expected)
    low, high = scores["macro_f1_interval"]
    assert 0 <= low <= high <= 1


def sample(examples, generator):
    """Labels of three unequal classes, 70% of them predicted right."""
    labels = generator.choice(3, examples, p=[0.5, 0.3, 0.2])
    wrong = (labels + generator.integers(1, 3, examples)) % 3
    return labels, np.where(generator.random(examples) < 0.7, labels, wrong)


@pytest.mark.slow
def test_bootstrap_equals_resampling_examples():
    generator = np.random.default_rng(1)
    labels, predictions = sample(300, generator)
    scores = []
    for _ in range(600):
        chosen = generator.integers(0, 300, 300)
        scores.append(f1_score(labels[chosen], predictions[chosen], average="macro"))
    interval = metrics.summary(labels, probabilities_for(predictions))["macro_f1_interval"]
    np.testing.assert_allclose(interval, np.quantile(scores, [0.025, 0.975]), atol=0.01)


def interval_with_empty_cells(labels, predictions, classes):
    """Return the interval from draws of whole confusion matrices, 100 at once."""
    counts = confusion_matrix(labels, predictions, labels=range(classes))
    generator = np.random.default_rng(0)
    scores = []
    for _ in range(20):
        draws = generator.multinomial(counts.sum(), counts.ravel() / counts.sum(), 100)
        draws = draws.reshape(-1, classes, classes)
        right = np.diagonal(draws, axis1=1, axis2=2)
        both = draws.sum(axis=1) + draws.sum(axis=2)
        scores.append((2 * right / np.maximum(both, 1)).mean(axis=1))
    return [*np.quantile(scores, [0.025, 0.975])]


@pytest.mark.parametrize("numbers_at_once", [1, 5_000, 1_000_000])
@pytest.mark.parametrize("last_is_empty", [False, True])
def test_empty_cells_and_the_size_of_a_draw_change_no_number(
    monkeypatch, numbers_at_once, last_is_empty
):
    monkeypatch.setattr(metrics, "_NUMBERS_AT_ONCE", numbers_at_once)
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 9, 400)
    predictions = np.where(generator.random(400) < 0.7, labels, generator.integers(0, 9, 400))
    if last_is_empty:
        predictions[labels == 8] = 0
    interval = metrics.summary(labels, probabilities_for(predictions, 9))["macro_f1_interval"]
    assert interval == interval_with_empty_cells(labels, predictions, 9)


def test_many_classes_need_little_memory():
    classes, examples = 5_000, 400
    labels = np.arange(examples) * 7 % classes
    predictions = (labels + labels % 3) % classes
    probabilities = np.zeros((examples, classes), np.float32)
    probabilities[np.arange(examples), predictions] = 1
    tracemalloc.start()
    metrics.summary(labels, probabilities)
    metrics.by_class(labels, predictions, [str(number) for number in range(classes)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * classes**2  # half of a single confusion matrix


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(2)
    labels, predictions = sample(1_000_000, generator)
    true_f1 = f1_score(labels, predictions, average="macro")
    covered = np.zeros(2)
    for _ in range(200):
        labels, predictions = sample(200, generator)
        scores = metrics.summary(labels, probabilities_for(predictions))
        for i, (name, truth) in enumerate([("accuracy", 0.7), ("macro_f1", true_f1)]):
            low, high = scores[f"{name}_interval"]
            covered[i] += low <= truth <= high
    assert (covered / 200 > 0.90).all()
    assert (covered / 200 < 0.99).all()


def test_all_right():
    scores = metrics.summary(LABELS, probabilities_for(LABELS, confidence=1.0))
    assert (scores["accuracy"], scores["loss"]) == (1, 0)
    assert scores["macro_f1"] == 1
    # a draw without the one example of class 2 scores 0 for that class
    assert scores["macro_f1_interval"][1] == 1
    assert scores["accuracy_interval"][0] < 0.7


def test_all_wrong():
    scores = metrics.summary(LABELS, probabilities_for((LABELS + 1) % 3, confidence=1.0))
    assert (scores["accuracy"], scores["macro_f1"]) == (0, 0)
    assert scores["macro_f1_interval"] == [0, 0]
    assert scores["loss"] == pytest.approx(126 * np.log(2))  # float32's smallest is 2**-126


def test_one_class():
    scores = metrics.summary(np.zeros(5, int), np.ones((5, 1)))
    assert (scores["accuracy"], scores["macro_f1"], scores["loss"]) == (1, 1, 0)


def test_a_class_without_examples_and_predictions_has_no_f1():
    labels = np.repeat([0, 1], 50)
    scores = metrics.summary(labels, probabilities_for(labels, classes=4))
    assert scores["macro_f1"] == 1
    assert scores["macro_f1_interval"] == [1, 1]


def test_a_class_that_is_never_predicted_counts_as_zero():
    labels, predictions = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1])
    scores = metrics.summary(labels, probabilities_for(predictions))
    assert scores["macro_f1"] == pytest.approx((1 + 4 / 5 + 0) / 3)


def test_per_class():
    rows = metrics.per_class(LABELS, PREDICTIONS, NAMES)
    assert [row["class_name"] for row in rows] == NAMES
    assert [row["support"] for row in rows] == [3, 2, 1]
    assert [row["precision"] for row in rows] == pytest.approx([2 / 3, 2 / 3, 0])
    assert [row["recall"] for row in rows] == pytest.approx([2 / 3, 1, 0])
    assert [row["f1"] for row in rows] == pytest.approx([2 / 3, 4 / 5, 0])
    json.dumps(rows)


def test_confusion_has_labels_as_rows():
    matrix = metrics.confusion(LABELS, PREDICTIONS, 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert matrix.dtype == np.int64


def test_most_confused():
    matrix = np.array([[9, 1, 0], [5, 9, 1], [0, 0, 9]])
    labels, predictions = (
        np.repeat(of_cell, matrix.ravel()) for of_cell in np.indices((3, 3)).reshape(2, 9)
    )
    assert metrics.most_confused(labels, predictions, NAMES, 2) == [
        ("graphics", "atheism", 5),
        ("atheism", "graphics", 1),
    ]
    assert len(metrics.most_confused(labels, predictions, NAMES, 10)) == 3
    assert metrics.most_confused(labels, labels, NAMES, 10) == []
    with pytest.raises(ValueError, match="expected labels from 0 to 1, received 0 to 2"):
        metrics.most_confused(labels, predictions, NAMES[:2], 2)


def test_most_confident_mistakes():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    assert metrics.most_confident_mistakes(labels, probabilities, 2).tolist() == [2, 0]
    assert metrics.most_confident_mistakes(labels, probabilities, 9).tolist() == [2, 0, 3]
    assert metrics.most_confident_mistakes(1 - labels[1:2], probabilities[:1], 9).tolist() == []


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"expected labels of dtype int and shape \(1,\)"),
        ([0.0], [[0.5, 0.5]], "received float64"),
        ([[0]], [[0.5, 0.5]], r"received int64 and \(1, 1\)"),
        ([], np.zeros((0, 2)), "expected labels"),
        ([2], [[0.5, 0.5]], "expected labels from 0 to 1, received 2 to 2"),
        ([-1], [[0.5, 0.5]], "received -1 to -1"),
        ([0], [0.5, 0.5], r"expected probabilities of shape \(examples, classes\)"),
        ([0, 0], [[0.5, 0.5], [np.nan, 0.5]], "row 1"),
        ([0], [[np.inf, 0.5]], "row 0"),
        ([0], [[-0.5, 1.5]], "row 0"),
        ([0], [[2.5, 1.5]], "apply softmax"),
    ],
)
def test_refusals(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        metrics.summary(np.array(labels), np.array(probabilities))


@pytest.mark.parametrize("predictions", [[0, 0, 1], [0, 0, 1, 1, 1, 3], [0, 0, 1, 1, 1, -1]])
def test_predictions_that_do_not_fit_are_refused(predictions):
    with pytest.raises(ValueError, match="expected predictions"):
        metrics.per_class(LABELS, np.array(predictions), NAMES)
    with pytest.raises(ValueError, match="expected predictions"):
        metrics.confusion(LABELS, np.array(predictions), 3)


@settings(deadline=None)  # a busy machine is no error
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_predictions_of_a_record_read_as_they_were_written(pairs):
    labels, predictions = np.array(pairs).T
    written = metrics.predictions_by_class(labels, predictions, "abcde")
    read_labels, read_predictions = metrics.read_predictions(json.loads(json.dumps(written)))
    order = np.argsort(labels, kind="stable")
    np.testing.assert_array_equal(read_labels, labels[order])
    np.testing.assert_array_equal(read_predictions, predictions[order])


def test_predictions_of_a_record_can_be_read_by_people():
    written = metrics.predictions_by_class(LABELS, PREDICTIONS, NAMES)
    assert written == {"atheism": "0 0 1", "graphics": "1 1", "hockey": "0"}


def test_a_record_keeps_what_the_single_functions_give():
    kept = metrics.by_class(LABELS, PREDICTIONS, NAMES)
    assert kept == {
        "per_class": metrics.per_class(LABELS, PREDICTIONS, NAMES),
        "most_confused": metrics.most_confused(LABELS, PREDICTIONS, NAMES, 10),
        "predictions": metrics.predictions_by_class(LABELS, PREDICTIONS, NAMES),
    }
