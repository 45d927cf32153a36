"""Scores of one run: loss, accuracy, macro-F1, intervals, and which classes are confused.

Classes are numbered from 0, in the order of the corpus's class names. Predictions are class
numbers; probabilities have a row for each example and a column for each class.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from scipy import stats
from sklearn.metrics import precision_recall_fscore_support

CONFIDENCE = 0.95
"""Of all intervals of this package."""

_CONFUSED_PAIRS = 10
_BOOTSTRAP_DRAWS = 2_000
_BOOTSTRAP_SEED = 0
_DRAWS_AT_ONCE = 100  # bounds the memory: 8 bytes x draws at once x classes^2


class Scores(TypedDict):
    """What `scores` returns."""

    loss: float
    accuracy: float
    macro_f1: float


class Summary(Scores):
    """What `summary` returns, as JSON values."""

    examples: int
    accuracy_interval: list[float]
    macro_f1_interval: list[float]


class ClassScores(TypedDict):
    """One row of `per_class`."""

    class_name: str
    precision: float
    recall: float
    f1: float
    support: int


def scores(labels: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Return loss, accuracy and macro-F1.

    - `loss`: mean cross-entropy in nats. A probability of 0 for the right class counts as
      float32's smallest normal number, which gives 87.3 nats.
    - `accuracy`: share of examples whose most probable class is the right one.
    - `macro_f1`: mean of the classes' F1. The F1 of a class without examples and predictions is 0,
      as in scikit-learn's `f1_score(labels=range(classes), average="macro", zero_division=0)`.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes].

    Raises:
      ValueError: shapes don't fit, a label is no class, there are no examples, or a row of
        probabilities is not a distribution.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    examples, classes = probabilities.shape
    counts = confusion(labels, probabilities.argmax(axis=1), classes)
    of_right_class = probabilities[np.arange(examples), labels].astype(np.float64)
    return Scores(
        loss=float(-np.log(np.maximum(of_right_class, np.finfo(np.float32).tiny)).mean()),
        accuracy=int(np.trace(counts)) / examples,
        macro_f1=float(_macro_f1(counts)),
    )


def summary(labels: np.ndarray, probabilities: np.ndarray) -> Summary:
    """Return the `scores` with 95% intervals, each as [low, high].

    The intervals say how much a score would vary with other test examples. They do not cover how
    it varies with the seed.

    - `accuracy_interval`: Wilson's interval, as in the function of that name.
    - `macro_f1_interval`: percentile bootstrap with 2,000 draws and a fixed seed (Efron &
      Tibshirani 1993, chapter 13). Resampling the examples gives a confusion matrix with a
      multinomial distribution, so the matrices are drawn directly. A draw may contain no example
      of a small class; that class then scores 0, which pulls the interval down.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes].

    Raises:
      ValueError: as `scores`.
    """
    points = scores(labels, probabilities)
    examples, classes = np.shape(probabilities)
    counts = confusion(labels, np.argmax(probabilities, axis=1), classes)
    return Summary(
        **points,
        examples=examples,
        accuracy_interval=[*accuracy_interval(points["accuracy"], examples)],
        macro_f1_interval=_macro_f1_interval(counts),
    )


def per_class(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]
) -> list[ClassScores]:
    """Return the scores of each class, in the order of `class_names`.

    `support` is the number of examples of the class. A score that would divide by zero is 0.

    Args:
      labels: int[examples].
      predictions: int[examples].
      class_names: a label is an index into them.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    classes = len(class_names)
    columns = precision_recall_fscore_support(
        _check_classes("labels", labels, classes, len(labels)),
        _check_classes("predictions", predictions, classes, len(labels)),
        labels=range(classes),
        zero_division=0,
    )
    return [
        ClassScores(
            class_name=name,
            precision=float(precision),
            recall=float(recall),
            f1=float(f1),
            support=int(support),
        )
        for name, precision, recall, f1, support in zip(class_names, *columns, strict=True)
    ]


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix, int64[classes, classes]: row = label, column = prediction.

    Args:
      labels: int[examples].
      predictions: int[examples].
      classes: above every label and prediction.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    labels = _check_classes("labels", labels, classes, len(labels))
    predictions = _check_classes("predictions", predictions, classes, len(labels))
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def most_confused(
    confusion: np.ndarray, class_names: Sequence[str], count: int
) -> list[tuple[str, str, int]]:
    """Return the commonest mistakes as (label, prediction, examples), the commonest first.

    Equal counts are in the order of the classes.

    Args:
      confusion: int[classes, classes], as the function of that name returns it.
      class_names: in the order of its rows.
      count: how many mistakes to return at most.

    Raises:
      ValueError: the matrix does not fit the names.
    """
    classes = len(class_names)
    if confusion.shape != (classes, classes):
        raise ValueError(
            f"expected a confusion matrix of shape {(classes, classes)}, a row and a column for "
            f"each class name, received {confusion.shape}; pass the names of the same corpus"
        )
    mistakes = np.where(np.eye(classes, dtype=bool), 0, confusion)
    commonest = np.argsort(-mistakes, axis=None, kind="stable")[:count]
    pairs = [(int(cell) // classes, int(cell) % classes) for cell in commonest]
    return [
        (class_names[label], class_names[prediction], int(mistakes[label, prediction]))
        for label, prediction in pairs
        if mistakes[label, prediction]
    ]


def most_confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int
) -> np.ndarray:
    """Return the indices of wrongly labelled examples, int64[<= count], the most confident first.

    Confidence is the probability of the predicted class. Equal ones are in the order of the
    examples.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes].
      count: how many examples to return at most.

    Raises:
      ValueError: as `scores`.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    order = np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")
    return wrong[order[:count]].astype(np.int64)


def predictions_by_class(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]
) -> dict[str, str]:
    """Return for each class the predictions of its examples, as a string such as "0 0 15 0".

    Within a class the examples keep their order. This is how a record keeps what confusion
    matrices and paired tests need.

    Args:
      labels: int[examples].
      predictions: int[examples].
      class_names: a label is an index into them.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    classes, examples = len(class_names), len(labels)
    labels = _check_classes("labels", labels, classes, examples)
    predictions = _check_classes("predictions", predictions, classes, examples)
    return {
        name: " ".join(map(str, predictions[labels == label]))
        for label, name in enumerate(class_names)
    }


def read_predictions(by_class: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions, int64[examples] each, from `predictions_by_class`.

    The examples are sorted by class. Two runs on the same split give the same order, so they can
    be paired.
    """
    of_classes = [np.array(line.split(), np.int64) for line in by_class.values()]
    labels = np.repeat(np.arange(len(of_classes)), [len(of_class) for of_class in of_classes])
    return labels, np.concatenate(of_classes)


def by_class(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return what a record keeps about the classes, as JSON values.

    Its keys are `per_class`, `most_confused` (the ten commonest mistakes) and `predictions` (see
    `predictions_by_class`).

    Args:
      labels: int[examples].
      predictions: int[examples].
      class_names: a label is an index into them.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    counts = confusion(labels, predictions, len(class_names))
    return {
        "per_class": per_class(labels, predictions, class_names),
        "most_confused": most_confused(counts, class_names, _CONFUSED_PAIRS),
        "predictions": predictions_by_class(labels, predictions, class_names),
    }


def accuracy_interval(accuracy: float, examples: int) -> tuple[float, float]:
    """Return Wilson's 95% interval: how much accuracy would vary with other test examples.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    Args:
      accuracy: in [0, 1].
      examples: how many it was computed from.
    """
    correct = round(accuracy * examples)
    interval = stats.binomtest(correct, examples).proportion_ci(CONFIDENCE, "wilson")
    return float(interval.low), float(interval.high)


def _macro_f1(counts: np.ndarray) -> np.ndarray:
    """Return float64[...] for confusion matrices, int64[..., classes, classes]."""
    correct = np.diagonal(counts, axis1=-2, axis2=-1)
    labelled_and_predicted = counts.sum(axis=-1) + counts.sum(axis=-2)
    # F1 = 2 correct / (labelled + predicted), and 0 where that is 0 / 0.
    macro_f1: np.ndarray = (2 * correct / np.maximum(labelled_and_predicted, 1)).mean(axis=-1)
    return macro_f1


def _macro_f1_interval(counts: np.ndarray) -> list[float]:
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    examples = counts.sum()
    shares = counts.ravel() / examples
    scores = []
    for _ in range(_BOOTSTRAP_DRAWS // _DRAWS_AT_ONCE):
        draws = generator.multinomial(examples, shares, _DRAWS_AT_ONCE)
        scores.append(_macro_f1(draws.reshape(-1, *counts.shape)))
    tail = (1 - CONFIDENCE) / 2
    return [float(bound) for bound in np.quantile(scores, [tail, 1 - tail])]


def _check_classes(name: str, values: np.ndarray, classes: int, examples: int) -> np.ndarray:
    values = np.asarray(values)
    if values.shape != (examples,) or examples == 0 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"expected {name} of dtype int and shape ({max(examples, 1)},), received "
            f"{values.dtype} and {values.shape}; pass one class number for each example"
        )
    if values.min() < 0 or values.max() >= classes:
        raise ValueError(
            f"expected {name} from 0 to {classes - 1}, received {values.min()} to {values.max()}; "
            "check that they number the classes of this corpus"
        )
    return values


def _check_probabilities(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2:
        raise ValueError(
            "expected probabilities of shape (examples, classes), received "
            f"{probabilities.shape}; pass one row for each example"
        )
    labels = _check_classes("labels", labels, probabilities.shape[1], len(probabilities))
    # A softmax in float32 sums to 1 within about 1e-6; logits or percentages are far from it.
    is_distribution = (probabilities >= 0).all(axis=1) & (
        np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1) < 1e-3
    )
    if not is_distribution.all():
        row = int(np.argmin(is_distribution))
        raise ValueError(
            "expected rows of finite probabilities that sum to 1, received row "
            f"{row}: {probabilities[row][:5]}...; apply softmax to logits first"
        )
    return labels, probabilities
