"""DOC."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from research.evaluation import figures, metrics, records
from research.evaluation.records import Record, Row

# --- figures -------------------------------------------------------------------------------------


def draw(sections: dict[str, list[Row]], folder: Path) -> None:
    """Draws learning curves, accuracy over time, and for each corpus how its best network errs."""
    networks = {
        corpus: found
        for corpus, rows in sections.items()
        if (found := [row for row in rows if row.is_network])
    }
    # Whoever learned from validation too has no curve on it.
    curves = {
        corpus: of_corpus for corpus, rows in networks.items() if (of_corpus := _curves(rows))
    }
    if curves:
        figures.learning_bands(curves, folder / "learning_curves")
    figures.accuracy_over_time(
        {corpus: [_point(row) for row in rows] for corpus, rows in sections.items()},
        folder / "accuracy_over_time",
    )
    for corpus, rows in networks.items():
        best = rows[0]
        reference = records.references(sections[corpus])[sections[corpus].index(best)]
        names = best.records[0]["data"]["class_names"]
        if best.correct is not None:
            labels, predictions = metrics.read_predictions(
                best.records[0]["metrics"]["predictions"]
            )
            confusion = metrics.confusion(labels, predictions, len(names))
            title = f"{corpus}: {best.method}, seed {best.config['seed']}"
            figures.confusion_matrix(confusion, names, folder / f"confusion_{corpus}", title)
        if reference:
            gains = np.array([_f1(record) for record in best.records]) - _f1(reference.records[0])
            label = f"{corpus}, F1: {best.method}\nminus {reference.method}"
            figures.class_gains(gains, names, label, folder / f"class_gains_{corpus}")


def _curves(rows: Iterable[Row]) -> dict[str, list[list[float]]]:
    return {
        f"{row.method} ({row.source})": [
            [line["validation_accuracy"] for line in record["history"]] for record in row.records
        ]
        for row in rows
        if row.config["train_on"] == "train"
    }


def _point(row: Row) -> figures.Point:
    accuracies = [record["metrics"]["accuracy"] for record in row.records]
    mean = row.accuracy.mean
    marker = "o" if row.is_network else "s"
    return figures.Point(row.method, marker, row.seconds, mean, min(accuracies), max(accuracies))


def _f1(record: Record) -> np.ndarray:
    return np.array([of_class["f1"] for of_class in record["metrics"]["per_class"]])
