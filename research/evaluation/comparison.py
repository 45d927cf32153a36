"""Is a model better than a few lines of scikit-learn? The comparison on the same splits."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np

from research.data.corpora import Split
from research.evaluation import baseline_methods, metrics, significance
from research.evaluation.baseline_methods import METHODS, Baseline

_SIGNIFICANT = 0.05


class Comparison(TypedDict):
    """A baseline, and how a model differs from it, as JSON values.

    Attributes:
      name: the baseline's method.
      accuracy, macro_f1: of the baseline.
      difference: the model's accuracy minus the baseline's.
      interval: of the difference, 95%, over texts.
      p_value: of McNemar's exact test, two-sided.
      seconds: what the baseline took.
    """

    name: str
    accuracy: float
    macro_f1: float
    difference: float
    interval: list[float]
    p_value: float
    seconds: float


def with_linear_svm(
    splits: Mapping[str, Split],
    class_names: Sequence[str],
    predictions: Mapping[str, str],
    unit: Literal["word", "char"] = "word",
) -> Comparison | None:
    """Train TF-IDF + LinearSVC and compare it with a model, on the split that is scored.

    It has single words, or also pairs of words, and the C with the best validation accuracy.
    Without a test split, validation is scored, so nothing is chosen: words, C = 1. None if
    scikit-learn finds no words of two letters in the texts.

    Args:
      splits: train, validation, and test if there is one.
      class_names: a label is an index into them.
      predictions: the model's on the scored split, from `metrics.predictions_by_class`.
      unit: what is counted, as scikit-learn calls it: words, or characters.
    """
    started = time.perf_counter()
    candidates = [
        Baseline("svm", ngrams, unit=unit) for ngrams in ((1, 2) if "test" in splits else (1,))
    ]
    tried = []
    for candidate in candidates:
        try:
            tried.append((candidate, baseline_methods.run(candidate, splits, class_names)))
        except ValueError as error:  # no words, or no pair of words that two texts share
            if not any(what in str(error) for what in ("empty vocabulary", "no terms remain")):
                raise
    if not tried:
        return None
    baseline, scored = max(tried, key=lambda pair: _validation_accuracy(pair[1]))
    scores = scored["metrics"]
    compared = significance.compare(_right(predictions), _right(scores["predictions"]))
    units = {"word": "words", "char": "characters"}[unit]
    counted = units if baseline.ngrams == 1 else f"{units} and pairs of {units}"
    return Comparison(
        name=f"{METHODS[baseline.method].title} on {counted}",
        accuracy=scores["accuracy"],
        macro_f1=scores["macro_f1"],
        difference=compared.difference,
        interval=list(compared.interval),
        p_value=compared.p_value,
        seconds=round(time.perf_counter() - started, 1),
    )


def sentence(comparison: Comparison) -> str:
    """Return what the comparison says, for a person."""
    low, high = comparison["interval"]
    verdict = "no difference to be seen"
    if comparison["p_value"] < _SIGNIFICANT:
        verdict = "better" if comparison["difference"] > 0 else "worse"
    return (
        f"compared with {comparison['name']} ({comparison['accuracy']:.4f}): {verdict}, "
        f"{comparison['difference']:+.4f} (95% interval {low:+.4f} to {high:+.4f}, "
        f"p = {comparison['p_value']:.2g})"
    )


def _validation_accuracy(scored: Mapping[str, Any]) -> float:
    return max(float(line["validation_accuracy"]) for line in scored["history"])


def _right(predictions: Mapping[str, str]) -> np.ndarray:
    """Return which examples are labelled right, bool[1, examples], class by class."""
    labels, of_examples = metrics.read_predictions(predictions)
    right: np.ndarray = (labels == of_examples)[None]
    return right
