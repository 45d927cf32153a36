"""Baselines: linear models on bags of words, naive Bayes and fastText."""

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from research.data import tokens
from research.data.corpora import Split
from research.evaluation import metrics


class Estimator(Protocol):
    """What the classifiers of scikit-learn have in common."""

    def fit(self, features: Any, labels: np.ndarray) -> Any:
        """Learn from features, a row for each example, and labels, int[examples]."""

    def predict(self, features: Any) -> np.ndarray:
        """Return the labels of features, int[examples]."""


class FastText:
    """The classifier of fastText, on single words, with 100 dimensions and 25 epochs.

    It trains in one thread, so that the result is reproducible. Its features are texts, with spaces
    between the words. Source: Joulin et al. 2017, https://aclanthology.org/E17-2068.

    Args:
      learning_rate: of the first step; it falls to 0.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def fit(self, texts: Sequence[str], labels: np.ndarray) -> None:
        """Learn from texts and labels, int[examples]."""
        import fasttext

        # It reads the lines in order. If they were sorted by class, it would forget the first ones.
        order = np.random.default_rng(0).permutation(len(texts))
        lines = (f"__label__{labels[i]} {texts[i]}\n" for i in order)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            path.write_text("".join(lines))
            self.model = fasttext.train_supervised(
                str(path), lr=self.learning_rate, dim=100, epoch=25, thread=1, seed=0, verbose=0
            )

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Return the labels of texts, int[examples]."""
        best, _ = self.model.predict(list(texts))
        return np.array([int(label.removeprefix("__label__")) for (label,) in best])


# These import scikit-learn lazily, because it takes seconds.


def _linear_svm(c: float) -> Estimator:
    from sklearn.svm import LinearSVC

    svm: Estimator = LinearSVC(C=c, random_state=0, max_iter=10_000)
    return svm


def _logistic_regression(c: float) -> Estimator:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    # One class against the rest, by coordinate descent: quicker than multinomial regression.
    regression: Estimator = OneVsRestClassifier(
        LogisticRegression(C=c, solver="liblinear", dual=True, max_iter=1000, random_state=0)
    )
    return regression


def _naive_bayes(alpha: float) -> Estimator:
    from sklearn.naive_bayes import MultinomialNB

    bayes: Estimator = MultinomialNB(alpha=alpha)
    return bayes


@dataclass(frozen=True)
class Method:
    """A kind of classifier, and the values of its hyperparameter.

    Attributes:
      title: its name in tables.
      hyperparameter: the name of its hyperparameter.
      values: those tried, the most regularised first.
      default: the value that is used if there is no test split, so nothing may be chosen.
      make: returns the classifier for a value.
      features: "tf-idf", "counts" or "words".
    """

    title: str
    hyperparameter: str
    values: tuple[float, ...]
    default: float
    make: Callable[[float], Estimator]
    features: str


METHODS = {
    "svm": Method(
        title="TF-IDF + LinearSVC",
        hyperparameter="C",
        values=(0.1, 0.3, 1, 3, 10),
        default=1,
        make=_linear_svm,
        features="tf-idf",
    ),
    "logistic": Method(
        title="TF-IDF + logistic regression",
        hyperparameter="C",
        values=(1, 10, 100),
        default=1,
        make=_logistic_regression,
        features="tf-idf",
    ),
    "bayes": Method(
        title="multinomial naive Bayes",
        hyperparameter="alpha",
        values=(1, 0.3, 0.1, 0.03, 0.01),
        default=1,
        make=_naive_bayes,
        features="counts",
    ),
    "fasttext": Method(
        title="fastText",
        hyperparameter="learning rate",
        values=(0.1, 0.3, 1),
        default=0.1,
        make=FastText,
        features="words",
    ),
}


class TokenLimits(NamedTuple):
    """How much of a text a network sees: its most frequent words, and its first tokens."""

    vocabulary_size: int
    sequence_length: int


@dataclass(frozen=True)
class Baseline:
    """A method with its features and its texts; each gives a row of a table.

    Attributes:
      method: a key of `METHODS`.
      ngrams: the features are n-grams of up to this length; those longer than a word must occur in
        two documents.
      limits: of a network, whose tokens it sees; None for the whole texts.
      refitted: whether it learns from train and validation once its hyperparameter is chosen.
      unit: what n-grams are made of: words, or characters where no spaces divide words.
    """

    method: str
    ngrams: int = 1
    limits: TokenLimits | None = None
    refitted: bool = False
    unit: Literal["word", "char"] = "word"

    @property
    def name(self) -> str:
        """Its name among the records, such as `svm-2grams-200tokens`."""
        parts = [self.method]
        if METHODS[self.method].features == "tf-idf":
            parts.append(f"{self.ngrams}grams")
        if self.limits:
            parts.append(f"{self.limits.sequence_length}tokens")
        return "-".join([*parts, *(["refitted"] if self.refitted else [])])


def run(
    baseline: Baseline, splits: Mapping[str, Split], class_names: Sequence[str]
) -> dict[str, Any]:
    """Train and score a baseline.

    The hyperparameter with the best validation accuracy is chosen, the first of equals. Without a
    test split the baseline is scored on validation, so its default is used instead.

    Args:
      baseline: what to train.
      splits: train, validation, and test if there is one; from `truncate` if it has limits.
      class_names: a label is an index into them.

    Returns:
      `config`, `metrics` and `history` of the record. The history has a line for each value tried,
      with the validation accuracy and the seconds of training; the first line includes the seconds
      of making features.

    Example:
      run(Baseline("svm", ngrams=2), corpus.splits, corpus.class_names)["metrics"]["accuracy"]
    """
    method = METHODS[baseline.method]
    train, validation = splits["train"], splits["validation"]
    scored = splits.get("test", validation)
    values = (method.default,) if scored is validation else method.values
    vectorizer, classifier, value, history = _choose(baseline, values, train, validation)
    if baseline.refitted:
        vectorizer, classifier, seconds = _refit(baseline, value, train, validation)
        history.append({method.hyperparameter: value, "seconds": seconds})

    predictions = classifier.predict(vectorizer.transform(scored.texts))
    summary = metrics.summary(scored.labels, np.eye(len(class_names))[predictions])
    scores = {
        "split": scored.name,
        # A linear SVM has no probabilities, so a loss would mean nothing.
        **{name: score for name, score in summary.items() if name != "loss"},
        **metrics.by_class(scored.labels, predictions, class_names),
    }
    config = {
        "method": method.title,
        "ngrams": baseline.ngrams,
        "truncated": baseline.limits is not None,
        "refitted": baseline.refitted,
        "vocabulary_size": baseline.limits and baseline.limits.vocabulary_size,
        "sequence_length": baseline.limits and baseline.limits.sequence_length,
        "trained_on": ["train", "validation"] if baseline.refitted else ["train"],
        method.hyperparameter: value,
    }
    return {"config": config, "metrics": scores, "history": history}


def truncate(splits: Mapping[str, Split], limits: TokenLimits) -> dict[str, Split]:
    """Return the splits with each text as a network sees it: its tokens, with spaces between them.

    Words outside the vocabulary of the train split become [UNK].
    """
    vocabulary = tokens.learn_vocabulary(splits["train"].texts, limits.vocabulary_size)
    words = np.array(vocabulary, object)
    truncated = {}
    for name, split in splits.items():
        token_ids = tokens.encode_cached(split.texts, vocabulary, limits.sequence_length)
        texts = [" ".join(words[row[row > 0]]) for row in token_ids]
        truncated[name] = Split(name, texts, split.labels)
    return truncated


def _choose(
    baseline: Baseline, values: Iterable[float], train: Split, validation: Split
) -> tuple[Any, Estimator, float, list[dict[str, Any]]]:
    """Return vectorizer, classifier and value with the best validation accuracy, and the history.

    This is not scikit-learn's `GridSearchCV`, which would make the features again for each value,
    and could refit the best classifier on train + validation only.
    """
    method = METHODS[baseline.method]
    started = time.perf_counter()
    vectorizer = _vectorizer(baseline)
    features = vectorizer.fit_transform(train.texts)
    held_out = vectorizer.transform(validation.texts)
    history: list[dict[str, Any]] = []
    tried: list[tuple[Estimator, float]] = []
    for value in values:
        classifier = method.make(value)
        classifier.fit(features, train.labels)
        seconds = time.perf_counter() - started
        accuracy = float((classifier.predict(held_out) == validation.labels).mean())
        history.append(
            {method.hyperparameter: value, "validation_accuracy": accuracy, "seconds": seconds}
        )
        tried.append((classifier, value))
        started = time.perf_counter()
    best = int(np.argmax([line["validation_accuracy"] for line in history]))  # the first of equals
    return vectorizer, *tried[best], history


def _refit(
    baseline: Baseline, value: float, train: Split, validation: Split
) -> tuple[Any, Estimator, float]:
    """Return vectorizer and classifier that learned from both splits, and the seconds it took."""
    started = time.perf_counter()
    vectorizer, classifier = _vectorizer(baseline), METHODS[baseline.method].make(value)
    features = vectorizer.fit_transform([*train.texts, *validation.texts])
    classifier.fit(features, np.concatenate([train.labels, validation.labels]))
    return vectorizer, classifier, time.perf_counter() - started


def _vectorizer(baseline: Baseline) -> Any:
    """Return a new transformer from texts to features."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.preprocessing import FunctionTransformer

    options: dict[str, Any] = {"ngram_range": (1, baseline.ngrams), "min_df": baseline.ngrams}
    if baseline.unit == "char":
        options["analyzer"] = "char"
    if baseline.limits:  # these texts are tokens already
        options |= {"tokenizer": str.split, "token_pattern": None, "lowercase": False}
    features = METHODS[baseline.method].features
    if features == "tf-idf":
        return TfidfVectorizer(sublinear_tf=True, **options)
    counts = CountVectorizer(**options)
    if features == "counts":
        return counts
    words = counts.build_analyzer()
    return FunctionTransformer(lambda texts: [" ".join(words(text)) for text in texts])
