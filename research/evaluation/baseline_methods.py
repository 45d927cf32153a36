"""DOC."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from research import experiments
from research.data import tokens
from research.data.corpora import Split
from research.evaluation import metrics
from research.models import linear


class Classifier(Protocol):
    """What scikit-learn's classifiers have in common."""

    def fit(self, features: Any, labels: np.ndarray) -> Any:
        """Learns from features, one row per example, and labels, int[examples]."""

    def predict(self, features: Any) -> np.ndarray:
        """Returns the labels of features, int[examples]."""


class FastText:
    """fastText's classifier, Joulin et al. 2017, https://aclanthology.org/E17-2068.

    On single words, with 100 dimensions and 25 epochs; in one thread, so that the same model comes
    out again. Its features are texts of words with spaces between them.

    Args:
      learning_rate: of its first step; it falls to 0.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate = learning_rate

    def fit(self, texts: Sequence[str], labels: np.ndarray) -> None:
        """Learns from texts and labels, int[examples]."""
        import fasttext

        # It learns in the order of the lines, and forgets the first classes where they are sorted.
        order = np.random.default_rng(0).permutation(len(texts))
        lines = (f"__label__{labels[i]} {texts[i]}\n" for i in order)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            path.write_text("".join(lines))
            self.model = fasttext.train_supervised(
                str(path), lr=self.learning_rate, dim=100, epoch=25, thread=1, seed=0, verbose=0
            )

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the labels of texts, int[examples]."""
        best, _ = self.model.predict(list(texts))
        return np.array([int(label.removeprefix("__label__")) for (label,) in best])


class ClosedForm:
    """`research.linear`, from counts of words: the wide part of `wide-deep` by itself."""

    def fit(self, counts: Any, labels: np.ndarray) -> None:
        """Learns from counts, int[examples, words], and labels, int[examples]."""
        self.classifier = linear.fit_counts(counts, labels, labels.max() + 1)

    def predict(self, counts: Any) -> np.ndarray:
        """Returns the labels of counts, int[examples, words]."""
        labels: np.ndarray = linear.logits(self.classifier, counts).argmax(axis=1)
        return labels


@dataclass(frozen=True)
class Method:
    """A classifier and the values of its hyperparameter.

    Attributes:
      name: as tables have it.
      hyperparameter: its name.
      values: those tried, the most regularised model first.
      default: the one taken where nothing is to be chosen.
      make: a value to a classifier.
      features: "tf-idf", "counts" or "words".
      network: the experiment whose tokens it sees where it is truncated.
      ours: whether it is part of a model of this package, and so nothing to be measured against.
    """

    name: str
    hyperparameter: str
    values: tuple[float, ...]
    default: float
    make: Callable[[float], Classifier]
    features: str
    network: str = "newsgroups"
    ours: bool = False


METHODS = {
    "svm": Method(
        "TF-IDF + LinearSVC",
        *("C", (0.1, 0.3, 1, 3, 10), 1),
        lambda c: LinearSVC(C=c, random_state=0),
        "tf-idf",
    ),
    "logistic": Method(
        "TF-IDF + logistic regression",
        *("C", (1, 10, 100), 1),
        # One class against the rest, by coordinate descent: quicker than the multinomial one.
        lambda c: OneVsRestClassifier(
            LogisticRegression(C=c, solver="liblinear", dual=True, max_iter=1000, random_state=0)
        ),
        "tf-idf",
    ),
    "bayes": Method(
        "multinomial naive Bayes",
        *("alpha", (1, 0.3, 0.1, 0.03, 0.01), 1),
        lambda alpha: MultinomialNB(alpha=alpha),
        "counts",
    ),
    "fasttext": Method("fastText", "learning rate", (0.1, 0.3, 1), 0.1, FastText, "words"),
    "wide": Method(
        "wide part of wide & deep alone",
        *("ridge", (linear.RIDGE,), linear.RIDGE),
        lambda _: ClosedForm(),
        "counts",
        network="newsgroups-best",
        ours=True,
    ),
}


@dataclass(frozen=True)
class Baseline:
    """A row of a table: which method, on which features of which texts.

    Attributes:
      method: a key of `METHODS`.
      ngrams: features are 1-grams up to these; the longer ones must be in two documents.
      truncated: on the tokens that the method's network sees, instead of all the text.
      refitted: learn from train and validation together once the hyperparameter is chosen.
    """

    method: str
    ngrams: int = 1
    truncated: bool = False
    refitted: bool = False

    @property
    def seen(self) -> tuple[int, int] | None:
        """The size of the vocabulary and the tokens of a text, if it is truncated."""
        network = experiments.get(METHODS[self.method].network)
        return (network.vocabulary_size, network.sequence_length) if self.truncated else None

    @property
    def name(self) -> str:
        """Its name in the results, as `svm-2grams-200tokens`."""
        parts = [self.method]
        if METHODS[self.method].features == "tf-idf":
            parts.append(f"{self.ngrams}grams")
        if self.seen:
            parts.append(f"{self.seen[1]}tokens")
        return "-".join([*parts, *(["refitted"] if self.refitted else [])])


BASELINES = [
    *(
        Baseline(method, ngrams, truncated)
        for method in ("svm", "logistic")
        for truncated in (False, True)
        for ngrams in (1, 2)
    ),
    Baseline("svm", 1, refitted=True),  # as published figures have it
    Baseline("svm", 2, refitted=True),
    Baseline("bayes"),
    Baseline("fasttext"),
    Baseline("wide", truncated=True),
    Baseline("wide", truncated=True, refitted=True),
]


def run(baseline: Baseline, splits: dict[str, Split], class_names: Sequence[str]) -> dict[str, Any]:
    """Trains and scores a baseline.

    Args:
      baseline: which.
      splits: train, validation, and test if there is one.
      class_names: a label is an index into them.

    Returns:
      The record's `config`, `metrics` and `history`: for each value tried, accuracy on validation
      and seconds of training, the first with those of making features.
    """
    method = METHODS[baseline.method]
    train, validation = splits["train"], splits["validation"]
    scored = splits.get("test", validation)
    started = time.perf_counter()
    vectorizer = _vectorizer(baseline)
    features = vectorizer.fit_transform(train.texts)
    held_out = vectorizer.transform(validation.texts)
    history: list[dict[str, Any]] = []
    tried: list[Classifier] = []
    for value in (method.default,) if scored is validation else method.values:
        classifier = method.make(value)
        classifier.fit(features, train.labels)
        seconds = time.perf_counter() - started
        accuracy = float((classifier.predict(held_out) == validation.labels).mean())
        history.append(
            {method.hyperparameter: value, "validation_accuracy": accuracy, "seconds": seconds}
        )
        tried.append(classifier)
        started = time.perf_counter()
    best = max(history, key=lambda line: line["validation_accuracy"])  # the first of equals
    classifier, value = tried[history.index(best)], best[method.hyperparameter]
    trained_on = [train]
    if baseline.refitted:
        trained_on.append(validation)
        started = time.perf_counter()
        vectorizer, classifier = _vectorizer(baseline), method.make(value)
        features = vectorizer.fit_transform([*train.texts, *validation.texts])
        classifier.fit(features, np.concatenate([train.labels, validation.labels]))
        history.append({method.hyperparameter: value, "seconds": time.perf_counter() - started})

    predictions = classifier.predict(vectorizer.transform(scored.texts))
    # A linear SVM has no probabilities, so a loss would mean nothing.
    summary = metrics.summary(scored.labels, np.eye(len(class_names))[predictions])
    confusion = metrics.confusion(scored.labels, predictions, len(class_names))
    config = {
        **asdict(baseline),
        "method": method.name,
        "ours": method.ours,
        "vocabulary_size": baseline.seen and baseline.seen[0],
        "sequence_length": baseline.seen and baseline.seen[1],
        "trained_on": [split.name for split in trained_on],
        method.hyperparameter: value,
    }
    scores = {
        "split": scored.name,
        **{name: value for name, value in summary.items() if name != "loss"},
        "per_class": metrics.per_class(scored.labels, predictions, class_names),
        "most_confused": metrics.most_confused(confusion, class_names, CONFUSED_SHOWN),
        "predictions": metrics.predictions_by_class(scored.labels, predictions, class_names),
    }
    return {"config": config, "metrics": scores, "history": history}


def _vectorizer(baseline: Baseline) -> Any:
    """Returns a new transformer from texts to features."""
    options: dict[str, Any] = {"ngram_range": (1, baseline.ngrams), "min_df": baseline.ngrams}
    if baseline.truncated:  # these texts are words already
        options |= {"tokenizer": str.split, "token_pattern": None, "lowercase": False}
        if METHODS[baseline.method].ours:
            options["stop_words"] = [tokens.SPECIAL_WORDS[1]]
    features = METHODS[baseline.method].features
    if features == "tf-idf":
        return TfidfVectorizer(sublinear_tf=True, **options)
    counts = CountVectorizer(**options)
    if features == "counts":
        return counts
    words = counts.build_analyzer()
    return FunctionTransformer(lambda texts: [" ".join(words(text)) for text in texts])
