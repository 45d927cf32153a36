"""Scores a run on the test split of its corpus: `python -m research.evaluate RUN`.

Writes `metrics.json`, `predictions.npz`, `suspicious_labels.csv`, the confusion matrix and the
reliability diagram into the run folder.
"""

import csv
import io
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from research.config import Config
from research.data import corpora, splits, tokens
from research.data.corpora import Corpus, Split
from research.evaluation import calibration, comparison, label_errors, metrics, records
from research.evaluation.label_errors import Suspicious
from research.files import atomic, locks, npz, sealed
from research.processes import backends, command, escape
from research.processes.memory import keep_freed_memory
from research.training import checkpoints, run_folder

EXAMPLES_SHOWN = 5
"""Of the suspicious labels, and of the mistakes."""

_CHARACTERS_SHOWN = 160  # of a text


def main(
    run: Path,
    /,
    checkpoint: Literal["best", "last"] | None = None,
    corpus_path: Path | None = None,
    record: Path | None = None,
    compare: bool = True,
) -> None:
    """Scores a run on the test split of its corpus, and shows where it errs.

    A corpus without a test split, such as the tutorial's, is scored on the validation split; the
    output says so.

    Args:
      run: the run folder that `python -m research.train` printed.
      checkpoint: the weights of the best epoch, or of the last one. By default the best, unless it
        was chosen on the scored examples, as without a test split.
      corpus_path: where the corpus is, if it has moved since the training.
      record: a JSON file to write as well, with all that a table of results needs from the run.
      compare: train a linear SVM on the same splits and say whether the run is better.
    """
    keep_freed_memory()
    backend = backends.select()
    from research.serving.classifier import Classifier  # after the backend is settled
    from research.training.devices import device_name
    from research.training.inference import predict_probabilities

    config = Config.read(run)
    corpus = load_corpus(run, config, corpus_path)
    split = corpus.splits.get("test", corpus.splits["validation"])
    chosen_on_split = split.name == "validation" and config.train_on == "train"
    checkpoint = checkpoint or ("last" if chosen_on_split else "best")
    with checkpoints.opened(run, checkpoint) as opened:
        classifier = Classifier.of(opened)
    token_ids = tokens.encode_cached(
        split.texts, classifier.vocabulary, config.sequence_length, config.split
    )
    probabilities = predict_probabilities(classifier.model, token_ids)
    scores = {
        "split": split.name,
        "checkpoint": checkpoint,
        "chosen_on_split": chosen_on_split and checkpoint == "best",
        "epoch": opened.epoch,
        "weights": opened.digest,
        **metrics.summary(split.labels, probabilities),
        **calibration.summary(split.labels, probabilities),
        **metrics.by_class(split.labels, probabilities.argmax(axis=1), classifier.classes),
        "backend": backend,
        "device": device_name(),
    }
    compared = None
    if compare:
        learned = replace_train(corpus.splits, config)
        compared = comparison.with_linear_svm(
            learned,
            corpus.class_names,
            scores["predictions"],
            unit="char" if config.split == "character" else "word",
        )
    if compared:
        scores["baseline"] = compared
    with locks.hold(run / ".evaluation.lock"):  # so that all files are of one evaluation
        write_results(run, scores, split.labels, probabilities)
        suspicious = label_errors.find(split.labels, probabilities)
        write_suspicious(run, split, suspicious, classifier.classes)
        if record:
            atomic.write_json(record, records.of_run(opened, scores))
        print_scores(scores)
        print_suspicious(split, probabilities, suspicious, classifier.classes)
        print_mistakes(split, probabilities, suspicious, classifier.classes)
        if compared:
            print(f"\n{comparison.sentence(compared)}")
        elif compare:
            print("\nno comparison: TF-IDF + LinearSVC finds no words that texts share")
        sys.stdout.flush()  # whatever happens to the picture, the scores are out
        from research.evaluation import figures  # lazily: Matplotlib takes a second

        predictions = probabilities.argmax(axis=1)
        stem = run / "confusion_matrix"
        figures.confusion_matrix(split.labels, predictions, classifier.classes, stem)
        figures.reliability(scores["reliability"], scores["ece"], run / "reliability")
    print(
        f"\nwritten to {escape.terminal(run)}: metrics.json, predictions.npz, "
        "suspicious_labels.csv, and the pictures confusion_matrix and reliability"
    )


def load_corpus(run: Path, config: Config, corpus_path: Path | None) -> Corpus:
    """Return the corpus of a run, with all its splits.

    Raises:
      FileNotFoundError: `run` is no run folder, or the corpus is not at its place.
      ValueError: the corpus has changed since the training.
    """
    source = config.corpus_source
    corpus = corpora.load(replace(source, path=corpus_path or source.path), splits=None)
    path = run / "data.json"
    trained_on = run_folder.description(run_folder.read_bytes(path), path).corpus_digest
    if corpus.digest != trained_on:
        raise ValueError(
            f"expected the corpus that {run} was trained on, of digest {trained_on}, received "
            f"digest {corpus.digest}; restore the corpus, or give its place with --corpus-path"
        )
    for note in corpus.notes:
        print(escape.terminal(note))
    return corpus


def replace_train(of_corpus: Mapping[str, Split], config: Config) -> dict[str, Split]:
    """Return the splits, with the part of train that the run learned from."""
    train = of_corpus["train"]
    if config.train_examples is not None:
        train = train.part(splits.draw(train.labels, config.train_examples, config.seed))
    return {**of_corpus, "train": train}


def write_results(
    run: Path, scores: dict[str, Any], labels: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write scores and predictions into the run folder."""
    atomic.write_json(run / "metrics.json", sealed.seal(scores))
    npz.write(run / "predictions.npz", {"labels": labels, "probabilities": probabilities})


def write_suspicious(
    run: Path, split: Split, suspicious: Suspicious, class_names: list[str]
) -> None:
    """Write the suspicious labels into the run folder.

    `index` is the place of a text in the split, from 0. Texts are shortened.
    """
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["index", "label", "predicted", "margin", "text"])
    for example, likely, margin in zip(*suspicious, strict=True):
        label = class_names[split.labels[example]]
        text = snippet(split.texts[example])
        writer.writerow([example, label, class_names[likely], f"{margin:.6f}", text])
    atomic.write(run / "suspicious_labels.csv", rows.getvalue().encode())


def print_scores(scores: dict[str, Any]) -> None:
    """Print accuracy and macro-F1, a table of the classes, and the most confused pairs."""
    split = scores["split"]
    if split != "test":
        chosen = "" if scores["chosen_on_split"] else "not "
        print(
            f"this corpus has no test split; these are validation scores, of the "
            f"{scores['checkpoint']} epoch, which was {chosen}chosen on the same examples"
        )
    for name, score in (("accuracy", "accuracy"), ("macro-F1", "macro_f1")):
        low, high = scores[f"{score}_interval"]
        print(f"{split} {name}: {scores[score]:.4f} (95% interval {low:.4f} to {high:.4f})")
    print(f"calibration error: {scores['ece']:.4f}, Brier score: {scores['brier']:.4f}")
    print(f"{split} examples: {scores['examples']:,}, weights of epoch {scores['epoch']}\n")
    Console(highlight=False, markup=False, emoji=False).print(class_table(scores))
    never_found = [row for row in scores["per_class"] if row["support"] and not row["recall"]]
    if never_found:
        names = ", ".join(shown_name(row["class_name"]) for row in never_found[:EXAMPLES_SHOWN])
        more = len(never_found) - EXAMPLES_SHOWN
        print(
            f"\nwarning: no text of {names}{f' and {more:,} more' if more > 0 else ''} was found; "
            "add texts of them, or train with --class-weight balanced"
        )
    print("\nthe most confused pairs:")
    for label, prediction, count in scores["most_confused"]:
        print(f"  {count:>5,} {shown_name(label)} taken for {shown_name(prediction)}")


def class_table(scores: dict[str, Any]) -> Table:
    """Return the scores of each class as a table."""
    table = Table("class", box=box.ROUNDED if sys.stdout.isatty() else None)
    for column in ("precision", "recall", "F1", "examples"):
        table.add_column(column, justify="right")
    for row in scores["per_class"]:
        table.add_row(
            shown_name(row["class_name"]),
            *(f"{row[score]:.3f}" for score in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        )
    return table


def print_suspicious(
    split: Split, probabilities: np.ndarray, suspicious: Suspicious, class_names: list[str]
) -> None:
    """Print the examples whose label looks wrong, the most suspicious first."""
    print(f"\nlabels that look wrong, for a person to check: {len(suspicious.examples):,}")
    for example, likely in list(zip(*suspicious[:2], strict=True))[:EXAMPLES_SHOWN]:
        label, other = class_names[split.labels[example]], class_names[likely]
        print(
            f"  {shown_name(label)} looks like {shown_name(other)} "
            f"({probabilities[example, likely]:.3f}): {snippet(split.texts[example])}"
        )


def print_mistakes(
    split: Split, probabilities: np.ndarray, suspicious: Suspicious, class_names: list[str]
) -> None:
    """Print the examples that are wrong with the most confidence, whose label looks right."""
    print("\nthe most confident of the other mistakes:")
    mistakes = metrics.most_confident_mistakes(split.labels, probabilities, len(split.labels))
    others = mistakes[~np.isin(mistakes, suspicious.examples)]
    for example in others[:EXAMPLES_SHOWN]:
        label = class_names[split.labels[example]]
        prediction = class_names[probabilities[example].argmax()]
        print(
            f"  {shown_name(label)} taken for {shown_name(prediction)} "
            f"({probabilities[example].max():.3f}): {snippet(split.texts[example])}"
        )


def snippet(text: str) -> str:
    """Return the beginning of a text as it is printed."""
    return escape.terminal(" ".join(text.split())[:_CHARACTERS_SHOWN])


def shown_name(class_name: str) -> str:
    """Return a class name as it is printed."""
    return escape.terminal(class_name, escape.LONGEST_NAME)


if __name__ == "__main__":
    command.run(main)
