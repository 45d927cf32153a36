"""Figures of what a step costs at each size: texts a second, and memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import MaxNLocator

from benchmarks.tables.backend_looks import COLOURS, LINES, dots, key, log_ticks, stacked
from benchmarks.tables.comparisons import (
    AXES,
    KINDS,
    Comparison,
    Machine,
    backends,
    memory_mb,
    texts_per_second,
)
from benchmarks.tables.step_times import SubjectTimes
from research.evaluation import figure_style, figures
from research.evaluation.figure_style import GREY, Label, label_ends

_COLUMNS, _ROW_INCHES, _REST_INCHES = 2, 2.0, 0.6
_PLOT_INCHES = 2.4, 1.4  # of a panel, without labels
_CATEGORIES = ("model", "interaction")
_MOST_TIMES = 6  # between values on an axis that begins at 0; beyond it the axis is logarithmic
_HEADROOM = 1.06
_MOST_TICKS = 5  # beside each other

Measure = Callable[[Comparison, SubjectTimes], tuple[float, float, float] | None]
"""Returns the value of a row with the ends of its whisker, or None if it was not measured."""


class Quantity(NamedTuple):
    """What is drawn: how it is read from a row, its unit, and what its whiskers are."""

    measure: Measure
    unit: str
    whiskers: str


def _speed(comparison: Comparison, row: SubjectTimes) -> tuple[float, float, float]:
    """Return the texts a second of a row, and those of the quartiles of its time."""
    median, low, high = (
        texts_per_second(comparison, row, quartile)
        for quartile in ("median", "third_quartile", "first_quartile")
    )
    return median, low, high


def _memory(comparison: Comparison, row: SubjectTimes) -> tuple[float, float, float] | None:
    """Return the peak of memory of a row in MB, with the least and the most of its processes."""
    peak = memory_mb(row)
    if peak is None:
        return None
    peaks = [one for one in row["peak_memory_mb"] if one is not None]
    return peak, min(peaks), max(peaks)


SPEED = Quantity(_speed, "texts/s", "from quartile to quartile")
MEMORY = Quantity(_memory, "MB", "from the least to the most of several processes")


def drawable(machines: Sequence[Machine], quantity: Quantity) -> list[Machine]:
    """Return the machines for which a quantity is known on an axis."""
    return [machine for machine in machines if _known_axes(machine, quantity)]


def _known_axes(machine: Machine, quantity: Quantity) -> list[str]:
    return [axis for axis in machine.axes() if list(_series(machine.on(axis), quantity.measure))]


@figure_style.styled()
def draw(machines: Sequence[Machine], quantity: Quantity, stem: Path) -> None:
    """Draw what was measured against each axis: ours solid, model.fit dashed, native dotted.

    Models and interactions are in rows, since no line joins them.

    Args:
      machines: as `drawable` returns them.
      quantity: `SPEED` or `MEMORY`.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    rows = [-(-len(_known_axes(machine, quantity)) // _COLUMNS) for machine in machines]
    heights = [_REST_INCHES + _ROW_INCHES * number for number in rows]
    titles = [f"{machine.name}\nwhiskers: {quantity.whiskers}" for machine in machines]
    _, parts = stacked(titles, heights)
    to_label = []
    for part, machine in zip(parts, machines, strict=True):
        to_label += _draw_machine(part, machine, quantity)
        key(part, backends(machine), _kinds(machine), joined=True)
    if to_label:
        label_ends(to_label)
    figures.save(parts[0].get_figure(root=True), stem)


def _kinds(machine: Machine) -> dict[str, str]:
    return {
        kind: title
        for kind, title in KINDS.items()
        if any(one.rows[kind] for one in machine.comparisons)
    }


def _draw_machine(
    part: FigureBase, machine: Machine, quantity: Quantity
) -> list[tuple[Axes, list[Label]]]:
    """Draw a panel for each axis; return the panels with lines, and the labels of their ends."""
    measure, unit, _ = quantity
    names = _known_axes(machine, quantity)
    all_axes = list(part.subplots(-(-len(names) // _COLUMNS), _COLUMNS, squeeze=False).flat)
    for axes in all_axes[len(names) :]:
        axes.remove()
    to_label = []
    for axes, name in zip(all_axes, names, strict=False):
        if name in _CATEGORIES:
            _draw_categories(axes, machine, name, measure)
            axes.set(xlabel=unit, title=AXES[name])
        else:
            labels = _draw_lines(axes, machine, name, measure)
            axes.set(xlabel=AXES[name], ylabel=unit)
            to_label.append((axes, labels))
    return to_label


def _series(
    compared: Sequence[Comparison], measure: Measure
) -> Iterator[tuple[str, str, Mapping[int, tuple[float, float, float]]]]:
    """Yield kind and backend, and their values by the position of the comparison."""
    for kind in reversed(KINDS):  # ours on top
        for backend in sorted({name for one in compared for name in one.rows[kind]}):
            found = {}
            for position, one in enumerate(compared):
                row = one.rows[kind].get(backend)
                value = None if row is None else measure(one, row)
                if value is not None:
                    found[position] = value
            if found:
                yield kind, backend, found


def _draw_lines(axes: Axes, machine: Machine, axis: str, measure: Measure) -> list[Label]:
    compared, labels, drawn = machine.on(axis), [], []
    places = [float(getattr(one.sizes, axis)) for one in compared]
    for kind, backend, values in _series(compared, measure):
        x = [places[position] for position in values]
        middles = [middle for middle, *_ in values.values()]
        axes.plot(x, middles, linestyle=LINES[kind], **dots(backend, kind))  # type: ignore[arg-type]
        for place, (_, low, high) in zip(x, values.values(), strict=True):
            axes.plot([place] * 2, [low, high], color=COLOURS.get(backend, GREY), linewidth=0.8)
            drawn += [low, high]
        if kind == "ours":
            labels.append(Label(backend, x[-1], middles[-1], COLOURS.get(backend, GREY)))
    log_ticks(axes, axes.xaxis, _PLOT_INCHES[0], places)
    if max(drawn) > _MOST_TIMES * min(drawn):
        log_ticks(axes, axes.yaxis, _PLOT_INCHES[1])
    else:
        axes.set_ylim(0, max(drawn) * _HEADROOM)
        axes.yaxis.set_major_formatter("{x:,.0f}")
    return labels


def _draw_categories(axes: Axes, machine: Machine, axis: str, measure: Measure) -> None:
    compared, drawn = machine.on(axis), []
    titles = [
        one.sizes.part(axis) if axis == "model" else one.sizes.title(machine.base)
        for one in compared
    ]
    series = sorted(_series(compared, measure), key=lambda one: list(KINDS).index(one[0]))
    for number, (kind, backend, values) in enumerate(series):
        for position, (middle, low, high) in values.items():
            y = position + 0.7 * ((number + 0.5) / len(series) - 0.5)
            axes.plot([low, high], [y] * 2, color=COLOURS.get(backend, GREY), linewidth=0.8)
            axes.plot(middle, y, **dots(backend, kind))  # type: ignore[arg-type]
            drawn += [low, high]
    axes.set_yticks(range(len(titles)), [title.replace(", ", ",\n") for title in titles])
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    for boundary in range(1, len(titles)):
        axes.axhline(boundary - 0.5, color="0.85", linewidth=0.5)
    if max(drawn) > _MOST_TIMES * min(drawn):
        log_ticks(axes, axes.xaxis, _PLOT_INCHES[0])
    else:
        axes.set_xlim(0, max(drawn) * _HEADROOM)
        axes.xaxis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter("{x:,.0f}")
