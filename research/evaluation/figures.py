"""Figures of a run and of several runs, each as SVG and PNG.

They are at most a few thousand pixels wide and high, however many classes there are.
"""

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from research.evaluation import metrics
from research.evaluation.calibration import Bin
from research.files import atomic
from research.processes import escape

# The same data gives the same bytes: no date, and names of SVG elements that do not change.
matplotlib.rcParams["svg.hashsalt"] = "keras-text-research"

# Of Okabe and Ito, https://jfly.uni-koeln.de/color/: colour-blind readers can tell them apart.
_COLOURS = ("#009E73", "#56B4E9", "#D55E00", "#0072B2", "#CC79A7", "#E69F00")

_MOST_WITH_COUNTS = 30  # with more classes, the counts in the cells would overlap
_MOST_WITH_NAMES = 60
_MOST_CELLS = 1_000  # on a side of a confusion matrix; a figure has hardly more pixels
_MOST_BARS = 100
_MOST_IN_LEGEND = 20  # with more lines, it would be higher than a panel
_LONGEST_NAME = 40  # letters of a class name
_LONGEST_LINE = 120  # letters of a title
_LONGEST_IN_LEGEND = 90
_LONGEST_BESIDE_POINT = 60
_DPI = 150
_MOST_PIXELS = 4_000  # on a side of a PNG


class Point(NamedTuple):
    """A method in a plot of accuracy over time.

    Attributes:
      label: its name.
      marker: one of matplotlib's.
      seconds: of training.
      accuracy: the mean over runs.
      lowest: the accuracy of the worst run.
      highest: the accuracy of the best run.
    """

    label: str
    marker: str
    seconds: float
    accuracy: float
    lowest: float
    highest: float


def learning_curves(history: Sequence[Mapping[str, Any]], stem: Path) -> None:
    """Draw loss and accuracy over the epochs, on the train and the validation split.

    Args:
      history: the lines of `history.jsonl`, a record for each epoch.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    epochs = [record["epoch"] for record in history]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, score, label in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), ("loss (nats)", "accuracy"), strict=True
    ):
        for split, prefix in (("train", ""), ("validation", "validation_")):
            if prefix + score in history[0]:  # a run on train + validation has no validation
                values = [record[prefix + score] for record in history]
                axes.plot(epochs, values, marker="o", markersize=3, label=split)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    save(figure, stem)


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    class_names: Sequence[str],
    stem: Path,
    title: str = "",
) -> None:
    """Draw which share of each class was predicted as which class.

    More than 60 classes are shown by their numbers, and of more than 1,000 some neighbours
    together are one cell.

    Args:
      labels: int[examples].
      predictions: int[examples].
      class_names: a label is an index into them.
      stem: the path without its suffix; `.svg` and `.png` are written.
      title: of the figure.

    Raises:
      ValueError: as `metrics.confusion`.
    """
    classes = len(class_names)
    together = math.ceil(classes / _MOST_CELLS)
    cells = math.ceil(classes / together)
    confusion = metrics.confusion(labels // together, predictions // together, cells)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    has_names = classes <= _MOST_WITH_NAMES
    names = [_shown(name, _LONGEST_NAME) for name in class_names] if has_names else []
    # A name needs up to 0.14 inches for each letter, and the matrix needs room beside it.
    size = max(3 + 0.32 * classes, 2 + 0.14 * max(map(len, names))) if has_names else 11
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    end = cells * together - 0.5
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", extent=(-0.5, end, end, -0.5))
    if has_names:
        axes.set_xticks(range(classes), names, rotation=90)
        axes.set_yticks(range(classes), names)
        unit = ""
    else:
        unit = f" (class number, {together} in a cell)" if together > 1 else " (class number)"
    axes.set(xlabel=f"predicted{unit}", ylabel=f"label{unit}")
    axes.set_title(_shown(title), fontsize=10)
    if classes <= _MOST_WITH_COUNTS:
        for row, column in np.argwhere(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            count = confusion[row, column]
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(image, label="share of the class", shrink=0.8)
    save(figure, stem)


def reliability(bins: Sequence[Bin], ece: float, stem: Path) -> None:
    """Draw how often predictions of a given confidence are right, and how many there are of it.

    Where confidence is earned, the dots lie on the diagonal; below it, it is too high.

    Args:
      bins: as `calibration.summary` returns them.
      ece: the expected calibration error.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    confidence = [one["confidence"] for one in bins]
    examples = np.array([one["examples"] for one in bins])
    figure = Figure(figsize=(3.5, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    accuracies = [one["accuracy"] for one in bins]
    above.plot(confidence, accuracies, "o-", color="tab:blue", markersize=4, linewidth=1)
    above.set(ylabel="share of right labels", xlim=(0, 1.02), ylim=(0, 1.02))
    above.set_title(f"expected calibration error {ece:.3f}", fontsize=10)
    below.bar(confidence, examples / examples.sum(), width=0.04, color="tab:blue")
    below.set(xlabel="confidence: probability of the label", ylabel="share of texts")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    save(figure, stem)


def learning_bands(
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], stem: Path
) -> None:
    """Draw validation accuracy over the epochs: the mean over runs, and a band from worst to best.

    The legend names the first 20 lines of a panel.

    Args:
      panels: by title, the lines of a panel: by name, the accuracy of each epoch of each run.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure = Figure(figsize=(8, 3.2 * len(panels)), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        for label, runs in lines.items():
            accuracies = np.array(runs)
            epochs = range(1, accuracies.shape[1] + 1)
            (line,) = axes.plot(epochs, accuracies.mean(axis=0), marker="o", markersize=3)
            line.set_label(_shown(f"{label}, n = {len(runs)}", _LONGEST_IN_LEGEND))
            lowest, highest = accuracies.min(axis=0), accuracies.max(axis=0)
            axes.fill_between(epochs, lowest, highest, color=line.get_color(), alpha=0.2)
        axes.set(xlabel="epoch", ylabel="validation accuracy")
        axes.set_title(_shown(title), fontsize=10)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        _add_legend(axes, loc="lower right")
    save(figure, stem)


def accuracy_over_time(panels: Mapping[str, Sequence[Point]], stem: Path) -> None:
    """Draw accuracy against seconds of training, with whiskers from the worst run to the best.

    The legend names the first 20 points of a panel.

    Args:
      panels: by title, the points of a panel, in the order of the legend.
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
                label=_shown(point.label, _LONGEST_IN_LEGEND),
            )
        axes.set(xscale="log", xlabel="training (s)", ylabel="accuracy")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())  # its labels would overlap
        axes.set_title(_shown(title), fontsize=10)
        axes.grid(alpha=0.3)
        _add_legend(axes, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, stem)


def overview(points: Sequence[Point], title: str, stem: Path) -> None:
    """Draw accuracy against seconds of training, with the name of each point beside it.

    Names are above those points that no quicker one beats, and below the others.

    Args:
      points: a few, since their names need room.
      title: of the figure.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    best = 0.0
    by_time = sorted(points, key=lambda point: point.seconds)
    for point, colour in zip(by_time, cycle(_COLOURS)):
        whiskers = [[point.accuracy - point.lowest], [point.highest - point.accuracy]]
        axes.errorbar(
            point.seconds,
            point.accuracy,
            whiskers,
            fmt=point.marker,
            color=colour,
            markersize=10,
        )
        is_above = point.accuracy > best
        axes.annotate(
            f"{_shown(point.label, _LONGEST_BESIDE_POINT)}\n{point.accuracy:.3f}",
            (point.seconds, point.accuracy),
            xytext=(0, 9 if is_above else -9),
            textcoords="offset points",
            ha="center",
            va="bottom" if is_above else "top",
            fontsize=11,
        )
        best = max(best, point.accuracy)
    axes.set(xscale="log", title=_shown(title))
    axes.set_xlabel("training time (s, log scale)", fontsize=11)
    axes.set_ylabel("accuracy", fontsize=11)
    axes.margins(x=0.45, y=0.3)  # room for the names
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, stem)


def class_gains(gains: np.ndarray, class_names: Sequence[str], label: str, stem: Path) -> None:
    """Draw the gain of each class: a bar for the mean, a dot for each run.

    Of more than 100 classes, the 50 with the least gain and the 50 with the greatest are shown.

    Args:
      gains: float[runs, classes].
      class_names: in the order of the columns.
      label: what was measured, and what was subtracted from it; it may have two lines.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    order = np.argsort(gains.mean(axis=0), kind="stable")
    lines = [_shown(line) for line in label.split("\n")]
    if len(order) > _MOST_BARS:
        half = _MOST_BARS // 2
        lines.append(f"the {half} least and the {half} greatest of {len(order):,} classes")
        order = np.concatenate([order[:half], order[-half:]])
    figure = Figure(figsize=(7, 1 + 0.22 * len(order)), layout="constrained")
    axes = figure.subplots()
    for position, label_of_class in enumerate(order):
        of_class = gains[:, label_of_class]
        axes.barh(position, of_class.mean(), color="tab:blue", alpha=0.6)
        axes.plot(of_class, [position] * len(of_class), "k.", markersize=4)
    names = [_shown(class_names[i], _LONGEST_NAME) for i in order]
    axes.set_yticks(range(len(order)), names, fontsize=8)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("\n".join(lines))
    axes.grid(alpha=0.3, axis="x")
    save(figure, stem)


def save(figure: Figure, stem: Path) -> None:
    """Save a figure as `stem.svg` and `stem.png`; the same figure gives the same bytes.

    A figure that would be too large has fewer pixels to the inch.
    """
    svg, png = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing|Matplotlib currently does not support")
        # "tight" keeps axis labels in the picture that long class names would push out of it.
        figure.savefig(svg, format="svg", bbox_inches="tight", metadata={"Date": None})
        inches = max(figure.get_tightbbox().size)
        dpi = min(_DPI, _MOST_PIXELS / inches)
        figure.savefig(png, format="png", bbox_inches="tight", dpi=dpi)
    atomic.write(stem.with_name(f"{stem.name}.svg"), svg.getvalue())
    atomic.write(stem.with_name(f"{stem.name}.png"), png.getvalue())


def _add_legend(axes: Axes, **place: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[:_MOST_IN_LEGEND], labels[:_MOST_IN_LEGEND], fontsize=7, **place)


def _shown(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text in one line, not too long, whose dollars do not begin mathematics."""
    return escape.terminal(text, longest).replace("$", r"\$")
