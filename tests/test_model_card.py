"""Model cards: whose scores they give, and what they say about rounding."""

import numpy as np
import pytest

from research.files import atomic
from research.serving import model_card
from research.training import checkpoints
from research.training.checkpoints import Position

ORIGIN = {"epoch": 2, "checkpoint": "last", "examples": {"validation": 18}}


@pytest.fixture
def run(tmp_path):
    """A run folder of two epochs, with what a card reads from it."""
    history = [{"validation_accuracy": 0.5}, {"validation_accuracy": 0.875}]
    atomic.write_json(tmp_path / "config.json", {})
    checkpoints.save(tmp_path, Position(epoch=2, best_epoch=2, history=history), {}, {})
    return tmp_path


def test_a_card_gives_validation_scores_until_the_weights_are_evaluated(run):
    scores = model_card.scores(run, ORIGIN)
    assert scores.startswith("Not evaluated yet. ")
    assert "- validation accuracy: 0.8750 (95% interval 0." in scores
    assert "chosen" not in scores
    best = model_card.scores(run, ORIGIN | {"checkpoint": "best"})
    assert "The epoch was chosen by this accuracy" in best
    assert "accuracy: 0.5000 " in model_card.scores(run, ORIGIN | {"epoch": 1})


def test_a_card_gives_the_scores_of_its_own_epoch_only(run):
    scores = {"split": "test", "epoch": 2, "examples": 7528, "accuracy": 0.75, "macro_f1": 0.5}
    intervals = {"accuracy_interval": [0.7, 0.8], "macro_f1_interval": [0.4, 0.6]}
    atomic.write_json(run / "metrics.json", scores | intervals)
    assert model_card.scores(run, ORIGIN).splitlines() == [
        "- test accuracy: 0.7500 (95% interval 0.7000 to 0.8000)",
        "- test macro-F1: 0.5000 (95% interval 0.4000 to 0.6000)",
        "- 7,528 examples",
    ]
    assert "0.7500" not in model_card.scores(run, ORIGIN | {"epoch": 1})


def test_a_run_without_validation_has_no_scores_yet(run):
    checkpoints.save(run, Position(epoch=2, history=[{}, {}]), {}, {})
    assert len(model_card.scores(run, ORIGIN).splitlines()) == 1


def test_rounding_counts_other_labels_and_gives_the_largest_difference():
    as_trained = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], np.float32)
    probabilities = np.array([[0.375, 0.625], [0.25, 0.75], [0.9, 0.1]], np.float32)
    sentences = model_card.rounding("mixed_bfloat16", as_trained, probabilities)
    assert "computed in mixed_bfloat16;" in sentences
    assert "labels of 1 of 3 texts, and no probability by more than 1.2e-01." in sentences
