"""What all figures share: sizes and fonts for print, the look of each method, and labels.

Figures are as wide as a column or the text of a paper, and are meant to be printed at that size.
"""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from scipy.optimize import isotonic_regression

COLUMN_INCHES = 3.5
TEXT_INCHES = 7.0

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.labelsize": 8,
    "figure.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "savefig.pad_inches": 0.02,
    # The same data gives the same bytes: names of SVG elements that do not change.
    "svg.hashsalt": "keras-text-research",
}
"""Settings of Matplotlib, in points."""

# Of Okabe and Ito, https://jfly.uni-koeln.de/color/: colour-blind readers can tell them apart.
# Their yellow is too pale for lines on white; grey is in its place.
VERMILLION, BLUE, GREEN, ORANGE = "#D55E00", "#0072B2", "#009E73", "#E69F00"
SKY_BLUE, PURPLE, BLACK, GREY = "#56B4E9", "#CC79A7", "#000000", "#777777"


class Look(NamedTuple):
    """How a method is drawn. Markers and lines tell methods apart where colours are not printed."""

    colour: str
    marker: str
    line: str


class Label(NamedTuple):
    """The text of a label, the point that it names, in data coordinates, and the point's colour."""

    text: str
    x: float
    y: float
    colour: str


_LOOKS = {
    "wide & deep CNN": Look(VERMILLION, "o", "-"),
    "CNN of the tutorial": Look(BLUE, "^", "--"),
    "CNN of Kim 2014": Look(SKY_BLUE, "v", "-."),
    "wide part of wide & deep alone": Look(ORANGE, "D", "-."),
    "TF-IDF + LinearSVC": Look(GREEN, "s", "--"),
    "TF-IDF + logistic regression": Look(PURPLE, "P", ":"),
    "multinomial naive Bayes": Look(BLACK, "X", ":"),
    "fastText": Look(GREY, "*", "-."),
}

_LABEL_POINTS = 7
_MOST_LABELS = 20  # in a panel; more would cover each other
_PIXELS_AROUND_LABEL = 2
_LABEL_DARKNESS = 0.65  # of the colour of a method, of which some are too pale for letters
_STEPS = 20  # points on a line from which labels keep away
# Where labels are tried, the closest first: to which side of the point, and how many points away.
_SIDES = np.array(
    [(1, 0), (-1, 0), (0, 1), (0, -1)]
    + [
        side
        for s in (0.3, 0.6, 0.9)
        for x in (s, -s)
        for side in ((x, 1), (x, -1), (1, x), (-1, x))
    ]
)
_DISTANCES = np.array([4, 7, 11, 16, 22, 30, 40, 52, 66, 82])
_LEADER_FROM = 7  # points
_MARKER_POINTS = 5  # from the middle of a marker, with some room
# What is worse than to be far away, in points: each point of a line, and a label, under another.
_COVERED, _OVERLAP = 10, 10_000


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save with `STYLE`; also a decorator. A letter that the font lacks becomes a box."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing|Matplotlib currently does not support")
        yield


def look(kind: str) -> Look:
    """Return how a method is drawn: the same in all figures.

    Args:
      kind: as `records.Result.kind`. A new one gets a look that depends on its name alone.
    """
    number = zlib.crc32(kind.encode())
    colours = [known.colour for known in _LOOKS.values()]
    other = Look(colours[number % len(colours)], "<>hpHd"[number % 6], ("-", "--")[number % 2])
    return _LOOKS.get(kind, other)


def grid(panels: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of the width of a text, with panels in rows.

    Args:
      panels: their number.
      columns: panels in a row, at most.
      height: of a row, in inches.
    """
    rows, columns = -(-panels // columns), min(columns, panels)
    figure = Figure(figsize=(TEXT_INCHES, rows * height), layout="constrained")
    all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in all_axes[panels:]:
        axes.remove()
    return figure, all_axes[:panels]


def label_points(axes: Axes, labels: Sequence[Label]) -> None:
    """Write labels beside points of a plot, where they cover neither lines nor each other.

    A label that is not close to its point gets a thin line to it. Labels fix the layout of the
    figure, so they come last. Only the first 20 of a panel are written.

    Args:
      axes: with everything else drawn; labels keep away from its lines and markers.
      labels: the most important first.
    """
    pixels = _fix_layout(axes).dpi / 72  # in a point
    drawn = np.concatenate([_along_line(line) for line in axes.lines])
    labels = labels[:_MOST_LABELS]
    points = axes.transData.transform([(label.x, label.y) for label in labels])
    places = [
        _places(axes, label, drawn, np.delete(points, number, axis=0), pixels)
        for number, label in enumerate(labels)
    ]
    boxes: list[tuple[np.ndarray, np.ndarray]] = []
    for place in sorted(places, key=lambda place: place.free):  # the most constrained first
        costs = place.costs + _COVERED * _inside(drawn, place.lows[:, None], place.highs[:, None])
        for low, high in boxes:
            is_over = ((place.lows < high) & (place.highs > low)).all(axis=1)
            costs += _OVERLAP * is_over + _COVERED * _inside(place.leaders, low, high)
        best = int(np.argmin(costs))
        place.text.set_position(tuple((place.leaders[best, -1] - place.leaders[best, 0]) / pixels))
        if place.text.arrow_patch and place.costs[best] < _LEADER_FROM:
            place.text.arrow_patch.set_visible(False)
        drawn = np.concatenate([drawn, place.leaders[best]])
        boxes.append((place.lows[best], place.highs[best]))


class _Places(NamedTuple):
    """Where a label may be: corners, float[places, 2], and paths from the point to its middle."""

    text: Annotation
    lows: np.ndarray
    highs: np.ndarray
    leaders: np.ndarray
    costs: np.ndarray
    free: int


def _places(
    axes: Axes, label: Label, drawn: np.ndarray, others: np.ndarray, pixels: float
) -> _Places:
    """Return the places for a label and their costs while there are no other labels.

    The cost is the distance in points, or more if a label is outside or leads through another
    point.
    """
    text = _annotate(axes, label, (0, 0), "offset points", "center", "-")
    size = _size(text)
    distances = np.repeat(_DISTANCES, len(_SIDES))
    directions = np.tile(_SIDES, (len(_DISTANCES), 1))
    offsets = directions * (distances[:, None] * pixels + size / 2)
    point = axes.transData.transform((label.x, label.y))
    lows, highs = point + offsets - size / 2, point + offsets + size / 2
    leaders = point + offsets[:, None] * np.linspace(0, 1, _STEPS)[:, None]
    is_outside = ((lows < axes.bbox.min) | (highs > axes.bbox.max)).any(axis=1)
    is_free = ~is_outside & (_inside(drawn, lows[:, None], highs[:, None]) == 0)
    near, far = others - _MARKER_POINTS * pixels, others + _MARKER_POINTS * pixels
    through = sum(_inside(leaders, low, high) for low, high in zip(near, far, strict=True))
    costs = distances + _OVERLAP * is_outside + float(_COVERED) * through
    return _Places(text, lows, highs, leaders, costs, int(is_free.sum()))


def label_ends(panels: Sequence[tuple[Axes, Sequence[Label]]]) -> None:
    """Write labels of lines in a column to the right of each plot, as close to their ends as fits.

    Thin dotted lines lead to them. They fix the layout of the figure, so they come last. Only the
    first 20 of a panel are written.

    Args:
      panels: of a figure, with everything else drawn; each with labels of its lines' last points.
    """
    lowest_first = [
        sorted(labels[:_MOST_LABELS], key=lambda label: label.y) for _, labels in panels
    ]
    columns = [
        [_annotate(axes, label, (1.03, 0.5), "axes fraction", "left", ":") for label in labels]
        for (axes, _), labels in zip(panels, lowest_first, strict=True)
    ]
    for (axes, _), labels, texts in zip(panels, lowest_first, columns, strict=True):
        _fix_layout(axes)  # with the labels of all panels, which need room
        heights = np.array([_size(text)[1] for text in texts])
        stacked = np.cumsum(heights) - heights / 2  # where each is if they touch each other
        ends = axes.transData.transform([(label.x, label.y) for label in labels])[:, 1]
        # Of all places where no label covers another, those with the least squares to the ends.
        bottoms = isotonic_regression(ends - stacked).x
        bottoms = np.clip(bottoms, axes.bbox.ymin, max(axes.bbox.ymax - sum(heights), 0))
        for text, middle in zip(texts, stacked + bottoms, strict=True):
            text.set_position((1.03, (middle - axes.bbox.ymin) / axes.bbox.height))


def _fix_layout(axes: Axes) -> Figure:
    figure = axes.figure.get_figure(root=True)
    if figure.get_layout_engine():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def _annotate(
    axes: Axes, label: Label, place: tuple[float, float], unit: str, ha: str, leader: str
) -> Annotation:
    """Return a label at a place in a unit of Matplotlib, with a line of a style to its point."""
    arrow = {"arrowstyle": "-", "linestyle": leader, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2}
    arrow["relpos"] = (0 if ha == "left" else 0.5, 0.5)
    return axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=place,
        textcoords=unit,
        ha=ha,
        va="center",
        fontsize=_LABEL_POINTS,
        color=tuple(_LABEL_DARKNESS * np.array(to_rgb(label.colour))),
        arrowprops=arrow | {"color": label.colour},
    )


def _size(text: Annotation) -> np.ndarray:
    """Return the width and height of a label, without its arrow, in pixels, float[2]."""
    return np.array(Text.get_window_extent(text).padded(_PIXELS_AROUND_LABEL).size)


def _along_line(line: Line2D) -> np.ndarray:
    """Return points on a line and around its markers, in pixels, float[points, 2]."""
    path = line.get_transform().transform(line.get_xydata())
    steps = np.linspace(0, len(path) - 1, _STEPS * len(path))
    on_line = np.column_stack([np.interp(steps, np.arange(len(path)), axis) for axis in path.T])
    around = line.get_markersize() * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) / 2
    return np.concatenate([on_line, *(path + corner for corner in around)])


def _inside(points: np.ndarray, lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Return how many points are in each box: points and corners are float[..., points, 2]."""
    return np.asarray(((points > lows) & (points < highs)).all(axis=-1).sum(axis=-1))
