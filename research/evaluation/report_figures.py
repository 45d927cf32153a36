"""What the report draws: which results go into which figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from research.evaluation import figures, metrics, records
from research.evaluation.records import Record, Result


def draw(sections: Mapping[str, Sequence[Result]], folder: Path) -> None:
    """Draw all figures of the report.

    They are an overview of the first corpus, learning curves, accuracy over time, and for each
    corpus how its best network errs.

    Args:
      sections: by corpus, its results as `records.section` returns them.
      folder: gets the figures as SVG and PNG.
    """
    if sections:
        draw_overview(*next(iter(sections.items())), folder)
    draw_learning_curves(sections, folder)
    figures.accuracy_over_time(
        {corpus: [_point(result) for result in results] for corpus, results in sections.items()},
        folder / "accuracy_over_time",
    )
    for corpus, results in sections.items():
        best = next((result for result in results if result.is_network), None)
        if best is None:
            continue
        draw_confusion(corpus, best, folder)
        reference = records.references(results)[results.index(best)]
        if reference:
            draw_class_gains(corpus, best, reference, folder)


def draw_overview(corpus: str, results: Sequence[Result], folder: Path) -> None:
    """Draw accuracy against time, of the best of each model and the baseline it is compared with.

    A part of a model that can be trained on its own has a point, too.
    """
    best_of_kind: dict[str, Result] = {}
    for result in results:  # the most accurate first
        if result.is_network:
            best_of_kind.setdefault(result.kind, result)
    shown = list(best_of_kind.values())
    if shown:
        reference = records.references(results)[results.index(shown[0])]
        shown += [reference] if reference else []
        points = [_point(result)._replace(label=_short_label(result)) for result in shown]
        split = results[0].records[0]["metrics"]["split"]
        figures.overview(points, f"{split} accuracy on {corpus}", folder / "overview")


def draw_learning_curves(sections: Mapping[str, Sequence[Result]], folder: Path) -> None:
    """Draw validation accuracy over the epochs, of networks that learned from train only."""
    panels = {}
    for corpus, results in sections.items():
        curves = {
            f"{result.label} ({result.source})": [
                [line["validation_accuracy"] for line in record["history"]]
                for record in result.records
            ]
            for result in results
            if result.is_network and not result.saw_validation
        }
        if curves:
            panels[corpus] = curves
    if panels:
        figures.learning_bands(panels, folder / "learning_curves")


def draw_confusion(corpus: str, network: Result, folder: Path) -> None:
    """Draw the confusion matrix of the first seed, if its record has predictions."""
    if network.correct is None:
        return
    record = network.records[0]
    names = record["data"]["class_names"]
    labels, predictions = metrics.read_predictions(record["metrics"]["predictions"])
    title = f"{corpus}: {network.label}, seed {network.config['seed']}"
    figures.confusion_matrix(labels, predictions, names, folder / f"confusion_{corpus}", title)


def draw_class_gains(corpus: str, network: Result, reference: Result, folder: Path) -> None:
    """Draw the difference in F1 between a network and its reference, for each class."""
    names = network.records[0]["data"]["class_names"]
    gains = np.array([_f1(record) for record in network.records]) - _f1(reference.records[0])
    label = f"{corpus}, F1: {network.label}\nminus {reference.label}"
    figures.class_gains(gains, names, label, folder / f"class_gains_{corpus}")


def _point(result: Result) -> figures.Point:
    accuracies = [record["metrics"]["accuracy"] for record in result.records]
    return figures.Point(
        label=result.label,
        marker="o" if result.is_network else "s",
        seconds=result.seconds,
        accuracy=result.accuracy.mean,
        lowest=min(accuracies),
        highest=max(accuracies),
    )


def _short_label(result: Result) -> str:
    return result.kind if result.is_network else f"{result.kind} ({result.backend})"


def _f1(record: Record) -> np.ndarray:
    return np.array([of_class["f1"] for of_class in record["metrics"]["per_class"]])
