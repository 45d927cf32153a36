"""Label errors: what confident learning says of examples worked out by hand."""

import numpy as np
import pytest

from research.evaluation import label_errors


def of_two_classes(*of_first):
    return np.array([[share, 1 - share] for share in of_first])


def test_a_label_is_suspicious_if_another_class_is_as_likely_as_its_own_examples():
    # On average, examples have 0.65 of class 0 and 0.6 of class 1.
    labels = np.array([0, 0, 0, 1, 1, 1])
    probabilities = of_two_classes(0.9, 0.85, 0.2, 0.1, 0.3, 0.8)
    found = label_errors.find(labels, probabilities)
    assert found.examples.tolist() == [2, 5]  # margins of 0.8 - 0.2 and 0.8 - 0.2
    assert found.likely.tolist() == [1, 0]
    assert found.margins == pytest.approx([0.6, 0.6])


def test_a_mistake_that_is_less_sure_is_none():
    labels = np.array([0, 0, 1, 1])
    probabilities = of_two_classes(0.9, 0.45, 0.1, 0.1)  # class 1: 0.9 on average
    assert label_errors.find(labels, probabilities).examples.tolist() == []


def test_what_the_model_labels_likewise_is_none():
    labels = np.array([0, 0, 1, 1, 1])
    probabilities = of_two_classes(0.99, 0.6, 0.95, 0.95, 0.1)  # class 1: 0.33 on average
    found = label_errors.find(labels, probabilities)
    assert 1 not in found.examples  # though 0.4 of class 1 is more than that


def test_of_likely_classes_the_likeliest_counts():
    labels = np.array([0, 1, 2, 0])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.42, 0.2, 0.38], [0.1, 0.5, 0.4]])
    found = label_errors.find(labels, probabilities)
    assert found.examples.tolist() == [3, 1]  # of 2, no class but its own is as likely as usual
    assert found.likely.tolist() == [1, 0]


def test_a_class_without_examples_is_likely_for_none():
    found = label_errors.find(np.array([0, 0]), of_two_classes(0.9, 0.1))
    assert found.examples.tolist() == []


def test_swapped_labels_are_found_first():
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 4, 1_000)
    logits = 4 * np.eye(4)[classes] + generator.normal(size=(1_000, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels, swapped = classes.copy(), np.arange(0, 1_000, 20)
    labels[swapped] = (labels[swapped] + 1) % 4
    found = label_errors.find(labels, probabilities.astype("float32"))
    assert np.isin(found.examples[:30], swapped).all()
    assert np.isin(swapped, found.examples).mean() > 0.6
    assert (np.diff(found.margins) <= 0).all()
    np.testing.assert_array_equal(found.likely[:30], classes[found.examples[:30]])
