"""Calibration of probabilities."""

import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from research.evaluation import calibration


def test_calibration_by_hand():
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    of_all = calibration.summary(labels, probabilities)
    # Two texts of confidence 0.9, one of them right; two of 0.6, both right.
    assert of_all["ece"] == pytest.approx((0.4 + 0.4) / 2)
    assert of_all["brier"] == pytest.approx((0.02 + 1.62 + 0.32 + 0.32) / 4)
    assert of_all["reliability"] == [
        {"confidence": 0.6, "accuracy": 1.0, "examples": 2},
        {"confidence": 0.9, "accuracy": 0.5, "examples": 2},
    ]
    assert json.loads(json.dumps(of_all)) == of_all


def test_the_brier_score_is_scikit_learns():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 100)
    probabilities = generator.dirichlet(np.ones(4), 100)
    expected = brier_score_loss(labels, probabilities, scale_by_half=False)
    assert calibration.summary(labels, probabilities)["brier"] == pytest.approx(expected)


def test_probabilities_that_are_true_have_no_error():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), 200_000)
    labels = (generator.random((200_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert calibration.summary(labels, probabilities)["ece"] < 0.005
    overconfident = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert calibration.summary(labels, overconfident)["ece"] > 0.1


def test_certainty_is_in_the_last_bin():
    (only,) = calibration.summary(np.array([0]), np.array([[1.0, 0.0]]))["reliability"]
    assert only == {"confidence": 1.0, "accuracy": 1.0, "examples": 1}
