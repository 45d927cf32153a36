"""How backends and kinds are drawn, and the ticks of logarithmic axes."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from research.evaluation.figure_style import BLUE, GREEN, GREY, TEXT_INCHES, VERMILLION

COLOURS = {"jax": BLUE, "tensorflow": VERMILLION, "torch": GREEN}
MARKERS = {"jax": "o", "tensorflow": "^", "torch": "s"}
LINES = {"ours": "-", "fit": "--", "peer": ":"}
# Each kind has dots of its own too, since categories are not joined by lines.
_FILLS = {"ours": "full", "fit": "left", "peer": "full"}
_TITLE_LETTERS = 110  # of a line
_NICE = [digit * 10.0**power for digit in (1, 3, 2, 5, 7, 1.5) for power in range(-3, 7)]


def dots(backend: str, kind: str) -> dict[str, object]:
    """Return the options of `Axes.plot` for the dots of a backend and a kind."""
    colour = COLOURS.get(backend, GREY)
    face = "white" if kind == "peer" else colour
    faces = {"fillstyle": _FILLS[kind], "markerfacecolor": face, "markerfacecoloralt": "white"}
    return {
        "color": colour,
        "marker": MARKERS.get(backend, "D"),
        "markeredgecolor": colour,
        "markeredgewidth": 0.8,
        **faces,
    }


def key(figure: FigureBase, names: Sequence[str], kinds: Mapping[str, str], joined: bool) -> None:
    """Write a line below a figure that says what colours, markers and lines mean.

    Args:
      figure: or a part of one.
      names: of the backends.
      kinds: their titles by a key of `KINDS`.
      joined: whether there are lines.
    """
    handles = [
        Line2D([], [], linestyle="none", label=name, **dots(name, "ours"))  # type: ignore[arg-type]
        for name in names
    ]
    for kind, title in kinds.items():
        line = LINES[kind] if joined else "none"
        look = dots("", kind) | {"marker": "o"}
        handles.append(Line2D([], [], linestyle=line, label=title, **look))  # type: ignore[arg-type]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        handlelength=2.5,
        columnspacing=1.2,
    )


def stacked(titles: Sequence[str], heights: Sequence[float]) -> tuple[Figure, list[FigureBase]]:
    """Return a figure of the width of a text, and a part of it with a title for each machine."""
    figure = Figure(figsize=(TEXT_INCHES, sum(heights)), layout="constrained")
    parts = list(figure.subfigures(len(titles), 1, squeeze=False, height_ratios=heights)[:, 0])
    for part, title in zip(parts, titles, strict=True):
        lines = (
            textwrap.fill(line, _TITLE_LETTERS, break_on_hyphens=False)
            for line in title.splitlines()
        )
        part.suptitle("\n".join(lines))
    return figure, parts


def log_ticks(axes: Axes, axis: Axis, inches: float, values: Iterable[float] = _NICE) -> None:
    """Make an axis logarithmic, with ticks whose labels do not overlap.

    Args:
      axes: with everything drawn and its limits set.
      axis: one of its two.
      inches: the length of the axis.
      values: where ticks may be, the most welcome first.
    """
    is_horizontal = axis is axes.xaxis
    (axes.set_xscale if is_horizontal else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    letters = 0.075 if is_horizontal else 0.0  # inches for each letter of a label
    shown: list[float] = []
    places: list[tuple[float, float]] = []
    for value in (value for value in values if low <= value <= high):
        place = inches * np.log(value / low) / np.log(high / low)
        half = max(0.12, letters * (len(f"{value:,g}") + 1)) / 2
        if all(abs(place - other) >= half + other_half for other, other_half in places):
            shown.append(value)
            places.append((place, half))
    axis.set_major_locator(FixedLocator(shown))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
