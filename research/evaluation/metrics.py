"""Scores of one run: loss, accuracy, macro-F1, intervals, and which classes are confused.

Classes are numbered from 0, in the order of the corpus's class names. Predictions are class
numbers; probabilities have a row for each example and a column for each class.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import scipy  # loads its parts when they are used

CONFIDENCE = 0.95
"""Of all intervals of this package."""

_CONFUSED_PAIRS = 10
_BOOTSTRAP_DRAWS = 2_000
_BOOTSTRAP_SEED = 0
_NUMBERS_AT_ONCE = 1_000_000  # of the bootstrap, which bounds its memory


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
    - `macro_f1`: mean of the classes' F1, without the classes that have neither examples nor
      predictions, as in scikit-learn's `f1_score(average="macro")`.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes].

    Raises:
      ValueError: shapes don't fit, a label is no class, there are no examples, or a row of
        probabilities is not a distribution.
    """
    labels, probabilities = _check_probabilities(labels, probabilities)
    examples, classes = probabilities.shape
    predictions = probabilities.argmax(axis=1)
    right, labelled, predicted = (
        np.bincount(of_some, minlength=classes)
        for of_some in (labels[labels == predictions], labels, predictions)
    )
    either = labelled + predicted
    of_right_class = probabilities[np.arange(examples), labels].astype(np.float64)
    return Scores(
        loss=float(-np.log(np.maximum(of_right_class, np.finfo(np.float32).tiny)).mean()),
        accuracy=int(right.sum()) / examples,
        macro_f1=float(_macro_f1(right[either > 0], either[either > 0])),
    )


def summary(labels: np.ndarray, probabilities: np.ndarray) -> Summary:
    """Return the `scores` with 95% intervals, each as [low, high].

    The intervals say how much a score would vary with other test examples. They do not cover how
    it varies with the seed.

    - `accuracy_interval`: Wilson's interval, as in the function of that name.
    - `macro_f1_interval`: percentile bootstrap with 2,000 draws and a fixed seed (Efron &
      Tibshirani 1993, chapter 13). Resampling the examples gives a confusion matrix with a
      multinomial distribution, so the matrices are drawn directly, without the cells that are
      empty. A draw may contain no example of a small class; that class then scores 0, which pulls
      the interval down.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes].

    Raises:
      ValueError: as `scores`.
    """
    points = scores(labels, probabilities)
    examples, classes = np.shape(probabilities)
    predictions = np.argmax(probabilities, axis=1)
    return Summary(
        **points,
        examples=examples,
        accuracy_interval=[*accuracy_interval(points["accuracy"], examples)],
        macro_f1_interval=_macro_f1_interval(np.asarray(labels, np.int64), predictions, classes),
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
    from sklearn.metrics import precision_recall_fscore_support  # lazily: it takes seconds

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
      classes: above every label and prediction. The matrix takes 8 bytes x classes^2.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    labels = _check_classes("labels", labels, classes, len(labels))
    predictions = _check_classes("predictions", predictions, classes, len(labels))
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


def most_confused(
    labels: np.ndarray, predictions: np.ndarray, class_names: Sequence[str], count: int
) -> list[tuple[str, str, int]]:
    """Return the commonest mistakes as (label, prediction, examples), the commonest first.

    Equal counts are in the order of the classes.

    Args:
      labels: int[examples].
      predictions: int[examples].
      class_names: a label is an index into them.
      count: how many mistakes to return at most.

    Raises:
      ValueError: shapes don't fit, a label or prediction is no class, or there are no examples.
    """
    classes, examples = len(class_names), len(labels)
    labels = _check_classes("labels", labels, classes, examples)
    predictions = _check_classes("predictions", predictions, classes, examples)
    wrong = labels != predictions
    pairs, counts = _pairs(labels[wrong], predictions[wrong], classes)
    commonest = np.argsort(-counts, kind="stable")[:count]
    return [
        (class_names[pair // classes], class_names[pair % classes], int(examples_of_pair))
        for pair, examples_of_pair in zip(pairs[commonest], counts[commonest], strict=True)
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
    by_label = predictions[np.argsort(labels, kind="stable")]
    ends = np.cumsum(np.bincount(labels, minlength=classes))
    return {
        name: " ".join(map(str, of_class))
        for name, of_class in zip(class_names, np.split(by_label, ends[:-1]), strict=True)
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
    return {
        "per_class": per_class(labels, predictions, class_names),
        "most_confused": most_confused(labels, predictions, class_names, _CONFUSED_PAIRS),
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
    interval = scipy.stats.binomtest(correct, examples).proportion_ci(CONFIDENCE, "wilson")
    return float(interval.low), float(interval.high)


def _macro_f1(right: np.ndarray, labelled_and_predicted: np.ndarray) -> np.ndarray:
    """Return float64[...].

    Args:
      right: int64[..., classes], the examples that have and got the class.
      labelled_and_predicted: int64[..., classes], those that have it, plus those that got it.
    """
    # F1 = 2 right / (labelled + predicted), and 0 where that is 0 / 0.
    macro_f1: np.ndarray = (2 * right / np.maximum(labelled_and_predicted, 1)).mean(axis=-1)
    return macro_f1


def _macro_f1_interval(labels: np.ndarray, predictions: np.ndarray, classes: int) -> list[float]:
    present = np.union1d(labels, predictions)
    pairs, counts = _pairs(labels, predictions, classes)
    # numpy gives the last cell what rounding leaves over. Other empty cells change no draw.
    if pairs[-1] != classes**2 - 1:
        pairs, counts = np.append(pairs, classes**2 - 1), np.append(counts, 0)
    right = _class_of_pair(pairs // classes, classes, pairs // classes == pairs % classes)
    either = _class_of_pair(pairs // classes, classes) + _class_of_pair(pairs % classes, classes)
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    at_once = max(1, _NUMBERS_AT_ONCE // max(len(pairs), classes))
    scores = []
    for drawn in range(0, _BOOTSTRAP_DRAWS, at_once):
        size = min(at_once, _BOOTSTRAP_DRAWS - drawn)
        draws = generator.multinomial(len(labels), counts / len(labels), size)
        # In this order of memory the mean does not depend on how many are drawn at once.
        drawn_of = (np.ascontiguousarray((draws @ of)[:, present]) for of in (right, either))
        scores.append(_macro_f1(*drawn_of))
    tail = (1 - CONFIDENCE) / 2
    return [float(bound) for bound in np.quantile(np.concatenate(scores), [tail, 1 - tail])]


def _pairs(
    labels: np.ndarray, predictions: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of the confusion matrix that are not empty, and their counts.

    A cell is label * classes + prediction. Cells are sorted. All arrays are int64.
    """
    return np.unique_counts(labels * classes + predictions)


def _class_of_pair(
    class_numbers: np.ndarray, classes: int, counted: np.ndarray | bool = True
) -> "scipy.sparse.csr_array":
    """Return int64[pairs, classes], which is 1 where a pair is of a class and counted."""
    pairs = np.arange(len(class_numbers))
    ones = np.ones(len(class_numbers), np.int64) * counted
    return scipy.sparse.csr_array((ones, (pairs, class_numbers)), (len(class_numbers), classes))


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
    return values.astype(np.int64)


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
