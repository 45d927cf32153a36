"""Opens the test split and scores a run on it: `python -m research.evaluate RUN`.

Writes `metrics.json`, `predictions.npz` and the confusion matrix into the run folder.
"""

import sys
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

import research
from research.config import Config
from research.data import corpora, tokens
from research.evaluation import figures, metrics
from research.files import atomic
from research.processes import backends, command
from research.training import checkpoints, run_folder
from research.training.devices import device_name
from research.training.inference import predict_probabilities

PAIRS_SHOWN = 10
MISTAKES_SHOWN = 5


def main(
    run: Path,
    /,
    checkpoint: Literal["best", "last"] | None = None,
    corpus_path: Path | None = None,
    record: Path | None = None,
) -> None:
    """Scores a run on the test split of its corpus, and shows where it errs.

    A corpus without a test split, as the tutorial's, is scored on the validation split instead, and
    the output says so.

    Args:
      run: the run folder that `python -m research.train` printed.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one. By
        default the best; the last where there is no test split, since the best epoch would have
        been chosen on the examples that are scored.
      corpus_path: where the corpus is, if it has moved since the training.
      record: a JSON file to write as well, with all that a table of results needs from the run.
    """
    backend = backends.select()
    # LAZY IMPORTS

    config = Config.read(run)
    corpus = corpora.load(
        config.corpus,
        corpus_path or config.corpus_path,
        splits=None,
        text_column=config.text_column,
        label_column=config.label_column,
        split_column=config.split_column,
    )
    trained_on = atomic.read_json(run / "data.json")["corpus_digest"]
    if corpus.digest != trained_on:
        raise ValueError(
            f"expected the corpus that {run} was trained on, of digest {trained_on}, received "
            f"{corpus.digest}; bring it back, or give its place with --corpus-path"
        )
    split = corpus.splits.get("test", corpus.splits["validation"])
    if split.name == "validation" and config.train_on == "train+validation":
        raise ValueError(
            f"expected a split that {run} has not learned from, received a corpus without test "
            "split and a run on train+validation; train on train alone"
        )
    checkpoint = checkpoint or ("best" if split.name == "test" else "last")
    classifier = research.load(run, checkpoint)

    token_ids = tokens.encode_cached(split.texts, classifier.vocabulary, config.sequence_length)
    probabilities = predict_probabilities(classifier.model, token_ids)
    predictions = probabilities.argmax(axis=1)
    confusion = metrics.confusion(split.labels, predictions, len(classifier.classes))
    position = checkpoints.load_position(run)
    scores: dict[str, Any] = {
        "split": split.name,
        "checkpoint": checkpoint,
        "epoch": position["best_epoch" if checkpoint == "best" else "epoch"],
        **metrics.summary(split.labels, probabilities),
        "per_class": metrics.per_class(split.labels, predictions, classifier.classes),
        "most_confused": metrics.most_confused(confusion, classifier.classes, PAIRS_SHOWN),
        "predictions": metrics.predictions_by_class(split.labels, predictions, classifier.classes),
        "backend": backend,
        "device": device_name(),
    }
    atomic.write_json(run / "metrics.json", scores)
    if record:
        atomic.write_json(record, run_folder.read_record(run))
    atomic.write_arrays(
        run / "predictions.npz", {"labels": split.labels, "probabilities": probabilities}
    )
    figures.confusion_matrix(confusion, classifier.classes, run / "confusion_matrix")

    _print_scores(scores)
    mistakes = metrics.most_confident_mistakes(split.labels, probabilities, MISTAKES_SHOWN)
    print("\nthe most confident mistakes:")
    for example in mistakes:
        label, prediction = (classifier.classes[i[example]] for i in (split.labels, predictions))
        text = " ".join(split.texts[example].split())
        print(f"  {label} taken for {prediction} ({probabilities[example].max():.3f}): {text:.160}")
    print(f"\nwritten to {run}: metrics.json, predictions.npz, confusion_matrix.svg and .png")


def _print_scores(scores: dict[str, Any]) -> None:
    split = scores["split"]
    if split != "test":
        chosen = {
            "best": "and the best epoch was chosen on the same examples",
            "last": "of the last epoch, which was not chosen",
        }
        print(
            "this corpus has no test split; these are validation scores, "
            + chosen[scores["checkpoint"]]
        )
    for name, score in (("accuracy", "accuracy"), ("macro-F1", "macro_f1")):
        low, high = scores[f"{score}_interval"]
        print(f"{split} {name}: {scores[score]:.4f} (95% interval {low:.4f} to {high:.4f})")
    print(f"{split} examples: {scores['examples']:,}, weights of epoch {scores['epoch']}\n")

    table = Table("class", box=box.ROUNDED if sys.stdout.isatty() else None)
    for column in ("precision", "recall", "F1", "examples"):
        table.add_column(column, justify="right")
    for row in scores["per_class"]:
        table.add_row(
            row["class_name"],
            *(f"{row[score]:.3f}" for score in ("precision", "recall", "f1")),
            f"{row['support']:,}",
        )
    Console(highlight=False, markup=False).print(table)
    print("\nthe most confused pairs:")
    for label, prediction, count in scores["most_confused"]:
        print(f"  {count:>5,} {label} taken for {prediction}")


if __name__ == "__main__":
    command.run(main)
