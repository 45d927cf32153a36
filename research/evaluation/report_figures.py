"""What the report draws: which results go into which figure."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from research.data import corpora
from research.evaluation import figures, metrics, records
from research.evaluation.figures import Calibrated, Curve, Point
from research.evaluation.records import Record, Result

FEWEST_TEXTS = 10
"""Scored texts of a class that is shown. One text of fewer is a tenth of its recall or more."""


def draw(sections: Mapping[str, Sequence[Result]], folder: Path) -> None:
    """Draw all figures of the report but the label curves.

    They are an overview of the first corpus; learning curves, accuracy over time and reliability of
    all corpora; and for each corpus how its best network errs.

    Args:
      sections: by corpus, its results as `records.section` returns them.
      folder: gets the figures as SVG and PNG.
    """
    if sections:
        draw_overview(*next(iter(sections.items())), folder)
    draw_learning_curves(sections, folder)
    figures.accuracy_over_time(
        {
            corpus: [_point(result) for result in best_of_kinds(results)]
            for corpus, results in sections.items()
        },
        folder / "accuracy_over_time",
    )
    networks = {
        corpus: next((result for result in results if result.is_network), None)
        for corpus, results in sections.items()
    }
    draw_reliability({c: network for c, network in networks.items() if network}, folder)
    for corpus, network in networks.items():
        if network is None:
            continue
        draw_confusion(corpus, network, folder)
        results = sections[corpus]
        reference = records.references(results)[results.index(network)]
        if reference:
            draw_class_gains(corpus, network, reference, folder)


def best_of_kinds(results: Iterable[Result]) -> list[Result]:
    """Return the first result of each kind of method: the best, since the best come first."""
    best: dict[str, Result] = {}
    for result in results:
        best.setdefault(result.kind, result)
    return list(best.values())


def draw_overview(corpus: str, results: Sequence[Result], folder: Path) -> None:
    """Draw accuracy against time, of the best of each model and the reference."""
    shown = best_of_kinds(result for result in results if result.is_network)
    if shown:
        reference = records.references(results)[results.index(shown[0])]
        shown += [reference] if reference else []
        points = [_point(result)._replace(label=_with_library(result)) for result in shown]
        split = results[0].records[0]["metrics"]["split"]
        figures.overview(points, f"{split} accuracy on {corpus}", folder / "overview")


def draw_learning_curves(sections: Mapping[str, Sequence[Result]], folder: Path) -> None:
    """Draw validation accuracy over the epochs, of the best of each model without validation.

    A curve ends with the shortest run.
    """
    panels = {}
    for corpus, results in sections.items():
        networks = [r for r in results if r.is_network and _has_validation(r)]
        if networks:
            panels[corpus] = [_learning_curve(network) for network in best_of_kinds(networks)]
    if panels:
        figures.learning_bands(panels, folder / "learning_curves")


def draw_label_curves(results: Iterable[Result], folder: Path) -> None:
    """Draw accuracy over the number of training texts, of the methods that learned from a few, too.

    Args:
      results: on any corpora, whatever the number of texts.
      folder: gets the figure as SVG and PNG.
    """
    by_method: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        by_method.setdefault(result.corpus, {}).setdefault(result.label, []).append(result)
    panels = {}
    for corpus in corpora.in_order(by_method):
        methods = by_method[corpus]
        with_few = [of_method for of_method in methods.values() if _learned_from_few(of_method)]
        if with_few:
            kinds = [of_method[0].kind for of_method in with_few]
            panels[corpus] = [
                _label_curve(of_method, is_alone=kinds.count(of_method[0].kind) == 1)
                for of_method in with_few
            ]
    if panels:
        figures.label_curves(panels, folder / "label_curves")


def draw_reliability(networks: Mapping[str, Result], folder: Path) -> None:
    """Draw whether networks are as often right as they are confident.

    Args:
      networks: by corpus; those whose records are older than the bins are left out.
      folder: gets the figure as SVG and PNG.
    """
    panels = {}
    for corpus, network in networks.items():
        scores = [record["metrics"] for record in network.records]
        if all("reliability" in of_run for of_run in scores):
            ece = float(np.mean([of_run["ece"] for of_run in scores]))
            runs = [of_run["reliability"] for of_run in scores]
            panels[corpus] = Calibrated(network.kind, runs, ece)
    if panels:
        figures.reliability_of_corpora(panels, folder / "reliability")


def draw_confusion(corpus: str, network: Result, folder: Path) -> None:
    """Draw the confusion matrix of the first seed, if its record has predictions.

    Classes of few texts are one row and one column together.
    """
    if network.correct is None:
        return
    record = network.records[0]
    labels, predictions = metrics.read_predictions(record["metrics"]["predictions"])
    class_names = np.array(record["data"]["class_names"], object)
    shown, note = _large_classes(record)
    names = [*class_names[shown], *(["others"] if note else [])]
    numbers = np.full(len(class_names), len(shown))
    numbers[shown] = np.arange(len(shown))
    title = f"{corpus}: {network.label}, seed {network.config['seed']}"
    title += f"\nothers: {note}" if note else ""
    stem = folder / f"confusion_{corpus}"
    figures.confusion_matrix(numbers[labels], numbers[predictions], names, stem, title)


def draw_class_gains(corpus: str, network: Result, reference: Result, folder: Path) -> None:
    """Draw the difference in F1 between a network and its reference, except for small classes."""
    record = network.records[0]
    shown, note = _large_classes(record)
    gains = np.array([_f1(record) for record in network.records]) - _f1(reference.records[0])
    class_names = np.array(record["data"]["class_names"], object)[shown]
    label = f"{corpus}, F1: {network.label}\nminus {reference.label}"
    label += f"\nnot shown: {note}" if note else ""
    stem = folder / f"class_gains_{corpus}"
    figures.class_gains(gains[:, shown], class_names, _support(record)[shown], label, stem)


def _large_classes(record: Record) -> tuple[np.ndarray, str]:
    """Return the labels of the classes that are shown, int[classes], and what the others are."""
    is_large = _support(record) >= FEWEST_TEXTS
    few = int((~is_large).sum())
    note = f"{few} classes of fewer than {FEWEST_TEXTS} scored texts each" if few else ""
    return np.flatnonzero(is_large), note


def _support(record: Record) -> np.ndarray:
    return np.array([of_class["support"] for of_class in record["metrics"]["per_class"]])


def _f1(record: Record) -> np.ndarray:
    return np.array([of_class["f1"] for of_class in record["metrics"]["per_class"]])


def _accuracies(result: Result) -> list[float]:
    return [record["metrics"]["accuracy"] for record in result.records]


def _point(result: Result) -> Point:
    accuracies = _accuracies(result)
    return Point(
        kind=result.kind,
        label=result.kind,
        saw_validation=result.saw_validation,
        seconds=result.seconds,
        accuracy=result.accuracy.mean,
        lowest=min(accuracies),
        highest=max(accuracies),
        machine=result.machine,
    )


def _learning_curve(network: Result) -> Curve:
    runs = [[line["validation_accuracy"] for line in r["history"]] for r in network.records]
    epochs = list(zip(*runs, strict=False))
    kind = network.kind
    return Curve(kind, kind, network.saw_validation, range(1, len(epochs) + 1), epochs)


def _label_curve(of_method: Sequence[Result], is_alone: bool) -> Curve:
    """Return a curve, named by its kind where that tells it from others.

    Of results with as many texts it has the first.
    """
    one = of_method[0]
    by_texts = {_texts(result): result for result in reversed(of_method)}
    places = sorted(by_texts)
    accuracies = [_accuracies(by_texts[texts]) for texts in places]
    label = one.kind if is_alone else f"{one.kind}, {one.variant}"
    return Curve(one.kind, label, one.saw_validation, places, accuracies)


def _learned_from_few(results: Iterable[Result]) -> bool:
    return any(result.train_examples for result in results)


def _texts(result: Result) -> int:
    """Return the number of texts that a method learned from."""
    examples = result.records[0]["data"]["examples"]
    whole = examples["train"] + (examples["validation"] if result.saw_validation else 0)
    return result.train_examples or int(whole)


def _has_validation(network: Result) -> bool:
    return all("validation_accuracy" in record["history"][0] for record in network.records)


def _with_library(result: Result) -> str:
    return result.kind if result.is_network else f"{result.kind} ({result.backend})"
