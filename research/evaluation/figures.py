"""Figures of a run and of several runs, each as SVG and PNG.

They are at most a few thousand pixels wide and high, however many classes there are.
"""

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from research.evaluation import metrics
from research.evaluation.calibration import Bin
from research.evaluation.figure_style import (
    BLUE,
    COLUMN_INCHES,
    ORANGE,
    TEXT_INCHES,
    Label,
    grid,
    label_ends,
    label_points,
    look,
    styled,
)
from research.files import atomic
from research.processes import escape

_MOST_IN_COLUMN = 10  # classes of a confusion matrix that is as wide as a column
_MOST_WITH_COUNTS = 23  # with more classes, the counts in the cells would overlap
_MOST_WITH_NAMES = 60
_MOST_CELLS = 1_000  # on a side of a confusion matrix; a figure has hardly more pixels
_MOST_BARS = 60  # on a page
_LONGEST_NAME = 30  # letters of a class name
_LONGEST_LINE = 120  # letters of a title
_LONGEST_LABEL = 60
_LONGEST_NOTE = 500
_LABEL_WIDTH = 22  # letters of a line of a label
_LETTERS_PER_INCH = 17  # of a title
_BANDS = "lines: mean over runs, with their number in brackets; bands: from worst to best run"
_DAGGER = "† learned from train + validation"
_DPI = 200
_LARGEST_DOT = 100  # area in square points
_MOST_PIXELS = 4_000  # on a side of a PNG


class Point(NamedTuple):
    """A method in a plot of accuracy over time.

    Attributes:
      kind: of the method, which gives its look.
      label: its name.
      saw_validation: whether it learned from train + validation.
      seconds: of training.
      accuracy: the mean over runs.
      lowest: the accuracy of the worst run.
      highest: the accuracy of the best run.
      machine: that the time was taken on.
    """

    kind: str
    label: str
    saw_validation: bool
    seconds: float
    accuracy: float
    lowest: float
    highest: float
    machine: str


class Curve(NamedTuple):
    """The accuracy of a method over something.

    Attributes:
      kind: of the method, which gives its look.
      label: its name.
      saw_validation: whether it learned from train + validation.
      places: on the horizontal axis, in rising order.
      accuracies: for each place, those of the runs.
    """

    kind: str
    label: str
    saw_validation: bool
    places: Sequence[float]
    accuracies: Sequence[Sequence[float]]


class Calibrated(NamedTuple):
    """How confident a method is.

    Attributes:
      kind: of the method, which gives its look.
      runs: for each run its bins, as `calibration.summary` returns them.
      ece: the expected calibration error, the mean over runs.
    """

    kind: str
    runs: Sequence[Sequence[Bin]]
    ece: float


@styled()
def learning_curves(history: Sequence[Mapping[str, Any]], stem: Path) -> None:
    """Draw loss and accuracy over the epochs, on the train and the validation split.

    Args:
      history: the lines of `history.jsonl`, a record for each epoch.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    epochs = [record["epoch"] for record in history]
    figure, all_axes = grid(2, columns=2, height=2.4)
    for axes, score, label in zip(
        all_axes, ("loss", "accuracy"), ("loss (nats)", "accuracy"), strict=True
    ):
        for split, prefix, line, colour in (
            ("train", "", "s--", ORANGE),
            ("validation", "validation_", "o-", BLUE),
        ):
            if prefix + score in history[0]:  # a run on train + validation has no validation
                values = [record[prefix + score] for record in history]
                axes.plot(epochs, values, line, color=colour, label=split)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        axes.legend()
    save(figure, stem)


@styled()
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
    # A line of letters needs 0.13 inches, so more classes than fit on a page make a larger figure.
    is_small = has_names and classes <= _MOST_IN_COLUMN and max(map(len, names)) <= 15
    size = COLUMN_INCHES if is_small else max(TEXT_INCHES, 1.5 + 0.13 * len(names))
    figure = Figure(figsize=(size, 0.9 * size), layout="constrained")
    axes = figure.subplots()
    end = cells * together - 0.5
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", extent=(-0.5, end, end, -0.5))
    if has_names:
        axes.set_xticks(range(classes), names, rotation=90)
        texts = confusion.sum(axis=1)
        axes.set_yticks(range(classes), [f"{n} ({m:,})" for n, m in zip(names, texts, strict=True)])
        unit = ""
    else:
        unit = f" (class number, {together} in a cell)" if together > 1 else " (class number)"
    axes.set(xlabel=f"predicted{unit}", ylabel=f"label{unit or ' (texts)'}")
    figure.suptitle("\n".join(_wrapped(line, size) for line in title.split("\n")))
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    if classes <= _MOST_WITH_COUNTS:
        for row, column in np.argwhere(confusion):
            color = "white" if shares[row, column] > 0.5 else "black"
            count = confusion[row, column]
            axes.text(column, row, count, ha="center", va="center", color=color, fontsize=7)
    figure.colorbar(image, label="share of the class", shrink=0.8, aspect=30)
    save(figure, stem)


@styled()
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
    figure = Figure(figsize=(COLUMN_INCHES, 3.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    accuracies = [one["accuracy"] for one in bins]
    above.plot(confidence, accuracies, "o-", color=BLUE)
    above.set(ylabel="share of right labels", xlim=(0, 1.02), ylim=(0, 1.02))
    above.set_title(f"expected calibration error {ece:.3f}")
    below.bar(confidence, examples / examples.sum(), width=0.04, color=BLUE)
    below.set(xlabel="confidence: probability of the label", ylabel="share of texts")
    save(figure, stem)


@styled()
def reliability_of_corpora(panels: Mapping[str, Calibrated], stem: Path) -> None:
    """Draw for several corpora how often predictions of a given confidence are right.

    Args:
      panels: by title, a method.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure, all_axes = grid(len(panels), columns=4, height=2)
    for axes, (title, method) in zip(all_axes, panels.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
        for bins in method.runs:
            examples = np.array([one["examples"] for one in bins])
            axes.scatter(
                [one["confidence"] for one in bins],
                [one["accuracy"] for one in bins],
                s=1 + _LARGEST_DOT * examples / examples.sum(),
                color=look(method.kind).colour,
                alpha=0.5,
                linewidth=0,
                clip_on=False,
            )
        ticks = (0, 0.5, 1)
        axes.set(xlim=(0, 1.04), ylim=(0, 1.04), xticks=ticks, yticks=ticks, aspect="equal")
        axes.set_title(f"{_shown(title)}: ECE {method.ece:.3f}")
    figure.supxlabel(
        "confidence: probability of the label\n"
        "A dot is a bin of a run; the larger, the more texts. "
        "ECE: expected calibration error, mean over runs."
    )
    figure.supylabel("share of right labels")
    save(figure, stem)


@styled()
def learning_bands(panels: Mapping[str, Sequence[Curve]], stem: Path) -> None:
    """Draw validation accuracy over the epochs: the mean over runs, and a band from worst to best.

    Args:
      panels: by title, the curves of a panel over epochs.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure, all_axes = _bands(panels)
    for axes in all_axes:
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    figure.supxlabel(f"epoch\n{_BANDS}")
    figure.supylabel("validation accuracy")
    _label_curves(all_axes, panels)
    save(figure, stem)


@styled()
def label_curves(panels: Mapping[str, Sequence[Curve]], stem: Path) -> None:
    """Draw test accuracy over the number of training texts, as `learning_bands` does over epochs.

    Args:
      panels: by title, the curves of a panel over numbers of texts.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure, all_axes = _bands(panels)
    for axes in all_axes:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    figure.supxlabel(f"training texts\n{_BANDS}. {_DAGGER}")
    figure.supylabel("accuracy")
    _label_curves(all_axes, panels)
    save(figure, stem)


@styled()
def accuracy_over_time(panels: Mapping[str, Sequence[Point]], stem: Path) -> None:
    """Draw accuracy against seconds of training, with whiskers from the worst run to the best.

    Args:
      panels: by title, the points of a panel.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure, all_axes = grid(len(panels), columns=2, height=2.2)
    machines = _machines([point for points in panels.values() for point in points])
    for axes, (title, points) in zip(all_axes, panels.items(), strict=True):
        _draw_points(axes, points)
        axes.margins(x=0.15, y=0.2)  # room for the labels
        axes.set_title(_shown(title))
    note = _machines_note(machines)
    figure.supxlabel(f"training (s)\nwhiskers: from the worst run to the best. {_DAGGER}{note}")
    figure.supylabel("accuracy")
    for axes, points in zip(all_axes, panels.values(), strict=True):
        label_points(axes, [_label(point, machines[point.machine]) for point in points])
    save(figure, stem)


@styled()
def overview(points: Sequence[Point], title: str, stem: Path) -> None:
    """Draw accuracy against seconds of training, with names and accuracies beside the points.

    Args:
      points: a few.
      title: of the figure.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    figure = Figure(figsize=(TEXT_INCHES, 3), layout="constrained")
    axes = figure.subplots()
    _draw_points(axes, points, markersize=6)
    axes.margins(x=0.25, y=0.2)  # room for the names
    machines = _machines(points)
    xlabel = f"training (s)\n{_DAGGER}{_machines_note(machines)}"
    axes.set(xlabel=xlabel, ylabel="accuracy", title=_shown(title))
    details = [f"{machines[point.machine]}\n{point.accuracy:.3f}" for point in points]
    label_points(axes, [_label(*pair) for pair in zip(points, details, strict=True)])
    save(figure, stem)


@styled()
def class_gains(
    gains: np.ndarray, class_names: Sequence[str], texts: np.ndarray, label: str, stem: Path
) -> None:
    """Draw the gain of each class: a bar for the mean, a dot for each run.

    Of more than 100 classes, the 50 with the least gain and the 50 with the greatest are shown.

    Args:
      gains: float[runs, classes].
      class_names: in the order of the columns.
      texts: int[classes], how many were scored.
      label: what was measured, and what was subtracted from it; it may have two lines.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    order = np.argsort(gains.mean(axis=0), kind="stable")
    lines = [_wrapped(line, TEXT_INCHES) for line in label.split("\n")]
    lines.append("bars: mean over runs; dots: runs; in brackets: scored texts")
    if len(order) > _MOST_BARS:
        half = _MOST_BARS // 2
        lines.append(f"the {half} least and the {half} greatest of {len(order):,} classes")
        order = np.concatenate([order[:half], order[-half:]])
    figure = Figure(figsize=(TEXT_INCHES, 0.8 + 0.14 * len(order)), layout="constrained")
    axes = figure.subplots()
    for position, label_of_class in enumerate(order):
        of_class = gains[:, label_of_class]
        axes.barh(position, of_class.mean(), color="0.75")
        axes.plot(of_class, [position] * len(of_class), "k.", markersize=3)
    names = [f"{_shown(class_names[i], _LONGEST_NAME)} ({texts[i]:,})" for i in order]
    axes.set_yticks(range(len(order)), names)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("\n".join(lines))
    axes.grid(visible=False, axis="y")
    save(figure, stem)


@styled()
def save(figure: Figure, stem: Path) -> None:
    """Save a figure as `stem.svg` and `stem.png`; the same figure gives the same bytes.

    A figure that would be too large has fewer pixels to the inch.
    """
    svg, png = io.BytesIO(), io.BytesIO()
    # "tight" keeps axis labels in the picture that long class names would push out of it.
    figure.savefig(svg, format="svg", bbox_inches="tight", metadata={"Date": None})
    inches = max(figure.get_tightbbox().size)
    dpi = min(_DPI, _MOST_PIXELS / inches)
    figure.savefig(png, format="png", bbox_inches="tight", dpi=dpi)
    atomic.write(stem.with_name(f"{stem.name}.svg"), svg.getvalue())
    atomic.write(stem.with_name(f"{stem.name}.png"), png.getvalue())


def _bands(panels: Mapping[str, Sequence[Curve]]) -> tuple[Figure, list[Axes]]:
    """Return a figure with the curves and bands of all panels."""
    figure, all_axes = grid(len(panels), columns=2, height=2)
    for axes, (title, curves) in zip(all_axes, panels.items(), strict=True):
        for curve in curves:
            colour, marker, line = look(curve.kind)
            variants = sorted(other.label for other in curves if other.kind == curve.kind)
            before = variants.index(curve.label)  # so that a variant looks alike in all panels
            axes.plot(
                curve.places,
                [np.mean(of_place) for of_place in curve.accuracies],
                linestyle=(line, ":", "-.")[min(before, 2)],  # tells variants of a kind apart
                color=colour,
                marker=marker,
                markersize=3,
                markerfacecolor="white" if before else colour,
            )
            lowest, highest = map(min, curve.accuracies), map(max, curve.accuracies)
            axes.fill_between(
                curve.places, list(lowest), list(highest), color=colour, alpha=0.2, linewidth=0
            )
        axes.set_title(_shown(title))
    return figure, all_axes


def _label_curves(all_axes: Sequence[Axes], panels: Mapping[str, Sequence[Curve]]) -> None:
    labels = [[_label_of_curve(curve) for curve in curves] for curves in panels.values()]
    label_ends(list(zip(all_axes, labels, strict=True)))


def _label_of_curve(curve: Curve) -> Label:
    last, counts = curve.accuracies[-1], sorted({len(of_place) for of_place in curve.accuracies})
    runs = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    name = _named(curve, f" ({runs})")
    return Label(name, curve.places[-1], float(np.mean(last)), look(curve.kind).colour)


def _draw_points(axes: Axes, points: Sequence[Point], markersize: float = 5) -> None:
    for point in points:
        colour, marker, _ = look(point.kind)
        axes.plot(point.seconds, point.accuracy, marker, color=colour, markersize=markersize)
        axes.plot([point.seconds] * 2, [point.lowest, point.highest], color=colour)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())  # its labels would overlap


def _machines(points: Iterable[Point]) -> dict[str, str]:
    """Return by machine the mark of its points, " [1]" and so on; of a single one it is ""."""
    machines = list(dict.fromkeys(point.machine for point in points))
    is_one = len(machines) == 1
    return {m: "" if is_one else f" [{number}]" for number, m in enumerate(machines, 1)}


def _machines_note(machines: Mapping[str, str]) -> str:
    """Return the lines below a figure that say on which machines its times were taken."""
    named = "; ".join(f"{mark} {machine}".strip() for machine, mark in machines.items())
    only = "" if len(machines) == 1 else ". Compare times on one machine only."
    text = f"Timed on {_shown(named, _LONGEST_NOTE)}{only}"
    return "\n" + textwrap.fill(text, int(_LETTERS_PER_INCH * TEXT_INCHES))


def _label(point: Point, detail: str) -> Label:
    colour = look(point.kind).colour
    return Label(_named(point, detail), point.seconds, point.accuracy, colour)


def _named(method: Point | Curve, detail: str) -> str:
    """Return the name of a method and a detail, in short lines."""
    name = _shown(method.label, _LONGEST_LABEL) + (" †" if method.saw_validation else "")
    return textwrap.fill(name, _LABEL_WIDTH) + detail


def _wrapped(text: str, inches: float) -> str:
    """Return a title in lines of at most `inches`."""
    return textwrap.fill(_shown(text), int(_LETTERS_PER_INCH * inches))


def _shown(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text in one line, not too long, whose dollars do not begin mathematics."""
    return escape.terminal(text, longest).replace("$", r"\$")
