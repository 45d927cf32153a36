"""Pictures of a run, as SVG and PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

# Same records, same file: no date, and names of SVG elements that don't change from run to run.
matplotlib.rcParams["svg.hashsalt"] = "keras-text-research"


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
            values = [record[prefix + score] for record in history]
            axes.plot(epochs, values, marker="o", markersize=3, label=split)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, stem)


def confusion_matrix(confusion: np.ndarray, class_names: Sequence[str], stem: Path) -> None:
    """Draws what share of each class was labelled as which.

    Args:
      confusion: int64[classes, classes]; row = label, column = prediction.
      class_names: in the order of the rows.
      stem: the path without its suffix; `.svg` and `.png` are written.
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
    if classes <= 30:  # beyond, the numbers would overlap
        for row, column in np.argwhere(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            count = confusion[row, column]
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    _save(figure, stem)


def _save(figure: Figure, stem: Path) -> None:
    # Cropped afterwards, since long class names push the labels of the axes out of the picture.
    svg, png = (stem.with_name(stem.name + suffix) for suffix in (".svg", ".png"))
    figure.savefig(svg, bbox_inches="tight", metadata={"Date": None})
    figure.savefig(png, bbox_inches="tight", dpi=150)
