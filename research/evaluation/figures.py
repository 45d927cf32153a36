"""Pictures of a run, and of many, as SVG and PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

# Same records, same file: no date, and names of SVG elements that don't change from run to run.
matplotlib.rcParams["svg.hashsalt"] = "keras-text-research"


class Point(NamedTuple):
    """A method in `accuracy_over_time`: its mean accuracy, and that of its worst and best run.

    `marker` is one of matplotlib's.
    """

    label: str
    marker: str
    seconds: float
    accuracy: float
    lowest: float
    highest: float


def learning_curves(history: Sequence[Mapping[str, Any]], stem: Path) -> None:
    """Draws loss and accuracy over the epochs, on the train and the validation split.

    Args:
      history: the lines of `history.jsonl`.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    epochs = [record["epoch"] for record in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, score, label in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("loss (nats)", "accuracy"), strict=True
    ):
        for split, prefix in (("train", ""), ("validation", "validation_")):
            if prefix + score in history[0]:  # there may have been no validation
                values = [record[prefix + score] for record in history]
                axes.plot(epochs, values, marker="o", markersize=3, label=split)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, stem)


def confusion_matrix(
    confusion: np.ndarray, class_names: Sequence[str], stem: Path, title: str = ""
) -> None:
    """Draws what share of each class was labelled as which.

    Args:
      confusion: int64[classes, classes]; row = label, column = prediction.
      class_names: in the order of the rows.
      stem: the path without its suffix; `.svg` and `.png` are written.
      title: above it.
    """
    classes = len(class_names)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    size = 3 + 0.32 * classes
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(classes), class_names, rotation=90)
    axes.set_yticks(range(classes), class_names)
    axes.set(xlabel="predicted", ylabel="label")
    axes.set_title(title, fontsize=10)
    if classes <= 30:  # beyond, the numbers would overlap
        for row, column in np.argwhere(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            count = confusion[row, column]
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    save(figure, stem)


def learning_bands(
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], stem: Path
) -> None:
    """Draws validation accuracy over the epochs: means over runs, and bands from worst to best.

    Args:
      panels: for each title, the lines of a panel by name: for each run the accuracy of each epoch.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        for label, runs in lines.items():
            accuracies = np.array(runs)
            epochs = range(1, accuracies.shape[1] + 1)
            (line,) = axes.plot(epochs, accuracies.mean(axis=0), marker="o", markersize=3)
            line.set_label(f"{label}, n = {len(runs)}")
            lowest, highest = accuracies.min(axis=0), accuracies.max(axis=0)
            axes.fill_between(epochs, lowest, highest, color=line.get_color(), alpha=0.2)
        axes.set(xlabel="epoch", ylabel="validation accuracy")
        axes.set_title(title, fontsize=10)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    save(figure, stem)


def accuracy_over_time(panels: Mapping[str, Sequence[Point]], stem: Path) -> None:
    """Draws accuracy against seconds of training; whiskers go from the worst run to the best.

    Args:
      panels: for each title, the points of a panel, the first in the legend first.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure = Figure(figsize=(9, 3.6 * len(panels)), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (title, points) in zip(all_axes, panels.items(), strict=True):
        for number, point in enumerate(points):
            whiskers = [[point.accuracy - point.lowest], [point.highest - point.accuracy]]
            axes.errorbar(
                point.seconds,
                point.accuracy,
                whiskers,
                fmt=point.marker,
                color=matplotlib.colormaps["tab20"](number % 20),
                capsize=3,
                label=point.label,
            )
        axes.set(xscale="log", xlabel="training (s)", ylabel="accuracy")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())  # its labels would overlap
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, stem)


def class_gains(gains: np.ndarray, class_names: Sequence[str], label: str, stem: Path) -> None:
    """Draws by how much each class gains: a bar for the mean, a dot for each run.

    Args:
      gains: float[runs, classes].
      class_names: in the order of the columns.
      label: what is gained over what.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    order = np.argsort(gains.mean(axis=0), kind="stable")
    figure = Figure(figsize=(7, 1 + 0.22 * len(class_names)), layout="constrained")
    axes = figure.subplots()
    for position, of_class in enumerate(order):
        axes.barh(position, gains[:, of_class].mean(), color="tab:blue", alpha=0.6)
        axes.plot(gains[:, of_class], [position] * len(gains), "k.", markersize=4)
    axes.set_yticks(range(len(order)), [class_names[of_class] for of_class in order], fontsize=8)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(label)
    axes.grid(alpha=0.3, axis="x")
    save(figure, stem)


def save(figure: Figure, stem: Path) -> None:
    """Save a figure as `stem.svg` and `stem.png`; the same figure gives the same bytes."""
    # Cropped afterwards, since long class names push the labels of the axes out of the picture.
    svg, png = (stem.with_name(stem.name + suffix) for suffix in (".svg", ".png"))
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(svg, bbox_inches="tight", metadata={"Date": None})
    figure.savefig(png, bbox_inches="tight", dpi=150)
